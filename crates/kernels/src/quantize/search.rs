//! The searches for a group's scale that the K types share: each tries several and keeps the one with the least weighted
//! error.

use super::{SMALLEST_GROUP, extreme, nearest};

/// A scale for values in −`levels`…`levels` − 1, each weighted by its square: the least-squares one, and those around the
/// scale that uses the whole range. `quants` are shifted up by `levels`. ggml: `make_qx_quants` with `rmse_type` 1.
pub(super) fn symmetric(levels: i32, x: &[f32], quants: &mut [u8]) -> f32 {
    /// Scales tried to each side, a tenth of a level apart.
    const TRIES: i32 = 9;
    let max = extreme(x);
    if max.abs() < SMALLEST_GROUP {
        quants.fill(0);
        return 0.0;
    }
    let quant = |inverse: f32, x: f32| nearest(inverse * x).clamp(-levels, levels - 1);
    let store = |inverse: f32, quants: &mut [u8]| {
        for (q, &x) in quants.iter_mut().zip(x) {
            *q = (levels + quant(inverse, x)) as u8;
        }
    };
    // Least squares: Σ w x l / Σ w l².
    let sums = |inverse: f32| {
        let (mut xl, mut l2) = (0.0, 0.0);
        for &x in x {
            let l = quant(inverse, x) as f32;
            let w = x * x;
            xl += w * x * l;
            l2 += w * l * l;
        }
        (xl, l2)
    };
    let inverse = -levels as f32 / max;
    store(inverse, quants);
    let (xl, l2) = sums(inverse);
    let mut scale = if l2 == 0.0 { 0.0 } else { xl / l2 };
    let mut best = scale * xl;
    for step in (-TRIES..=TRIES).filter(|&step| step != 0) {
        let inverse = -(levels as f32 + 0.1 * step as f32) / max;
        let (xl, l2) = sums(inverse);
        if l2 > 0.0 && xl * xl > best * l2 {
            store(inverse, quants);
            scale = xl / l2;
            best = scale * xl;
        }
    }
    scale
}

/// A scale for values in −`levels`…`levels` − 1, each weighted by its square: starting from the scale that uses the whole
/// range, values are moved one at a time to where least squares wants them. `quants` are shifted up by `levels`.
/// ggml: `make_q3_quants`.
pub(super) fn symmetric_by_coordinate(levels: i32, x: &[f32; 16], quants: &mut [u8]) -> f32 {
    const SWEEPS: usize = 5;
    let max = extreme(x);
    if max.abs() < SMALLEST_GROUP {
        quants.fill(0);
        return 0.0;
    }
    let clamp = |l: i32| l.clamp(-levels, levels - 1);
    let inverse = -levels as f32 / max;
    let mut chosen = x.map(|x| clamp(nearest(inverse * x)));
    let (mut xl, mut l2) = (0.0, 0.0);
    for (&x, &l) in x.iter().zip(&chosen) {
        let (w, l) = (x * x, l as f32);
        xl += w * x * l;
        l2 += w * l * l;
    }
    for _ in 0..SWEEPS {
        let mut changed = false;
        for (&x, chosen) in x.iter().zip(&mut chosen) {
            let (w, l) = (x * x, *chosen as f32);
            let mut other_xl = xl - w * x * l;
            if other_xl <= 0.0 {
                continue;
            }
            let mut other_l2 = l2 - w * l * l;
            let moved = clamp(nearest(x * other_l2 / other_xl));
            if moved == *chosen {
                continue;
            }
            let l = moved as f32;
            other_xl += w * x * l;
            other_l2 += w * l * l;
            if other_l2 > 0.0 && other_xl * other_xl * l2 > xl * xl * other_l2 {
                (*chosen, xl, l2) = (moved, other_xl, other_l2);
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    for (q, l) in quants.iter_mut().zip(chosen) {
        *q = (l + levels) as u8;
    }
    if l2 > 0.0 { xl / l2 } else { 0.0 }
}

/// How [`asymmetric`] searches.
pub(super) struct AsymmetricSearch {
    /// The largest quant.
    pub(super) levels: i32,
    /// Levels added to the range at the first try.
    pub(super) first: f32,
    /// Tries after the first, each a tenth of a level further.
    pub(super) tries: i32,
    /// Whether the error is the absolute difference and not its square.
    pub(super) absolute: bool,
}

/// A scale and what is to be subtracted, for quants in 0…`levels`: least squares for both, starting from several ranges.
/// The minimum is never positive, so what is to be subtracted is not negative. ggml: `make_qkx2_quants`.
pub(super) fn asymmetric(
    search: &AsymmetricSearch,
    x: &[f32],
    weights: &[f32],
    quants: &mut [u8],
) -> (f32, f32) {
    let levels = search.levels as f32;
    let (mut min, mut max) = (x[0], x[0]);
    let (mut sum_w, mut sum_x) = (weights[0], weights[0] * x[0]);
    for (&x, &w) in x.iter().zip(weights).skip(1) {
        if x < min {
            min = x;
        }
        if x > max {
            max = x;
        }
        sum_w += w;
        sum_x += w * x;
    }
    if min > 0.0 {
        min = 0.0;
    }
    if max == min {
        quants.fill(0);
        return (0.0, -min);
    }
    let error = |scale: f32, min: f32, quants: &[u8]| {
        let mut sum = 0.0;
        for ((&x, &w), &q) in x.iter().zip(weights).zip(quants) {
            let difference = scale * f32::from(q) + min - x;
            sum += w * if search.absolute {
                difference.abs()
            } else {
                difference * difference
            };
        }
        sum
    };
    let fill = |inverse: f32, min: f32, quants: &mut [u8]| {
        for (q, &x) in quants.iter_mut().zip(x) {
            *q = nearest(inverse * (x - min)).clamp(0, search.levels) as u8;
        }
    };
    let inverse = levels / (max - min);
    let mut scale = 1.0 / inverse;
    fill(inverse, min, quants);
    let mut best = error(scale, min, quants);
    let mut tried = [0; crate::format::BLOCK];
    let tried = &mut tried[..x.len()];
    for step in 0..=search.tries {
        // The range starts at the best minimum so far.
        let inverse = (search.first + 0.1 * step as f32 + levels) / (max - min);
        fill(inverse, min, tried);
        let (mut sum_l, mut sum_l2, mut sum_xl) = (0.0, 0.0, 0.0);
        for ((&x, &w), &q) in x.iter().zip(weights).zip(&*tried) {
            let l = f32::from(q);
            sum_l += w * l;
            sum_l2 += w * l * l;
            sum_xl += w * l * x;
        }
        let determinant = sum_w * sum_l2 - sum_l * sum_l;
        if determinant <= 0.0 {
            continue;
        }
        let mut new_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
        let mut new_min = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
        if new_min > 0.0 {
            new_min = 0.0;
            new_scale = sum_xl / sum_l2;
        }
        let new_error = error(new_scale, new_min, tried);
        if new_error < best {
            quants.copy_from_slice(tried);
            (best, scale, min) = (new_error, new_scale, new_min);
        }
    }
    (scale, -min)
}
