//! Which tensors the GGUF file gets, and how their values are made of the folder's.

use std::{collections::BTreeMap, ops::Range};

use anyhow::{Context, Result, bail, ensure};
use safetensors::Dtype;

use super::{
    Config, Family, Folder, encoder,
    folder::Stored,
    names::{Name, name},
    rope::Rope,
    ternary,
};

/// A tensor to write.
#[derive(Debug)]
pub(crate) struct Tensor<'a> {
    pub(crate) name: String,
    /// Dimensions, innermost first.
    pub(crate) shape: Vec<u64>,
    values: Values<'a>,
    change: Change,
}

#[derive(Debug)]
enum Values<'a> {
    /// One tensor after another: the experts of a layer, or a single one.
    Stored(Vec<Stored<'a>>),
    Computed(Vec<f32>),
    /// Ternary weights, four to a byte, and the inverse of what they are multiples of.
    Packed {
        stored: Stored<'a>,
        inverse: f32,
    },
}

/// What happens to values on their way.
#[derive(Debug, Clone, Copy)]
enum Change {
    None,
    /// Gemma's norms multiply by one more than they store.
    AddOne,
    /// Rows of each of so many heads: from two halves to pairs side by side.
    PairRows {
        heads: usize,
    },
    /// To −d, 0 or d.
    Ternary {
        d: f32,
    },
}

impl Tensor<'_> {
    /// Columns; 1 for vectors, whose values are treated as rows.
    pub(crate) fn columns(&self) -> usize {
        match self.shape[..] {
            [_] => 1,
            _ => self.shape[0] as usize,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        (self.shape.iter().product::<u64>() as usize) / self.columns()
    }

    /// Whether its values are stored as BF16.
    pub(crate) fn is_bf16(&self) -> bool {
        match &self.values {
            Values::Stored(parts) => parts.iter().any(|part| part.dtype == Dtype::BF16),
            Values::Computed(_) | Values::Packed { .. } => false,
        }
    }

    /// Fills `values` with the values of some rows.
    pub(crate) fn read(&self, rows: Range<usize>, values: &mut [f32]) {
        let columns = self.columns();
        for (row, values) in rows.zip(values.chunks_exact_mut(columns)) {
            let row = match self.change {
                Change::PairRows { heads } => paired(row, self.rows() / heads),
                _ => row,
            };
            match &self.values {
                Values::Computed(all) => {
                    values.copy_from_slice(&all[row * columns..][..columns]);
                }
                Values::Stored(parts) => {
                    let rows_each = self.rows() / parts.len();
                    parts[row / rows_each].read(row % rows_each * columns, values);
                }
                Values::Packed { stored, inverse } => {
                    ternary::unpack(stored.bytes, row, *inverse, values);
                }
            }
            match self.change {
                Change::AddOne => values.iter_mut().for_each(|value| *value += 1.0),
                Change::Ternary { d } => {
                    ternary::round(values, d);
                    self.round_as_stored(values);
                }
                Change::None | Change::PairRows { .. } => {}
            }
        }
    }

    /// A tensor of some of its rows.
    pub(crate) fn some_rows(&self, name: &str, rows: &[usize]) -> Tensor<'static> {
        let mut values = vec![0.0; rows.len() * self.columns()];
        for (&row, values) in rows.iter().zip(values.chunks_exact_mut(self.columns())) {
            self.read(row..row + 1, values);
        }
        Tensor {
            name: name.to_owned(),
            shape: vec![self.shape[0], rows.len() as u64],
            values: Values::Computed(values),
            change: Change::None,
        }
    }

    /// Rounds what was made of halves to halves again.
    fn round_as_stored(&self, values: &mut [f32]) {
        let is_half = match &self.values {
            Values::Stored(parts) => parts.iter().any(|part| part.dtype == Dtype::F16),
            _ => false,
        };
        if is_half {
            for value in values {
                *value = half::f16::from_f32(*value).to_f32();
            }
        }
    }
}

/// Where row `row` comes from, if heads have `rows` rows each: pair `j` is rows `j` and `rows / 2 + j` of its head.
fn paired(row: usize, rows: usize) -> usize {
    let (head, within) = (row / rows, row % rows);
    head * rows + within % 2 * (rows / 2) + within / 2
}

/// All tensors: factors of rotations first, then those of the folder by name.
pub(crate) fn tensors<'a>(
    family: Family,
    config: &Config,
    folder: &'a Folder,
    vocabulary: usize,
) -> Result<Vec<Tensor<'a>>> {
    let mut tensors = computed(family, config)?;
    let mut experts = BTreeMap::<String, BTreeMap<usize, (Vec<usize>, Stored<'a>)>>::new();
    let has_labels = family == Family::Bert && !config.labels()?.is_empty();
    let (scales, sources): (BTreeMap<_, _>, BTreeMap<_, _>) = folder
        .tensors()?
        .into_iter()
        .partition(|(name, _)| family.is_ternary() && name.ends_with(SCALE_SUFFIX));
    for (source, (shape, stored)) in sources {
        let known = encoder::classifier(&source, has_labels);
        let target = name(family, &known).with_context(|| {
            format!(
                "{source} is not a tensor of a {} model",
                family.architecture()
            )
        })?;
        let scale_name = format!("{source}{SCALE_SUFFIX}");
        if let (Some((of, inverse)), Name::Tensor(target)) = (scales.get(&scale_name), &target) {
            let inverse = scale(&scale_name, of, inverse)?;
            tensors.push(packed(target.clone(), &shape, stored, inverse)?);
            continue;
        }
        ensure!(
            stored.is_float() || target == Name::Skipped,
            "{source} is of type {:?}; only F32, F16 and BF16 weights can be converted",
            stored.dtype
        );
        match target {
            Name::Skipped => {}
            Name::Expert { tensor, expert } => {
                experts
                    .entry(tensor)
                    .or_default()
                    .insert(expert, (shape, stored));
            }
            Name::Tensor(target) => {
                let rows = (family == Family::Gemma3 && target == "token_embd.weight")
                    .then_some(vocabulary);
                tensors.push(single(family, config, target, &shape, stored, rows)?);
            }
        }
    }
    for (target, parts) in experts {
        tensors.push(stacked(
            target,
            parts,
            config.need_u32("num_experts")? as usize,
        )?);
    }
    if !tensors
        .iter()
        .any(|tensor| tensor.name == "token_embd.weight")
    {
        bail!("the folder has no token embeddings; it is not complete");
    }
    Ok(tensors)
}

