//! One page of the cache.

use std::ops::Range;

use half::f16;
use zerocopy::{FromBytes, IntoBytes};

use super::{BLOCK, KvLayout, KvType, LANES, MAX_HEAD_LENGTH, SCALED, encode};
use crate::Error;
use crate::isa::Bytes16;
use crate::line::Line;

/// Storage for the keys and values of `page_tokens` tokens, all layers.
#[derive(Debug, Clone)]
pub struct Page {
    storage: Storage,
}

#[derive(Debug, Clone)]
enum Storage {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Q8_0 { lines: Vec<Line>, scales: Vec<f16> },
}

/// Which block of a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockAt {
    pub(crate) layer: usize,
    pub(crate) block: usize,
    pub(crate) head: usize,
}

/// The keys and values of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StoredBlock<'a> {
    Floats(FloatBlock<'a>),
    Bytes(ByteBlock<'a>),
}

/// Keys and values as floats of some kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FloatBlock<'a> {
    pub(crate) key_length: usize,
    /// Of `key_length` columns each.
    pub(crate) keys: Panels<'a>,
    /// Of [`BLOCK`] columns each.
    pub(crate) values: Panels<'a>,
}

/// The columns of panels, one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Panels<'a> {
    F32(&'a [[f32; LANES]]),
    F16(&'a [[f16; LANES]]),
}

/// Keys and values as bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByteBlock<'a> {
    pub(crate) key_length: usize,
    /// `[BLOCK / LANES][key_length / 4]`: of [`LANES`] tokens, four channels each.
    pub(crate) keys: &'a [Step],
    /// `[value_length / LANES]`, in each of which are of [`LANES`] channels [`BLOCK`] tokens, four to a step.
    pub(crate) values: &'a [[Step; BLOCK / STEP]],
    /// `[key_length / 32]`
    pub(crate) key_scales: &'a [[f16; BLOCK]],
    /// `[value_length / 32]`
    pub(crate) value_scales: &'a [[f16; BLOCK]],
}

/// Four bytes in each of [`LANES`] lanes.
pub(crate) type Step = [Bytes16; LANES * STEP / 16];

/// Bytes in a lane.
pub(crate) const STEP: usize = 4;

impl Page {
    /// A page of zeros.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if it can't be allocated.
    pub fn new(layout: &KvLayout) -> Result<Self, Error> {
        let values = layout.page_values();
        let storage = match layout.kind {
            KvType::F32 => Storage::F32(zeros(values)?),
            KvType::F16 => Storage::F16(zeros(values)?),
            KvType::Q8_0 => Storage::Q8_0 {
                lines: zeros(values / size_of::<Line>())?,
                scales: zeros(layout.page_scales())?,
            },
        };
        Ok(Self { storage })
    }

    /// Stores the keys `[kv_heads, key_length]` and values `[kv_heads, value_length]` of one layer for the token in
    /// place `slot` of the page.
    pub fn store(
        &mut self,
        layout: &KvLayout,
        layer: usize,
        slot: usize,
        keys: &[f32],
        values: &[f32],
    ) {
        let keys = keys.chunks_exact(layout.key_length);
        let values = values.chunks_exact(layout.value_length);
        for (head, (key, value)) in keys.zip(values).enumerate() {
            let at = BlockAt {
                layer,
                block: slot / BLOCK,
                head,
            };
            self.store_head(layout, at, slot % BLOCK, key, value);
        }
    }

    fn store_head(
        &mut self,
        layout: &KvLayout,
        at: BlockAt,
        token: usize,
        key: &[f32],
        value: &[f32],
    ) {
        let block = layout.block_index(at);
        let start = block * BLOCK * (key.len() + value.len());
        match &mut self.storage {
            Storage::F32(data) => scatter(&mut data[start..], token, key, value),
            Storage::F16(data) => {
                let mut halves = [[f16::ZERO; MAX_HEAD_LENGTH]; 2];
                for (halves, floats) in halves.iter_mut().zip([key, value]) {
                    for (half, &x) in halves.iter_mut().zip(floats) {
                        *half = encode::f16_from(x);
                    }
                }
                scatter(
                    &mut data[start..],
                    token,
                    &halves[0][..key.len()],
                    &halves[1][..value.len()],
                );
            }
            Storage::Q8_0 { lines, scales } => {
                let bytes = &mut lines.as_mut_bytes()[start..];
                let mut quantized = [[0; MAX_HEAD_LENGTH]; 2];
                let mut scale_rows =
                    scales[block * layout.block_scales()..].chunks_exact_mut(BLOCK);
                for (bytes, floats) in quantized.iter_mut().zip([key, value]) {
                    let groups = floats.chunks(SCALED).zip(bytes.chunks_mut(SCALED));
                    for ((channels, bytes), scales) in groups.zip(&mut scale_rows) {
                        scales[token] = encode::quantize(channels, bytes);
                    }
                }
                let [keys, values] = quantized;
                scatter_bytes(bytes, token, &keys[..key.len()], &values[..value.len()]);
            }
        }
    }

