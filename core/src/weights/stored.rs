//! Where a tensor lies in a file, and how its numbers are written there.

use std::ops::Range;

use candle_core::DType;
use candle_core::quantized::GgmlDType;

use super::cursor::cut_short;
use crate::error::{Error, Result};
use crate::kernels::{Kept, Written};

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Floats of this type, little-endian.
    Float(DType),
    /// ggml's blocks of small integers with a scale.
    Blocks(GgmlDType),
    /// Signed integers of so many bytes, each row to be divided by a scale of its own, or all by the same.
    Scaled(usize),
    /// Rows in several encodings: those of [`Stored::pieces`].
    Mixed,
}

/// `enum ggml_type` in ggml.h, as far as weights have them.
const GGML: [(u32, GgmlDType); 13] = [
    (0, GgmlDType::F32),
    (1, GgmlDType::F16),
    (2, GgmlDType::Q4_0),
    (3, GgmlDType::Q4_1),
    (6, GgmlDType::Q5_0),
    (7, GgmlDType::Q5_1),
    (8, GgmlDType::Q8_0),
    (10, GgmlDType::Q2K),
    (11, GgmlDType::Q3K),
    (12, GgmlDType::Q4K),
    (13, GgmlDType::Q5K),
    (14, GgmlDType::Q6K),
    (30, GgmlDType::BF16),
];

impl Encoding {
    /// Of a ggml type; its floats are floats.
    pub fn of(dtype: GgmlDType) -> Self {
        match dtype {
            GgmlDType::F32 => Self::Float(DType::F32),
            GgmlDType::F16 => Self::Float(DType::F16),
            GgmlDType::BF16 => Self::Float(DType::BF16),
            blocks => Self::Blocks(blocks),
        }
    }

    /// The type that ggml's files number so.
    pub(super) fn from_ggml(number: u32) -> Option<Self> {
        GGML.iter().find(|(known, _)| *known == number).map(|(_, dtype)| Self::of(*dtype))
    }

    /// The number of a type in ggml's files, if they may have it.
    pub fn ggml_number(dtype: GgmlDType) -> Option<u32> {
        GGML.iter().find(|(_, known)| *known == dtype).map(|(number, _)| *number)
    }

    /// As the kernels of a CPU know it.
    pub(super) fn written(self) -> Option<Written> {
        let written = match self {
            Self::Float(dtype) => Written::Floats(dtype),
            Self::Blocks(dtype) => Written::Blocks(dtype),
            Self::Scaled(_) | Self::Mixed => return None,
        };
        Kept::of([written]).map(|_| written)
    }

    /// (numbers, bytes) of the smallest piece that stands alone.
    fn unit(self) -> Option<(usize, usize)> {
        match self {
            Self::Float(dtype) => Some((1, dtype.size_in_bytes())),
            Self::Blocks(dtype) => Some((dtype.block_size(), dtype.type_size())),
            Self::Scaled(bytes) => Some((1, bytes)),
            Self::Mixed => None,
        }
    }

    /// Bytes of a tensor of this shape; none if its rows are no whole blocks, it is larger than memory can be, or the
    /// shape does not say.
    pub fn size_in_bytes(self, shape: &[usize]) -> Option<usize> {
        let (numbers, bytes) = self.unit()?;
        if numbers > 1 && !shape.last()?.is_multiple_of(numbers) {
            return None;
        }
        let count = shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n))?;
        (count / numbers).checked_mul(bytes)
    }
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Float(dtype) => write!(f, "{}", dtype.as_str().to_uppercase()),
            Self::Blocks(dtype) => write!(f, "{dtype:?}"),
            Self::Scaled(bytes) => write!(f, "INT{}", 8 * bytes),
            Self::Mixed => write!(f, "mixed"),
        }
    }
}

/// A tensor in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its sizes, the last one running fastest.
    pub shape: Vec<usize>,
    /// How its numbers are written.
    pub encoding: Encoding,
    /// Which of the files it is in.
    pub(super) part: usize,
    pub(super) range: Range<usize>,
    /// What to divide integers by: one number, or one a row.
    pub(super) scale: Option<Box<Stored>>,
    pub(super) pieces: Vec<Stored>,
}

impl Stored {
    /// A tensor that begins at byte `start` of a file of `length` bytes.
    pub(super) fn new(
        name: &str,
        shape: Vec<usize>,
        encoding: Encoding,
        start: usize,
        length: usize,
    ) -> Result<Self> {
        let size = encoding.size_in_bytes(&shape).ok_or_else(|| {
            Error::Weights(format!("tensor `{name}` of shape {shape:?} can't be stored as {encoding}"))
        })?;
        match start.checked_add(size) {
            Some(end) if end <= length => {
                Ok(Self { shape, encoding, part: 0, range: start..end, scale: None, pieces: Vec::new() })
            }
            _ => Err(cut_short(format_args!(
                "tensor `{name}` takes {size} bytes from byte {start} on, the file has {length}"
            ))),
        }
    }

    /// Tensors of the same row size as one, their rows one after the other; none if they do not fit together.
    pub(super) fn joined(pieces: Vec<Self>) -> Option<Self> {
        let [_, rest @ ..] = pieces.first()?.shape.as_slice() else { return None };
        if rest.is_empty() || pieces.iter().any(|piece| piece.shape.get(1..) != Some(rest)) {
            return None;
        }
        let mut shape = vec![pieces.iter().map(|piece| piece.shape[0]).sum()];
        shape.extend(rest);
        Some(Self { shape, encoding: Encoding::Mixed, part: 0, range: 0..0, scale: None, pieces })
    }

    /// Where its rows lie, each piece in an encoding of its own; none unless they are mixed.
    pub fn pieces(&self) -> &[Self] {
        &self.pieces
    }

    /// Its bytes in the file.
    pub fn size_in_bytes(&self) -> usize {
        self.range.len() + self.pieces.iter().map(Self::size_in_bytes).sum::<usize>()
    }

    /// Its numbers.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Rows that can be had apart from each other: the first dimension, or one where there is nothing to part.
    pub fn n_rows(&self) -> usize {
        match (self.shape.as_slice(), self.encoding) {
            ([n], Encoding::Float(_)) | ([n, _, ..], _) => *n,
            _ => 1,
        }
    }

    /// Some of its rows as a tensor of their own; none if it has not so many.
    pub fn rows(&self, rows: Range<usize>) -> Option<Self> {
        let n = self.n_rows();
        if rows.start > rows.end || rows.end > n {
            return None;
        }
        if n == 1 {
            return (rows == (0..1)).then(|| self.clone());
        }
        if self.encoding == Encoding::Mixed {
            let mut first = 0;
            let pieces = self.pieces.iter().filter_map(|piece| {
                let (start, end) = (rows.start.max(first), rows.end.min(first + piece.n_rows()));
                let within = start.saturating_sub(first)..end.saturating_sub(first);
                first += piece.n_rows();
                (start < end).then(|| piece.rows(within))
            });
            return Self::joined(pieces.collect::<Option<_>>()?);
        }
        let cut = |range: &Range<usize>| {
            let size = range.len() / n;
            range.start + rows.start * size..range.start + rows.end * size
        };
        let mut part = Self { range: cut(&self.range), ..self.clone() };
        part.shape[0] = rows.len();
        if let Some(scale) = part.scale.as_mut().filter(|scale| scale.count() > 1) {
            **scale = scale.rows(rows)?;
        }
        Some(part)
    }
}
