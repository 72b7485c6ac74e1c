//! Log-probabilities of the model's own distribution, as OpenAI's `logprobs` and llama-server report them: before
//! penalties, filters and temperature.

use crate::{
    Error,
    candidates::{Candidates, weight},
};

/// A token and the natural logarithm of its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logprob {
    /// The token.
    pub token: u32,
    /// Natural logarithm of its probability: 0 or less.
    pub logprob: f32,
}

/// The log-probability of a chosen token and of the most likely ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Logprobs {
    /// The token that was chosen.
    pub chosen: Logprob,
    /// The most likely tokens, most likely first; the chosen one is among them if it is that likely.
    pub top: Vec<Logprob>,
}

/// `ln softmax(logits)` for token `id` and for the `top_n` most likely tokens. `logits`: `[vocabulary]`.
///
/// # Errors
///
/// [`Error::UnknownToken`] for an id beyond the vocabulary, [`Error::NotFinite`] and [`Error::NoCandidates`] as in
/// [`crate::Sampler::sample`].
pub fn logprobs(logits: &[f32], id: u32, top_n: usize) -> Result<Logprobs, Error> {
    let vocabulary = logits.len();
    let chosen = *logits.get(id as usize).ok_or(Error::UnknownToken {
        token: id,
        vocabulary,
    })?;
    let mut top = Candidates::default();
    // One at least, because its first is the highest logit, which the sum below is relative to.
    top.load(logits, &[], Some(top_n.max(1)))?;
    let max = top.max_logit();
    let log_sum = libm::log(logits.iter().map(|logit| weight(logit - max)).sum());
    let logprob = |token, logit: f32| Logprob {
        token,
        logprob: (f64::from(logit - max) - log_sum) as f32,
    };
    top.sort_first(top_n);
    Ok(Logprobs {
        chosen: logprob(id, chosen),
        top: top
            .items()
            .iter()
            .take(top_n)
            .map(|item| logprob(item.id, item.logit))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_distribution() {
        let logits = [0.1f32.ln(), 0.6f32.ln(), 0.3f32.ln(), f32::NEG_INFINITY];
        let found = logprobs(&logits, 0, 2).unwrap();
        assert!((found.chosen.logprob - 0.1f32.ln()).abs() < 1e-6);
        assert_eq!(
            found.top.iter().map(|top| top.token).collect::<Vec<_>>(),
            [1, 2]
        );
        assert!((found.top[0].logprob - 0.6f32.ln()).abs() < 1e-6);
        assert_eq!(logprobs(&logits, 1, 0).unwrap().top, []);
        assert_eq!(logprobs(&logits, 1, 9).unwrap().top.len(), 3);
    }

    #[test]
    fn far_apart_logits_do_not_overflow() {
        let found = logprobs(&[3.0e38, -3.0e38], 0, 1).unwrap();
        assert_eq!(found.chosen.logprob, 0.0);
    }

    #[test]
    fn a_token_beyond_the_vocabulary_is_an_error() {
        assert_eq!(
            logprobs(&[0.0; 3], 3, 1),
            Err(Error::UnknownToken {
                token: 3,
                vocabulary: 3
            })
        );
    }
}
