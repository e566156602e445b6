//! Puts the rows of one or more matrices into panels, as they lie in a file.

use std::borrow::Cow;

use candle_core::quantized::GgmlDType;
use candle_core::{DType, Result, Tensor, bail};
use half::{bf16, f16};

use super::blocks::{self, Parts, Shape};
use super::shared::SharedOut;
use super::simd::{Simd, WIDTH};
use super::store::{Blocks, Matrix, Store};
use super::{cast, math, pool};

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
            (Self::Integers, Written::Floats(_)) if k.is_multiple_of(ROUNDED) => {
                Written::Blocks(GgmlDType::Q8_0)
            }
            _ => written,
        }
    }
}

/// Floats that become integers with one scale, as in Q8_0.
const ROUNDED: usize = 32;

/// A file's number in the type that is kept.
trait Number: Copy + Send + Sync + Default {
    fn of(written: Written, bytes: &[u8]) -> Self;
}

impl Number for f32 {
    fn of(written: Written, bytes: &[u8]) -> Self {
        match *bytes {
            [a, b, c, d] => Self::from_le_bytes([a, b, c, d]),
            [a, b] if written == Written::Floats(DType::BF16) => bf16::from_le_bytes([a, b]).to_f32(),
            [a, b] => f16::from_le_bytes([a, b]).to_f32(),
            _ => 0.0,
        }
    }
}

impl Number for f16 {
    fn of(_: Written, bytes: &[u8]) -> Self {
        Self::from_le_bytes([bytes[0], bytes[1]])
    }
}

impl Number for bf16 {
    fn of(_: Written, bytes: &[u8]) -> Self {
        Self::from_le_bytes([bytes[0], bytes[1]])
    }
}

/// The rows of all parts, one part's after the other's, `k` numbers each.
///
/// # Errors
/// If the bytes are not those of so many rows, or of a type that can't be kept.
pub(super) fn pack(k: usize, parts: &[Part<'_>], products: Products) -> Result<Matrix> {
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
            return Ok(Matrix::Integers(packed_blocks(k, parts, scale, offset)));
        }
        Kept::Blocks { scale, offset } => Store::Blocks(packed_blocks(k, parts, scale, offset)),
        Kept::Floats(DType::F16) => Store::F16(floats(k, parts)),
        Kept::Floats(DType::BF16) => Store::Bf16(floats(k, parts)),
        Kept::Floats(_) => Store::F32(floats(k, parts)),
    }))
}

