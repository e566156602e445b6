//! A safetensors file that becomes a smaller one while it arrives: floats of 16 bits, or GGUF's Q8_0.
//!
//! Bytes go in by their order in the file, and what is to be kept of them comes out; nothing is held here but the head of the
//! file. Fetching, keeping and resuming are the caller's, who only has to remember the head and how many bytes were taken.

use std::ops::Range;

use candle_core::quantized::GgmlDType;
use candle_core::{DType, Device, Tensor};
use half::f16;
use safetensors::tensor::Metadata;

use super::cursor::cut_short;
use super::format::Format;
use super::names::canonical;
use super::recipe::{Recipe, is_computed};
use super::safetensors::float;
use super::stored::Encoding;
use super::write::{ALIGNMENT, Entry, encode, gguf_head, safetensors_head};
use crate::error::{Error, Result};
use crate::kernels::cast;

/// What becomes of the floats of a file that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Longer ones are rounded to 16 bits; the file stays safetensors.
    F16,
    /// Matrices become blocks of 8 bits, as `models quantise --type q8_0` has it; the file is GGUF.
    Q8_0,
}

/// A file on its way.
#[derive(Debug)]
pub struct Arriving {
    keep: Keep,
    tensors: Vec<Arrival>,
    head: Vec<u8>,
    /// Bytes of the file to keep.
    size: usize,
    /// Bytes of the file that arrives that have been taken.
    taken: usize,
    rounded: u64,
}

/// A tensor in the order of the file.
#[derive(Debug)]
struct Arrival {
    name: String,
    shape: Vec<usize>,
    from: DType,
    /// None for one that the network does not need.
    to: Option<GgmlDType>,
    range: Range<usize>,
}

/// Bytes of the head of a safetensors file that begins so, itself included; none if it is no such file. Nine bytes suffice.
pub fn head_length(first: &[u8]) -> Option<usize> {
    let is_safetensors = Format::of(first).is_ok_and(|format| format == Format::Safetensors);
    let length = first.first_chunk().map(|length| u64::from_le_bytes(*length));
    usize::try_from(length?).ok()?.checked_add(8).filter(|_| is_safetensors)
}

impl Arriving {
    /// Of a file with this head, from its beginning; none if it is best kept as it is: not a Whisper's, or small already.
    ///
    /// # Errors
    /// If the head is damaged.
    pub fn new(head: &[u8], keep: Keep) -> Result<Option<Self>> {
        let json = head.get(8..).unwrap_or_default();
        let metadata: Metadata = serde_json::from_slice(json)
            .map_err(|error| Error::Weights(format!("the safetensors header is damaged: {error}")))?;
        let recipe = Recipe::of(GgmlDType::Q8_0);
        let mut tensors: Vec<Arrival> = Vec::new();
        for name in metadata.offset_keys() {
            let Some(info) = metadata.info(&name) else { continue };
            let (start, end) = info.data_offsets;
            let known = canonical(&name).zip(float(info.dtype));
            let (name, from, to) = match (known, keep) {
                (None, _) => (name, DType::U8, None),
                (Some((name, from)), Keep::F16) => {
                    let to = if from == DType::BF16 { GgmlDType::BF16 } else { GgmlDType::F16 };
                    (name, from, Some(to))
                }
                (Some((name, from)), Keep::Q8_0) => {
                    let to = Some(recipe.dtype(&name, &info.shape)).filter(|_| !is_computed(&name));
                    (name, from, to)
                }
            };
            // Its bytes go by their place alone: they must be its own, and as many as its shape says.
            let before = tensors.last().map_or(head.len(), |tensor| tensor.range.end);
            let range = head.len().saturating_add(start)..head.len().saturating_add(end);
            let n = info.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
            let size = n.and_then(|n| n.checked_mul(from.size_in_bytes()));
            if range.start != before || range.end < before || (to.is_some() && size != Some(range.len())) {
                let what = format!("the safetensors header is damaged: `{name}` is not where it says");
                return Err(Error::Weights(what));
            }
            if range.is_empty() {
                continue;
            }
            tensors.push(Arrival { name, shape: info.shape.clone(), from, to, range });
        }
        let changes = tensors.iter().any(|tensor| tensor.to.is_some_and(|to| !tensor.is(to)));
        if !changes || !tensors.iter().any(|tensor| tensor.name == "model.encoder.conv1.weight") {
            return Ok(None);
        }
        let entries: Vec<_> = tensors.iter().filter_map(Arrival::entry).collect();
        let new_head = match keep {
            Keep::F16 => safetensors_head(&entries)?,
            Keep::Q8_0 => gguf_head(&entries)?,
        };
        let sizes: Result<Vec<_>> = entries.iter().map(Entry::size_in_bytes).collect();
        let size = new_head.len() + sizes?.into_iter().map(|size| size + keep.padding(size)).sum::<usize>();
        Ok(Some(Self { keep, tensors, head: new_head, size, taken: head.len(), rounded: 0 }))
    }

