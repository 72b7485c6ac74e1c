//! Products of every format, as checksums of their bits.

use kernels::{Activations, Format, Matrix, Packer, Threads};
use testkit::{COMPUTABLE, Rng, random_tensor};

use crate::host::print;

/// Rows of each matrix: not whole groups, and more parts than threads.
const ROWS: usize = 133;

/// Columns: two blocks of the largest kind.
const COLS: usize = 512;

/// Rows of activations: an answer's and a prompt's.
const BATCHES: [usize; 2] = [1, 6];

/// Prints the checksums: natively the scalar specification's; in a page those of its instruction set, on each number of
/// threads.
pub(crate) fn print_all(pool: &Threads) {
    let mut rng = Rng::new(1);
    for format in Format::ALL {
        let pair = [(); 2].map(|()| matrix(format, &mut rng));
        for rows in BATCHES {
            let mut x = Activations::new();
            x.reset(rows, COLS).fill_with(|| rng.signed_unit());
            checksums(pool, &pair, &mut x, |threads, results| {
                let (format, checksum) = (format.name(), fnv(results));
                print(&format!(
                    r#"{{"format": "{format}", "batch": {rows}, "threads": {threads}, "checksum": "{checksum:016x}"}}"#
                ));
            });
        }
    }
}

/// Reports the results of all ways to multiply: one matrix, two at a time, two with something done behind them.
#[cfg(target_arch = "wasm32")]
fn checksums(
    pool: &Threads,
    pair: &[Matrix; 2],
    x: &mut Activations,
    mut report: impl FnMut(usize, &[Vec<f32>]),
) {
    use kernels::{Product, matmul, matmul_each, matmul_pair};

    for threads in 1..=crate::crew::THREADS {
        pool.limit(threads);
        let mut outs: [Vec<f32>; 5] = std::array::from_fn(|_| vec![f32::NAN; x.rows() * ROWS]);
        let [one, first, second, both, other] = &mut outs;
        matmul(pool, &pair[0], x, one);
        let mut two = [
            Product::new(&pair[0], first),
            Product::new(&pair[1], second),
        ];
        matmul_each(pool, &mut two, x);
        let two = [Product::new(&pair[0], both), Product::new(&pair[1], other)];
        matmul_pair(pool, two, x, &|_, both, other| multiply(both, other));
        report(threads, &outs[..4]);
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn checksums(
    _: &Threads,
    pair: &[Matrix; 2],
    x: &mut Activations,
    mut report: impl FnMut(usize, &[Vec<f32>]),
) {
    use kernels::{Isa, Serial, matmul_with};

    let [one, other] = pair.each_ref().map(|matrix| {
        let mut out = vec![f32::NAN; x.rows() * ROWS];
        matmul_with(Isa::SCALAR, &Serial, matrix, x, &mut out);
        out
    });
    let mut both = one.clone();
    multiply(&mut both, &other);
    report(1, &[one.clone(), one, other, both]);
}

fn multiply(to: &mut [f32], by: &[f32]) {
    for (to, by) in to.iter_mut().zip(by) {
        *to *= by;
    }
}

fn matrix(format: Format, rng: &mut Rng) -> Matrix {
    let kind = COMPUTABLE.iter().find(|kind| kind.name() == format.name());
    let bytes = random_tensor(rng, *kind.expect("both know all types"), COLS, ROWS);
    let mut packer = Packer::new(format, ROWS, COLS).expect("whole blocks");
    packer.write(&bytes).expect("finite scales");
    packer.finish().expect("complete")
}

/// FNV-1a of the bits (Fowler, Noll and Vo).
pub(crate) fn fnv(results: &[Vec<f32>]) -> u64 {
    let bytes = results
        .iter()
        .flatten()
        .flat_map(|x| x.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
