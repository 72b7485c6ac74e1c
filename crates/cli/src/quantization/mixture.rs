//! Which type each tensor gets.

use anyhow::{Context, Result};
use gguf::{TensorInfo, TensorType};

use super::{
    Facts, FileType,
    category::{Category, is_quantizable},
};

/// What the command line says against the rules.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    /// No rules: every matrix gets the file's base type.
    pub(crate) pure: bool,
    /// The output matrix stays as it is.
    pub(crate) leave_output: bool,
    /// The output matrix's type.
    pub(crate) output: Option<TensorType>,
    /// The token embeddings' type.
    pub(crate) token_embedding: Option<TensorType>,
}

/// What becomes of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) kind: TensorType,
    /// The type that the rules wanted, if the tensor's columns are not whole blocks of it.
    pub(crate) instead_of: Option<TensorType>,
}

/// A type for each of `tensors`, which are all of the model's, in the order of layers and names ([`file_order`]).
///
/// # Errors
/// If the name of an expert's tensor does not say its layer.
pub(crate) fn choose(
    file_type: FileType,
    facts: &Facts,
    overrides: &Overrides,
    tensors: &[&TensorInfo],
) -> Result<Vec<Choice>> {
    let mut rules = Rules {
        file_type,
        facts,
        overrides,
        values_seen: 0,
        downs_seen: 0,
    };
    tensors.iter().map(|tensor| rules.choice(tensor)).collect()
}

struct Rules<'a> {
    file_type: FileType,
    facts: &'a Facts,
    overrides: &'a Overrides,
    /// Tensors of [`Category::AttentionValue`] so far.
    values_seen: usize,
    /// Tensors of [`Category::FeedForwardDown`] so far.
    downs_seen: usize,
}

/// Experts of the models (Mixtral) for which a few matrices that all experts share are worth more bits.
const FEW_EXPERTS: u64 = 8;
/// Query heads to a key head from which values are small.
const MANY_QUERY_HEADS: u64 = 4;

impl Rules<'_> {
    fn choice(&mut self, tensor: &TensorInfo) -> Result<Choice> {
        let keep = |kind| Choice {
            kind,
            instead_of: None,
        };
        let category = Category::of(&tensor.name);
        let left = self.overrides.leave_output && category == Category::Output;
        if left || !is_quantizable(tensor) {
            return Ok(keep(tensor.kind));
        }
        let given = match category {
            Category::TokenEmbedding => self.overrides.token_embedding,
            Category::Output => self.overrides.output,
            _ => None,
        };
        if let Some(kind) = given {
            return Ok(keep(kind));
        }
        let base = self.file_type.base();
        if base.block_len() == 1 {
            return Ok(keep(base));
        }
        let wanted = match self.overrides.pure {
            true => base,
            false => self.rule(tensor, category)?,
        };
        let columns = tensor.shape[0];
        let kind = fitting(wanted, columns);
        Ok(Choice {
            kind,
            instead_of: (kind != wanted).then_some(wanted),
        })
    }

    fn rule(&mut self, tensor: &TensorInfo, category: Category) -> Result<TensorType> {
        use FileType::{I2_S, MXFP4_MOE, TQ1_0, TQ2_0};
        let is_output =
            category == Category::Output || category == Category::TokenEmbedding && self.facts.tied;
        // Ternary models have ternary weights in their layers only.
        if self.file_type == I2_S {
            let outside = matches!(category, Category::Output | Category::TokenEmbedding);
            return Ok(if outside {
                TensorType::F16
            } else {
                TensorType::I2_S
            });
        }
        if is_output {
            return Ok(self.output(tensor.shape[0]));
        }
        if self.file_type == MXFP4_MOE {
            let is_experts = tensor.shape.get(2).is_some_and(|&experts| experts > 1);
            return Ok(if is_experts {
                TensorType::MXFP4
            } else {
                TensorType::Q8_0
            });
        }
        Ok(match category {
            Category::TokenEmbedding => match self.file_type {
                TQ1_0 | TQ2_0 => TensorType::Q4_K,
                _ => self.file_type.base(),
            },
            Category::AttentionValue => self.attention_value(),
            Category::AttentionKey if self.facts.experts == FEW_EXPERTS => TensorType::Q8_0,
            Category::AttentionOutput => self.attention_output(),
            Category::FeedForwardDown => {
                let layer = self.down_layer(&tensor.name)?;
                self.feed_forward_down(layer)
            }
            Category::AttentionKey | Category::Output | Category::Other => self.file_type.base(),
        })
    }

    fn output(&self, columns: u64) -> TensorType {
        if let Some(kind) = self.overrides.output {
            return kind;
        }
        let base = self.file_type.base();
        let whole = columns.is_multiple_of(base.block_len());
        if self.file_type == FileType::MXFP4_MOE || !whole || base == TensorType::Q8_0 {
            return TensorType::Q8_0;
        }
        TensorType::Q6_K
    }

    fn attention_value(&mut self) -> TensorType {
        use FileType::{IQ4_NL, IQ4_XS, Q2_K, Q3_K_L, Q3_K_M, Q4_K_M, Q4_K_S, Q5_K_M};
        use TensorType as T;
        /// Values of the first layers that get more bits in Q3_K_M.
        const FIRST_OF_Q3_K_M: usize = 2;
        /// Values of the first layers that get more bits in Q4_K_S.
        const FIRST_OF_Q4_K_S: usize = 4;
        let seen = self.values_seen;
        self.values_seen += 1;
        let small = self.facts.query_heads_per_key >= MANY_QUERY_HEADS;
        let kind = match self.file_type {
            Q2_K if small => T::Q4_K,
            Q2_K => T::Q3_K,
            Q3_K_M if seen < FIRST_OF_Q3_K_M => T::Q5_K,
            Q3_K_M => T::Q4_K,
            Q3_K_L => T::Q5_K,
            IQ4_NL | IQ4_XS if small => T::Q5_K,
            Q4_K_M | Q5_K_M if is_sensitive(seen, self.facts.value_tensors) => T::Q6_K,
            Q4_K_S if seen < FIRST_OF_Q4_K_S => T::Q5_K,
            other => other.base(),
        };
        match kind {
            _ if self.facts.experts == FEW_EXPERTS => T::Q8_0,
            T::Q3_K | T::Q4_K if self.facts.is_70b => T::Q5_K,
            kind => kind,
        }
    }

    fn attention_output(&self) -> TensorType {
        use FileType::{IQ4_NL, IQ4_XS, Q2_K, Q3_K_L, Q3_K_M, Q3_K_S, Q4_K_M, Q4_K_S};
        use TensorType as T;
        if self.facts.experts == FEW_EXPERTS {
            return match self.file_type {
                Q2_K | Q3_K_S | Q3_K_M | IQ4_NL | IQ4_XS | Q4_K_S | Q4_K_M => T::Q5_K,
                other => other.base(),
            };
        }
        match self.file_type {
            Q2_K => T::Q3_K,
            Q3_K_M => T::Q4_K,
            Q3_K_L => T::Q5_K,
            other => other.base(),
        }
    }

    fn feed_forward_down(&self, layer: usize) -> TensorType {
        use FileType::{IQ4_NL, IQ4_XS, Q2_K, Q3_K_L, Q3_K_M, Q4_K_M, Q4_K_S, Q5_K_M};
        use TensorType as T;
        let layers = self.facts.layers;
        match self.file_type {
            Q2_K => T::Q3_K,
            Q3_K_M if layer < layers / 16 => T::Q5_K,
            Q3_K_M => T::Q4_K,
            Q3_K_L => T::Q5_K,
            Q4_K_M | Q5_K_M if is_sensitive(layer, layers) => T::Q6_K,
            IQ4_NL | IQ4_XS | Q4_K_S if layer < layers / 8 => T::Q5_K,
            other => other.base(),
        }
    }

    /// A layer's number: how many came before, but for experts what the name says, as there may be several to a layer.
    fn down_layer(&mut self, name: &str) -> Result<usize> {
        let seen = self.downs_seen;
        self.downs_seen += 1;
        if self.facts.experts <= 1 {
            return Ok(seen);
        }
        layer(name).with_context(|| format!("the name of tensor {name} does not say its layer"))
    }
}

