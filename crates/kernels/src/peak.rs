//! What the machine could do at most: the yardsticks that benchmarks hold the kernels against.
//!
//! Both do a known amount of work and return something computed from all of it, so that nothing is optimized away.

use std::hint::black_box;

use crate::dot::{ByteForm, DotForm, parts};
use crate::isa::{Isa, Simd, Task};
use crate::layout::{PANEL, tile_step};
use crate::prepared::TILE;

/// Steps of the inner loop of [`multiply`], all in the first-level cache.
const STEPS: usize = 64;

/// Multiplications in a round of [`multiply`]: a step has two vectors of 16 weights and four of activations.
pub const ROUND: usize = STEPS * PANEL * TILE * 16;

/// Reads all of `data`, from several places in turn.
#[must_use]
#[inline(never)]
pub fn read(data: &[u64]) -> u64 {
    const STREAMS: usize = 4;
    const LINE: usize = 16;
    let apart = data.len() / STREAMS;
    let streams: [_; STREAMS] =
        std::array::from_fn(|i| data[i * apart..][..apart].as_chunks::<LINE>().0);
    let mut sums = [0; LINE];
    for i in 0..apart / LINE {
        for stream in streams {
            for (sum, value) in sums.iter_mut().zip(&stream[i]) {
                *sum ^= value;
            }
        }
    }
    sums.into_iter().fold(0, |all, sum| all ^ sum)
}

/// Does `rounds` × [`ROUND`] integer multiplications in the inner loop of matrix–matrix products, with nothing around
/// it.
#[must_use]
#[inline(never)]
pub fn multiply(isa: Isa, rounds: usize) -> u64 {
    isa.run(Multiply { rounds })
}

struct Multiply {
    rounds: usize,
}

impl Task for Multiply {
    type Output = u64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> u64 {
        let acts = [[S::Dot::steps(s, [s.splat_u8(1); 2])[0]; TILE]; STEPS];
        let weights = [[S::Dot::weights(s, s.splat_u8(1)); PANEL]; STEPS];
        let (weights, acts) = black_box((weights, acts));
        let (weights, acts) = (parts(&weights), parts(&acts));
        let mut acc = [[s.splat_i32(0); TILE]; PANEL];
        for _ in 0..self.rounds {
            // Of a length the compiler does not know, so that it does not unroll the loop.
            for (weights, acts) in weights.iter().zip(acts).take(black_box(acts.len())) {
                tile_step::<S, S::Dot>(s, &mut acc, weights, acts);
            }
        }
        acc.as_flattened().iter().fold(0, |sum, acc| {
            let mut bytes = [0; 16];
            s.store(*acc, &mut bytes);
            sum ^ u64::from(bytes[0])
        })
    }
}
