//! Pages of the key–value cache: how keys and values of a run of tokens lie in memory.
//!
//! A page holds `page_tokens` consecutive tokens of one sequence, for every layer and key–value head. Attention
//! reads it in blocks of [`BLOCK`] tokens, whatever the page size, and a block in panels of [`LANES`] columns:
//!
//! ```text
//! page   [layers][kv_heads][page_tokens / BLOCK] blocks
//! block  keys   [BLOCK / LANES][key_length][LANES]     a panel: 8 tokens, transposed
//!        values [value_length / LANES][BLOCK][LANES]   a panel: 8 channels of 32 tokens
//! ```
//!
//! [`KvType::Q8_0`] packs what is summed, four to a lane and two of a lane side by side: read as 16-bit words, eight bytes are a vector
//! in which an instruction multiplies and adds two of each lane:
//!
//! ```text
//! block  keys   [BLOCK / LANES][key_length / 4][2 halves][2 pairs][LANES / 2][2 channels]
//!        values [value_length / LANES][BLOCK / 4][2 halves][2 pairs][LANES / 2][2 tokens]
//! ```
//!
//! Behind its bytes, a block has a scale for every 32 channels of a token: `keys [key_length / 32][BLOCK]`, then
//! `values [value_length / 32][BLOCK]`.
//!
//! So a block is one run of cache lines, which attention asks for while it computes with the block before it.
//!
//! Both products of attention (queries × keysᵀ and weights × values) then read panels front to back and leave
//! their results in lanes: no gathering, no sum across lanes, and one inner loop for both.

mod encode;
mod page;

use half::f16;

use crate::Error;

pub(crate) use encode::{F16_MASK, PLACED, place_f16, place_half_with, widen_f16};
pub use page::Page;
pub(crate) use page::{BlockAt, ByteBlock, FloatBlock, Panels, STEP, Step, StoredBlock};

/// Tokens that attention handles at a time. Fixed, because the order of summation follows it and results may not
/// depend on the page size.
pub const BLOCK: usize = 32;

/// Columns of a panel: two 128-bit vectors of floats, or one of 256.
pub const LANES: usize = 8;

/// The longest key or value vector of a head that attention has scratch space for.
pub const MAX_HEAD_LENGTH: usize = 256;

/// Channels that share a scale in [`KvType::Q8_0`].
const SCALED: usize = 32;

/// How cached keys and values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(non_camel_case_types, reason = "ggml's names")]
pub enum KvType {
    /// 32-bit floats: as computed.
    F32,
    /// 16-bit floats, rounded to nearest even, as llama.cpp's default.
    #[default]
    F16,
    /// Signed bytes with a 16-bit scale for every 32 channels of a token, as ggml's blocks of that name.
    Q8_0,
}

impl KvType {
    /// Every type there is.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Q8_0];

    /// The lower-case name by which users choose it, e.g. `"f16"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
        }
    }

    /// The type called `name`, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
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
        // No type takes more than four bytes for a value, its share of a scale included.
        let fits = [
            layers,
            kv_heads,
            key_length + value_length,
            page_tokens,
            size_of::<f32>(),
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
        let blocks = self.layers * self.kv_heads * (self.page_tokens / BLOCK);
        blocks * self.block_bytes()
    }

    /// Bytes of a block: whole cache lines, as lengths are multiples of [`LANES`].
    fn block_bytes(&self) -> usize {
        let values = BLOCK * (self.key_length + self.value_length);
        match self.kind {
            KvType::F32 => values * size_of::<f32>(),
            KvType::F16 => values * size_of::<f16>(),
            KvType::Q8_0 => values + self.block_scales() * size_of::<f16>(),
        }
    }

    /// Scales of one block of [`KvType::Q8_0`]: of its keys, then of its values.
    fn block_scales(&self) -> usize {
        BLOCK * (self.key_length.div_ceil(SCALED) + self.value_length.div_ceil(SCALED))
    }

    /// Which of a page's blocks this is.
    #[inline(always)]
    fn block_index(&self, at: BlockAt) -> usize {
        (at.layer * self.kv_heads + at.head) * (self.page_tokens / BLOCK) + at.block
    }
}
