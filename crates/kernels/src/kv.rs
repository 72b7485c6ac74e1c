//! Pages of the key–value cache: how keys and values of a run of tokens lie in memory.
//!
//! A page holds `page_tokens` consecutive tokens of one sequence, for every layer and key–value head. Attention
//! reads it in blocks of [`BLOCK`] tokens, whatever the page size, and a block in panels of [`LANES`] columns:
//!
//! ```text
//! page   [layers][page_tokens / BLOCK][kv_heads] blocks
//! block  keys   [BLOCK / LANES][key_length][LANES]     a panel: 8 tokens, transposed
//!        values [value_length / LANES][BLOCK][LANES]   a panel: 8 channels of 32 tokens
//! ```
//!
//! Both products of attention (queries × keysᵀ and weights × values) then read panels front to back and leave
//! their results in lanes: no gathering, no sum across lanes, and one inner loop for both.

use half::f16;
use half::slice::HalfFloatSliceExt;
use zerocopy::IntoBytes;

use crate::Error;

/// Tokens that attention handles at a time. Fixed, because the order of summation follows it and results may not
/// depend on the page size.
pub const BLOCK: usize = 32;

/// Columns of a panel: two 128-bit vectors of floats, or one of 256.
pub const LANES: usize = 8;

/// The longest key or value vector of a head that attention has scratch space for.
pub const MAX_HEAD_LENGTH: usize = 256;

/// How cached keys and values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KvType {
    /// 32-bit floats: as computed.
    F32,
    /// 16-bit floats, rounded to nearest even, as llama.cpp's default.
    #[default]
    F16,
}

impl KvType {
    /// Every type there is.
    pub const ALL: [Self; 2] = [Self::F32, Self::F16];

    /// The lower-case name by which users choose it, e.g. `"f16"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }

    /// The type called `name`, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Bytes one stored value takes.
    fn bytes(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::F16 => size_of::<f16>(),
        }
    }
}

/// The dimensions of every page of one cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvLayout {
    kind: KvType,
    layers: usize,
    kv_heads: usize,
    key_length: usize,
    value_length: usize,
    page_tokens: usize,
}

impl KvLayout {
    /// A layout for `layers` × `kv_heads` heads with keys of `key_length` and values of `value_length` floats.
    ///
    /// # Errors
    /// [`Error::KvLayout`] if a length is not a multiple of [`LANES`] in `LANES..=MAX_HEAD_LENGTH`, or `page_tokens`
    /// is not a positive multiple of [`BLOCK`], or a page would not fit the address space.
    pub fn new(
        kind: KvType,
        layers: usize,
        kv_heads: usize,
        key_length: usize,
        value_length: usize,
        page_tokens: usize,
    ) -> Result<Self, Error> {
        for (what, length) in [("key length", key_length), ("value length", value_length)] {
            if length == 0 || !length.is_multiple_of(LANES) || length > MAX_HEAD_LENGTH {
                return Err(Error::KvLayout {
                    what,
                    value: length,
                    multiple: LANES,
                    limit: MAX_HEAD_LENGTH,
                });
            }
        }
        if page_tokens == 0 || !page_tokens.is_multiple_of(BLOCK) {
            return Err(Error::KvLayout {
                what: "page size in tokens",
                value: page_tokens,
                multiple: BLOCK,
                limit: usize::MAX,
            });
        }
        let layout = Self {
            kind,
            layers,
            kv_heads,
            key_length,
            value_length,
            page_tokens,
        };
        let fits = [
            layers,
            kv_heads,
            key_length + value_length,
            page_tokens,
            kind.bytes(),
        ]
        .into_iter()
        .try_fold(1usize, usize::checked_mul)
        .is_some_and(|bytes| isize::try_from(bytes).is_ok());
        if !fits {
            return Err(Error::KvLayout {
                what: "page size in tokens",
                value: page_tokens,
                multiple: BLOCK,
                limit: isize::MAX as usize,
            });
        }
        Ok(layout)
    }

    /// How values are stored.
    pub fn kind(&self) -> KvType {
        self.kind
    }

    /// Key–value heads in each layer.
    pub fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    /// Floats of one head's key.
    pub fn key_length(&self) -> usize {
        self.key_length
    }

    /// Floats of one head's value.
    pub fn value_length(&self) -> usize {
        self.value_length
    }

    /// Tokens a page holds.
    pub fn page_tokens(&self) -> usize {
        self.page_tokens
    }

    /// Bytes a page takes.
    pub fn page_bytes(&self) -> usize {
        self.page_values() * self.kind.bytes()
    }

    fn page_values(&self) -> usize {
        self.layers * self.kv_heads * self.page_tokens * (self.key_length + self.value_length)
    }

    /// Where the keys of a block start, in values; its values follow them.
    #[inline(always)]
    fn block_start(&self, layer: usize, block: usize, head: usize) -> usize {
        let blocks = self.page_tokens / BLOCK;
        ((layer * blocks + block) * self.kv_heads + head)
            * BLOCK
            * (self.key_length + self.value_length)
    }
}

