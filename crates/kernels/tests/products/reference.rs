//! Naive products straight from the file's blocks, in the documented order of operations.

use half::{bf16, f16};
use kernels::Format;

use crate::data::split;

fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// A block of activations as bytes and their scale.
fn quantize(x: &[f32]) -> (Vec<i32>, f32) {
    let max = x.iter().fold(0.0, |max: f32, x| max.max(x.abs()));
    let scale = max / 127.0;
    if x.iter().any(|x| !x.is_finite()) {
        return (vec![0; x.len()], f32::NAN);
    }
    if scale < f32::MIN_POSITIVE {
        return (vec![0; x.len()], 0.0);
    }
    let inverse = 1.0 / scale;
    (
        x.iter()
            .map(|x| (x * inverse).round_ties_even() as i32)
            .collect(),
        scale,
    )
}

fn dot(w: impl IntoIterator<Item = i32>, q: &[i32]) -> i32 {
    w.into_iter().zip(q).map(|(w, q)| w * q).sum()
}

/// The unsigned weights of a block of nibbles, with the fifth bits that begin at byte `high`.
fn nibbles(block: &[u8], at: usize, high: Option<usize>) -> Vec<i32> {
    (0..32)
        .map(|k| {
            let nibble = block[at + k % 16] >> (k / 16 * 4) & 15;
            let fifth = high.map_or(0, |high| block[high + k / 8] >> (k % 8) & 1);
            i32::from(nibble | fifth << 4)
        })
        .collect()
}

/// Scale and minimum of sub-block `j` of Q4_K and Q5_K.
fn six_bits(packed: &[u8], j: usize) -> (i32, i32) {
    let bits = |byte: usize, shift: usize, mask: u8| i32::from(packed[byte] >> shift & mask);
    if j < 4 {
        (bits(j, 0, 63), bits(j + 4, 0, 63))
    } else {
        (
            bits(j + 4, 0, 15) | bits(j - 4, 6, 3) << 4,
            bits(j + 4, 4, 15) | bits(j, 6, 3) << 4,
        )
    }
}

/// The steps of IQ4_NL and IQ4_XS.
const STEPS: [i32; 16] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];

/// Two bits of value `k` where 32 bytes hold four runs of 32 values, lowest bits first.
fn pair(bytes: &[u8], k: usize) -> i32 {
    i32::from(bytes[k / 128 * 32 + k % 32] >> (k % 128 / 32 * 2) & 3)
}

/// Scale of sub-block `g` of Q3_K.
fn six_bits_of_sixteen(packed: &[u8], g: usize) -> i32 {
    let lower = packed[g % 8] >> (g / 8 * 4) & 15;
    let upper = packed[8 + g % 4] >> (g / 4 * 2) & 3;
    i32::from(lower | upper << 4)
}

/// The weights of TQ1_0: runs of bytes hold the first value of each byte, then the second of each, and so on.
fn tq1_0(block: &[u8]) -> Vec<i32> {
    let mut weights = Vec::new();
    for (bytes, digits) in [(&block[..32], 5), (&block[32..48], 5), (&block[48..52], 4)] {
        let mut fractions: Vec<u32> = bytes.iter().map(|&byte| u32::from(byte)).collect();
        for _ in 0..digits {
            // What a multiplication by three carries out of the byte.
            weights.extend(
                fractions
                    .iter()
                    .map(|fraction| (fraction * 3 / 256) as i32 - 1),
            );
            fractions
                .iter_mut()
                .for_each(|fraction| *fraction = *fraction * 3 % 256);
        }
    }
    weights
}

/// The weights of I2_S: for each 128, four runs of 32, highest bits first; 3 means 0, too.
fn i2_s(blocks: &[u8]) -> Vec<i32> {
    let weight = |block: &[u8], k: usize| match block[k % 32] >> (6 - k / 32 * 2) & 3 {
        0 => -1,
        2 => 1,
        _ => 0,
    };
    let blocks = blocks.chunks_exact(32);
    blocks
        .flat_map(|block| (0..128).map(move |k| weight(block, k)))
        .collect()
}

/// `out[i, r]` = Σₖ w[r, k] · x[i, k] for a matrix of `cols` columns.
pub(crate) fn products(format: Format, file: &[u8], cols: usize, x: &[f32]) -> Vec<f32> {
    let (rows, tail) = split(format, file);
    let rows = rows.chunks_exact(format.row_bytes(cols).unwrap());
    x.chunks_exact(cols)
        .flat_map(|x| rows.clone().map(move |row| product(format, row, tail, x)))
        .collect()
}

fn product(format: Format, row: &[u8], tail: &[u8], x: &[f32]) -> f32 {
    // Activations of I2_S are quantized as those of its relatives are.
    let blocks = if format == Format::I2_S { 2 } else { 1 };
    let mut acc = 0.0;
    for (block, x) in row
        .chunks(blocks * format.block_bytes())
        .zip(x.chunks(blocks * format.block_len()))
    {
        match format {
            Format::F32 => acc += f32::from_le_bytes(block.try_into().unwrap()) * x[0],
            Format::F16 => acc += half(block, 0) * x[0],
            Format::BF16 => acc += bf16::from_le_bytes([block[0], block[1]]).to_f32() * x[0],
            Format::I2_S => {
                let (q, a) = quantize(x);
                let d = f32::from_le_bytes(*tail.first_chunk().unwrap());
                acc += dot(i2_s(block), &q) as f32 * (d * a);
            }
            _ => {
                let (q, a) = quantize(x);
                acc = reference_block(format, block, &q, a, acc);
            }
        }
    }
    acc
}