/// Whether a layer is one whose errors cost the most: the first and the last eighth, and every third between them.
/// llama.cpp: `use_more_bits`.
fn is_sensitive(layer: usize, layers: usize) -> bool {
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
}

/// `kind`, or where rows of `columns` are not whole blocks of it, the nearest type with smaller blocks.
fn fitting(kind: TensorType, columns: u64) -> TensorType {
    use TensorType as T;
    let fits = |kind: TensorType| columns.is_multiple_of(kind.block_len());
    if fits(kind) {
        return kind;
    }
    let smaller = match kind {
        T::IQ4_XS => T::IQ4_NL,
        T::Q2_K | T::Q3_K | T::TQ1_0 | T::TQ2_0 => T::Q4_0,
        T::Q4_K => T::Q5_0,
        T::Q5_K => T::Q5_1,
        T::Q6_K => T::Q8_0,
        other => other,
    };
    if fits(smaller) { smaller } else { T::F16 }
}

/// The layer that a tensor's name says: `blk.<layer>.…`.
fn layer(name: &str) -> Option<usize> {
    name.strip_prefix("blk.")?.split('.').next()?.parse().ok()
}

/// What llama.cpp sorts tensors by: tensors outside layers, then layer by layer, by name.
pub(crate) fn file_order(name: &str) -> (Option<usize>, &str) {
    (layer(name), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_decide_when_blocks_do_not_fit() {
        assert_eq!(fitting(TensorType::Q4_K, 512), TensorType::Q4_K);
        assert_eq!(fitting(TensorType::Q4_K, 96), TensorType::Q5_0);
        assert_eq!(fitting(TensorType::Q6_K, 96), TensorType::Q8_0);
        assert_eq!(fitting(TensorType::Q6_K, 100), TensorType::F16);
        assert_eq!(fitting(TensorType::Q4_0, 100), TensorType::F16);
    }

    #[test]
    fn tensors_stand_layer_by_layer() {
        let mut names = [
            "blk.10.a",
            "token_embd.weight",
            "blk.2.b",
            "blk.2.a",
            "output.weight",
        ];
        names.sort_by_key(|name| file_order(name));
        assert_eq!(
            names,
            [
                "output.weight",
                "token_embd.weight",
                "blk.2.a",
                "blk.2.b",
                "blk.10.a"
            ]
        );
    }
}
