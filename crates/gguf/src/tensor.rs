//! Tensor types and the entries of the tensor directory.

use crate::Error;

macro_rules! tensor_types {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $len:literal elements in $bytes:literal bytes;)*) => {
        /// How a tensor's elements are stored, numbered as in the file.
        ///
        /// Quantized types store elements in blocks along the first dimension. The reader knows the size of every
        /// type in use, so that it can check the directory of a model which cannot be computed with.
        ///
        /// Source of numbers and sizes: `ggml_type` and the block structures of ggml.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(non_camel_case_types)]
        #[repr(u32)]
        pub enum TensorType {
            $($(#[$doc])* $name = $id,)*
        }

        impl TensorType {
            /// Every type, in the order of its number.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The type with this number in the file; `None` for numbers unknown or withdrawn.
            pub fn from_id(id: u32) -> Option<Self> {
                match id {
                    $($id => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Name as model pages write it, such as `Q4_K`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// Elements in a block; 1 for types that are not quantized.
            pub fn block_len(self) -> u64 {
                match self {
                    $(Self::$name => $len,)*
                }
            }

            /// Bytes in a block.
            pub fn block_bytes(self) -> u64 {
                match self {
                    $(Self::$name => $bytes,)*
                }
            }
        }
    };
}

tensor_types! {
    /// IEEE 754, 32 bits.
    F32 = 0, 1 elements in 4 bytes;
    /// IEEE 754, 16 bits.
    F16 = 1, 1 elements in 2 bytes;
    /// 4 bits and a scale.
    Q4_0 = 2, 32 elements in 18 bytes;
    /// 4 bits, a scale and a minimum.
    Q4_1 = 3, 32 elements in 20 bytes;
    /// 5 bits and a scale.
    Q5_0 = 6, 32 elements in 22 bytes;
    /// 5 bits, a scale and a minimum.
    Q5_1 = 7, 32 elements in 24 bytes;
    /// 8 bits and a scale.
    Q8_0 = 8, 32 elements in 34 bytes;
    /// 8 bits, a scale and a sum: ggml's form of activations.
    Q8_1 = 9, 32 elements in 36 bytes;
    /// 2 bits in a super-block of 16 blocks.
    Q2_K = 10, 256 elements in 84 bytes;
    /// 3 bits in a super-block of 16 blocks.
    Q3_K = 11, 256 elements in 110 bytes;
    /// 4 bits in a super-block of 8 blocks.
    Q4_K = 12, 256 elements in 144 bytes;
    /// 5 bits in a super-block of 8 blocks.
    Q5_K = 13, 256 elements in 176 bytes;
    /// 6 bits in a super-block of 16 blocks.
    Q6_K = 14, 256 elements in 210 bytes;
    /// 8 bits in a super-block: ggml's form of activations.
    Q8_K = 15, 256 elements in 292 bytes;
    /// Codebook, about 2.06 bits.
    IQ2_XXS = 16, 256 elements in 66 bytes;
    /// Codebook, about 2.31 bits.
    IQ2_XS = 17, 256 elements in 74 bytes;
    /// Codebook, about 3.06 bits.
    IQ3_XXS = 18, 256 elements in 98 bytes;
    /// Codebook, about 1.56 bits.
    IQ1_S = 19, 256 elements in 50 bytes;
    /// 4 bits through a table of 16 uneven steps.
    IQ4_NL = 20, 32 elements in 18 bytes;
    /// Codebook, about 3.44 bits.
    IQ3_S = 21, 256 elements in 110 bytes;
    /// Codebook, about 2.56 bits.
    IQ2_S = 22, 256 elements in 82 bytes;
    /// 4 bits through a table of uneven steps, in a super-block.
    IQ4_XS = 23, 256 elements in 136 bytes;
    /// Signed integer, 8 bits.
    I8 = 24, 1 elements in 1 bytes;
    /// Signed integer, 16 bits.
    I16 = 25, 1 elements in 2 bytes;
    /// Signed integer, 32 bits.
    I32 = 26, 1 elements in 4 bytes;
    /// Signed integer, 64 bits.
    I64 = 27, 1 elements in 8 bytes;
    /// IEEE 754, 64 bits.
    F64 = 28, 1 elements in 8 bytes;
    /// Codebook, 1.75 bits.
    IQ1_M = 29, 256 elements in 56 bytes;
    /// The upper half of an F32.
    BF16 = 30, 1 elements in 2 bytes;
    /// Ternary, about 1.69 bits.
    TQ1_0 = 34, 256 elements in 54 bytes;
    /// Ternary, about 2.06 bits.
    TQ2_0 = 35, 256 elements in 66 bytes;
    /// Ternary, 2 bits and one scale per tensor: written by bitnet.cpp, not by ggml.
    I2_S = 36, 4 elements in 1 bytes;
    /// 4-bit floating point with a shared exponent (OCP microscaling).
    MXFP4 = 39, 32 elements in 17 bytes;
    /// 4-bit floating point with 8-bit floating-point scales.
    NVFP4 = 40, 64 elements in 36 bytes;
    /// 1 bit and a scale.
    Q1_0 = 41, 128 elements in 18 bytes;
    /// 2 bits and a scale.
    Q2_0 = 42, 64 elements in 18 bytes;
}

/// Bytes that bitnet.cpp puts after an `I2_S` tensor's elements: its scale, padded.
const I2_S_TAIL_BYTES: u64 = 32;

/// Most dimensions a tensor has in ggml.
pub(crate) const MAX_DIMENSIONS: usize = 4;

impl TensorType {
    /// This type's number in the file.
    pub fn id(self) -> u32 {
        self as u32
    }

    /// Bytes of a tensor of this shape (innermost dimension first).
    ///
    /// # Errors
    /// What is wrong with the shape: no dimension, more than four, one of zero, an innermost one that is not a
    /// multiple of the block length, or a size beyond 64 bits.
    pub fn tensor_bytes(self, shape: &[u64]) -> Result<u64, String> {
        let Some(&columns) = shape.first() else {
            return Err("it has no dimensions".to_owned());
        };
        if shape.len() > MAX_DIMENSIONS {
            return Err(format!(
                "it has {} dimensions, more than {MAX_DIMENSIONS}",
                shape.len()
            ));
        }
        if shape.contains(&0) {
            return Err("a dimension is zero".to_owned());
        }
        if !columns.is_multiple_of(self.block_len()) {
            return Err(format!(
                "rows of type {} come in blocks of {} elements",
                self.name(),
                self.block_len()
            ));
        }
        let tail = if self == Self::I2_S {
            I2_S_TAIL_BYTES
        } else {
            0
        };
        shape[1..]
            .iter()
            .try_fold(columns / self.block_len(), |blocks, &d| {
                blocks.checked_mul(d)
            })
            .and_then(|blocks| blocks.checked_mul(self.block_bytes()))
            .and_then(|bytes| bytes.checked_add(tail))
            .ok_or_else(|| "its size in bytes does not fit in 64 bits".to_owned())
    }
}

/// One entry of the tensor directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name, such as `blk.0.attn_q.weight`.
    pub name: String,
    /// One to four dimensions, none of them zero, innermost (contiguous) first: a matrix is `[columns, rows]`.
    pub shape: Vec<u64>,
    /// How the elements are stored.
    pub kind: TensorType,
    /// First byte of the tensor, counted from the start of the file.
    pub offset: u64,
    /// Bytes of the tensor, without padding.
    pub size: u64,
}

impl TensorInfo {
    /// Number of elements; `u64::MAX` if there are more, which only limits far beyond the default let through.
    pub fn elements(&self) -> u64 {
        self.shape.iter().fold(1, |n: u64, &d| n.saturating_mul(d))
    }

    /// First byte after the tensor, counted from the start of the file.
    pub fn end(&self) -> u64 {
        self.offset + self.size
    }
}

pub(crate) fn bad_shape(tensor: &str, shape: &[u64], reason: String) -> Error {
    Error::BadShape {
        tensor: tensor.to_owned(),
        shape: shape.to_vec(),
        reason,
    }
}
