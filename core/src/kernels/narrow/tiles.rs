//! Products of bytes on a processor's matrix unit (Intel AMX, on Linux): a part of sixteen rows by a panel's in one instruction. The
//! sums are integers, and what is made of them is made in the same order, so that every number is the same as without the unit.

use super::super::amx::{Amx, Slow, Unit, is_used};
use super::super::simd::{Simd, WIDTH};
use super::{Bytes, Job, Narrow, PART, QUADS};

/// Rows of a tile.
pub(in super::super) const ROWS: usize = WIDTH;
/// Bytes of rows that stay in the first-level cache beside a panel.
const NEAR: usize = 24 << 10;

/// Sixteen rows of bytes.
#[derive(Clone, Copy)]
pub(in super::super) struct Tile {
    /// Of the first row; the others are `stride` bytes apart.
    pub bytes: *const u8,
    pub stride: usize,
    /// Scale and least of the first row's first part; those of the next row's are `apart` further on.
    pub ends: *const [f32; 2],
    pub apart: usize,
}

/// Some parts of a tile by a panel. What is the least of a row's part counts if `LEAST`.
///
/// # Safety
/// There must be as many rows of as many parts.
#[inline(always)]
pub(in super::super) unsafe fn totals<const LEAST: bool, S: Simd, U: Unit>(
    unit: &mut U,
    tile: Tile,
    w: &Narrow,
    panel: usize,
    parts: impl Iterator<Item = usize>,
) -> [S::V; ROWS] {
    #[repr(C, align(64))]
    struct Sums([[i32; WIDTH]; ROWS]);
    let of_panel = w.k / PART;
    let mut totals = [S::splat(0.0); ROWS];
    let mut sums = [const { Sums([[0; WIDTH]; ROWS]) }; 2];
    // The unit makes the next sums while these are added.
    let mut before: Option<(usize, usize)> = None;
    let mut parts = parts.enumerate();
    loop {
        let next = parts.next();
        if let Some((i, part)) = next {
            let (values, _) = w.part(panel * of_panel + part);
            let to = sums[i % 2].0.as_mut_ptr().cast();
            // SAFETY: by this function's contract.
            unsafe {
                unit.zero::<0>();
                unit.load_rows::<1>(tile.bytes.add(part * PART), tile.stride);
                unit.load_rows::<2>(values.as_ptr().cast(), QUADS);
                unit.add_bytes::<0, 1, 2>();
                unit.store::<0>(to, WIDTH);
            }
        }
        if let Some((i, part)) = before {
            let (_, end) = w.part(panel * of_panel + part);
            let (scales, of_least) = (S::load(&end.scales), S::load(&end.sums));
            for (row, (total, sums)) in totals.iter_mut().zip(&sums[i % 2].0).enumerate() {
                // SAFETY: by this function's contract.
                let [scale, least] = unsafe { *tile.ends.add(row * tile.apart + part) };
                if LEAST {
                    *total = S::mul_add(S::splat(least), of_least, *total);
                }
                let sums = S::load(&std::array::from_fn(|j| sums[j] as f32));
                *total = S::mul_add(S::mul(sums, S::splat(scale)), scales, *total);
            }
        }
        before = next;
        if before.is_none() {
            return totals;
        }
    }
}

/// # Safety
/// As [`Narrow::piece`]; `x` must have at least [`ROWS`] rows, and the processor the unit that is used.
#[inline(always)]
unsafe fn piece_by<S: Simd, U: Unit>(w: &Narrow, x: &Bytes, job: Job<'_>, out: *mut f32, stride: usize) {
    let parts = w.k / PART;
    let near = (NEAR / (ROWS * w.k)).max(1) * ROWS;
    // SAFETY: by this function's contract.
    let mut unit = unsafe { U::begin() };
    for block in job.rows.clone().step_by(near) {
        let rows = block..job.rows.end.min(block + near);
        for j in job.part.clone() {
            for row in rows.clone().step_by(ROWS) {
                // The last rows are multiplied with some before them, which are done.
                let first = row.min(x.m - ROWS);
                let bytes = x.values[first * x.k..(first + ROWS) * x.k].as_ptr();
                let ends = x.ends[first * parts..(first + ROWS) * parts].as_ptr();
                let tile = Tile { bytes, stride: x.k, ends, apart: parts };
                // SAFETY: so many rows were cut out; by this function's contract.
                unsafe {
                    let totals = totals::<true, S, U>(&mut unit, tile, w, j, 0..parts);
                    w.finish::<S>(&job, j, &totals[row - first..], row, out, stride);
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn piece_in<S: Simd>(w: &Narrow, x: &Bytes, job: Job<'_>, out: *mut f32, stride: usize) {
    // SAFETY: by this function's contract.
    unsafe {
        match is_used() {
            true => piece_by::<S, Amx>(w, x, job, out, stride),
            false => piece_by::<S, Slow>(w, x, job, out, stride),
        }
    }
}

vectorised! {
    /// [`Narrow::piece`] on the unit; slowly on other processors.
    ///
    /// # Safety
    /// As there; `x` must have at least [`ROWS`] rows.
    pub(in super::super) unsafe fn piece(w: &Narrow, x: &Bytes, job: Job<'_>, out: *mut f32, stride: usize) = piece_in::<S>
}
