//! A tensor from one type to another.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, anyhow, bail};
use gguf::{TensorInfo, TensorType};
use kernels::{Format, Pool, for_each_item, quantize};

/// Values that a thread takes at a time.
const PART: usize = 1 << 15;

/// Values that are converted before they are handed on: what bounds memory.
const SLAB: usize = 1 << 23;

/// The largest magnitude that scales and halves can hold.
const LARGEST_HALF: f32 = 65504.0;

/// The tensor type called `name`, in any case.
pub(crate) fn tensor_type(name: &str) -> Result<TensorType, String> {
    let mut kinds = TensorType::ALL
        .iter()
        .filter(|&&kind| quantizer(kind).is_some());
    let found = kinds
        .clone()
        .find(|kind| kind.name().eq_ignore_ascii_case(name));
    found.copied().ok_or_else(|| {
        let names: Vec<_> = kinds.by_ref().map(|kind| kind.name()).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// Fills values with those of a range of rows.
type ReadRows<'a> = dyn Fn(Range<usize>, &mut [f32]) -> Result<()> + Sync + 'a;

/// Where a matrix's values come from.
pub(crate) struct Rows<'a> {
    /// The tensor's name, for messages.
    pub(crate) name: &'a str,
    pub(crate) columns: usize,
    pub(crate) count: usize,
    pub(crate) read: &'a ReadRows<'a>,
}

/// Turns `bytes` of `tensor` into type `to`, handing on whole rows in order.
///
/// # Errors
/// If either type can't be converted, if a value can't be stored in the new one, or if `sink` fails.
pub(crate) fn convert(
    pool: &dyn Pool,
    tensor: &TensorInfo,
    bytes: &[u8],
    to: TensorType,
    sink: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let name = &tensor.name;
    let from = format(tensor.kind).with_context(|| {
        format!(
            "tensor {name} is of type {}, which can't be read",
            tensor.kind.name()
        )
    })?;
    if from == Format::I2_S || to == TensorType::I2_S {
        return convert_whole(tensor, from, bytes, to, sink);
    }
    let columns = usize::try_from(tensor.shape[0])?;
    let row = from.row_bytes(columns)?;
    let rows = Rows {
        name,
        columns,
        count: bytes.len() / row,
        read: &|range, values| {
            let bytes = &bytes[range.start * row..range.end * row];
            Ok(kernels::dequantize(from, bytes, values)?)
        },
    };
    encode(pool, &rows, to, sink)
}

/// As [`convert`], for I2_S, which has one scale for a whole tensor.
fn convert_whole(
    tensor: &TensorInfo,
    from: Format,
    bytes: &[u8],
    to: TensorType,
    mut sink: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let name = &tensor.name;
    let quantize =
        quantizer(to).with_context(|| format!("tensor {name} can't be made {}", to.name()))?;
    let mut values = vec![0.0; usize::try_from(tensor.elements())?];
    kernels::dequantize(from, bytes, &mut values)?;
    check(name, &values, LARGEST_HALF)?;
    if to == TensorType::I2_S {
        check_ternary(name, &values)?;
    }
    let size = to.tensor_bytes(&tensor.shape);
    let size = size.map_err(|reason| anyhow!("tensor {name}: {reason}"))?;
    let mut out = vec![0; usize::try_from(size)?];
    quantize(&values, &mut out);
    sink(&out)
}

/// Refuses values that I2_S can't hold.
fn check_ternary(name: &str, values: &[f32]) -> Result<()> {
    /// How much magnitudes may differ, as part of the largest: 16-bit floats round.
    const ROUNDING: f32 = 1e-2;
    let block = Format::I2_S.block_len();
    if !values.len().is_multiple_of(block) {
        bail!(
            "tensor {name} has {} weights, and I2_S comes in blocks of {block}",
            values.len()
        );
    }
    let scale = values
        .iter()
        .fold(0.0, |largest: f32, value| largest.max(value.abs()));
    let is_ternary = |value: &&f32| {
        let magnitude = value.abs();
        magnitude.min(scale - magnitude) <= scale * ROUNDING
    };
    match values.iter().find(|value| !is_ternary(value)) {
        None => Ok(()),
        Some(value) => bail!(
            "tensor {name} has the weight {value} beside {scale}, and I2_S holds -d, 0 and d only; choose another type"
        ),
    }
}

/// Turns rows of floats into type `to`, handing on whole rows in order.
///
/// # Errors
/// As [`convert`], and what reading rows fails with.
pub(crate) fn encode(
    pool: &dyn Pool,
    rows: &Rows<'_>,
    to: TensorType,
    mut sink: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let quantize = quantizer(to)
        .with_context(|| format!("tensor {} can't be made {}", rows.name, to.name()))?;
    let columns = rows.columns;
    let bytes = to
        .tensor_bytes(&[columns as u64])
        .map_err(|reason| anyhow!("tensor {}: {reason}", rows.name))?;
    let row = usize::try_from(bytes)?;
    let part = (PART / columns).max(1);
    let slab = (SLAB / columns).max(part);
    let limit = match to {
        TensorType::F32 | TensorType::BF16 => f32::MAX,
        _ => LARGEST_HALF,
    };
    let failure = Mutex::new(None);
    let mut out = Vec::new();
    for start in (0..rows.count).step_by(slab) {
        out.resize(slab.min(rows.count - start) * row, 0);
        let parts = out.chunks_mut(part * row).enumerate();
        for_each_item(pool, parts, &|(index, out)| {
            let first = start + index * part;
            let range = first..first + out.len() / row;
            let mut values = vec![0.0; range.len() * columns];
            let read = (rows.read)(range, &mut values);
            match read.and_then(|()| check(rows.name, &values, limit)) {
                Ok(()) => quantize(&values, out),
                Err(error) => *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
            }
        });
        let failed = failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(error) = failed {
            return Err(error);
        }
        sink(&out)?;
    }
    Ok(())
}

/// Refuses values that would not be finite in the new type.
fn check(name: &str, values: &[f32], limit: f32) -> Result<()> {
    let storable = |value: &&f32| value.abs() <= limit;
    match values.iter().find(|value| !storable(value)) {
        None => Ok(()),
        Some(value) => bail!(
            "tensor {name} has the value {value}, and what is stored must be at most {limit:e}; the file is damaged, or \
             its weights need BF16"
        ),
    }
}

fn format(kind: TensorType) -> Option<Format> {
    Format::ALL
        .into_iter()
        .find(|format| format.name() == kind.name())
}

/// Fills blocks with values.
type Quantizer = fn(&[f32], &mut [u8]);

/// What turns floats into a type.
fn quantizer(kind: TensorType) -> Option<Quantizer> {
    Some(match kind {
        TensorType::F32 => quantize::f32,
        TensorType::F16 => quantize::f16,
        TensorType::BF16 => quantize::bf16,
        TensorType::Q4_0 => quantize::q4_0,
        TensorType::Q4_1 => quantize::q4_1,
        TensorType::Q5_0 => quantize::q5_0,
        TensorType::Q5_1 => quantize::q5_1,
        TensorType::Q8_0 => quantize::q8_0,
        TensorType::Q2_K => quantize::q2_k,
        TensorType::Q3_K => quantize::q3_k,
        TensorType::Q4_K => quantize::q4_k,
        TensorType::Q5_K => quantize::q5_k,
        TensorType::Q6_K => quantize::q6_k,
        TensorType::IQ4_NL => quantize::iq4_nl,
        TensorType::IQ4_XS => quantize::iq4_xs,
        TensorType::TQ1_0 => quantize::tq1_0,
        TensorType::TQ2_0 => quantize::tq2_0,
        TensorType::MXFP4 => quantize::mxfp4,
        TensorType::I2_S => quantize::i2_s,
        _ => return None,
    })
}
