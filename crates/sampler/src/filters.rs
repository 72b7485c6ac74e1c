//! The filters of the chain after `top_k` (which [`Candidates::load`] does in its one pass).

use crate::candidates::{Candidate, Candidates, weight};

/// Scratch of the locally typical filter, kept between tokens.
#[derive(Debug, Clone, Default)]
pub(crate) struct Typical {
    scored: Vec<Scored>,
}

#[derive(Debug, Clone, Copy)]
struct Scored {
    /// How far the token's surprise is from the expected one.
    distance: f32,
    probability: f64,
    candidate: Candidate,
}

impl Typical {
    /// Keeps the tokens whose surprise `-ln p` is nearest to the entropy `H = -Σ p ln p`, until their probabilities
    /// exceed `typical_p` (Meister et al. 2022, "Locally Typical Sampling"). 1 keeps all.
    pub(crate) fn apply(&mut self, candidates: &mut Candidates, typical_p: f32) {
        if typical_p >= 1.0 {
            return;
        }
        let max = candidates.max_logit();
        let sum = candidates.weight_sum();
        let log_sum = libm::log(sum);
        // -ln p from the logit itself: finite even where p underflows to zero.
        let surprise = |candidate: &Candidate| f64::from(max - candidate.logit) + log_sum;
        let probability = |candidate: &Candidate| weight(candidate.logit - max) / sum;
        let entropy: f64 = candidates
            .items()
            .iter()
            .map(|item| probability(item) * surprise(item))
            .sum();
        self.scored.clear();
        self.scored
            .extend(candidates.items().iter().map(|item| Scored {
                distance: (surprise(item) - entropy).abs() as f32,
                probability: probability(item),
                candidate: *item,
            }));
        self.scored.sort_unstable_by(|a, b| {
            a.distance
                .total_cmp(&b.distance)
                .then_with(|| a.candidate.order(&b.candidate))
        });
        let mut total = 0.0;
        let enough = self.scored.iter().position(|item| {
            total += item.probability;
            total > f64::from(typical_p)
        });
        let kept = enough.map_or(self.scored.len(), |last| last + 1);
        candidates.replace(self.scored[..kept].iter().map(|item| item.candidate));
    }
}

/// Keeps the fewest most likely tokens whose probabilities add up to at least `top_p`. 1 keeps all.
pub(crate) fn top_p(candidates: &mut Candidates, top_p: f32) {
    if top_p >= 1.0 {
        return;
    }
    let wanted = f64::from(top_p) * candidates.weight_sum();
    let max = candidates.max_logit();
    let mut total = 0.0;
    let mut kept = 0;
    while kept < candidates.len() {
        total += weight(candidates.ranked(kept).logit - max);
        kept += 1;
        if total >= wanted {
            break;
        }
    }
    candidates.keep_first(kept);
}

/// Keeps tokens at least `min_p` times as likely as the most likely one. 0 keeps all.
pub(crate) fn min_p(candidates: &mut Candidates, min_p: f32) {
    if min_p > 0.0 {
        let max = candidates.max_logit();
        // With min_p = 1 rounding must not lose the most likely token itself: ln 1 is exactly 0.
        candidates.keep_at_least(max + libm::logf(min_p));
    }
}
