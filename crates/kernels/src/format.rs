//! The block formats Minnow computes with: what GGUF stores, how long a block is and how many bytes it takes.
//!
//! Names, block lengths and byte layouts are those of ggml (`ggml/src/ggml-common.h` in llama.cpp), but for I2_S, which
//! is bitnet.cpp's (`dequantize_row_i2_s` in its copy of `ggml-quants.c`).

use crate::Error;
use crate::layout::{Layout, with_layout};

/// Values in a block of the simple quantized formats.
pub(crate) const BLOCK: usize = 32;

/// Values in a super-block of the K formats and of several later ones.
pub(crate) const SUPER_BLOCK: usize = 256;

/// Values in a block of I2_S.
pub(crate) const I2_S_BLOCK: usize = 128;

/// How the weights of a matrix are stored, in the file's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types, reason = "ggml's names")]
pub enum Format {
    /// IEEE single precision, little-endian.
    F32,
    /// IEEE half precision, little-endian.
    F16,
    /// The upper half of IEEE single precision, little-endian.
    BF16,
    /// 32 × 4 bits, one scale.
    Q4_0,
    /// 32 × 4 bits, one scale and one minimum.
    Q4_1,
    /// 32 × 5 bits, one scale.
    Q5_0,
    /// 32 × 5 bits, one scale and one minimum.
    Q5_1,
    /// 32 × 8 bits, one scale.
    Q8_0,
    /// 256 × 2 bits, a 4-bit scale and minimum for each 16.
    Q2_K,
    /// 256 × 3 bits, a 6-bit scale for each 16.
    Q3_K,
    /// 256 × 4 bits, a 6-bit scale and minimum for each 32.
    Q4_K,
    /// 256 × 5 bits, a 6-bit scale and minimum for each 32.
    Q5_K,
    /// 256 × 6 bits, an 8-bit scale for each 16.
    Q6_K,
    /// 32 × 4 bits that choose from a table of 16 uneven steps, one scale.
    IQ4_NL,
    /// 256 × 4 bits, the table of IQ4_NL, a 6-bit scale for each 32.
    IQ4_XS,
    /// 256 × −1, 0 or 1, five to a byte, one scale.
    TQ1_0,
    /// 256 × −1, 0 or 1 in 2 bits, one scale.
    TQ2_0,
    /// 128 × −1, 0 or 1 in 2 bits, one scale for the whole tensor, which follows the blocks.
    I2_S,
    /// 32 × 4-bit floating-point numbers, one exponent (OCP microscaling).
    MXFP4,
}

impl Format {
    /// Every format, in the order of the enum.
    pub const ALL: [Self; 19] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2_K,
        Self::Q3_K,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
        Self::IQ4_NL,
        Self::IQ4_XS,
        Self::TQ1_0,
        Self::TQ2_0,
        Self::I2_S,
        Self::MXFP4,
    ];

    /// ggml's name, as in `Q4_K`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q2_K => "Q2_K",
            Self::Q3_K => "Q3_K",
            Self::Q4_K => "Q4_K",
            Self::Q5_K => "Q5_K",
            Self::Q6_K => "Q6_K",
            Self::IQ4_NL => "IQ4_NL",
            Self::IQ4_XS => "IQ4_XS",
            Self::TQ1_0 => "TQ1_0",
            Self::TQ2_0 => "TQ2_0",
            Self::I2_S => "I2_S",
            Self::MXFP4 => "MXFP4",
        }
    }

    /// Values in a block; rows consist of whole blocks. 1 for the float formats.
    #[must_use]
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => BLOCK,
            Self::IQ4_NL | Self::MXFP4 => BLOCK,
            Self::I2_S => I2_S_BLOCK,
            Self::Q2_K | Self::Q3_K | Self::Q4_K | Self::Q5_K | Self::Q6_K => SUPER_BLOCK,
            Self::IQ4_XS | Self::TQ1_0 | Self::TQ2_0 => SUPER_BLOCK,
        }
    }

    /// Bytes of a block in the file.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 | Self::IQ4_NL => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q2_K => 84,
            Self::Q3_K => 110,
            Self::Q4_K => 144,
            Self::Q5_K => 176,
            Self::Q6_K => 210,
            Self::IQ4_XS => 136,
            Self::TQ1_0 => 54,
            Self::TQ2_0 => 66,
            Self::I2_S => 32,
            Self::MXFP4 => 17,
        }
    }

    /// Bytes that follow the blocks of a whole tensor in the file: for I2_S its scale as F32 and 28 bytes that mean
    /// nothing, for all others none.
    #[must_use]
    pub const fn tail_bytes(self) -> usize {
        match self {
            Self::I2_S => 32,
            _ => 0,
        }
    }

    /// The packed layout whose kernels multiply such weights, by the name of its module in `layout`; formats that are
    /// packed alike share one.
    #[must_use]
    pub fn layout(self) -> &'static str {
        with_layout!(self, L => <L as Layout>::NAME)
    }

    /// Bytes of a row of `cols` values in the file.
    ///
    /// # Errors
    /// [`Error::PartialBlock`] if `cols` is not a multiple of the block length, [`Error::TooLarge`] if the result
    /// does not fit `usize`.
    pub fn row_bytes(self, cols: usize) -> Result<usize, Error> {
        if !cols.is_multiple_of(self.block_len()) {
            return Err(Error::PartialBlock { format: self, cols });
        }
        (cols / self.block_len())
            .checked_mul(self.block_bytes())
            .ok_or(Error::TooLarge {
                format: self,
                rows: 1,
                cols,
            })
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
