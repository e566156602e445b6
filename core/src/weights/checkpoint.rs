//! A checkpoint of any known format: which tensors there are, by Hugging Face's names, and their numbers.
//!
//! Bytes are the caller's, in memory or mapped into it; a tensor's are touched when it is asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::quantized::k_quants::{self, GgmlType};
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{DType, Device, Tensor};

use super::format::Format;
use super::stored::{Encoding, Stored};
use super::{Matrices, ct2, ggml, gguf, safetensors, torch};
use crate::dims::ModelDimensions;
use crate::error::{Error, Result};
use crate::kernels::{Kept, Part, Written, cast};

/// The bytes of a file.
pub trait Bytes: Send + Sync {
    /// All of them; of a file that is read piece by piece, as many from its start as its table of tensors takes.
    fn bytes(&self) -> &[u8];

    /// How many there are, read or not.
    fn size(&self) -> usize {
        self.bytes().len()
    }

    /// Some of them, read now if they are not in memory.
    ///
    /// # Errors
    /// If they can't be read.
    fn piece(&self, range: Range<usize>) -> std::io::Result<Cow<'_, [u8]>> {
        Ok(Cow::Borrowed(&self.bytes()[range]))
    }

    /// Says that these will not be asked for again soon, so that mapped ones need not stay in memory.
    fn release(&self, range: Range<usize>) {
        let _ = range;
    }
}

impl Bytes for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// What a reader finds in a file.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) tensors: BTreeMap<String, Stored>,
    /// The name of something that is not the network's.
    pub(super) foreign: Option<String>,
    pub(super) dims: Option<ModelDimensions>,
    pub(super) vocabulary: Option<Vec<Box<[u8]>>>,
}

/// A checkpoint, opened.
pub struct Checkpoint {
    format: Format,
    parts: Vec<Box<dyn Bytes>>,
    contents: Contents,
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Checkpoint {
    /// Opens a checkpoint: one file of any format, or safetensors in several.
    ///
    /// # Errors
    /// If a file is of no known format, cut short or damaged, or not a Whisper's.
    pub fn open(parts: Vec<Box<dyn Bytes>>) -> Result<Self> {
        let mut format = Format::Safetensors;
        let mut all = Contents::default();
        for (index, part) in parts.iter().enumerate() {
            let bytes = part.bytes();
            format = Format::of(bytes)?;
            if parts.len() > 1 && format != Format::Safetensors {
                return Err(Error::Weights(format!(
                    "part {} of several is {format}, not safetensors",
                    index + 1
                )));
            }
            let mut contents = match format {
                Format::Safetensors => safetensors::read(bytes, part.size())?,
                Format::Gguf => gguf::read(bytes, part.size())?,
                Format::Ggml => ggml::read(bytes)?,
                Format::CTranslate2 => ct2::read(bytes)?,
                Format::Torch => torch::read(bytes)?,
            };
            contents.tensors.values_mut().for_each(|stored| stored.part = index);
            all.tensors.extend(contents.tensors);
            all = Contents { tensors: all.tensors, ..contents };
        }
        if !all.tensors.contains_key("model.encoder.conv1.weight") {
            let found = all.foreign.as_ref().or(all.tensors.keys().next());
            return Err(Error::Weights(match found {
                Some(name) => {
                    format!("the {format} file is not a Whisper's: it has tensors such as `{name}`")
                }
                None => format!("the {format} file has no tensors"),
            }));
        }
        Ok(Self { format, parts, contents: all })
    }

    /// The format of its files.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Every tensor with its name, sorted.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Stored)> {
        self.contents.tensors.iter().map(|(name, stored)| (name.as_str(), stored))
    }

    /// The tensor of this name.
    pub fn get(&self, name: &str) -> Option<&Stored> {
        self.contents.tensors.get(name)
    }

    /// The network's sizes, if the file says them.
    pub fn dims(&self) -> Option<&ModelDimensions> {
        self.contents.dims.as_ref()
    }

