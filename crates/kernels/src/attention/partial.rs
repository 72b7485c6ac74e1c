//! Results of one split, and how they are joined.

use super::{Queries, Span};
use crate::isa::{Isa, Simd, Task};
use crate::kv::KvLayout;
use crate::pool::{Pool, for_each_chunk};
use crate::softmax;

/// The softmax of a row over some tokens; the weighted sum of their values is kept beside it.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    /// The largest score.
    pub(super) max: f32,
    /// The sum of exponentials of scores, relative to `max`.
    pub(super) sum: f32,
}

impl State {
    /// Of no tokens.
    pub(super) const NONE: Self = Self {
        max: f32::NEG_INFINITY,
        sum: 0.0,
    };

    /// Takes in the state of later tokens. `sums`, relative to this state's maximum, take in `theirs`.
    #[inline(always)]
    pub(super) fn join(&mut self, sums: &mut [f32], later: Self, theirs: &[f32]) {
        if later.max == f32::NEG_INFINITY {
            return;
        }
        if self.max == f32::NEG_INFINITY {
            *self = later;
            sums.copy_from_slice(theirs);
            return;
        }
        let max = if later.max > self.max {
            later.max
        } else {
            self.max
        };
        let ours = softmax::exp(self.max - max);
        let weight = softmax::exp(later.max - max);
        self.max = max;
        self.sum = self.sum * ours + later.sum * weight;
        for (sum, &x) in sums.iter_mut().zip(theirs) {
            *sum = *sum * ours + x * weight;
        }
    }

    /// Makes the weighted sums averages.
    #[inline(always)]
    pub(super) fn finish(self, sums: &mut [f32]) {
        let scale = 1.0 / self.sum;
        sums.iter_mut().for_each(|x| *x *= scale);
    }
}

/// Floats of a row's partial result: its maximum, its sum and the weighted sum of `value_length` values.
pub(super) const fn partial_length(value_length: usize) -> usize {
    2 + value_length
}

/// Writes a row's partial result.
#[inline(always)]
pub(super) fn write(partial: &mut [f32], state: State, sums: &[f32]) {
    let (head, values) = partial.split_at_mut(2);
    head.copy_from_slice(&[state.max, state.sum]);
    values.copy_from_slice(sums);
}

/// Joins the splits of all spans that were shared by splits: `partials` is `[kv_heads, splits, rows, group]` partial results for
/// each of these spans, `out` is `[rows of all spans, heads, value_length]`.
pub(super) fn join_all(
    isa: Isa,
    pool: &dyn Pool,
    spans: &[Span],
    queries: &Queries,
    layout: &KvLayout,
    mut partials: &[f32],
    mut out: &mut [f32],
) {
    let group = queries.heads / layout.kv_heads();
    let length = partial_length(layout.value_length());
    for span in spans {
        let rows;
        (rows, out) = out.split_at_mut(span.rows * queries.heads * layout.value_length());
        if !span.is_split() {
            continue;
        }
        let ours;
        (ours, partials) = partials.split_at(span.partial_floats(queries, layout));
        let splits = span.splits(queries).len();
        // The results of a token and the heads of a group lie side by side both in `out` and in each split.
        for_each_chunk(pool, rows, group * layout.value_length(), &|index, out| {
            let (token, kv_head) = (index / layout.kv_heads(), index % layout.kv_heads());
            let first = kv_head * splits * span.rows + token;
            isa.run(Join {
                partials: &ours[first * group * length..],
                stride: span.rows * group * length,
                splits,
                value_length: layout.value_length(),
                out,
            });
        });
    }
}

/// Joins the splits of neighbouring rows.
struct Join<'a> {
    /// The partial results of the first split.
    partials: &'a [f32],
    /// Floats from one split's to the next's.
    stride: usize,
    splits: usize,
    value_length: usize,
    /// `[rows, value_length]`
    out: &'a mut [f32],
}

impl Task for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let length = partial_length(self.value_length);
        for (row, out) in self.out.chunks_exact_mut(self.value_length).enumerate() {
            let mut state = State::NONE;
            for split in 0..self.splits {
                let partial = &self.partials[split * self.stride + row * length..][..length];
                let (head, values) = partial.split_at(2);
                let later = State {
                    max: head[0],
                    sum: head[1],
                };
                state.join(out, later, values);
            }
            state.finish(out);
        }
    }
}
