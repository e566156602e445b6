//! Rows by panels.

use std::ops::Range;

use super::super::shared::SharedOut;
use super::super::simd::{Simd, WIDTH};
use super::super::store::Store;
use super::super::tile::{End, Place, Rows, Then};
use super::super::{math, pool};
use super::{Amx, OF_ROW, Parts, SIDE, STEPS, Slow, Tile, Unit, is_used, lay, with_tiles};

/// Tiles of rows that one thread takes at once, and tiles of steps that it goes over: with three parts they stay in the
/// second-level cache.
const ROWS: usize = 12;
const LONGEST: usize = 28;
/// Bytes of a matrix that are laid out at once: all of `base`'s, parts of `large`'s and of the vocabulary. No more than attention lays
/// out, whose room it is too ([`with_tiles`]).
const LAID: usize = 8 << 20;

/// A matrix (n, k), and what is added to its products.
#[derive(Clone, Copy)]
pub(in super::super) struct Factor<'a> {
    pub store: &'a Store,
    pub n: usize,
    pub k: usize,
    /// (⌈n / 16⌉ · 16)
    pub bias: &'a [f32],
}

impl Factor<'_> {
    /// Parts that the matrix is taken apart into: all bits that it has.
    fn parts(&self) -> usize {
        match self.store {
            Store::Bf16(_) => 1,
            Store::F16(_) => 2,
            _ => OF_ROW,
        }
    }
}

/// Writes the product of `m` rows of `x` to rows of `out`, `out_stride` apart.
///
/// # Safety
/// `x` must have these rows. `out` must be valid for them, and nobody else's meanwhile; with [`Then::Add`] it must hold numbers.
pub(in super::super) unsafe fn product(
    w: Factor<'_>,
    x: Rows<'_>,
    m: usize,
    then: Then,
    out: SharedOut,
    out_stride: usize,
) {
    let (panels, steps) = (w.n.div_ceil(WIDTH), w.k.div_ceil(STEPS));
    let each = steps * w.parts();
    // Panels go by twos.
    let at_once = (LAID / (each * size_of::<Tile>()) / 2 * 2).clamp(2, panels.next_multiple_of(2));
    with_tiles(at_once.min(panels) * each, |tiles| {
        for first in (0..panels).step_by(at_once) {
            let group = first..(first + at_once).min(panels);
            // SAFETY: by this function's contract; there is room for the group.
            unsafe {
                lay_out(w, group.clone(), tiles);
                let laid = std::slice::from_raw_parts(tiles.at(0), group.len() * each);
                Group { w, laid, panels: group }.product(x, m, then, out, out_stride);
            }
        }
    });
}

/// Lays some panels out.
///
/// # Safety
/// There must be room for their tiles.
unsafe fn lay_out(w: Factor<'_>, group: Range<usize>, to: SharedOut<Tile>) {
    let of_w = w.parts();
    let each = w.k.div_ceil(STEPS) * of_w;
    pool::each_with(group.len(), w.k * WIDTH, |room, i| {
        // SAFETY: a panel's tiles are its own, and any bits are integers.
        let tiles = unsafe { std::slice::from_raw_parts_mut(to.at(i * each), each) };
        lay::panel(w.store, group.start + i, (w.k, of_w), room, tiles);
    });
}

/// Some panels that were laid out.
struct Group<'a> {
    w: Factor<'a>,
    /// (panels, steps, parts)
    laid: &'a [Tile],
    panels: Range<usize>,
}

impl Group<'_> {
    /// Their columns of [`product`].
    ///
    /// # Safety
    /// As there.
    unsafe fn product(&self, x: Rows<'_>, m: usize, then: Then, out: SharedOut, out_stride: usize) {
        let Self { w, laid, panels: group } = self;
        let of = w.parts();
        let (rows, steps) = (ROWS * SIDE, w.k.div_ceil(STEPS));
        let row_blocks = m.div_ceil(rows);
        let wanted = if pool::threads() == 1 { 1 } else { 2 * pool::threads() };
        let column_blocks = wanted.div_ceil(row_blocks).min(group.len().div_ceil(2));
        let columns = group.len().div_ceil(2).div_ceil(column_blocks) * 2;
        let at_once = steps.div_ceil(steps.div_ceil(LONGEST));
        // One more, so that a whole number of them begins where a tile may.
        let room = (ROWS * at_once * OF_ROW + 1) * size_of::<Tile>() / size_of::<f32>();
        pool::each_with(row_blocks * column_blocks, room, |room, task| {
            let (block, part) = (task / column_blocks, task % column_blocks);
            let first = block * rows;
            let end = |part: usize| (group.start + part * columns).min(group.end);
            let job = Job {
                w: *w,
                laid,
                group: group.start,
                of,
                x: Rows { values: &x.values[first * x.stride..], stride: x.stride },
                m: rows.min(m - first),
                part: end(part)..end(part + 1),
                at_once,
                then,
            };
            // SAFETY: pieces write disjoint places, by this function's contract there; any bits are numbers.
            unsafe {
                let (_, tiles, _) = room.align_to_mut::<Tile>();
                piece(job, tiles, out.at(first * out_stride), out_stride);
            }
        });
    }
}

/// Sixteen rows of sixteen sums.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Sums([[f32; WIDTH]; SIDE]);

/// Some rows by some panels.
struct Job<'a> {
    w: Factor<'a>,
    /// (panels, steps, parts), from panel `group` on.
    laid: &'a [Tile],
    group: usize,
    /// Parts of the matrix.
    of: usize,
    x: Rows<'a>,
    m: usize,
    part: Range<usize>,
    /// Tiles of steps.
    at_once: usize,
    then: Then,
}

