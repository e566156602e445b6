//! Lays the rows of matrices out side by side, in panels. Some steps of sixteen rows are read into a tile, which stays in the first-level
//! cache, and turned from there.

use std::ops::Range;

use candle_core::DType;
use half::{bf16, f16};

use super::blocks::{self, Parts, Shape};
use super::pack::{Part, Written};
use super::room::room;
use super::shared::SharedOut;
use super::simd::{PAIRED, Simd, WIDTH};
use super::store::Blocks;
use super::{math, pool};

mod turn;

use turn::turn;

/// Floats that become integers with one scale, as in Q8_0.
pub(super) const ROUNDED: usize = 32;
/// Steps of a tile: those of the longest block of a file.
const STEPS: usize = 256;
/// The fewest steps that share a scale.
const LEAST: usize = 16;

/// Bytes that are laid out before what they were read from is given back.
const AT_ONCE: usize = 4 << 20;

/// Is told which rows have been read, those of all parts one after the other; the last of them may be none of theirs.
pub(super) type Read<'a> = &'a dyn Fn(Range<usize>);

/// How a row is written, and its bytes.
type Row<'a> = (Written, &'a [u8]);

/// A file's number in the type that is kept.
pub(super) trait Number: Copy + Send + Default {
    /// Reads as many as there is room for.
    fn read(written: Written, bytes: &[u8], out: &mut [Self]);
}

impl Number for f32 {
    #[inline(always)]
    fn read(written: Written, bytes: &[u8], out: &mut [Self]) {
        match written {
            Written::Floats(DType::F16) => each(bytes, out, |two| f16::from_le_bytes(two).to_f32()),
            Written::Floats(DType::BF16) => each(bytes, out, |two| bf16::from_le_bytes(two).to_f32()),
            _ => each(bytes, out, Self::from_le_bytes),
        }
    }
}

impl Number for f16 {
    #[inline(always)]
    fn read(_: Written, bytes: &[u8], out: &mut [Self]) {
        each(bytes, out, Self::from_le_bytes);
    }
}

impl Number for bf16 {
    #[inline(always)]
    fn read(_: Written, bytes: &[u8], out: &mut [Self]) {
        each(bytes, out, Self::from_le_bytes);
    }
}

#[inline(always)]
fn each<T, const SIZE: usize>(bytes: &[u8], out: &mut [T], of: impl Fn([u8; SIZE]) -> T) {
    out.iter_mut().zip(bytes.as_chunks().0).for_each(|(x, &bytes)| *x = of(bytes));
}

fn panels(parts: &[Part<'_>]) -> usize {
    parts.iter().map(|part| part.n).sum::<usize>().div_ceil(WIDTH)
}

/// Calls `work` with every panel's number and its rows, of which the last may have fewer.
fn each_panel<'a>(parts: &'a [Part<'_>], read: Read<'_>, work: impl Fn(usize, &[Row<'a>]) + Sync) {
    let n = panels(parts);
    let each = parts.iter().map(|part| part.bytes.len()).sum::<usize>() / n.max(1);
    let at_once = (AT_ONCE / each.max(1)).max(1);
    for first in (0..n).step_by(at_once) {
        let group = first..n.min(first + at_once);
        some_panels(parts, group.clone(), &work);
        read(group.start * WIDTH..group.end * WIDTH);
    }
}

/// The same of some panels.
fn some_panels<'a>(parts: &'a [Part<'_>], group: Range<usize>, work: &(impl Fn(usize, &[Row<'a>]) + Sync)) {
    pool::each(group.len(), |i| {
        let panel = group.start + i;
        let none: Row<'a> = (Written::Floats(DType::F32), &[]);
        let (mut rows, mut n, mut first) = ([none; WIDTH], 0, 0);
        for part in parts {
            let size = part.bytes.len() / part.n.max(1);
            for row in (panel * WIDTH).max(first)..((panel + 1) * WIDTH).min(first + part.n) {
                rows[n] = (part.written, &part.bytes[(row - first) * size..][..size]);
                n += 1;
            }
            first += part.n;
        }
        work(panel, &rows[..n]);
    });
}

