//! What the rows of one or more matrices are kept as, by how they are written in a file.

use std::borrow::Cow;

use candle_core::quantized::GgmlDType;
use candle_core::{DType, Result, Tensor, bail};

use super::blocks::Shape;
use super::lay::Read;
use super::store::{Matrix, Store};
use super::{cast, lay};

/// Rows of a matrix and how they are written: floats of this type or ggml's blocks, little-endian.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    /// How many rows.
    pub n: usize,
    /// How each is written.
    pub written: Written,
    /// All of them.
    pub bytes: Cow<'a, [u8]>,
}

impl Part<'static> {
    /// The rows of a matrix of floats. (n, k)
    ///
    /// # Errors
    /// If it is no matrix.
    pub fn of(floats: &Tensor) -> Result<Self> {
        let n = floats.dim(0)?;
        let floats = cast(&floats.flatten_all()?, DType::F32)?.to_vec1::<f32>()?;
        let bytes = floats.iter().flat_map(|x| x.to_le_bytes()).collect();
        Ok(Self { n, written: Written::Floats(DType::F32), bytes: Cow::Owned(bytes) })
    }
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// f32, f16 or bf16.
    Floats(DType),
    /// Blocks of small integers.
    Blocks(GgmlDType),
}

/// What matrices are kept as in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// In this type.
    Floats(DType),
    /// Eight bits, and a scale in f32 for so many; with `offset` something that is added besides.
    Blocks {
        /// Numbers that share a scale.
        scale: usize,
        /// Whether something is added.
        offset: bool,
    },
}

impl Kept {
    /// What rows become that are written so; none if there is no such way, or floats are beside blocks.
    pub fn of(written: impl IntoIterator<Item = Written>) -> Option<Self> {
        written.into_iter().map(Self::of_one).reduce(|a, b| match (a?, b?) {
            (a, b) if a == b => Some(a),
            (Self::Blocks { scale: a, offset: c }, Self::Blocks { scale: b, offset: d }) => {
                Some(Self::Blocks { scale: a.min(b), offset: c || d })
            }
            (Self::Floats(_), Self::Floats(_)) => Some(Self::Floats(DType::F32)),
            _ => None,
        })?
    }

    fn of_one(written: Written) -> Option<Self> {
        match written {
            Written::Floats(dtype @ (DType::F32 | DType::F16 | DType::BF16)) => Some(Self::Floats(dtype)),
            Written::Floats(_) => None,
            Written::Blocks(dtype) => {
                Shape::of(dtype).map(|shape| Self::Blocks { scale: shape.scale, offset: shape.offset })
            }
        }
    }

    /// Bytes of one number, scales included.
    pub fn bytes_per_number(self) -> f64 {
        match self {
            Self::Floats(dtype) => dtype.size_in_bytes() as f64,
            Self::Blocks { scale, offset } => 1.0 + 4.0 * f64::from(1 + u8::from(offset)) / scale as f64,
        }
    }
}

/// How numbers are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Products {
    /// As the f32 numbers that they stand for.
    Floats,
    /// As integers, by others of sixteen bits that rows are rounded to. Floats become eight bits, in blocks of 32 with a
    /// scale; rows that are not whole blocks stay floats.
    Integers,
}

impl Products {
    /// What rows of `k` numbers become that are written so; none if there is no such way, or floats are beside blocks.
    pub fn kept(self, written: impl IntoIterator<Item = Written>, k: usize) -> Option<Kept> {
        Kept::of(written.into_iter().map(|written| self.packed(written, k)))
    }

    /// What rows of `k` numbers are packed as that are written so.
    fn packed(self, written: Written, k: usize) -> Written {
        match (self, written) {
            (Self::Integers, Written::Floats(_)) if k.is_multiple_of(lay::ROUNDED) => {
                Written::Blocks(GgmlDType::Q8_0)
            }
            _ => written,
        }
    }
}

/// The rows of all parts, one part's after the other's, `k` numbers each. `read` is told what is no longer needed of them.
///
/// # Errors
/// If the bytes are not those of so many rows, or of a type that can't be kept.
pub(super) fn pack(k: usize, parts: &[Part<'_>], products: Products, read: Read<'_>) -> Result<Matrix> {
    let Some(kept) = products.kept(parts.iter().map(|part| part.written), k) else {
        bail!("matrices of {:?} can't be used", parts.iter().map(|part| part.written).collect::<Vec<_>>());
    };
    for part in parts {
        let size = match part.written {
            Written::Floats(dtype) => Some(k * dtype.size_in_bytes()),
            Written::Blocks(dtype) => {
                k.is_multiple_of(dtype.block_size()).then(|| k / dtype.block_size() * dtype.type_size())
            }
        };
        if size.and_then(|size| size.checked_mul(part.n)) != Some(part.bytes.len()) {
            bail!("{} bytes for {} rows of {k} in {:?}", part.bytes.len(), part.n, part.written);
        }
    }
    Ok(Matrix::Floats(match kept {
        Kept::Blocks { scale, offset } if products == Products::Integers => {
            return Ok(Matrix::Integers(lay::blocks(k, parts, read, scale, offset)));
        }
        Kept::Blocks { scale, offset } => Store::Blocks(lay::blocks(k, parts, read, scale, offset)),
        Kept::Floats(DType::F16) => Store::F16(lay::floats(k, parts, read)),
        Kept::Floats(DType::BF16) => Store::Bf16(lay::floats(k, parts, read)),
        Kept::Floats(_) => Store::F32(lay::floats(k, parts, read)),
    }))
}
