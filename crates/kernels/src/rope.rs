//! Rotary position embedding (RoPE): each pair of channels of a query or key is turned by an angle that grows with
//! the position, so that a product of two depends on their distance only.
//!
//! The angle of pair i of d/2 at position p is p · θᵢ with θᵢ = base^(−2i/d) / factorᵢ
//! (Su et al., *RoFormer*, arXiv:2104.09864, section 3.4.2; the factors are Llama 3.1's). Scaling for contexts
//! longer than the model was first trained for changes θᵢ:
//!
//! - linear: θᵢ / s (Chen et al., *Position Interpolation*, arXiv:2306.15595)
//! - YaRN: a mixture of θᵢ / s for slow pairs and θᵢ for fast ones, and all of it longer by a factor
//!   (Peng et al., *YaRN*, arXiv:2309.00071, sections 3.2 and 3.4; with the corrections of llama.cpp)
//!
//! Angles, sines and cosines are computed in 64 bits by the `libm` crate, which gives the same bits on every machine,
//! and rounded once.

/// Which channels of a head form a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RopeStyle {
    /// Neighbours: (0, 1), (2, 3), … as in the original paper and in Llama's GGUF files.
    Normal,
    /// Halves: (0, d/2), (1, d/2 + 1), … as in GPT-NeoX and Qwen.
    NeoX,
}

/// How angles are changed for contexts beyond the first training's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// Position interpolation: all angles divided by `factor`.
    Linear {
        /// How many times longer the context is.
        factor: f32,
    },
    /// YaRN.
    Yarn {
        /// How many times longer the context is.
        factor: f32,
        /// Tokens of context before the extension.
        original_context: u32,
        /// Pairs that turn more often than this over the original context keep their angles.
        beta_fast: f32,
        /// Pairs that turn less often than this are interpolated.
        beta_slow: f32,
    },
}

/// The constants of a model's rotary embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    /// Which channels form a pair.
    pub style: RopeStyle,
    /// Channels of each head that are rotated, from the first; even.
    pub dims: usize,
    /// Base of the geometric series of angles.
    pub base: f32,
    /// Extension of the context.
    pub scaling: RopeScaling,
    /// A factor on the length of rotated vectors, besides the one that the scaling brings.
    pub magnitude: f32,
}

/// A rotary embedding ready to use: one frequency per pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    style: RopeStyle,
    /// Radians per position, `[dims / 2]`.
    frequencies: Vec<f64>,
    magnitude: f64,
}

impl Rope {
    /// Frequencies for `config`; `factors`, `[dims / 2]`, divide them pair by pair (`rope_freqs.weight`). Missing
    /// factors count as 1.
    pub fn new(config: &RopeConfig, factors: &[f32]) -> Self {
        let pairs = config.dims / 2;
        let base = f64::from(config.base);
        let unscaled = (0..pairs).map(|i| {
            let factor = factors.get(i).map_or(1.0, |&factor| f64::from(factor));
            libm::pow(base, -2.0 * i as f64 / config.dims as f64) / factor
        });
        let mut magnitude = f64::from(config.magnitude);
        let frequencies = match config.scaling {
            RopeScaling::None => unscaled.collect(),
            RopeScaling::Linear { factor } => {
                unscaled.map(|theta| theta / f64::from(factor)).collect()
            }
            RopeScaling::Yarn {
                factor,
                original_context,
                beta_fast,
                beta_slow,
            } => {
                let factor = f64::from(factor);
                magnitude *= yarn_magnitude(factor);
                // The pair that turns `turns` times over the original context (YaRN, equation 17 solved for i).
                let pair_of = |turns: f32| {
                    let wavelength =
                        f64::from(original_context) / (f64::from(turns) * std::f64::consts::TAU);
                    config.dims as f64 * libm::log(wavelength) / (2.0 * libm::log(base))
                };
                let low = libm::floor(pair_of(beta_fast)).max(0.0);
                let high = libm::ceil(pair_of(beta_slow)).min(config.dims as f64 - 1.0);
                unscaled
                    .enumerate()
                    .map(|(i, theta)| {
                        let ramp =
                            ((i as f64 - low) / (high - low).max(YARN_MIN_RAMP)).clamp(0.0, 1.0);
                        theta / factor * ramp + theta * (1.0 - ramp)
                    })
                    .collect()
            }
        };
        Self {
            style: config.style,
            frequencies,
            magnitude,
        }
    }

