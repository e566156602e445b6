//! Weights on their way to a file: GGUF or safetensors, tensor by tensor and in pieces of their rows, so that memory holds
//! a piece and never a model. Where the bytes go is the caller's.

use std::io::Write;

use candle_core::quantized::k_quants::{BlockQ8_0, GgmlType};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};

use super::checkpoint::Checkpoint;
use super::stored::{Encoding, Stored};
use crate::error::{Error, Result};
use crate::kernels::on_device;

/// Numbers in a piece, a megabyte of floats.
const PIECE: usize = 1 << 18;
/// Where GGUF's tensors may begin, if it does not say otherwise.
pub(super) const ALIGNMENT: usize = 32;

/// A tensor and what it becomes.
#[derive(Debug, Clone, Copy)]
pub struct Planned<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it is now.
    pub stored: &'a Stored,
    /// The type it is written in.
    pub dtype: GgmlDType,
}

impl Planned<'_> {
    /// Bytes it takes in the file.
    ///
    /// # Errors
    /// If its rows are no whole blocks.
    pub fn size_in_bytes(&self) -> Result<usize> {
        self.entry().size_in_bytes()
    }

    fn entry(&self) -> Entry<'_> {
        Entry { name: self.name, shape: &self.stored.shape, dtype: self.dtype }
    }
}

/// What the head of a file says of a tensor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) shape: &'a [usize],
    pub(super) dtype: GgmlDType,
}

impl Entry<'_> {
    pub(super) fn size_in_bytes(&self) -> Result<usize> {
        let Self { name, shape, dtype } = self;
        let size = Encoding::of(*dtype).size_in_bytes(shape);
        size.ok_or_else(|| Error::Weights(format!("`{name}` of {shape:?} can't be {dtype:?}")))
    }
}

/// Writes a GGUF file of version 3.
///
/// # Errors
/// If a tensor can't be read or `out` can't be written.
pub fn gguf(out: &mut impl Write, checkpoint: &Checkpoint, plan: &[Planned<'_>]) -> Result<()> {
    out.write_all(&gguf_head(&entries(plan))?)?;
    for planned in plan {
        tensor(out, checkpoint, planned)?;
        let size = planned.size_in_bytes()?;
        out.write_all(&[0; ALIGNMENT][..size.next_multiple_of(ALIGNMENT) - size])?;
    }
    Ok(())
}

/// Writes a safetensors file; the types must be floats.
///
/// # Errors
/// As [`gguf`].
pub fn safetensors(out: &mut impl Write, checkpoint: &Checkpoint, plan: &[Planned<'_>]) -> Result<()> {
    out.write_all(&safetensors_head(&entries(plan))?)?;
    plan.iter().try_for_each(|planned| tensor(out, checkpoint, planned))
}

fn entries<'a>(plan: &'a [Planned<'a>]) -> Vec<Entry<'a>> {
    plan.iter().map(Planned::entry).collect()
}

/// Everything before the first tensor, which begins at once; each is followed by zeros up to [`ALIGNMENT`].
pub(super) fn gguf_head(entries: &[Entry<'_>]) -> Result<Vec<u8>> {
    let mut head = b"GGUF".to_vec();
    let text = |head: &mut Vec<u8>, text: &str| {
        head.extend((text.len() as u64).to_le_bytes());
        head.extend(text.as_bytes());
    };
    head.extend(3u32.to_le_bytes());
    head.extend((entries.len() as u64).to_le_bytes());
    head.extend(1u64.to_le_bytes());
    text(&mut head, "general.architecture");
    head.extend(8u32.to_le_bytes());
    text(&mut head, "whisper");
    let mut offset = 0;
    for entry in entries {
        text(&mut head, entry.name);
        head.extend((entry.shape.len() as u32).to_le_bytes());
        for &n in entry.shape.iter().rev() {
            head.extend((n as u64).to_le_bytes());
        }
        let number = Encoding::ggml_number(entry.dtype);
        let number = number.ok_or_else(|| Error::Weights(format!("GGUF has no {:?}", entry.dtype)))?;
        head.extend(number.to_le_bytes());
        head.extend((offset as u64).to_le_bytes());
        offset += entry.size_in_bytes()?.next_multiple_of(ALIGNMENT);
    }
    head.resize(head.len().next_multiple_of(ALIGNMENT), 0);
    Ok(head)
}

/// Everything before the first tensor; the others follow without a gap.
pub(super) fn safetensors_head(entries: &[Entry<'_>]) -> Result<Vec<u8>> {
    let mut head = serde_json::json!({"__metadata__": {"format": "pt"}});
    let mut offset = 0;
    for entry in entries {
        let end = offset + entry.size_in_bytes()?;
        head[entry.name] = serde_json::json!({
            "dtype": Encoding::of(entry.dtype).to_string(),
            "shape": entry.shape,
            "data_offsets": [offset, end],
        });
        offset = end;
    }
    let mut head = head.to_string().into_bytes();
    head.resize(head.len().next_multiple_of(8), b' ');
    Ok([(head.len() as u64).to_le_bytes().as_slice(), &head].concat())
}

fn tensor(out: &mut impl Write, checkpoint: &Checkpoint, planned: &Planned<'_>) -> Result<()> {
    let Planned { name, stored, dtype } = *planned;
    let n_rows = stored.n_rows();
    let step = (PIECE * n_rows / stored.count().max(1)).max(1);
    for start in (0..n_rows).step_by(step) {
        let rows = stored.rows(start..n_rows.min(start + step));
        let rows = rows.ok_or_else(|| Error::Weights(format!("tensor `{name}` has no rows")))?;
        if rows.encoding == Encoding::of(dtype) {
            out.write_all(checkpoint.bytes(&rows))?;
            checkpoint.release(&rows);
        } else {
            let floats = checkpoint.tensor(&rows, DType::F32, &Device::Cpu)?;
            let written = encode(&floats, dtype);
            let written = written.map_err(|error| Error::Weights(format!("tensor `{name}`: {error}")))?;
            out.write_all(&written)?;
        }
    }
    Ok(())
}

/// Rows of a tensor of f32 in the type they are written in: rounded to shorter floats, or put into blocks.
pub(super) fn encode(rows: &Tensor, dtype: GgmlDType) -> candle_core::Result<Vec<u8>> {
    let floats = || rows.flatten_all()?.to_vec1::<f32>();
    match dtype {
        GgmlDType::F32 => Ok(floats()?.iter().flat_map(|x| x.to_le_bytes()).collect()),
        GgmlDType::F16 => Ok(floats()?.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect()),
        GgmlDType::BF16 => Ok(floats()?.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect()),
        GgmlDType::Q8_0 if rows.dims().last().is_some_and(|n| n.is_multiple_of(BlockQ8_0::BLCK_SIZE)) => {
            let mut blocks = vec![BlockQ8_0::zeros(); rows.elem_count() / BlockQ8_0::BLCK_SIZE];
            BlockQ8_0::from_float(&floats()?, &mut blocks);
            let size = size_of_val(blocks.as_slice());
            // SAFETY: a scale of two bytes and 32 integers of one: nothing lies between them.
            Ok(unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast::<u8>(), size) }.to_vec())
        }
        _ => on_device(|| Ok(QTensor::quantize(rows, dtype)?.data()?.into_owned())),
    }
}
