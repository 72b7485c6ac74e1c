//! The kinds of files `minnow quantize` makes, by llama.cpp's names.

use gguf::TensorType;

macro_rules! file_types {
    ($($variant:ident = $name:literal, $id:literal, $base:ident;)*) => {
        /// A mixture of tensor types, as a file's `general.file_type` names it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(non_camel_case_types, reason = "llama.cpp's names")]
        pub(crate) enum FileType {
            $($variant,)*
        }

        impl FileType {
            const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name at the command line.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The value of `general.file_type`: `llama_ftype` in llama.cpp, and in bitnet.cpp for I2_S.
            pub(crate) fn id(self) -> u32 {
                match self {
                    $(Self::$variant => $id,)*
                }
            }

            /// The type of tensors for which there is no rule.
            pub(crate) fn base(self) -> TensorType {
                match self {
                    $(Self::$variant => TensorType::$base,)*
                }
            }
        }
    };
}

file_types! {
    F32 = "F32", 0, F32;
    F16 = "F16", 1, F16;
    BF16 = "BF16", 32, BF16;
    Q4_0 = "Q4_0", 2, Q4_0;
    Q4_1 = "Q4_1", 3, Q4_1;
    Q5_0 = "Q5_0", 8, Q5_0;
    Q5_1 = "Q5_1", 9, Q5_1;
    Q8_0 = "Q8_0", 7, Q8_0;
    Q2_K = "Q2_K", 10, Q2_K;
    Q3_K_S = "Q3_K_S", 11, Q3_K;
    Q3_K_M = "Q3_K_M", 12, Q3_K;
    Q3_K_L = "Q3_K_L", 13, Q3_K;
    Q4_K_S = "Q4_K_S", 14, Q4_K;
    Q4_K_M = "Q4_K_M", 15, Q4_K;
    Q5_K_S = "Q5_K_S", 16, Q5_K;
    Q5_K_M = "Q5_K_M", 17, Q5_K;
    Q6_K = "Q6_K", 18, Q6_K;
    IQ4_NL = "IQ4_NL", 25, IQ4_NL;
    IQ4_XS = "IQ4_XS", 30, IQ4_XS;
    TQ1_0 = "TQ1_0", 36, TQ1_0;
    TQ2_0 = "TQ2_0", 37, TQ2_0;
    MXFP4_MOE = "MXFP4_MOE", 38, MXFP4;
    I2_S = "I2_S", 40, I2_S;
}

/// Names that stand for another one.
const ALIASES: [(&str, FileType); 4] = [
    ("Q3_K", FileType::Q3_K_M),
    ("Q4_K", FileType::Q4_K_M),
    ("Q5_K", FileType::Q5_K_M),
    ("MXFP4", FileType::MXFP4_MOE),
];

/// Types that llama.cpp makes only with an importance matrix.
const NEED_IMPORTANCE: [&str; 11] = [
    "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ3_XS", "IQ3_S", "IQ3_M",
    "Q2_K_S",
];

impl FileType {
    /// Takes a name in any case, or llama.cpp's number.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let same = |name: &str| name.eq_ignore_ascii_case(text);
        let named = Self::ALL.iter().find(|kind| same(kind.name()));
        let alias = || {
            ALIASES
                .iter()
                .find(|(name, _)| same(name))
                .map(|(_, kind)| kind)
        };
        let numbered = || {
            let id: u32 = text.parse().ok()?;
            Self::ALL.iter().find(|kind| kind.id() == id)
        };
        if let Some(kind) = named.or_else(alias).or_else(numbered) {
            return Ok(*kind);
        }
        let names: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
        let names = names.join(", ");
        Err(match NEED_IMPORTANCE.into_iter().any(same) {
            true => format!(
                "{text} needs an importance matrix, which is not supported; choose one of {names}"
            ),
            false => format!("expected one of {names}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_aliases_and_numbers() {
        assert_eq!(FileType::parse("q4_k_m"), Ok(FileType::Q4_K_M));
        assert_eq!(FileType::parse("Q4_K"), Ok(FileType::Q4_K_M));
        assert_eq!(FileType::parse("7"), Ok(FileType::Q8_0));
        assert!(FileType::parse("IQ2_XS").is_err_and(|e| e.contains("importance")));
        assert!(FileType::parse("Q9").is_err_and(|e| e.contains("Q8_0")));
    }
}
