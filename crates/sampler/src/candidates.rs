//! The tokens that are still in the running, most likely first as far as anyone has asked.

use std::cmp::Ordering;

use crate::{Error, penalties::Adjustment};

/// A token and its logit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) id: u32,
    pub(crate) logit: f32,
}

impl Candidate {
    /// Most likely first; equals by token id, so that the order is total and the same everywhere.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        other
            .logit
            .total_cmp(&self.logit)
            .then(self.id.cmp(&other.id))
    }
}

/// A set of candidates whose `sorted` first items are the most likely ones in order; the rest is in no order.
/// Buffers are kept between tokens.
#[derive(Debug, Clone, Default)]
pub(crate) struct Candidates {
    items: Vec<Candidate>,
    sorted: usize,
}

/// Below this many, a partial selection costs more than it saves.
const SMALLEST_SELECTION: usize = 64;

/// Logits that are passed over together where none of them is among the most likely.
const RUN: usize = 32;

/// A sorted prefix that turned out too short is made this many times as long.
const PREFIX_GROWTH: usize = 4;

impl Candidates {
    /// Takes the logits of a whole vocabulary, adjusted, without those that are -inf; `keep` limits them to the most
    /// likely ones. One pass over the logits and a buffer of about twice `keep`, whatever the size of the vocabulary.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] for NaN and +infinity, [`Error::UnknownToken`] for an adjustment beyond the vocabulary,
    /// [`Error::NoCandidates`] where nothing is left.
    pub(crate) fn load(
        &mut self,
        logits: &[f32],
        adjustments: &[Adjustment],
        keep: Option<usize>,
    ) -> Result<(), Error> {
        let vocabulary = logits.len();
        if let Some(last) = adjustments
            .last()
            .filter(|last| last.token as usize >= vocabulary)
        {
            return Err(Error::UnknownToken {
                token: last.token,
                vocabulary,
            });
        }
        self.items.clear();
        self.sorted = 0;
        let keep = keep.unwrap_or(vocabulary).max(1);
        let full = keep.saturating_mul(2).max(SMALLEST_SELECTION);
        // A token must beat this to be among the most likely. Equal is not enough: ids ascend, and ties go to the
        // lower id.
        let mut threshold = f32::NEG_INFINITY;
        let mut adjustments = adjustments.iter().peekable();
        for (first, run) in (0u32..).step_by(RUN).zip(logits.chunks(RUN)) {
            let is_adjusted = adjustments
                .peek()
                .is_some_and(|next| (next.token as usize) < first as usize + RUN);
            // Without a branch for each, so that the comparisons are vectorized. Undefined values are not below it.
            let all_below = run
                .iter()
                .fold(true, |all, &logit| all & (logit <= threshold));
            if all_below && !is_adjusted {
                continue;
            }
            for (token, &logit) in (first..).zip(run) {
                let logit = match adjustments.next_if(|adjustment| adjustment.token == token) {
                    Some(adjustment) => adjustment.apply(logit),
                    None => logit,
                };
                if logit > threshold && logit < f32::INFINITY {
                    self.items.push(Candidate { id: token, logit });
                    if self.items.len() >= full && keep < self.items.len() {
                        self.truncate_to(keep);
                        threshold = self
                            .items
                            .iter()
                            .map(|item| item.logit)
                            .fold(f32::INFINITY, f32::min);
                    }
                } else if logit.is_nan() || logit == f32::INFINITY {
                    return Err(Error::NotFinite {
                        token,
                        value: logit,
                    });
                }
            }
        }
        if self.items.is_empty() {
            return Err(Error::NoCandidates { vocabulary });
        }
        if keep < vocabulary {
            self.truncate_to(keep);
            self.sort_first(keep);
        }
        Ok(())
    }

    /// Keeps the `keep` most likely, in no order.
    fn truncate_to(&mut self, keep: usize) {
        if keep < self.items.len() {
            self.items.select_nth_unstable_by(keep, Candidate::order);
            self.items.truncate(keep);
            self.sorted = self.sorted.min(keep);
        }
    }

    /// Makes the `count` first items (or all, if there are fewer) the most likely ones in order.
    pub(crate) fn sort_first(&mut self, count: usize) {
        let count = count.min(self.items.len());
        if count <= self.sorted {
            return;
        }
        let rest = &mut self.items[self.sorted..];
        let wanted = count - self.sorted;
        if wanted < rest.len() {
            rest.select_nth_unstable_by(wanted - 1, Candidate::order);
        }
        rest[..wanted].sort_unstable_by(Candidate::order);
        self.sorted = count;
    }

    /// The item that is `rank` most likely (0 is the most likely), sorting no more than about as many as are visited.
    pub(crate) fn ranked(&mut self, rank: usize) -> Candidate {
        if rank >= self.sorted {
            self.sort_first(
                (rank + 1)
                    .max(self.sorted * PREFIX_GROWTH)
                    .max(SMALLEST_SELECTION),
            );
        }
        self.items[rank]
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn items(&self) -> &[Candidate] {
        &self.items
    }

    /// The highest logit. There is always a candidate.
    pub(crate) fn max_logit(&self) -> f32 {
        if self.sorted > 0 {
            return self.items[0].logit;
        }
        self.items
            .iter()
            .map(|item| item.logit)
            .fold(f32::NEG_INFINITY, f32::max)
    }

    /// The sum of `exp(logit - max_logit)` over all candidates: what turns those into probabilities.
    pub(crate) fn weight_sum(&self) -> f64 {
        let max = self.max_logit();
        self.items.iter().map(|item| weight(item.logit - max)).sum()
    }

    /// Keeps the `count` first items.
    pub(crate) fn keep_first(&mut self, count: usize) {
        self.items.truncate(count);
        self.sorted = self.sorted.min(self.items.len());
    }

    /// Keeps the items with at least this logit, in their order.
    pub(crate) fn keep_at_least(&mut self, logit: f32) {
        self.items.retain(|item| item.logit >= logit);
        // What was sorted were the highest ones, so they go last.
        self.sorted = self.sorted.min(self.items.len());
    }

    /// Replaces the items by others, in no order.
    pub(crate) fn replace(&mut self, items: impl Iterator<Item = Candidate>) {
        self.items.clear();
        self.items.extend(items);
        self.sorted = 0;
    }
}

/// `exp(x)` for a logit's distance to the highest one, the same on every platform.
pub(crate) fn weight(distance: f32) -> f64 {
    f64::from(libm::expf(distance))
}
