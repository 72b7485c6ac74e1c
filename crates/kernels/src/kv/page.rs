//! One page of the cache.

use std::hint::black_box;

use half::f16;
use half::slice::HalfBitsSliceExt;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{BLOCK, KvLayout, KvType, LANES, MAX_HEAD_LENGTH, SCALED, encode};
use crate::Error;
use crate::isa::{Bytes16, Simd};
use crate::line::Line;

/// Storage for the keys and values of `page_tokens` tokens, all layers.
#[derive(Debug, Clone)]
pub struct Page {
    lines: Vec<Line>,
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

/// Four bytes of each of [`LANES`] lanes: of the first half of the lanes the first two of each, then the last two of each; the same of the
/// other half. The eight bytes of each, read as 16-bit words, are a vector.
pub(crate) type Step = [[[u8; 8]; STEP / 2]; 2];

/// Bytes of a lane.
pub(crate) const STEP: usize = 4;

impl Page {
    /// A page of zeros.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if it can't be allocated.
    pub fn new(layout: &KvLayout) -> Result<Self, Error> {
        let bytes = layout.page_bytes();
        let count = bytes / size_of::<Line>();
        let mut lines = Vec::new();
        lines
            .try_reserve_exact(count)
            .map_err(|_| Error::OutOfMemory { bytes })?;
        lines.resize(count, Line::default());
        Ok(Self { lines })
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
        let stride = layout.block_bytes();
        let block = &mut self.lines.as_mut_bytes()[layout.block_index(at) * stride..][..stride];
        match layout.kind {
            KvType::F32 => scatter(block, token, key, value),
            KvType::F16 => {
                let mut halves = [[0; MAX_HEAD_LENGTH]; 2];
                for (halves, floats) in halves.iter_mut().zip([key, value]) {
                    for (half, &x) in halves.iter_mut().zip(floats) {
                        *half = encode::f16_from(x).to_bits();
                    }
                }
                let [keys, values] = halves;
                scatter(block, token, &keys[..key.len()], &values[..value.len()]);
            }
            KvType::Q8_0 => {
                let (bytes, scales) = block.split_at_mut(BLOCK * (key.len() + value.len()));
                let mut quantized = [[0; MAX_HEAD_LENGTH]; 2];
                let mut scale_rows = halves_mut(scales).chunks_exact_mut(BLOCK);
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
        self.lines.copy_from_slice(&other.lines);
    }

    /// Reads from each cache line of a block, so that the lines are in the cache when they are needed: processors do not look ahead
    /// beyond a few KB of memory by themselves.
    #[inline(always)]
    pub(crate) fn touch<S: Simd>(&self, s: S, layout: &KvLayout, at: BlockAt) {
        /// Vectors of a line.
        const LINE: usize = size_of::<Line>() / size_of::<Bytes16>();
        /// Lines of a round: the fewer instructions there are, the more lines the processor waits for at once. Up to three lines of
        /// scales may be left.
        const ROUND: usize = 4;
        let mut read = s.splat_i32(0);
        let vectors = self.bytes(layout, at).as_chunks().0;
        for lines in vectors.as_chunks::<{ ROUND * LINE }>().0 {
            for line in 0..ROUND {
                read = s.or(read, s.load(&lines[line * LINE]));
            }
        }
        let mut sink = [0; size_of::<Bytes16>()];
        s.store(read, &mut sink);
        black_box(sink);
    }

    /// A block's keys and values.
    #[inline(always)]
    pub(crate) fn block(&self, layout: &KvLayout, at: BlockAt) -> StoredBlock<'_> {
        let bytes = self.bytes(layout, at);
        let key_length = layout.key_length;
        match layout.kind {
            KvType::F32 => {
                let (keys, values) = bytes.split_at(size_of::<f32>() * BLOCK * key_length);
                StoredBlock::Floats(FloatBlock {
                    key_length,
                    keys: Panels::F32(as_slice(keys)),
                    values: Panels::F32(as_slice(values)),
                })
            }
            KvType::F16 => {
                let (keys, values) = bytes.split_at(size_of::<f16>() * BLOCK * key_length);
                StoredBlock::Floats(FloatBlock {
                    key_length,
                    keys: Panels::F16(halves(keys).as_chunks().0),
                    values: Panels::F16(halves(values).as_chunks().0),
                })
            }
            KvType::Q8_0 => {
                let (keys, rest) = bytes.split_at(BLOCK * key_length);
                let (values, scales) = rest.split_at(BLOCK * layout.value_length);
                let (key_scales, value_scales) = halves(scales)
                    .as_chunks()
                    .0
                    .split_at(key_length.div_ceil(SCALED));
                StoredBlock::Bytes(ByteBlock {
                    key_length,
                    keys: as_slice(keys),
                    values: as_slice(values),
                    key_scales,
                    value_scales,
                })
            }
        }
    }

    #[inline(always)]
    fn bytes(&self, layout: &KvLayout, at: BlockAt) -> &[u8] {
        let stride = layout.block_bytes();
        &self.lines.as_bytes()[layout.block_index(at) * stride..][..stride]
    }
}

/// Whole values in memory that begins with a cache line.
#[inline(always)]
fn as_slice<T: FromBytes + Immutable>(bytes: &[u8]) -> &[T] {
    <[T]>::ref_from_bytes(bytes).expect("blocks are whole cache lines")
}

#[inline(always)]
fn halves(bytes: &[u8]) -> &[f16] {
    as_slice::<u16>(bytes).reinterpret_cast()
}

#[inline(always)]
fn halves_mut(bytes: &mut [u8]) -> &mut [f16] {
    let bits = <[u16]>::mut_from_bytes(bytes).expect("blocks are whole cache lines");
    bits.reinterpret_cast_mut()
}

/// Writes a token's key and value to their places in a block.
fn scatter<T: Copy + FromBytes + IntoBytes>(
    block: &mut [u8],
    token: usize,
    key: &[T],
    value: &[T],
) {
    let block = <[T]>::mut_from_bytes(block).expect("blocks are whole cache lines");
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
    let steps = <[Step]>::mut_from_bytes(block).expect("blocks are whole cache lines");
    let (keys, values) = steps.split_at_mut(BLOCK / LANES * key.len() / STEP);
    let panel = &mut keys[token / LANES * (key.len() / STEP)..];
    for (step, channels) in panel.iter_mut().zip(key.as_chunks::<STEP>().0) {
        for (byte, &x) in channels.iter().enumerate() {
            *byte_of(step, token % LANES, byte) = x.cast_unsigned();
        }
    }
    let (step, byte) = value_place(token);
    let panels = values.chunks_exact_mut(BLOCK / STEP);
    for (panel, channels) in panels.zip(value.as_chunks::<LANES>().0) {
        for (lane, &x) in channels.iter().enumerate() {
            *byte_of(&mut panel[step], lane, byte) = x.cast_unsigned();
        }
    }
}

/// A byte of a lane.
#[inline(always)]
fn byte_of(step: &mut Step, lane: usize, byte: usize) -> &mut u8 {
    const HALF: usize = LANES / 2;
    const PAIR: usize = STEP / 2;
    &mut step[lane / HALF][byte / PAIR][lane % HALF * PAIR + byte % PAIR]
}

/// Which of a panel's steps has a token's values, and at which byte of its lanes.
///
/// Weights come as four vectors of four tokens; they are interleaved two by two, so that no weight has to change its lane: in step
/// `i` of four, bytes 0 and 1 are of tokens `i` and `i + 4`, bytes 2 and 3 of tokens `i + 8` and `i + 12`.
fn value_place(token: usize) -> (usize, usize) {
    let (sixteen, token) = (token / 16, token % 16);
    (sixteen * 4 + token % 4, token / 4)
}
