//! Products of floats where there are many rows, with AVX2: seven products of halves for eight (V. Strassen, "Gaussian elimination is
//! not optimal", 1969), with sums of halves made where rows and columns are laid out, and each product added where it belongs while it
//! is in registers.
//!
//! Halves of the rows are neighbours, so that what a row becomes does not depend on how many there are, but for the last, fewer than
//! twelve, which have no partners and are multiplied as elsewhere (a window has 125 times twelve); those of columns are neighbouring
//! panels. It is a tenth faster than eight products, and errors are twice as large as theirs: 6e-7 of a typical result. What
//! is infinite or no number makes the eleven rows beside it so too.

use std::ops::Range;

use super::level::{Level, level};
use super::pool;
use super::room::room;
use super::shared::SharedOut;
use super::simd::{Avx2, Simd, WIDTH};
use super::store::{LONGEST_BLOCK, Store};
use super::tile::{End, Place, Rows, Then, finish};

/// Rows of a tile; its other half has as many.
const TILE: usize = 6;
const _: () = assert!(TILE == Avx2::ROWS);
/// Rows that belong together.
pub(super) const TOGETHER: usize = 2 * TILE;
/// Rows of a task: their sums stay in the second-level cache.
const BLOCK: usize = 4 * TOGETHER;
/// Columns of two panels.
const COLUMNS: usize = 2 * WIDTH;
/// The most and the fewest steps of a half: a panel of them leaves room for a tile's rows in the first-level cache, and is longer than
/// what follows its products.
const STEPS: (usize, usize) = (256, 64);
const _: () = assert!(STEPS.0.is_multiple_of(LONGEST_BLOCK) && LONGEST_BLOCK.is_multiple_of(WIDTH));
/// Bytes of a task's columns: the tasks of other rows find them in the third-level cache.
const NEAR: usize = 4 << 20;
/// Products for two halves by two by two.
const PRODUCTS: usize = 7;
/// So far apart are rows, for their places in the cache to differ.
const GAP: usize = 16;

/// Steps of a half, if a matrix (n, k) may be multiplied so.
pub(super) fn half(n: usize, k: usize) -> Option<usize> {
    if level() != Level::Avx2 || !n.is_multiple_of(COLUMNS) {
        return None;
    }
    let (most, least) = STEPS;
    (least..=most).rev().step_by(LONGEST_BLOCK).find(|half| k.is_multiple_of(2 * half))
}

/// The sums of a matrix's halves, for each product.
pub(super) struct Columns<'a> {
    /// (n / 32, k / 2 / half, 7, half)
    sums: Vec<[f32; WIDTH]>,
    n: usize,
    k: usize,
    half: usize,
    bias: &'a [f32],
}

impl<'a> Columns<'a> {
    /// Of a matrix (n, k), and the bias of its results.
    pub(super) fn new(store: &Store, (n, k): (usize, usize), half: usize, bias: &'a [f32]) -> Self {
        let len = n / COLUMNS * (k / 2) * PRODUCTS;
        let mut sums = room(len);
        let out = SharedOut::<[f32; WIDTH]>::new(sums.as_mut_ptr());
        let of_pair = k / 2 * PRODUCTS;
        pool::each_with(n / COLUMNS, 4 * half * WIDTH, |quarters, pair| {
            // SAFETY: each pair of panels has places of its own.
            let out = unsafe { std::slice::from_raw_parts_mut(out.at(pair * of_pair), of_pair) };
            // SAFETY: there is AVX2, or nobody would have known the half.
            unsafe { of_columns(store, pair, (k, half), quarters.as_chunks_mut().0, out) };
        });
        // SAFETY: all was written.
        unsafe { sums.set_len(len) };
        Self { sums, n, k, half, bias }
    }