/// Storage for the keys and values of `page_tokens` tokens, all layers.
#[derive(Debug, Clone)]
pub struct Page {
    storage: Storage,
}

#[derive(Debug, Clone)]
enum Storage {
    F32(Vec<f32>),
    F16(Vec<f16>),
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
        match &mut self.storage {
            Storage::F32(data) => scatter(layout, data, layer, slot, keys, values, |value| value),
            Storage::F16(data) => scatter(layout, data, layer, slot, keys, values, encode_f16),
        }
    }

    /// Makes this page a copy of `other`, which must have the same layout.
    pub fn copy_from(&mut self, other: &Page) {
        match (&mut self.storage, &other.storage) {
            (Storage::F32(to), Storage::F32(from)) => to.copy_from_slice(from),
            (Storage::F16(to), Storage::F16(from)) => to.copy_from_slice(from),
            _ => unreachable!("pages of one cache have one layout"),
        }
    }

    /// The page as bytes, in the machine's (little-endian) order, to be written out and read back later.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.storage {
            Storage::F32(data) => data.as_slice().as_bytes(),
            Storage::F16(data) => data.reinterpret_cast().as_bytes(),
        }
    }

    /// The keys of `count` · `LANES` tokens, `[count][key_length][LANES]`; `first` counts from the start of the block.
    /// `scratch` has room for them, and is used where the stored form is not floats.
    #[inline(always)]
    pub(crate) fn key_panels<'a>(
        &'a self,
        layout: &KvLayout,
        at: BlockAt,
        first: usize,
        count: usize,
        scratch: &'a mut [f32],
    ) -> &'a [f32] {
        let length = layout.key_length * LANES;
        let start = layout.block_start(at.layer, at.block, at.head);
        self.floats(start + first * length, count * length, scratch)
    }

    /// `count` · `LANES` channels of a block's values, `[count][BLOCK][LANES]`, as [`Self::key_panels`].
    #[inline(always)]
    pub(crate) fn value_panels<'a>(
        &'a self,
        layout: &KvLayout,
        at: BlockAt,
        first: usize,
        count: usize,
        scratch: &'a mut [f32],
    ) -> &'a [f32] {
        let values = layout.block_start(at.layer, at.block, at.head) + BLOCK * layout.key_length;
        self.floats(
            values + first * BLOCK * LANES,
            count * BLOCK * LANES,
            scratch,
        )
    }

    #[inline(always)]
    fn floats<'a>(&'a self, start: usize, length: usize, scratch: &'a mut [f32]) -> &'a [f32] {
        match &self.storage {
            Storage::F32(data) => &data[start..start + length],
            Storage::F16(data) => {
                let scratch = &mut scratch[..length];
                for (out, &stored) in scratch.iter_mut().zip(&data[start..start + length]) {
                    *out = decode_f16(stored);
                }
                scratch
            }
        }
    }
}

/// Rounds to nearest even; what is too large becomes the largest finite number.
fn encode_f16(value: f32) -> f16 {
    let limit = f16::MAX.to_f32();
    f16::from_f32(value.clamp(-limit, limit))
}

/// The exact value of a finite number, without a branch: its bits moved to their places in 32 bits, and the difference
/// between the two types' exponent biases multiplied in.
#[inline(always)]
fn decode_f16(stored: f16) -> f32 {
    let bits = u32::from(stored.to_bits());
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * F16_BIAS_DIFFERENCE;
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

/// 2¹¹²: exponents are biased by 127 in 32-bit floats and by 15 in 16-bit ones.
const F16_BIAS_DIFFERENCE: f32 = f32::from_bits((112 + 127) << 23);

/// Which block of a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockAt {
    pub(crate) layer: usize,
    pub(crate) block: usize,
    pub(crate) head: usize,
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

/// Writes one token's keys and values into their places of a page's panels.
fn scatter<T>(
    layout: &KvLayout,
    data: &mut [T],
    layer: usize,
    slot: usize,
    keys: &[f32],
    values: &[f32],
    encode: impl Fn(f32) -> T,
) {
    let (block, token) = (slot / BLOCK, slot % BLOCK);
    let heads = keys
        .chunks_exact(layout.key_length)
        .zip(values.chunks_exact(layout.value_length));
    for (head, (key, value)) in heads.enumerate() {
        let start = layout.block_start(layer, block, head);
        let (block_keys, rest) = data[start..].split_at_mut(BLOCK * layout.key_length);
        let panel = (token / LANES) * layout.key_length;
        for (channel, &x) in key.iter().enumerate() {
            block_keys[(panel + channel) * LANES + token % LANES] = encode(x);
        }
        for (channel, &x) in value.iter().enumerate() {
            rest[((channel / LANES) * BLOCK + token) * LANES + channel % LANES] = encode(x);
        }
    }
}
