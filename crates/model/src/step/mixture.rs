//! Mixtures of experts: which networks each token goes through, and their weighted sum.
//!
//! Only the experts that some token chose are computed, each once for all tokens that chose it. A token's sum is in the
//! order of the experts, so it does not depend on the other tokens of the batch.

use kernels::{
    Activations, Product, activation, matmul, matmul_pair, matmul_rows, softmax::softmax,
};

use super::Step;
use crate::Experts;
use crate::weights::{FeedForward, Router};

/// The least sum that probabilities are divided by, the smallest normal number of 16 bits, as in llama.cpp.
const SMALLEST_SUM: f32 = 6.103_515_6e-5;

/// Room for choosing experts and for what one of them computes.
#[derive(Debug, Default)]
pub(crate) struct MixtureScratch {
    /// `[rows, experts]`
    probabilities: Vec<f32>,
    /// What every row chose, by rows.
    choices: Vec<Choice>,
    /// Of the expert at work: its rows and their weights.
    chosen: Vec<(usize, f32)>,
    /// Of the expert at work: its input, `[chosen, embedding_length]`.
    input: Activations,
    /// Of the expert at work: its output, `[chosen, embedding_length]`.
    output: Vec<f32>,
}

impl MixtureScratch {
    pub(crate) fn bytes(&self) -> usize {
        (self.probabilities.capacity() + self.output.capacity()) * size_of::<f32>()
            + self.choices.capacity() * size_of::<Choice>()
            + self.chosen.capacity() * size_of::<(usize, f32)>()
            + self.input.bytes()
    }
}

/// An expert that a token goes through.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Choice {
    row: usize,
    expert: usize,
    weight: f32,
}

/// Appends the choices of one row: the `used` experts with the largest probabilities, the first of equals; weights are
/// in proportion to the probabilities and sum to `scale`. Spoils `probabilities`.
fn choose(row: usize, probabilities: &mut [f32], experts: &Experts, choices: &mut Vec<Choice>) {
    let first = choices.len();
    for _ in 0..experts.used {
        let expert = (1..probabilities.len()).fold(0, |best, i| {
            if probabilities[i] > probabilities[best] {
                i
            } else {
                best
            }
        });
        let weight = std::mem::replace(&mut probabilities[expert], f32::NEG_INFINITY);
        choices.push(Choice {
            row,
            expert,
            weight,
        });
    }
    let chosen = &mut choices[first..];
    let sum: f32 = chosen.iter().map(|choice| choice.weight).sum();
    for choice in chosen {
        choice.weight = choice.weight / sum.max(SMALLEST_SUM) * experts.scale;
    }
}

impl Step<'_> {
    /// `residual += Σₑ wₑ · downₑ · (activation(gateₑ · normed) ⊙ (upₑ · normed))` over the experts that the router
    /// chooses for each row, with weights in proportion to their probabilities.
    pub(crate) fn add_mixture(&mut self, router: &Router, weights: &FeedForward) {
        self.choose_experts(router);
        let (width, inner) = (
            self.config.embedding_length,
            self.config.feed_forward_length,
        );
        // The specs of a mixture see to it that there is a gate.
        let Some(gate) = &weights.gate else { return };
        let scratch = &mut *self.scratch;
        let mixture = &mut scratch.mixture;
        scratch.delta.clear();
        scratch.delta.resize(self.rows * width, 0.0);
        for expert in 0..router.experts.count {
            mixture.chosen.clear();
            let choices = mixture.choices.iter();
            mixture.chosen.extend(
                choices
                    .filter(|choice| choice.expert == expert)
                    .map(|choice| (choice.row, choice.weight)),
            );
            let rows = mixture.chosen.len();
            if rows == 0 {
                continue;
            }
            // What all rows read is prepared once for all experts; above all, the one row of decode.
            let input = if rows == self.rows {
                &mut scratch.normed
            } else {
                let input = mixture.input.reset(rows, width);
                for (to, &(row, _)) in input.chunks_exact_mut(width).zip(&mixture.chosen) {
                    to.copy_from_slice(&scratch.normed.values()[row * width..][..width]);
                }
                &mut mixture.input
            };
            let inner_rows = expert * inner..(expert + 1) * inner;
            scratch.up.resize(rows * inner, 0.0);
            let gated = scratch.gated.reset(rows, inner);
            let pair = [
                (&gate.weight, gated),
                (&weights.up.weight, &mut scratch.up[..]),
            ];
            let pair = pair.map(|(all, out)| Product::of_rows(all, inner_rows.clone(), out));
            let activation = self.config.activation;
            matmul_pair(self.pool, pair, input, &|_, gated, up| {
                activation::gated_in_place(activation, gated, up);
            });
            mixture.output.resize(rows * width, 0.0);
            let outer_rows = expert * width..(expert + 1) * width;
            let (down, output) = (&weights.down.weight, &mut mixture.output);
            matmul_rows(self.pool, down, outer_rows, &mut scratch.gated, output);
            for (from, &(row, weight)) in output.chunks_exact(width).zip(&mixture.chosen) {
                let to = &mut scratch.delta[row * width..][..width];
                for (to, from) in to.iter_mut().zip(from) {
                    *to += weight * from;
                }
            }
        }
        self.add_delta();
    }

    fn choose_experts(&mut self, router: &Router) {
        let scratch = &mut *self.scratch;
        let mixture = &mut scratch.mixture;
        let count = router.experts.count;
        mixture.choices.clear();
        mixture.probabilities.resize(self.rows * count, 0.0);
        let probabilities = &mut mixture.probabilities;
        matmul(
            self.pool,
            &router.weight,
            &mut scratch.normed,
            probabilities,
        );
        for (row, probabilities) in probabilities.chunks_exact_mut(count).enumerate() {
            softmax(probabilities);
            choose(row, probabilities, &router.experts, &mut mixture.choices);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(probabilities: &[f32], used: usize, scale: f32) -> Vec<(usize, f32)> {
        let experts = Experts {
            count: probabilities.len(),
            used,
            scale,
        };
        let mut choices = Vec::new();
        choose(3, &mut probabilities.to_vec(), &experts, &mut choices);
        assert!(choices.iter().all(|choice| choice.row == 3));
        choices
            .iter()
            .map(|choice| (choice.expert, choice.weight))
            .collect()
    }

    #[test]
    fn the_most_probable_share_in_proportion() {
        assert_eq!(
            chosen(&[0.125, 0.5, 0.0, 0.375], 2, 1.0),
            [(1, 0.5 / 0.875), (3, 0.375 / 0.875)]
        );
        assert_eq!(chosen(&[0.25, 0.75], 2, 2.0), [(1, 1.5), (0, 0.5)]);
    }

    #[test]
    fn of_equals_the_first_are_chosen_and_none_twice() {
        assert_eq!(chosen(&[0.25; 4], 2, 1.0), [(0, 0.5), (1, 0.5)]);
        let all: Vec<_> = chosen(&[0.0; 4], 4, 1.0)
            .iter()
            .map(|choice| choice.0)
            .collect();
        assert_eq!(all, [0, 1, 2, 3]);
    }
}