    /// The products of `m` rows, a multiple of [`TOGETHER`].
    ///
    /// # Safety
    /// `out` must be valid for them, `stride` apart, and nobody else's; `x` must have so many rows of k.
    pub(super) unsafe fn product(&self, x: Rows<'_>, m: usize, then: Then, out: SharedOut, stride: usize) {
        let pairs = self.n / COLUMNS;
        let bytes = self.sums.len() * size_of::<[f32; WIDTH]>();
        let parts = bytes.div_ceil(NEAR).min(pairs);
        let (each, blocks, tiles) = (pairs.div_ceil(parts), m.div_ceil(BLOCK), m / TOGETHER);
        let of_tile = PRODUCTS * TILE * (self.half + GAP);
        let scratch = BLOCK / TOGETHER * (of_tile + TOGETHER * COLUMNS);
        pool::each_with(parts * blocks, scratch, |scratch, task| {
            let (part, block) = (task / blocks, task % blocks);
            let pairs = part * each..((part + 1) * each).min(pairs);
            // Blocks are alike, but for a tile, so that threads are done at the same time.
            let tile = |block: usize| block * tiles / blocks;
            let first = tile(block) * TOGETHER;
            let x = Rows { values: &x.values[first * x.stride..], stride: x.stride };
            let job = Job { x, tiles: tile(block + 1) - tile(block), pairs, then };
            // SAFETY: pieces write disjoint places, by this function's contract there; there is AVX2, as above.
            unsafe { piece(self, job, scratch, out.at(first * stride), stride) };
        });
    }
}

/// Some rows by some pairs of panels.
struct Job<'a> {
    x: Rows<'a>,
    /// [`TOGETHER`] rows each.
    tiles: usize,
    pairs: Range<usize>,
    then: Then,
}

#[inline(always)]
fn minus<S: Simd>(a: S::V, b: S::V) -> S::V {
    S::mul_add(b, S::splat(-1.0), a)
}

/// What each product multiplies: of rows its own sums, of columns theirs; [`add`] knows where it belongs.
#[inline(always)]
fn of_rows<S: Simd>([a, b, c, d]: [S::V; 4]) -> [S::V; PRODUCTS] {
    [S::add(a, d), S::add(c, d), a, d, S::add(a, b), minus::<S>(c, a), minus::<S>(b, d)]
}

#[inline(always)]
fn of_steps<S: Simd>([a, b, c, d]: [S::V; 4]) -> [S::V; PRODUCTS] {
    [S::add(a, d), a, minus::<S>(b, d), minus::<S>(c, a), d, S::add(a, b), S::add(c, d)]
}

/// The sums of a pair of panels. quarters: room for (4, half)
///
/// # Safety
/// There must be AVX2; the store must have such panels.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn of_columns(
    store: &Store,
    pair: usize,
    (k, half): (usize, usize),
    quarters: &mut [[f32; WIDTH]],
    out: &mut [[f32; WIDTH]],
) {
    for (block, out) in out.chunks_exact_mut(PRODUCTS * half).enumerate() {
        for (i, quarter) in quarters.chunks_exact_mut(half).enumerate() {
            // Steps first, then panels: above beside above of the other, and below.
            let from = (2 * pair + i % 2) * k + (2 * block + i / 2) * half;
            store.view(from, from + half).unpack::<Avx2>(quarter);
        }
        for step in 0..half {
            let quarter = |i: usize| Avx2::load(&quarters[i * half + step]);
            let sums = of_steps::<Avx2>([quarter(0), quarter(1), quarter(2), quarter(3)]);
            for (i, sum) in sums.into_iter().enumerate() {
                Avx2::store(sum, &mut out[i * half + step]);
            }
        }
    }
}

/// The sums of the rows of a tile's halves, for each product. x: [`TOGETHER`] rows of two halves -> (7, 6, half + gap)
#[inline(always)]
fn lay_rows<S: Simd>(x: Rows<'_>, half: usize, out: &mut [f32]) {
    let (apart, vectors) = (half + GAP, half / WIDTH);
    for row in 0..TILE {
        let of = |row: usize| x.values[row * x.stride..][..2 * half].as_chunks().0;
        let (above, below) = (of(row), of(row + TILE));
        for i in 0..vectors {
            let sums = of_rows::<S>([
                S::load(&above[i]),
                S::load(&above[vectors + i]),
                S::load(&below[i]),
                S::load(&below[vectors + i]),
            ]);
            for (product, sum) in sums.into_iter().enumerate() {
                let to = &mut out[(product * TILE + row) * apart + i * WIDTH..];
                S::store(sum, &mut to.as_chunks_mut().0[0]);
            }
        }
    }
}

/// Half of the rows and of the columns of a tile.
type Quarter = [[f32; WIDTH]; TILE];

/// What one product is added to.
struct Sums<'a> {
    /// Rows above first.
    quarters: &'a mut [Quarter; 4],
    /// Where the first quarter goes.
    out: Place,
    /// By panel.
    ends: [End<'a>; 2],
}