fn innermost_first(shape: &[usize]) -> Vec<u64> {
    shape.iter().rev().map(|&d| d as u64).collect()
}

/// `rows`: how many rows to keep at most; Gemma 3 pads its embeddings beyond its vocabulary.
fn single<'a>(
    family: Family,
    config: &Config,
    name: String,
    shape: &[usize],
    stored: Stored<'a>,
    rows: Option<usize>,
) -> Result<Tensor<'a>> {
    ensure!(
        !shape.is_empty() && !shape.contains(&0),
        "{name} has shape {shape:?}"
    );
    let heads = match &name {
        _ if !family.interleaves_pairs() => None,
        name if name.contains("attn_q.") => Some(config.need_u32("num_attention_heads")?),
        name if name.contains("attn_k.") => Some(config.key_heads()?),
        _ => None,
    };
    let change = match heads {
        Some(heads) => {
            let heads = heads as usize;
            ensure!(
                heads > 0
                    && shape
                        .first()
                        .is_some_and(|rows| rows.is_multiple_of(2 * heads)),
                "{name} has shape {shape:?}, which does not divide into {heads} heads"
            );
            Change::PairRows { heads }
        }
        _ if family.is_gemma() && name.ends_with("norm.weight") => Change::AddOne,
        _ if family.is_ternary() && name.starts_with("blk.") && shape.len() > 1 => {
            let d = ternary::scale(&stored, shape.iter().product());
            Change::Ternary { d }
        }
        _ => Change::None,
    };
    let mut shape = innermost_first(shape);
    if let (Some(rows), [_, all]) = (rows, &mut shape[..]) {
        *all = (*all).min(rows as u64);
    }
    Ok(Tensor {
        name,
        shape,
        values: Values::Stored(vec![stored]),
        change,
    })
}

/// What the name of a packed matrix's scale has beyond the matrix's.
const SCALE_SUFFIX: &str = "_scale";

/// The value of the scale of a packed matrix.
fn scale(name: &str, shape: &[usize], stored: &Stored<'_>) -> Result<f32> {
    ensure!(
        stored.is_float() && shape.iter().product::<usize>() == 1,
        "{name} is of type {:?} and shape {shape:?}, where one number is needed",
        stored.dtype
    );
    let mut value = [0.0];
    stored.read(0, &mut value);
    Ok(value[0])
}

/// A matrix whose bytes hold a weight of each of its four quarters.
fn packed<'a>(
    name: String,
    shape: &[usize],
    stored: Stored<'a>,
    inverse: f32,
) -> Result<Tensor<'a>> {
    let &[rows, columns] = shape else {
        bail!("{name} has shape {shape:?}, where a packed matrix is needed");
    };
    ensure!(
        stored.dtype == Dtype::U8,
        "{name} has a scale and is of type {:?}; only bytes of four weights have one",
        stored.dtype
    );
    ensure!(
        rows > 0 && columns > 0 && inverse.is_normal() && inverse > 0.0,
        "{name} has shape {shape:?} and the scale {inverse}"
    );
    let rows = rows as u64 * ternary::ROWS_IN_BYTE as u64;
    Ok(Tensor {
        name,
        shape: vec![columns as u64, rows],
        values: Values::Packed { stored, inverse },
        change: Change::None,
    })
}

fn stacked(
    name: String,
    parts: BTreeMap<usize, (Vec<usize>, Stored<'_>)>,
    count: usize,
) -> Result<Tensor<'_>> {
    ensure!(
        parts.keys().copied().eq(0..count),
        "{name} needs {count} experts, numbered from 0; the folder has {}",
        parts.len()
    );
    let (shapes, stored): (Vec<_>, Vec<_>) = parts.into_values().unzip();
    let first = shapes
        .first()
        .with_context(|| format!("{name} has no experts"))?;
    ensure!(
        shapes.iter().all(|shape| shape == first),
        "{name} has experts of different shapes"
    );
    let mut shape = innermost_first(first);
    shape.push(count as u64);
    Ok(Tensor {
        name,
        shape,
        values: Values::Stored(stored),
        change: Change::None,
    })
}

/// Tensors that no folder has.
fn computed<'a>(family: Family, config: &Config) -> Result<Vec<Tensor<'a>>> {
    let vector = |name: &str, values: Vec<f32>| Tensor {
        name: name.to_owned(),
        shape: vec![values.len() as u64],
        values: Values::Computed(values),
        change: Change::None,
    };
    let rope = Rope::new(config)?;
    Ok(match family {
        Family::Llama | Family::SmolLm3 => rope
            .llama3_factors(config.head_dim()?)
            .map(|factors| vector("rope_freqs.weight", factors))
            .into_iter()
            .collect(),
        Family::Phi3 => match rope.long_factors()? {
            Some([short, long]) => vec![
                vector("rope_factors_long.weight", long),
                vector("rope_factors_short.weight", short),
            ],
            None => Vec::new(),
        },
        _ => Vec::new(),
    })
}