/// # Safety
/// `out` must be valid for the job's rows, `out_stride` apart, in the columns of its panels; the processor must have the unit that is
/// used.
#[inline(always)]
unsafe fn piece_in<S: Simd>(job: Job<'_>, tiles: &mut [Tile], out: *mut f32, out_stride: usize) {
    // SAFETY: by this function's contract.
    unsafe {
        match (job.of, is_used()) {
            (1, true) => piece_of::<1, S, Amx>(job, tiles, out, out_stride),
            (2, true) => piece_of::<2, S, Amx>(job, tiles, out, out_stride),
            (_, true) => piece_of::<OF_ROW, S, Amx>(job, tiles, out, out_stride),
            (1, false) => piece_of::<1, S, Slow>(job, tiles, out, out_stride),
            (2, false) => piece_of::<2, S, Slow>(job, tiles, out, out_stride),
            (_, false) => piece_of::<OF_ROW, S, Slow>(job, tiles, out, out_stride),
        }
    }
}

vectorised! {
    /// # Safety
    /// As [`piece_in`].
    unsafe fn piece(job: Job<'_>, tiles: &mut [Tile], out: *mut f32, out_stride: usize) = piece_in::<S>
}

/// # Safety
/// As [`piece_in`].
#[inline(always)]
unsafe fn piece_of<const W: usize, S: Simd, U: Unit>(
    job: Job<'_>,
    tiles: &mut [Tile],
    out: *mut f32,
    out_stride: usize,
) {
    let Factor { n, k, bias, .. } = job.w;
    let steps = k.div_ceil(STEPS);
    // SAFETY: by this function's contract.
    let mut unit = unsafe { U::begin() };
    let mut sums = [Sums([[0.0; WIDTH]; SIDE]); 4];
    for from in (0..steps).step_by(job.at_once) {
        let to = (from + job.at_once).min(steps);
        let len = (to - from) * OF_ROW;
        // Tiles of rows go by twos, too.
        let n_tiles = job.m.div_ceil(2 * SIDE) * 2;
        for (i, tiles) in tiles.chunks_exact_mut(len).enumerate().take(n_tiles) {
            let m = job.m.saturating_sub(i * SIDE);
            let first = (i * SIDE).min(job.m - 1) * job.x.stride + from * STEPS;
            let x = Rows { values: &job.x.values[first..], stride: job.x.stride };
            lay::rows(x, m, k.min(to * STEPS) - from * STEPS, OF_ROW, tiles);
        }
        for j in job.part.clone().step_by(2) {
            // Of an odd number of panels the last is multiplied twice.
            let panels = [j, (j + 1).min(job.part.end - 1)];
            let w = panels.map(|j| job.laid[((j - job.group) * steps + from) * W..].as_ptr());
            for i in (0..n_tiles).step_by(2) {
                let x = [i, i + 1].map(|i| tiles[i * len..].as_ptr());
                // SAFETY: they were laid out above, and for all jobs.
                unsafe {
                    let to_sums = sums.each_mut().map(|sums| sums.0.as_mut_ptr().cast());
                    Parts::<W>::multiply(&mut unit, x, w, to - from, to_sums, WIDTH);
                }
                for (at, sums) in sums.iter_mut().enumerate() {
                    let (row, j) = ((i + at / 2) * SIDE, j + at % 2);
                    if j >= job.part.end || row >= job.m {
                        continue;
                    }
                    let bias = &bias.as_chunks().0[j];
                    let end = End { first: from == 0, last: to == steps, bias, then: job.then };
                    let columns = WIDTH.min(n - j * WIDTH);
                    // SAFETY: inside of what this function was given.
                    unsafe {
                        let at = out.add(row * out_stride + j * WIDTH);
                        let place = Place { at, stride: out_stride, columns };
                        put::<S>(sums, SIDE.min(job.m - row), place, end);
                    }
                }
            }
        }
    }
}

/// As [`finish`](super::super::tile::finish), of the first `m` rows of a tile's sums.
///
/// # Safety
/// `out` must be valid for them.
#[inline(always)]
unsafe fn put<S: Simd>(sums: &mut Sums, m: usize, out: Place, end: End<'_>) {
    let bias = S::load(end.bias);
    for (i, row) in sums.0.iter_mut().enumerate().take(m) {
        let mut v = S::load(row);
        if end.last {
            v = S::add(v, bias);
        }
        if !end.first || end.then == Then::Add {
            // SAFETY: by this function's contract.
            let there = unsafe { std::slice::from_raw_parts(out.at.add(i * out.stride), out.columns) };
            v = S::add(v, there.first_chunk().map_or_else(|| fewer::<S>(there), S::load));
        }
        S::store(v, row);
    }
    if end.last && end.then == Then::Gelu {
        sums.0.as_flattened_mut().iter_mut().for_each(|x| *x = math::gelu_one::<S>(*x));
    }
    for (i, row) in sums.0.iter().enumerate().take(m) {
        // SAFETY: by this function's contract.
        let to = unsafe { std::slice::from_raw_parts_mut(out.at.add(i * out.stride), out.columns) };
        match to.first_chunk_mut() {
            Some(to) => S::store(S::load(row), to),
            None => to.copy_from_slice(&row[..to.len()]),
        }
    }
}

#[inline(always)]
fn fewer<S: Simd>(x: &[f32]) -> S::V {
    let mut all = [0f32; WIDTH];
    all[..x.len()].copy_from_slice(x);
    S::load(&all)
}