/// All rows as floats of a type.
pub(super) fn floats<T: Number>(k: usize, parts: &[Part<'_>], read: Read<'_>) -> Vec<[T; WIDTH]> {
    let n = panels(parts) * k;
    let mut out = room(n);
    let start = SharedOut::new(out.as_mut_ptr());
    each_panel(parts, read, |panel, rows| {
        let mut tile = [[T::default(); STEPS]; WIDTH];
        for from in (0..k).step_by(STEPS) {
            let len = STEPS.min(k - from);
            for (tile, (written, bytes)) in tile.iter_mut().zip(rows) {
                T::read(*written, &bytes[bytes.len() / k * from..], &mut tile[..len]);
            }
            // SAFETY: a panel's places are its own.
            unsafe { turn(&tile, len, start.at(panel * k + from)) };
        }
    });
    // SAFETY: all was written.
    unsafe { out.set_len(n) };
    out
}

/// All rows as integers, with one scale for `block` steps and, if there is an `offset`, something that is added.
pub(super) fn blocks<const TOGETHER: usize>(
    k: usize,
    parts: &[Part<'_>],
    read: Read<'_>,
    block: usize,
    offset: bool,
) -> Blocks<TOGETHER> {
    let (n_values, n_scales) = (panels(parts) * k * WIDTH / TOGETHER, panels(parts) * k / block);
    let n_offsets = if offset { n_scales } else { 0 };
    let (mut values, mut scales, mut offsets) = (room(n_values), room(n_scales), room(n_offsets));
    let to_values = SharedOut::new(values.as_mut_ptr());
    let (to_scales, to_offsets) = (SharedOut::new(scales.as_mut_ptr()), SharedOut::new(offsets.as_mut_ptr()));
    each_panel(parts, read, |panel, rows| {
        let mut tile = Tile::default();
        for from in (0..k).step_by(STEPS) {
            let len = STEPS.min(k - from);
            rows.iter().enumerate().for_each(|(i, row)| tile.read(i, *row, from..from + len, block));
            let first = panel * k + from;
            // SAFETY: a panel's places are its own.
            unsafe {
                tile.write_values::<TOGETHER>(len, to_values.at(first * WIDTH / TOGETHER));
                turn(&tile.scales, len / block, to_scales.at(first / block));
                if offset {
                    turn(&tile.offsets, len / block, to_offsets.at(first / block));
                }
            }
        }
    });
    // SAFETY: all was written.
    unsafe {
        values.set_len(n_values);
        scales.set_len(n_scales);
        offsets.set_len(n_offsets);
    }
    Blocks { values, scales, offsets, block }
}

/// Some steps of sixteen rows.
struct Tile {
    q: [[i8; STEPS]; WIDTH],
    scales: [[f32; STEPS / LEAST]; WIDTH],
    offsets: [[f32; STEPS / LEAST]; WIDTH],
}

impl Default for Tile {
    fn default() -> Self {
        let none = [[0.0; STEPS / LEAST]; WIDTH];
        Self { q: [[0; STEPS]; WIDTH], scales: none, offsets: none }
    }
}

impl Tile {
    /// Reads steps of a row, with a scale for each `block` of them.
    fn read(&mut self, i: usize, (written, bytes): Row<'_>, steps: Range<usize>, block: usize) {
        let q = &mut self.q[i][..steps.len()];
        match written {
            Written::Floats(dtype) => {
                let mut scales = [0f32; STEPS / ROUNDED];
                let size = dtype.size_in_bytes();
                round(dtype, &bytes[steps.start * size..steps.end * size], q, &mut scales);
                let each = self.scales[i].chunks_exact_mut(ROUNDED / block);
                each.zip(scales).for_each(|(to, scale)| to.fill(scale));
            }
            Written::Blocks(dtype) => {
                let Some(shape) = Shape::of(dtype) else { return };
                let bytes = bytes[steps.start / shape.numbers * shape.bytes..].chunks_exact(shape.bytes);
                let (mut s, mut o) = ([0f32; STEPS / LEAST], [0f32; STEPS / LEAST]);
                for (b, (q, bytes)) in q.chunks_exact_mut(shape.numbers).zip(bytes).enumerate() {
                    let n = shape.numbers / shape.scale;
                    blocks::unpack(dtype, bytes, Parts { q, scales: &mut s[..n], offsets: &mut o[..n] });
                    for j in (0..shape.numbers).step_by(block) {
                        let to = (b * shape.numbers + j) / block;
                        self.scales[i][to] = s[j / shape.scale];
                        self.offsets[i][to] = o[j / shape.scale];
                    }
                }
            }
        }
    }

    /// # Safety
    /// `out` must be valid for `len` steps.
    unsafe fn write_values<const TOGETHER: usize>(&self, len: usize, out: *mut [i8; TOGETHER]) {
        // SAFETY: by this function's contract.
        unsafe {
            match TOGETHER {
                PAIRED => {
                    turn::<[i8; 2]>(&self.q.each_ref().map(|row| row.as_chunks().0), len / 2, out.cast())
                }
                _ => turn::<i8>(&self.q, len, out.cast()),
            }
        }
    }
}

#[inline(always)]
fn round_in<S: Simd>(dtype: DType, bytes: &[u8], q: &mut [i8], scales: &mut [f32]) {
    for (b, (q, scale)) in q.as_chunks_mut::<ROUNDED>().0.iter_mut().zip(scales).enumerate() {
        let mut x = [[0f32; WIDTH]; ROUNDED / WIDTH];
        let size = dtype.size_in_bytes();
        for (x, bytes) in x.iter_mut().zip(bytes[b * ROUNDED * size..].chunks_exact(WIDTH * size)) {
            match dtype {
                DType::F16 => {
                    let mut two = [f16::ZERO; WIDTH];
                    each(bytes, &mut two, f16::from_le_bytes);
                    S::store(S::of_f16(&two), x);
                }
                DType::BF16 => {
                    let mut two = [bf16::ZERO; WIDTH];
                    each(bytes, &mut two, bf16::from_le_bytes);
                    S::store(S::of_bf16(&two), x);
                }
                _ => each(bytes, x, f32::from_le_bytes),
            }
        }
        let x = x.as_flattened();
        *scale = math::max_abs(x) / 127.0;
        let inverse = if *scale > 0.0 { 1.0 / *scale } else { 0.0 };
        for (q, x) in q.iter_mut().zip(x) {
            // Halves go away from zero, as ggml rounds; `nearest` takes them to the even neighbour.
            let x = x * inverse;
            let nearest = (x + math::ROUND) - math::ROUND;
            let rest = x - nearest;
            let away = if rest.abs() == 0.5 && rest * x > 0.0 { 1f32.copysign(x) } else { 0.0 };
            *q = math::rounded(nearest + away) as i8;
        }
        // As a file has it.
        *scale = f16::from_f32(*scale).to_f32();
    }
}

vectorised! {
    /// Rounds little-endian floats to multiples of scales, as candle makes Q8_0 of them.
    fn round(dtype: DType, bytes: &[u8], q: &mut [i8], scales: &mut [f32]) = round_in::<S>
}