fn reference_block(format: Format, block: &[u8], q: &[i32], a: f32, mut acc: f32) -> f32 {
    let total = || a * q.iter().sum::<i32>() as f32;
    match format {
        Format::Q4_0 => {
            let w = nibbles(block, 2, None).into_iter().map(|w| w - 8);
            acc += dot(w, q) as f32 * (half(block, 0) * a);
        }
        Format::Q5_0 => {
            let w = nibbles(block, 6, Some(2)).into_iter().map(|w| w - 16);
            acc += dot(w, q) as f32 * (half(block, 0) * a);
        }
        Format::Q4_1 => {
            acc += dot(nibbles(block, 4, None), q) as f32 * (half(block, 0) * a);
            acc += half(block, 2) * total();
        }
        Format::Q5_1 => {
            acc += dot(nibbles(block, 8, Some(4)), q) as f32 * (half(block, 0) * a);
            acc += half(block, 2) * total();
        }
        Format::Q8_0 => {
            let w = block[2..].iter().map(|&w| i32::from(w as i8));
            acc += dot(w, q) as f32 * (half(block, 0) * a);
        }
        Format::Q4_K | Format::Q5_K => {
            let (mut values, mut mins) = (0, 0);
            let nibbles = if format == Format::Q4_K { 16 } else { 48 };
            for (j, q) in q.chunks_exact(32).enumerate() {
                let (scale, min) = six_bits(&block[4..16], j);
                let w = (0..32).map(|l| {
                    let w = block[nibbles + j / 2 * 32 + l] >> (j % 2 * 4) & 15;
                    let fifth = if nibbles == 48 {
                        block[16 + l] >> j & 1
                    } else {
                        0
                    };
                    i32::from(w | fifth << 4)
                });
                values += scale * dot(w, q);
                mins += min * q.iter().sum::<i32>();
            }
            acc -= mins as f32 * (half(block, 2) * a);
            acc += values as f32 * (half(block, 0) * a);
        }
        Format::Q6_K => {
            let w = (0..256).map(|k| {
                let (n, l) = (k / 128, k % 32);
                let quarter = k % 128 / 32;
                let low = block[n * 64 + quarter % 2 * 32 + l] >> (quarter / 2 * 4) & 15;
                let high = block[128 + n * 32 + l] >> (2 * quarter) & 3;
                i32::from(block[192 + k / 16] as i8) * (i32::from(low | high << 4) - 32)
            });
            acc += dot(w, q) as f32 * (half(block, 208) * a);
        }
        Format::Q2_K => {
            let pairs = &block[16..80];
            let w = (0..256).map(|k| i32::from(block[k / 16] & 15) * pair(pairs, k));
            let mins = (0..256).map(|k| i32::from(block[k / 16] >> 4));
            acc -= dot(mins, q) as f32 * (half(block, 82) * a);
            acc += dot(w, q) as f32 * (half(block, 80) * a);
        }
        Format::Q3_K => {
            let w = (0..256).map(|k| {
                let third = i32::from(block[k % 32] >> (k / 32) & 1);
                let weight = (pair(&block[32..96], k) | third << 2) - 4;
                (six_bits_of_sixteen(&block[96..108], k / 16) - 32) * weight
            });
            acc += dot(w, q) as f32 * (half(block, 108) * a);
        }
        Format::IQ4_NL => {
            let w = nibbles(block, 2, None)
                .into_iter()
                .map(|i| STEPS[i as usize]);
            acc += dot(w, q) as f32 * (half(block, 0) * a);
        }
        Format::IQ4_XS => {
            let uppers = u16::from_le_bytes([block[2], block[3]]);
            let mut sum = 0;
            for (j, q) in q.chunks_exact(32).enumerate() {
                let lower = block[4 + j / 2] >> (j % 2 * 4) & 15;
                let scale = (i32::from(lower) | i32::from(uppers >> (2 * j) & 3) << 4) - 32;
                let w = nibbles(block, 8 + 16 * j, None);
                sum += scale * dot(w.into_iter().map(|i| STEPS[i as usize]), q);
            }
            acc += sum as f32 * (half(block, 0) * a);
        }
        Format::MXFP4 => {
            let w = nibbles(block, 1, None).into_iter().map(|i| {
                // Exponent and mantissa, twice the number.
                let (e, m) = (i >> 1 & 3, i & 1);
                let magnitude = if e == 0 { m } else { (2 | m) << (e - 1) };
                if i >= 8 { -magnitude } else { magnitude }
            });
            // The smallest power counts as zero.
            let power = if block[0] == 0 {
                0.0
            } else {
                2_f64.powi(i32::from(block[0]) - 128)
            };
            acc += dot(w, q) as f32 * (power as f32 * a);
        }
        Format::TQ1_0 => {
            acc += dot(tq1_0(block), q) as f32 * (half(block, 52) * a);
        }
        Format::TQ2_0 => {
            let w = (0..256).map(|k| pair(block, k) - 1);
            acc += dot(w, q) as f32 * (half(block, 64) * a);
        }
        Format::F32 | Format::F16 | Format::BF16 | Format::I2_S => {
            unreachable!("not by blocks of their own")
        }
    }
    acc
}