    /// The network's sizes as its tensors show them; a head is 64 wide in every Whisper.
    ///
    /// # Errors
    /// If a tensor that shows one is missing, or they are not a Whisper's.
    pub fn dims_of_tensors(&self) -> Result<ModelDimensions> {
        ModelDimensions::from_shapes(
            |name| self.get(name).map(|stored| stored.shape.as_slice()),
            self.contents.tensors.keys().map(String::as_str),
        )
    }

    /// The bytes of each token that is text, in the order of their ids, if the file has them.
    pub fn vocabulary(&self) -> Option<&[Box<[u8]>]> {
        self.contents.vocabulary.as_deref()
    }

    /// A tensor as it lies in a file that is in memory; nothing if its rows are mixed, whose pieces lie apart.
    pub fn bytes(&self, stored: &Stored) -> &[u8] {
        &self.parts[stored.part].bytes()[stored.range.clone()]
    }

    fn piece(&self, stored: &Stored) -> std::io::Result<Cow<'_, [u8]>> {
        self.parts[stored.part].piece(stored.range.clone())
    }

    /// Says that a tensor's bytes will not be asked for again soon.
    pub fn release(&self, stored: &Stored) {
        stored.pieces().iter().for_each(|piece| self.release(piece));
        self.parts[stored.part].release(stored.range.clone());
    }

    /// A tensor's numbers as `dtype` on `device`.
    ///
    /// # Errors
    /// If the device has no memory for it.
    pub fn tensor(&self, stored: &Stored, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        let tensor = match stored.encoding {
            Encoding::Float(float) => {
                Tensor::from_raw_buffer(&self.piece(stored)?, float, &stored.shape, &Device::Cpu)?
            }
            Encoding::Blocks(dtype) => {
                Tensor::from_vec(unpack(dtype, &self.piece(stored)?)?, stored.shape.as_slice(), &Device::Cpu)?
            }
            Encoding::Scaled(size) => self.unscaled(stored, size)?,
            Encoding::Mixed => {
                let pieces = stored.pieces.iter().map(|piece| self.tensor(piece, dtype, &Device::Cpu));
                Tensor::cat(&pieces.collect::<candle_core::Result<Vec<_>>>()?, 0)?
            }
        };
        self.release(stored);
        cast(&tensor, dtype)?.to_device(device)
    }

    /// A tensor's blocks on `device`, if it has any.
    ///
    /// # Errors
    /// If the device has no memory for it.
    pub fn blocks(&self, stored: &Stored, device: &Device) -> candle_core::Result<Option<QTensor>> {
        let Encoding::Blocks(dtype) = stored.encoding else { return Ok(None) };
        let bytes = aligned(&self.piece(stored)?);
        let storage = QStorage::from_data(bytes.as_slice().into(), device, dtype)?;
        self.release(stored);
        QTensor::new(storage, stored.shape.as_slice()).map(Some)
    }

    /// The rows of a matrix as they are written, each piece of mixed ones apart; none if they are written in a way that
    /// the kernels do not know.
    ///
    /// # Errors
    /// If they can't be read.
    pub(super) fn parts(&self, stored: &Stored) -> candle_core::Result<Option<Vec<Part<'_>>>> {
        let pieces =
            if stored.encoding == Encoding::Mixed { stored.pieces() } else { std::slice::from_ref(stored) };
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let Some(written) = piece.encoding.written() else { return Ok(None) };
            parts.push(Part { n: piece.n_rows(), written, bytes: self.piece(piece)? });
        }
        Ok(Some(parts))
    }

    /// Bytes that a number of a matrix takes in a CPU's memory, loaded so; none if it becomes f32.
    pub(crate) fn kept(&self, stored: &Stored, matrices: Matrices) -> Option<f64> {
        let pieces =
            if stored.encoding == Encoding::Mixed { stored.pieces() } else { std::slice::from_ref(stored) };
        let written: Option<Vec<_>> = pieces.iter().map(|piece| piece.encoding.written()).collect();
        let kept = written.and_then(Kept::of);
        match (matrices, kept) {
            (_, Some(kept @ Kept::Blocks { .. })) | (Matrices::Floats, Some(kept)) => {
                Some(kept.bytes_per_number())
            }
            (Matrices::Blocks, _) => Kept::of([Written::Blocks(GgmlDType::Q8_0)]).map(Kept::bytes_per_number),
            (Matrices::Floats, None) => None,
        }
    }

    /// Integers of `size` bytes, divided by their scales.
    fn unscaled(&self, stored: &Stored, size: usize) -> candle_core::Result<Tensor> {
        let Some(scale) = stored.scale.as_deref() else {
            candle_core::bail!("integers without a scale");
        };
        let scale = self.tensor(scale, DType::F32, &Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
        let row = stored.count() / scale.len().max(1);
        let whole = |bytes: &[u8]| match *bytes {
            [low, high] => f32::from(i16::from_le_bytes([low, high])),
            _ => f32::from(bytes[0] as i8),
        };
        let rows = self.bytes(stored).chunks_exact((row * size).max(1)).zip(scale);
        let values: Vec<f32> =
            rows.flat_map(|(row, scale)| row.chunks_exact(size).map(move |n| whole(n) / scale)).collect();
        Tensor::from_vec(values, stored.shape.as_slice(), &Device::Cpu)
    }
}

