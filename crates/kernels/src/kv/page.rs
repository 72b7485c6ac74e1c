//! One page of the cache.

use half::f16;

use super::{BLOCK, KvLayout, KvType, LANES, MAX_HEAD_LENGTH, SCALED, encode};
use crate::Error;
use crate::isa::Simd;

/// Storage for the keys and values of `page_tokens` tokens, all layers.
#[derive(Debug, Clone)]
pub struct Page {
    storage: Storage,
}

#[derive(Debug, Clone)]
enum Storage {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Q8_0 { bytes: Vec<i8>, scales: Vec<f16> },
}

/// Which block of a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockAt {
    pub(crate) layer: usize,
    pub(crate) block: usize,
    pub(crate) head: usize,
}

/// The keys or the values of a block, in panels, where they are stored as floats of some kind.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StoredBlock<'a> {
    F32(&'a [[f32; LANES]]),
    F16(&'a [[f16; LANES]]),
}

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
                bytes: zeros(values)?,
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
            Storage::Q8_0 { bytes, scales } => {
                let mut quantized = [[0; MAX_HEAD_LENGTH]; 2];
                let mut scale_rows =
                    scales[block * layout.block_scales()..].chunks_exact_mut(BLOCK);
                for (bytes, floats) in quantized.iter_mut().zip([key, value]) {
                    let groups = floats.chunks(SCALED).zip(bytes.chunks_mut(SCALED));
                    for ((channels, bytes), scales) in groups.zip(&mut scale_rows) {
                        scales[token] = encode::quantize(channels, bytes);
                    }
                }
                scatter(
                    &mut bytes[start..],
                    token,
                    &quantized[0][..key.len()],
                    &quantized[1][..value.len()],
                );
            }
        }
    }

    /// Makes this page a copy of `other`, which must have the same layout.
    pub fn copy_from(&mut self, other: &Page) {
        self.storage.clone_from(&other.storage);
    }

    /// All keys of a block, unless they are bytes: panels of `key_length` columns.
    #[inline(always)]
    pub(crate) fn stored_keys(&self, layout: &KvLayout, at: BlockAt) -> Option<StoredBlock<'_>> {
        let start = layout.block_index(at) * BLOCK * (layout.key_length + layout.value_length);
        self.stored(start..start + BLOCK * layout.key_length)
    }

    /// All values of a block, unless they are bytes: panels of [`BLOCK`] columns.
    #[inline(always)]
    pub(crate) fn stored_values(&self, layout: &KvLayout, at: BlockAt) -> Option<StoredBlock<'_>> {
        let start = layout.block_index(at) * BLOCK * (layout.key_length + layout.value_length)
            + BLOCK * layout.key_length;
        self.stored(start..start + BLOCK * layout.value_length)
    }

    #[inline(always)]
    fn stored(&self, range: std::ops::Range<usize>) -> Option<StoredBlock<'_>> {
        match &self.storage {
            Storage::F32(data) => Some(StoredBlock::F32(data[range].as_chunks().0)),
            Storage::F16(data) => Some(StoredBlock::F16(data[range].as_chunks().0)),
            Storage::Q8_0 { .. } => None,
        }
    }

    /// The keys of `count` · `LANES` tokens, `[count][key_length][LANES]`; `first` counts from the start of the block.
    /// `scratch` has room for them, and is used where the stored form is not floats.
    #[inline(always)]
    pub(crate) fn key_panels<'a, S: Simd>(
        &'a self,
        s: S,
        layout: &KvLayout,
        at: BlockAt,
        first: usize,
        count: usize,
        scratch: &'a mut [f32],
    ) -> &'a [f32] {
        let block = layout.block_index(at);
        let length = layout.key_length * LANES;
        let start = block * BLOCK * (layout.key_length + layout.value_length) + first * length;
        let range = start..start + count * length;
        match &self.storage {
            Storage::F32(data) => &data[range],
            Storage::F16(data) => widen_f16(s, &data[range], scratch),
            Storage::Q8_0 { bytes, scales } => {
                let out = &mut scratch[..count * length];
                let scales = &scales[block * layout.block_scales()..];
                let panels = bytes[range]
                    .chunks_exact(length)
                    .zip(out.chunks_exact_mut(length));
                for (panel, (bytes, out)) in (first..).zip(panels) {
                    let groups = bytes
                        .chunks(SCALED * LANES)
                        .zip(out.chunks_mut(SCALED * LANES));
                    for ((bytes, out), scales) in groups.zip(scales.chunks_exact(BLOCK)) {
                        encode::scale_columns(s, bytes, &scales[panel * LANES..][..LANES], out);
                    }
                }
                out
            }
        }
    }

    /// `count` · `LANES` channels of a block's values, `[count][BLOCK][LANES]`, as [`Self::key_panels`].
    #[inline(always)]
    pub(crate) fn value_panels<'a, S: Simd>(
        &'a self,
        s: S,
        layout: &KvLayout,
        at: BlockAt,
        first: usize,
        count: usize,
        scratch: &'a mut [f32],
    ) -> &'a [f32] {
        const LENGTH: usize = BLOCK * LANES;
        let block = layout.block_index(at);
        let start = block * BLOCK * (layout.key_length + layout.value_length)
            + BLOCK * layout.key_length
            + first * LENGTH;
        let range = start..start + count * LENGTH;
        match &self.storage {
            Storage::F32(data) => &data[range],
            Storage::F16(data) => widen_f16(s, &data[range], scratch),
            Storage::Q8_0 { bytes, scales } => {
                let out = &mut scratch[..count * LENGTH];
                let key_groups = layout.key_length.div_ceil(SCALED);
                let scales = &scales[block * layout.block_scales() + key_groups * BLOCK..];
                let panels = bytes[range]
                    .chunks_exact(LENGTH)
                    .zip(out.chunks_exact_mut(LENGTH));
                for (panel, (bytes, out)) in (first..).zip(panels) {
                    let group = panel * LANES / SCALED;
                    encode::scale_rows(s, bytes, &scales[group * BLOCK..][..BLOCK], out);
                }
                out
            }
        }
    }
}

#[inline(always)]
fn widen_f16<'a, S: Simd>(s: S, stored: &[f16], scratch: &'a mut [f32]) -> &'a [f32] {
    let out = &mut scratch[..stored.len()];
    encode::widen_f16(s, stored, out);
    out
}

/// Writes a token's key and value to their places in a block.
fn scatter<T: Copy>(block: &mut [T], token: usize, key: &[T], value: &[T]) {
    let (keys, values) = block.split_at_mut(BLOCK * key.len());
    let panel = (token / LANES) * key.len();
    for (channel, &x) in key.iter().enumerate() {
        keys[(panel + channel) * LANES + token % LANES] = x;
    }
    for (channel, &x) in value.iter().enumerate() {
        values[((channel / LANES) * BLOCK + token) * LANES + channel % LANES] = x;
    }
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