/// # Safety
/// As [`Columns::product`]; there must be AVX2, and scratch for the job.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn piece(w: &Columns<'_>, job: Job<'_>, scratch: &mut [f32], out: *mut f32, stride: usize) {
    type S = Avx2;
    let (half, blocks) = (w.half, w.k / 2 / w.half);
    let of_tile = PRODUCTS * TILE * (half + GAP);
    let (rows, rest) = scratch.split_at_mut(BLOCK / TOGETHER * of_tile);
    let quarters = rest.as_chunks_mut().0.as_chunks_mut::<TILE>().0.as_chunks_mut().0;
    for block in 0..blocks {
        for (tile, to) in rows.chunks_exact_mut(of_tile).take(job.tiles).enumerate() {
            let values = &job.x.values[tile * TOGETHER * job.x.stride + 2 * block * half..];
            lay_rows::<S>(Rows { values, stride: job.x.stride }, half, to);
        }
        for pair in job.pairs.clone() {
            let columns = &w.sums[(pair * blocks + block) * PRODUCTS * half..][..PRODUCTS * half];
            let (first, last) = (block == 0, block + 1 == blocks);
            let ends = [2 * pair, 2 * pair + 1].map(|panel| End {
                first,
                last,
                bias: &w.bias.as_chunks().0[panel],
                then: job.then,
            });
            for (i, columns) in columns.chunks_exact(half).enumerate() {
                for (tile, rows) in rows.chunks_exact(of_tile).take(job.tiles).enumerate() {
                    // SAFETY: inside of what this function was given.
                    let at = unsafe { out.add(tile * TOGETHER * stride + pair * COLUMNS) };
                    let out = Place { at, stride, columns: WIDTH };
                    let to = Sums { quarters: &mut quarters[tile], out, ends };
                    let rows = &rows[i * TILE * (half + GAP)..][..TILE * (half + GAP)];
                    // SAFETY: there are so many rows; by this function's contract.
                    unsafe { add::<S>(i, &S::sums::<TILE>(rows.as_ptr(), half + GAP, columns), to) };
                }
            }
        }
    }
}

/// Adds a product to the quarters that it is part of. What is then whole goes where it belongs.
///
/// # Safety
/// The place must be valid for two tiles by two panels.
#[inline(always)]
unsafe fn add<S: Simd>(product: usize, sums: &[S::V; TILE], to: Sums<'_>) {
    let [a, b, c, d] = to.quarters;
    let place = (to.out, to.ends);
    // SAFETY: by this function's contract.
    unsafe {
        match product {
            0 => {
                put::<S>(a, sums);
                put::<S>(d, sums);
            }
            1 => {
                put::<S>(c, sums);
                change::<S>(d, sums, -1.0);
            }
            2 => {
                put::<S>(b, sums);
                change::<S>(d, sums, 1.0);
            }
            3 => {
                change::<S>(a, sums, 1.0);
                whole::<S>(c, sums, place, 2);
            }
            4 => {
                change::<S>(a, sums, -1.0);
                whole::<S>(b, sums, place, 1);
            }
            5 => whole::<S>(d, sums, place, 3),
            _ => whole::<S>(a, sums, place, 0),
        }
    }
}

/// What a quarter becomes with its last product.
///
/// # Safety
/// As [`add`].
#[inline(always)]
unsafe fn whole<S: Simd>(
    quarter: &Quarter,
    sums: &[S::V; TILE],
    (out, ends): (Place, [End<'_>; 2]),
    which: usize,
) {
    let mut all = *sums;
    for (sum, row) in all.iter_mut().zip(quarter) {
        *sum = S::add(*sum, S::load(row));
    }
    let (below, right) = (which / 2, which % 2);
    // SAFETY: by this function's contract.
    unsafe {
        let at = out.at.add(below * TILE * out.stride + right * WIDTH);
        finish::<TILE, S>(&all, Place { at, ..out }, ends[right]);
    }
}

#[inline(always)]
fn put<S: Simd>(quarter: &mut Quarter, sums: &[S::V; TILE]) {
    for (row, sum) in quarter.iter_mut().zip(sums) {
        S::store(*sum, row);
    }
}

#[inline(always)]
fn change<S: Simd>(quarter: &mut Quarter, sums: &[S::V; TILE], by: f32) {
    for (row, sum) in quarter.iter_mut().zip(sums) {
        S::store(S::mul_add(*sum, S::splat(by), S::load(row)), row);
    }
}