    /// Makes this page a copy of `other`, which must have the same layout.
    pub fn copy_from(&mut self, other: &Page) {
        self.storage.clone_from(&other.storage);
    }

    /// A block's keys and values.
    #[inline(always)]
    pub(crate) fn block(&self, layout: &KvLayout, at: BlockAt) -> StoredBlock<'_> {
        let block = layout.block_index(at);
        let start = block * BLOCK * (layout.key_length + layout.value_length);
        let keys = start..start + BLOCK * layout.key_length;
        let values = keys.end..keys.end + BLOCK * layout.value_length;
        let key_length = layout.key_length;
        match &self.storage {
            Storage::F32(data) => StoredBlock::Floats(FloatBlock {
                key_length,
                keys: Panels::F32(data[keys].as_chunks().0),
                values: Panels::F32(data[values].as_chunks().0),
            }),
            Storage::F16(data) => StoredBlock::Floats(FloatBlock {
                key_length,
                keys: Panels::F16(data[keys].as_chunks().0),
                values: Panels::F16(data[values].as_chunks().0),
            }),
            Storage::Q8_0 { lines, scales } => {
                let steps = <[Step]>::ref_from_bytes(lines.as_bytes()).expect("lines are steps");
                let in_steps = |range: Range<usize>| {
                    &steps[range.start / size_of::<Step>()..range.end / size_of::<Step>()]
                };
                let scales = &scales[block * layout.block_scales()..][..layout.block_scales()];
                let (key_scales, value_scales) = scales
                    .as_chunks()
                    .0
                    .split_at(layout.key_length.div_ceil(SCALED));
                StoredBlock::Bytes(ByteBlock {
                    key_length,
                    keys: in_steps(keys),
                    values: in_steps(values).as_chunks().0,
                    key_scales,
                    value_scales,
                })
            }
        }
    }
}

/// Writes a token's key and value to their places in a block.
fn scatter<T: Copy>(block: &mut [T], token: usize, key: &[T], value: &[T]) {
    let (keys, values) = block.split_at_mut(BLOCK * key.len());
    let panel = &mut keys[token / LANES * key.len() * LANES..][..key.len() * LANES];
    for (channel, &x) in panel.chunks_exact_mut(LANES).zip(key) {
        channel[token % LANES] = x;
    }
    let panels = values.chunks_exact_mut(BLOCK * LANES);
    for (panel, channels) in panels.zip(value.as_chunks::<LANES>().0) {
        panel.as_chunks_mut().0[token] = *channels;
    }
}

/// [`scatter`] for bytes.
fn scatter_bytes(block: &mut [u8], token: usize, key: &[i8], value: &[i8]) {
    const LANE: usize = STEP;
    let (keys, values) = block.split_at_mut(BLOCK * key.len());
    let panel = (token / LANES) * key.len();
    for (channel, &x) in key.iter().enumerate() {
        let step = panel + channel / STEP * STEP;
        keys[step * LANES + token % LANES * LANE + channel % STEP] = x.cast_unsigned();
    }
    let (step, byte) = value_place(token);
    for (channel, &x) in value.iter().enumerate() {
        let panel = channel / LANES * BLOCK;
        values[(panel + step * STEP) * LANES + channel % LANES * LANE + byte] = x.cast_unsigned();
    }
}

/// Which of a panel's steps has a token's values, and at which byte of its lanes.
///
/// Weights come as four vectors of four tokens; they are interleaved two by two, so that no weight has to change its lane: in step
/// `i` of four, bytes 0 and 2 are of tokens `i` and `i + 4`, bytes 1 and 3 of tokens `i + 8` and `i + 12`.
fn value_place(token: usize) -> (usize, usize) {
    let (sixteen, token) = (token / 16, token % 16);
    const BYTES: [usize; 4] = [0, 2, 1, 3];
    (sixteen * 4 + token % 4, BYTES[token / 4])
}

fn zeros<T: Clone + Default>(count: usize) -> Result<Vec<T>, Error> {
    let mut data = Vec::new();
    data.try_reserve_exact(count)
        .map_err(|_| Error::OutOfMemory {
            bytes: count * size_of::<T>(),
        })?;
    data.resize(count, T::default());
    Ok(data)
}