    /// Computes the angles for `positions`, one row each.
    pub fn angles(&self, positions: &[u32], angles: &mut RopeAngles) {
        angles.pairs = self.frequencies.len();
        angles.cos.clear();
        angles.sin.clear();
        for &position in positions {
            for &frequency in &self.frequencies {
                let (sin, cos) = libm::sincos(f64::from(position) * frequency);
                angles.cos.push((cos * self.magnitude) as f32);
                angles.sin.push((sin * self.magnitude) as f32);
            }
        }
    }

    /// Rotates every head of `x`, `[rows, heads, head_length]`, in place; `angles` has as many rows.
    ///
    /// # Panics
    /// If `x` is not as many rows of whole heads, or a head is shorter than the rotated channels.
    pub fn apply(&self, angles: &RopeAngles, head_length: usize, x: &mut [f32]) {
        let pairs = angles.pairs;
        if pairs == 0 || x.is_empty() {
            return;
        }
        let rows = angles.cos.len() / pairs;
        assert_eq!(x.len() % (rows * head_length), 0, "x is rows of heads");
        let row_length = x.len() / rows;
        let turns = angles
            .cos
            .chunks_exact(pairs)
            .zip(angles.sin.chunks_exact(pairs));
        for (row, (cos, sin)) in x.chunks_exact_mut(row_length).zip(turns) {
            for head in row.chunks_exact_mut(head_length) {
                match self.style {
                    RopeStyle::Normal => rotate_neighbours(&mut head[..2 * pairs], cos, sin),
                    RopeStyle::NeoX => rotate_halves(&mut head[..2 * pairs], cos, sin),
                }
            }
        }
    }
}

/// The narrowest ramp between kept and interpolated pairs, as llama.cpp has it; avoids a division by zero.
const YARN_MIN_RAMP: f64 = 0.001;

/// The factor on queries and on keys that keeps attention as sharp as before (YaRN, equation 22).
fn yarn_magnitude(factor: f64) -> f64 {
    if factor <= 1.0 {
        1.0
    } else {
        0.1 * libm::log(factor) + 1.0
    }
}

/// Cosines and sines for some rows, kept between calls as scratch.
#[derive(Debug, Clone, Default)]
pub struct RopeAngles {
    pairs: usize,
    /// `[rows, pairs]`
    cos: Vec<f32>,
    /// `[rows, pairs]`
    sin: Vec<f32>,
}

impl RopeAngles {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        (self.cos.capacity() + self.sin.capacity()) * size_of::<f32>()
    }
}

fn rotate_neighbours(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (pairs, _) = x.as_chunks_mut::<2>();
    for ((pair, &c), &s) in pairs.iter_mut().zip(cos).zip(sin) {
        let [a, b] = *pair;
        *pair = [a * c - b * s, a * s + b * c];
    }
}

