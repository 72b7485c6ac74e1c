//! What changes logits before any filter: biases, and penalties for recent tokens.

use std::collections::VecDeque;

use crate::Params;

/// How one token's logit is changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Adjustment {
    pub(crate) token: u32,
    bias: f32,
    repeat_penalty: f32,
    /// Frequency and presence penalties together.
    subtract: f32,
}

impl Adjustment {
    /// The bias first, then the penalties, as llama.cpp does. Negative logits are multiplied where positive ones are
    /// divided (the paper, Keskar et al. 2019, only divides, which would reward tokens with negative logits).
    pub(crate) fn apply(&self, logit: f32) -> f32 {
        let logit = logit + self.bias;
        let scaled = if logit <= 0.0 {
            logit * self.repeat_penalty
        } else {
            logit / self.repeat_penalty
        };
        scaled - self.subtract
    }
}

/// The latest tokens of a sequence and the changes that follow from them. Buffers are kept between tokens.
#[derive(Debug, Clone)]
pub(crate) struct Penalties {
    repeat_penalty: f32,
    frequency_penalty: f32,
    presence_penalty: f32,
    /// Most tokens remembered; 0 where no penalty is in force.
    window: usize,
    recent: VecDeque<u32>,
    /// One entry per token, by ascending token.
    biases: Vec<(u32, f32)>,
    sorted: Vec<u32>,
    adjustments: Vec<Adjustment>,
}

impl Penalties {
    pub(crate) fn new(params: &Params) -> Self {
        let mut biases = params.logit_bias.clone();
        biases.sort_by_key(|(token, _)| *token);
        biases.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        Self {
            repeat_penalty: params.repeat_penalty,
            frequency_penalty: params.frequency_penalty,
            presence_penalty: params.presence_penalty,
            // -1, the one negative value that is valid, stands for no limit.
            window: if params.penalizes() {
                usize::try_from(params.repeat_last_n).unwrap_or(usize::MAX)
            } else {
                0
            },
            recent: VecDeque::new(),
            biases,
            sorted: Vec::new(),
            adjustments: Vec::new(),
        }
    }

    /// Remembers the sequence's next token.
    pub(crate) fn accept(&mut self, token: u32) {
        if self.window == 0 {
            return;
        }
        if self.recent.len() >= self.window {
            self.recent.pop_front();
        }
        self.recent.push_back(token);
    }

    /// The changes that are due now, by ascending token.
    pub(crate) fn adjustments(&mut self) -> &[Adjustment] {
        self.sorted.clear();
        self.sorted.extend(&self.recent);
        self.sorted.sort_unstable();
        self.adjustments.clear();
        let mut biases = self.biases.iter().copied().peekable();
        for run in self.sorted.chunk_by(|a, b| a == b) {
            let token = run[0];
            while let Some((token, bias)) = biases.next_if(|(biased, _)| *biased < token) {
                self.adjustments.push(only_bias(token, bias));
            }
            let bias = biases
                .next_if(|(biased, _)| *biased == token)
                .map_or(0.0, |(_, bias)| bias);
            self.adjustments.push(Adjustment {
                token,
                bias,
                repeat_penalty: self.repeat_penalty,
                subtract: run.len() as f32 * self.frequency_penalty + self.presence_penalty,
            });
        }
        self.adjustments
            .extend(biases.map(|(token, bias)| only_bias(token, bias)));
        &self.adjustments
    }
}

fn only_bias(token: u32, bias: f32) -> Adjustment {
    Adjustment {
        token,
        bias,
        repeat_penalty: 1.0,
        subtract: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(params: &Params, accepted: &[u32], logits: &[f32]) -> Vec<f32> {
        let mut penalties = Penalties::new(params);
        for &token in accepted {
            penalties.accept(token);
        }
        let mut logits = logits.to_vec();
        for adjustment in penalties.adjustments() {
            let logit = &mut logits[adjustment.token as usize];
            *logit = adjustment.apply(*logit);
        }
        logits
    }

    #[test]
    fn positive_logits_are_divided_and_negative_ones_multiplied() {
        let params = Params {
            repeat_penalty: 2.0,
            ..Params::default()
        };
        assert_eq!(
            changed(&params, &[0, 1, 1], &[3.0, -3.0, 5.0]),
            [1.5, -6.0, 5.0]
        );
    }

    #[test]
    fn frequency_counts_and_presence_does_not() {
        let params = Params {
            frequency_penalty: 0.5,
            presence_penalty: 0.25,
            ..Params::default()
        };
        assert_eq!(
            changed(&params, &[1, 1, 1, 2], &[1.0; 4]),
            [1.0, -0.75, 0.25, 1.0]
        );
    }

    #[test]
    fn only_the_latest_tokens_count() {
        let last = |repeat_last_n| Params {
            presence_penalty: 1.0,
            repeat_last_n,
            ..Params::default()
        };
        let accepted = [0, 1, 2, 2];
        assert_eq!(changed(&last(0), &accepted, &[0.0; 3]), [0.0, 0.0, 0.0]);
        assert_eq!(changed(&last(2), &accepted, &[0.0; 3]), [0.0, 0.0, -1.0]);
        assert_eq!(changed(&last(3), &accepted, &[0.0; 3]), [0.0, -1.0, -1.0]);
        assert_eq!(changed(&last(-1), &accepted, &[0.0; 3]), [-1.0, -1.0, -1.0]);
    }

    #[test]
    fn biases_come_first_and_add_up() {
        let logit_bias = vec![(3, 1.0), (0, -1.0), (3, 1.0), (2, f32::NEG_INFINITY)];
        let params = Params {
            logit_bias,
            repeat_penalty: 2.0,
            ..Params::default()
        };
        assert_eq!(
            changed(&params, &[3, 1], &[1.0, 1.0, 1.0, 2.0]),
            [0.0, 0.5, f32::NEG_INFINITY, 2.0]
        );
    }
}
