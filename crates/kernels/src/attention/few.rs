//! Products of few rows with panels as they are stored: what generating a token mostly does in a long context.
//!
//! Panels are converted to floats on the way to the product, in registers. Where more rows share them it pays to
//! convert them once for all, as [`super::tile`] has it; the sums are the same to the bit.

use half::f16;
use half::slice::HalfFloatSliceExt;
use zerocopy::{FromBytes, IntoBytes};

use super::tile::TILE;
use crate::isa::Simd;
use crate::kv::{LANES, widen_half};

/// A stored value that takes few instructions to convert.
pub(super) trait Stored: Copy {
    /// A column of a panel as floats.
    fn widen<S: Simd>(s: S, column: &[Self; LANES]) -> [S::V; 2];
}

impl Stored for f32 {
    #[inline(always)]
    fn widen<S: Simd>(s: S, column: &[f32; LANES]) -> [S::V; 2] {
        load(s, column)
    }
}

impl Stored for f16 {
    #[inline(always)]
    fn widen<S: Simd>(s: S, column: &[f16; LANES]) -> [S::V; 2] {
        let bits = column.reinterpret_cast();
        let fours = <[[u8; 8]; 2]>::ref_from_bytes(bits.as_bytes()).expect("two times four halves");
        fours.each_ref().map(|four| widen_half(s, s.load_i16(four)))
    }
}

/// `sums[at(r, p)…] = Σₖ factors[k][r] · panels[p][k]…` for the first `rows` rows (at most [`TILE`]) and all panels, one
/// k after the other, beginning with what the sums are. Panels are `steps` columns long, of which as many are used as
/// there are factors.
#[inline(always)]
pub(super) fn multiply_add<S: Simd, T: Stored>(
    s: S,
    rows: usize,
    factors: &[[f32; TILE]],
    panels: &[[T; LANES]],
    steps: usize,
    at: impl Fn(usize, usize) -> usize,
    sums: &mut [f32],
) {
    // Together enough independent sums to hide the latency of an addition, and few enough for 16 registers.
    match rows {
        1 => each::<S, T, 1, 4>(s, factors, panels, steps, at, sums),
        2 => each::<S, T, 2, 2>(s, factors, panels, steps, at, sums),
        3 => each::<S, T, 3, 1>(s, factors, panels, steps, at, sums),
        _ => each::<S, T, 4, 1>(s, factors, panels, steps, at, sums),
    }
}

/// [`multiply_add`] for `R` rows, `P` panels at a time.
#[inline(always)]
fn each<S: Simd, T: Stored, const R: usize, const P: usize>(
    s: S,
    factors: &[[f32; TILE]],
    panels: &[[T; LANES]],
    steps: usize,
    at: impl Fn(usize, usize) -> usize,
    sums: &mut [f32],
) {
    let count = panels.len() / steps;
    let mut first = 0;
    while first < count {
        let panel = |p: usize| &panels[p * steps..][..factors.len()];
        if P > 1 && count - first >= P {
            let panels = std::array::from_fn::<_, P, _>(|p| panel(first + p));
            product::<S, T, R, P>(s, factors, panels, |r, p| at(r, first + p), sums);
            first += P;
        } else {
            product::<S, T, R, 1>(s, factors, [panel(first)], |r, _| at(r, first), sums);
            first += 1;
        }
    }
}

#[inline(always)]
fn product<S: Simd, T: Stored, const R: usize, const P: usize>(
    s: S,
    factors: &[[f32; TILE]],
    panels: [&[[T; LANES]]; P],
    at: impl Fn(usize, usize) -> usize,
    sums: &mut [f32],
) {
    let mut local = [[[0.0; LANES]; R]; P];
    for (p, local) in local.iter_mut().enumerate() {
        for (r, local) in local.iter_mut().enumerate() {
            local.copy_from_slice(&sums[at(r, p)..][..LANES]);
        }
    }
    product_of(s, factors, panels, &mut local);
    for (p, local) in local.iter().enumerate() {
        for (r, local) in local.iter().enumerate() {
            sums[at(r, p)..][..LANES].copy_from_slice(local);
        }
    }
}

// Out of line in WebAssembly for the sake of register allocation, as in `kv::encode`.
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
fn product_of<S: Simd, T: Stored, const R: usize, const P: usize>(
    s: S,
    factors: &[[f32; TILE]],
    panels: [&[[T; LANES]]; P],
    sums: &mut [[[f32; LANES]; R]; P],
) {
    let panels = panels.map(|panel| &panel[..factors.len()]);
    let mut local = sums
        .each_ref()
        .map(|rows| rows.each_ref().map(|sums| load(s, sums)));
    for (k, factors) in factors.iter().enumerate() {
        let factors = std::array::from_fn::<_, R, _>(|r| s.splat_f32(factors[r]));
        for (panel, local) in panels.iter().zip(&mut local) {
            let column = T::widen(s, &panel[k]);
            for (factor, sums) in factors.iter().zip(local) {
                for (sum, value) in sums.iter_mut().zip(column) {
                    *sum = s.add_f32(*sum, s.mul_f32(*factor, value));
                }
            }
        }
    }
    for (sums, local) in sums.iter_mut().zip(local) {
        for (sums, local) in sums.iter_mut().zip(local) {
            let halves = <[[u8; 16]; 2]>::mut_from_bytes(sums.as_mut_bytes());
            for (half, local) in halves.expect("eight floats").iter_mut().zip(local) {
                s.store(local, half);
            }
        }
    }
}

/// Eight floats.
#[inline(always)]
fn load<S: Simd>(s: S, floats: &[f32; LANES]) -> [S::V; 2] {
    let halves = <[[u8; 16]; 2]>::ref_from_bytes(floats.as_bytes()).expect("eight floats");
    [s.load(&halves[0]), s.load(&halves[1])]
}
