//! What the machine could do at most: the yardsticks that benchmarks hold the kernels against.
//!
//! Both do a known amount of work and return something computed from all of it, so that nothing is optimized away.

use std::hint::black_box;

use crate::dot::DotForm;
use crate::isa::{Bytes16, Isa, Simd, Task};

/// Weight vectors of [`multiply`], all in the first-level cache.
const WEIGHTS: usize = 256;

/// Independent accumulators of [`multiply`], as many as a tile has.
const ACCUMULATORS: usize = 8;

/// Multiplications in a round of [`multiply`]: each weight vector has 16 values, and meets half of the accumulators.
pub const ROUND: usize = WEIGHTS * ACCUMULATORS / 2 * 16;

/// Reads all of `data`, from several places in turn.
#[must_use]
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

/// Does `rounds` × [`ROUND`] integer multiplications as the inner loops of the kernels do them, with nothing else
/// to do and nothing to wait for.
#[must_use]
pub fn multiply(isa: Isa, rounds: usize) -> u64 {
    let weights = black_box(&[[1; 16]; WEIGHTS][..]);
    isa.run(Multiply { rounds, weights })
}

struct Multiply<'a> {
    rounds: usize,
    /// Of a length the compiler does not know, so that it does not unroll the loop.
    weights: &'a [Bytes16],
}

impl Task for Multiply<'_> {
    type Output = u64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> u64 {
        // As in a tile, two vectors of weights × four steps of activations.
        let steps = black_box(S::Dot::steps(s, s.splat_u8(1)));
        let mut acc = [[s.splat_i32(0); 2]; ACCUMULATORS / 2];
        for _ in 0..self.rounds {
            for pair in self.weights.as_chunks::<2>().0 {
                let weights = [s.load(&pair[0]), s.load(&pair[1])];
                for (acc, step) in acc.iter_mut().zip(&steps) {
                    acc[0] = S::Dot::sub(s, acc[0], weights[0], step);
                    acc[1] = S::Dot::sub(s, acc[1], weights[1], step);
                }
            }
        }
        let mut sum = 0;
        for acc in acc.as_flattened() {
            let mut bytes = [0; 16];
            s.store(*acc, &mut bytes);
            sum ^= u64::from(bytes[0]);
        }
        sum
    }
}