fn rotate_halves(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (first, second) = x.split_at_mut(cos.len());
    for (((a, b), &c), &s) in first.iter_mut().zip(second).zip(cos).zip(sin) {
        (*a, *b) = (*a * c - *b * s, *a * s + *b * c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_close};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const POSITIONS: [u32; 5] = [0, 1, 77, 4095, 100_000];

    fn config(style: RopeStyle, scaling: RopeScaling) -> RopeConfig {
        RopeConfig {
            style,
            dims: 64,
            base: 10_000.0,
            scaling,
            magnitude: 1.0,
        }
    }

    const YARN: RopeScaling = RopeScaling::Yarn {
        factor: 4.0,
        original_context: 32_768,
        beta_fast: 32.0,
        beta_slow: 1.0,
    };

    fn rotated(config: &RopeConfig, factors: &[f32], x: &[f32]) -> Vec<f32> {
        let rope = Rope::new(config, factors);
        let mut angles = RopeAngles::new();
        rope.angles(&POSITIONS, &mut angles);
        let mut out = x.to_vec();
        rope.apply(&angles, config.dims, &mut out);
        out
    }

    /// One pair after the other, in the terms of llama.cpp's `rope_yarn` (`ggml/src/ggml-cpu/ops.cpp`).
    fn reference(config: &RopeConfig, factors: &[f32], x: &[f32]) -> Vec<f64> {
        let dims = config.dims;
        let mut out: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        let row_length = x.len() / POSITIONS.len();
        for (row, position) in out.chunks_exact_mut(row_length).zip(POSITIONS) {
            for head in row.chunks_exact_mut(dims) {
                for i in 0..dims / 2 {
                    let base = f64::from(config.base);
                    let factor = factors.get(i).map_or(1.0, |&factor| f64::from(factor));
                    let extrapolated =
                        f64::from(position) * base.powf(-2.0 * i as f64 / dims as f64) / factor;
                    let (angle, length) = match config.scaling {
                        RopeScaling::None => (extrapolated, 1.0),
                        RopeScaling::Linear { factor } => (extrapolated / f64::from(factor), 1.0),
                        RopeScaling::Yarn {
                            factor,
                            original_context,
                            beta_fast,
                            beta_slow,
                        } => {
                            let bound = |turns: f32| {
                                dims as f64
                                    * (f64::from(original_context)
                                        / (f64::from(turns) * 2.0 * std::f64::consts::PI))
                                        .ln()
                                    / (2.0 * base.ln())
                            };
                            let low = bound(beta_fast).floor().max(0.0);
                            let high = bound(beta_slow).ceil().min(dims as f64 - 1.0);
                            let mix =
                                1.0 - ((i as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
                            let interpolated = extrapolated / f64::from(factor);
                            let angle = interpolated * (1.0 - mix) + extrapolated * mix;
                            (angle, 1.0 + 0.1 * f64::from(factor).ln())
                        }
                    };
                    let (a, b) = match config.style {
                        RopeStyle::Normal => (2 * i, 2 * i + 1),
                        RopeStyle::NeoX => (i, i + dims / 2),
                    };
                    let (sin, cos) = angle.sin_cos();
                    let (x, y) = (head[a], head[b]);
                    head[a] = (x * cos - y * sin) * length * f64::from(config.magnitude);
                    head[b] = (x * sin + y * cos) * length * f64::from(config.magnitude);
                }
            }
        }
        out
    }

    #[test]
    fn agrees_with_the_formula_in_64_bits() {
        let mut random = Random::new(7);
        let factors: Vec<f32> = (0..32).map(|i| if i < 16 { 1.0 } else { 8.0 }).collect();
        for style in [RopeStyle::Normal, RopeStyle::NeoX] {
            for scaling in [RopeScaling::None, RopeScaling::Linear { factor: 2.5 }, YARN] {
                for factors in [&[][..], &factors] {
                    let mut config = config(style, scaling);
                    config.magnitude = 0.75;
                    let x = random.floats(POSITIONS.len() * 3 * config.dims, 2.0);
                    assert_close(
                        &rotated(&config, factors, &x),
                        &reference(&config, factors, &x),
                        1e-6,
                    );
                }
            }
        }
    }

    #[test]
    fn yarn_keeps_fast_pairs_and_slows_down_slow_ones() {
        let plain = Rope::new(&config(RopeStyle::NeoX, RopeScaling::None), &[]);
        let yarn = Rope::new(&config(RopeStyle::NeoX, YARN), &[]);
        assert_eq!(yarn.frequencies[0], plain.frequencies[0]);
        assert_eq!(yarn.frequencies[31], plain.frequencies[31] / 4.0);
    }

    #[test]
    fn channels_beyond_the_rotated_ones_are_left_alone() {
        let mut config = config(RopeStyle::NeoX, RopeScaling::None);
        config.dims = 16;
        let rope = Rope::new(&config, &[]);
        let mut angles = RopeAngles::new();
        rope.angles(&[9], &mut angles);
        let x = Random::new(8).floats(2 * 24, 1.0);
        let mut out = x.clone();
        rope.apply(&angles, 24, &mut out);
        for head in 0..2 {
            assert_ne!(out[head * 24..][..16], x[head * 24..][..16]);
            assert_eq!(out[head * 24 + 16..][..8], x[head * 24 + 16..][..8]);
        }
    }
}