/// Calls `work` with every row's number and bytes, panel by panel.
fn each_row(parts: &[Part<'_>], work: impl Fn(usize, Written, &[u8]) + Sync) {
    let n: usize = parts.iter().map(|part| part.n).sum();
    let panel = |panel: usize| {
        let mut first = 0;
        for part in parts {
            let size = part.bytes.len() / part.n.max(1);
            let rows = (panel * WIDTH).max(first)..((panel + 1) * WIDTH).min(first + part.n);
            for row in rows {
                work(row, part.written, &part.bytes[(row - first) * size..][..size]);
            }
            first += part.n;
        }
    };
    pool::each(n.div_ceil(WIDTH), panel);
}

fn room<T: Copy + Default, const TOGETHER: usize>(parts: &[Part<'_>], steps: usize) -> Vec<[T; TOGETHER]> {
    let n: usize = parts.iter().map(|part| part.n).sum();
    vec![[T::default(); TOGETHER]; n.div_ceil(WIDTH) * steps * WIDTH / TOGETHER]
}

fn floats<T: Number>(k: usize, parts: &[Part<'_>]) -> Vec<[T; WIDTH]> {
    let mut out = room::<T, WIDTH>(parts, k);
    let start = SharedOut::new(out.as_mut_ptr().cast::<T>());
    each_row(parts, |row, written, bytes| {
        let size = bytes.len() / k;
        for (step, number) in bytes.chunks_exact(size).enumerate() {
            // SAFETY: a row's places are its own; there is room for its panel.
            unsafe { *start.at(place(row, step, k)) = T::of(written, number) };
        }
    });
    out
}

/// Where a number lies.
fn place(row: usize, step: usize, steps: usize) -> usize {
    (row / WIDTH * steps + step) * WIDTH + row % WIDTH
}

fn packed_blocks<const TOGETHER: usize>(
    k: usize,
    parts: &[Part<'_>],
    block: usize,
    offset: bool,
) -> Blocks<TOGETHER> {
    let n_scales = k / block;
    let (mut values, mut scales) = (room::<i8, TOGETHER>(parts, k), room::<f32, WIDTH>(parts, n_scales));
    let mut offsets = if offset { room::<f32, WIDTH>(parts, n_scales) } else { Vec::new() };
    let (to_values, to_scales) =
        (SharedOut::new(values.as_mut_ptr().cast::<i8>()), SharedOut::new(scales.as_mut_ptr().cast::<f32>()));
    let to_offsets = SharedOut::new(offsets.as_mut_ptr().cast::<f32>());
    // SAFETY, here and below: as in `floats`.
    let put = |row: usize, first: usize, q: &[i8]| unsafe {
        // So many steps of a row are side by side.
        let side = TOGETHER / WIDTH;
        let start = to_values.at(place(row, first, k) + row % WIDTH * (side - 1));
        for (j, q) in q.iter().enumerate() {
            *start.add(j / side * TOGETHER + j % side) = *q;
        }
    };
    let put_scale = |row: usize, step: usize, scale: f32, shift: f32| unsafe {
        let to = place(row, step / block, n_scales);
        *to_scales.at(to) = scale;
        if offset {
            *to_offsets.at(to) = shift;
        }
    };
    each_row(parts, |row, written, bytes| match written {
        Written::Floats(dtype) => {
            let mut q = [0i8; ROUNDED];
            for (i, bytes) in bytes.chunks_exact(ROUNDED * dtype.size_in_bytes()).enumerate() {
                let scale = round(dtype, bytes, &mut q);
                put(row, i * ROUNDED, &q);
                (0..ROUNDED).step_by(block).for_each(|j| put_scale(row, i * ROUNDED + j, scale, 0.0));
            }
        }
        Written::Blocks(dtype) => {
            let Some(shape) = Shape::of(dtype) else { return };
            // Room for the largest block there is: 256 numbers, a scale for each 16 of them.
            let (mut q, mut s, mut o) = ([0i8; 256], [0f32; 16], [0f32; 16]);
            for (i, bytes) in bytes.chunks_exact(shape.bytes).enumerate() {
                let n = shape.numbers / shape.scale;
                let parts = Parts { q: &mut q[..shape.numbers], scales: &mut s[..n], offsets: &mut o[..n] };
                blocks::unpack(dtype, bytes, parts);
                let first = i * shape.numbers;
                put(row, first, &q[..shape.numbers]);
                for j in (0..shape.numbers).step_by(block) {
                    let shift = if shape.offset { o[j / shape.scale] } else { 0.0 };
                    put_scale(row, first + j, s[j / shape.scale], shift);
                }
            }
        }
    });
    Blocks { values, scales, offsets, block }
}

#[inline(always)]
fn numbers<T: Number>(written: Written, bytes: &[u8]) -> [T; WIDTH] {
    let mut numbers = [T::default(); WIDTH];
    for (number, bytes) in numbers.iter_mut().zip(bytes.chunks_exact(size_of::<T>())) {
        *number = T::of(written, bytes);
    }
    numbers
}

#[inline(always)]
fn round_in<S: Simd>(dtype: DType, bytes: &[u8], q: &mut [i8; ROUNDED]) -> f32 {
    let written = Written::Floats(dtype);
    let mut x = [[0f32; WIDTH]; ROUNDED / WIDTH];
    for (x, bytes) in x.iter_mut().zip(bytes.chunks_exact(bytes.len() / (ROUNDED / WIDTH))) {
        match dtype {
            DType::F16 => S::store(S::of_f16(&numbers(written, bytes)), x),
            DType::BF16 => S::store(S::of_bf16(&numbers(written, bytes)), x),
            _ => *x = numbers(written, bytes),
        }
    }
    let x = x.as_flattened();
    let scale = math::max_abs(x) / 127.0;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    for (q, x) in q.iter_mut().zip(x) {
        // Halves go away from zero, as ggml rounds; `nearest` takes them to the even neighbour.
        let x = x * inverse;
        let nearest = (x + math::ROUND) - math::ROUND;
        let rest = x - nearest;
        let away = if rest.abs() == 0.5 && rest * x > 0.0 { 1f32.copysign(x) } else { 0.0 };
        *q = math::rounded(nearest + away) as i8;
    }
    // As a file has it.
    f16::from_f32(scale).to_f32()
}

vectorised! {
    /// Rounds little-endian floats to multiples of what it returns, as candle makes Q8_0 of them.
    fn round(dtype: DType, bytes: &[u8], q: &mut [i8; ROUNDED]) -> f32 = round_in::<S>
}