/// The numbers that blocks stand for, as candle has them.
fn unpack(dtype: GgmlDType, bytes: &[u8]) -> candle_core::Result<Vec<f32>> {
    /// # Safety
    /// `T` must be valid whatever its bytes are.
    unsafe fn floats<T: GgmlType>(bytes: &[u8]) -> Vec<f32> {
        let mut blocks = vec![T::zeros(); bytes.len() / size_of::<T>()];
        let size = size_of_val(blocks.as_slice());
        // SAFETY: there are as many bytes; in a file they lie anywhere, so they are copied to where blocks may begin.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), blocks.as_mut_ptr().cast::<u8>(), size) };
        let mut floats = vec![0.0; blocks.len() * T::BLCK_SIZE];
        T::to_float(&blocks, &mut floats);
        floats
    }
    // SAFETY: these are integers and floats, in the order of ggml's files.
    Ok(unsafe {
        match dtype {
            GgmlDType::Q4_0 => floats::<k_quants::BlockQ4_0>(bytes),
            GgmlDType::Q4_1 => floats::<k_quants::BlockQ4_1>(bytes),
            GgmlDType::Q5_0 => floats::<k_quants::BlockQ5_0>(bytes),
            GgmlDType::Q5_1 => floats::<k_quants::BlockQ5_1>(bytes),
            GgmlDType::Q8_0 => floats::<k_quants::BlockQ8_0>(bytes),
            GgmlDType::Q2K => floats::<k_quants::BlockQ2K>(bytes),
            GgmlDType::Q3K => floats::<k_quants::BlockQ3K>(bytes),
            GgmlDType::Q4K => floats::<k_quants::BlockQ4K>(bytes),
            GgmlDType::Q5K => floats::<k_quants::BlockQ5K>(bytes),
            GgmlDType::Q6K => floats::<k_quants::BlockQ6K>(bytes),
            _ => candle_core::bail!("blocks of {dtype:?}"),
        }
    })
}

/// A copy that begins where blocks may begin; in a file they lie anywhere.
struct Aligned {
    room: Vec<u8>,
    start: usize,
}

fn aligned(bytes: &[u8]) -> Aligned {
    const ALIGNMENT: usize = 8;
    let mut room = vec![0; bytes.len() + ALIGNMENT];
    let start = room.as_ptr().align_offset(ALIGNMENT);
    room[start..start + bytes.len()].copy_from_slice(bytes);
    room.truncate(start + bytes.len());
    Aligned { room, start }
}

impl Aligned {
    fn as_slice(&self) -> &[u8] {
        &self.room[self.start..]
    }
}
