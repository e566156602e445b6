//! Weights on their way to a file: GGUF or safetensors, tensor by tensor and in pieces of their rows, so that memory holds
//! a piece and never a model.

use std::io::Write;

use anyhow::{Context, Result};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device};
use candle_whisper_core::weights::{Checkpoint, Encoding, Stored};

/// Numbers in a piece, a megabyte of floats.
const PIECE: usize = 1 << 18;
/// Where GGUF's tensors may begin, if it does not say otherwise.
const ALIGNMENT: usize = 32;

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
        let size = Encoding::of(self.dtype).size_in_bytes(&self.stored.shape);
        size.with_context(|| format!("`{}` of {:?} can't be {:?}", self.name, self.stored.shape, self.dtype))
    }
}

/// Writes a GGUF file of version 3.
///
/// # Errors
/// If a tensor can't be read or `out` can't be written.
pub fn gguf(out: &mut impl Write, checkpoint: &Checkpoint, plan: &[Planned<'_>]) -> Result<()> {
    let mut head = b"GGUF".to_vec();
    let text = |head: &mut Vec<u8>, text: &str| {
        head.extend((text.len() as u64).to_le_bytes());
        head.extend(text.as_bytes());
    };
    head.extend(3u32.to_le_bytes());
    head.extend((plan.len() as u64).to_le_bytes());
    head.extend(1u64.to_le_bytes());
    text(&mut head, "general.architecture");
    head.extend(8u32.to_le_bytes());
    text(&mut head, "whisper");
    let mut offset = 0;
    for planned in plan {
        text(&mut head, planned.name);
        head.extend((planned.stored.shape.len() as u32).to_le_bytes());
        for &n in planned.stored.shape.iter().rev() {
            head.extend((n as u64).to_le_bytes());
        }
        let number = Encoding::ggml_number(planned.dtype).context("a type that GGUF has not")?;
        head.extend(number.to_le_bytes());
        head.extend((offset as u64).to_le_bytes());
        offset += planned.size_in_bytes()?.next_multiple_of(ALIGNMENT);
    }
    head.resize(head.len().next_multiple_of(ALIGNMENT), 0);
    out.write_all(&head)?;
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
    let mut head = serde_json::json!({"__metadata__": {"format": "pt"}});
    let mut offset = 0;
    for planned in plan {
        let end = offset + planned.size_in_bytes()?;
        head[planned.name] = serde_json::json!({
            "dtype": Encoding::of(planned.dtype).to_string(),
            "shape": planned.stored.shape,
            "data_offsets": [offset, end],
        });
        offset = end;
    }
    let mut head = head.to_string().into_bytes();
    head.resize(head.len().next_multiple_of(8), b' ');
    out.write_all(&(head.len() as u64).to_le_bytes())?;
    out.write_all(&head)?;
    plan.iter().try_for_each(|planned| tensor(out, checkpoint, planned))
}

fn tensor(out: &mut impl Write, checkpoint: &Checkpoint, planned: &Planned<'_>) -> Result<()> {
    let Planned { name, stored, dtype } = *planned;
    let n_rows = stored.n_rows();
    let step = (PIECE * n_rows / stored.count().max(1)).max(1);
    for start in (0..n_rows).step_by(step) {
        let rows = stored.rows(start..n_rows.min(start + step)).context("rows of a tensor")?;
        if rows.encoding == Encoding::of(dtype) {
            out.write_all(checkpoint.bytes(&rows))?;
            checkpoint.release(&rows);
        } else {
            let floats = checkpoint.tensor(&rows, DType::F32, &Device::Cpu)?;
            let written = encode(&floats, dtype).with_context(|| format!("tensor `{name}`"))?;
            out.write_all(&written.data()?)?;
        }
    }
    Ok(())
}

/// Rows of a tensor in the type they are written in: rounded to shorter floats, or put into blocks.
fn encode(rows: &candle_core::Tensor, dtype: GgmlDType) -> candle_core::Result<QTensor> {
    QTensor::quantize(rows, dtype)
}