    /// The head of the file to keep.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Bytes of the file to keep.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Bytes of the file that arrives whose part of the file to keep has been given.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// Numbers so far that 16 bits do not hold to the last bit; not counted where they become blocks.
    pub fn rounded(&self) -> u64 {
        self.rounded
    }

    /// Whether the whole file was taken.
    pub fn is_whole(&self) -> bool {
        self.tensors.last().is_none_or(|tensor| tensor.range.end == self.taken)
    }

    /// Goes on after so many bytes, which [`Self::taken`] has told before an interruption.
    pub fn resume(&mut self, taken: usize) {
        self.taken = taken;
    }

    /// What is to be kept of the next bytes of the file. Some at their end may be left for the next call: see [`Self::taken`].
    ///
    /// # Errors
    /// If there are more than the head says, or a number is too large for 16 bits.
    pub fn convert(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut kept = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        let mut index = self.tensors.partition_point(|tensor| tensor.range.end <= self.taken);
        while !rest.is_empty() {
            let tensor =
                self.tensors.get(index).ok_or_else(|| cut_short("it is longer than its header says"))?;
            let n = rest.len().min(tensor.range.end - self.taken);
            let n = n - n % tensor.unit();
            if n == 0 {
                break;
            }
            let (now, later) = rest.split_at(n);
            self.rounded += tensor.convert(now, &mut kept)?;
            rest = later;
            self.taken += n;
            if self.taken == tensor.range.end {
                if let Some(entry) = tensor.entry() {
                    kept.resize(kept.len() + self.keep.padding(entry.size_in_bytes()?), 0);
                }
                index += 1;
            }
        }
        Ok(kept)
    }
}

impl Keep {
    fn padding(self, size: usize) -> usize {
        match self {
            Self::F16 => 0,
            Self::Q8_0 => size.next_multiple_of(ALIGNMENT) - size,
        }
    }
}

impl Arrival {
    fn is(&self, to: GgmlDType) -> bool {
        Encoding::of(to) == Encoding::Float(self.from)
    }

    fn entry(&self) -> Option<Entry<'_>> {
        Some(Entry { name: &self.name, shape: &self.shape, dtype: self.to? })
    }

    /// Bytes that have to be there to convert any.
    fn unit(&self) -> usize {
        self.to.map_or(1, |to| to.block_size() * self.from.size_in_bytes())
    }

    /// Adds what becomes of whole units. -> how many numbers were rounded to 16 bits
    fn convert(&self, bytes: &[u8], kept: &mut Vec<u8>) -> Result<u64> {
        match self.to {
            None => Ok(0),
            Some(to) if self.is(to) => {
                kept.extend_from_slice(bytes);
                Ok(0)
            }
            Some(GgmlDType::F16) if self.from == DType::F32 => self.round(bytes, kept),
            Some(to) => {
                let blocks = [bytes.len() / self.unit(), to.block_size()];
                let floats = Tensor::from_raw_buffer(bytes, self.from, &blocks, &Device::Cpu)?;
                kept.extend(encode(&cast(&floats, DType::F32)?, to)?);
                Ok(0)
            }
        }
    }

    fn round(&self, bytes: &[u8], kept: &mut Vec<u8>) -> Result<u64> {
        let mut rounded = 0;
        for number in bytes.as_chunks().0 {
            let exact = f32::from_le_bytes(*number);
            let short = f16::from_f32(exact);
            if short.is_infinite() && exact.is_finite() {
                let name = &self.name;
                return Err(Error::Weights(format!(
                    "tensor `{name}` has {exact}, too large for 16 bits; keep this model as it is sent"
                )));
            }
            rounded += u64::from(short.to_f32() != exact && !exact.is_nan());
            kept.extend(short.to_le_bytes());
        }
        Ok(rounded)
    }
}
