//! Products of bytes where there are many rows, on x86-64: rows of seven bits without sign by a matrix of seven with one. Four such
//! products still fit into sixteen bits, so that five instructions make 64 of them with AVX2, and one with VNNI. To be as exact as eight
//! bits by the row, no more than [`PART`] steps share a scale (`tests/bench/results/kernels.md`).

use std::ops::Range;

use super::level::{Level, level};
use super::room::room;
use super::shared::SharedOut;
use super::simd::{Avx512, MOST_ROWS, PAIRED, Simd, WIDTH, round_part};
use super::store::Matrix;
use super::tile::{Place, Rows, Then};
use super::{math, pool};

mod lay;
pub(super) mod tiles;

/// What a part of a row reaches from its least number to its largest, and the largest magnitude of a part of a column.
pub(super) const OF_ROW: f32 = 127.0;
const OF_COLUMN: f32 = 63.0;
/// Four products are summed up in sixteen bits.
const _: () = assert!(4.0 * OF_ROW * OF_COLUMN < (1 << 15) as f32);
/// Steps that share a scale.
pub(super) const PART: usize = 64;
/// Steps of a column that lie side by side.
const QUAD: usize = 4;
/// Those of sixteen columns.
const QUADS: usize = QUAD * WIDTH;
/// A part of sixteen columns.
pub(super) type Quads = [[i8; QUADS]; PART / QUAD];
/// Rows that are rounded in one task.
const ROUNDED: usize = 32;

/// Whether the kernels use it for products of so many steps.
pub(super) fn fits(k: usize) -> bool {
    level() >= Level::Avx2 && k.is_multiple_of(PART)
}

/// What a part of sixteen columns is multiplied by.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct End {
    scales: [f32; WIDTH],
    /// The sums of its numbers, for what the least of a row's part is.
    sums: [f32; WIDTH],
}

/// A matrix (n, k) in panels of sixteen rows, four steps side by side.
pub(super) struct Narrow {
    /// (⌈n / 16⌉, k / 4)
    values: Vec<[i8; QUADS]>,
    /// (⌈n / 16⌉, k / 64)
    ends: Vec<End>,
    n: usize,
    k: usize,
}

/// Rows as bytes: each number is `least + scale · byte`.
pub(super) struct Bytes {
    /// (m, k)
    values: Vec<u8>,
    /// Scale and least of each part. (m, k / 64)
    ends: Vec<[f32; 2]>,
    m: usize,
    k: usize,
}

impl Narrow {
    /// The same numbers (n, k).
    pub(super) fn of(matrix: &Matrix, n: usize, k: usize) -> Self {
        Self::new(n, k, |panel, to| lay::numbers(matrix, panel, k, to))
    }

    /// `fill` writes the numbers of a panel.
    pub(super) fn new(n: usize, k: usize, fill: impl Fn(usize, &mut [[f32; PAIRED]]) + Sync) -> Self {
        let (panels, quads, parts) = (n.div_ceil(WIDTH), k / QUAD, k / PART);
        let (mut values, mut ends) = (room(panels * quads), vec![End::default(); panels * parts]);
        let (to_values, to_ends) = (SharedOut::new(values.as_mut_ptr()), SharedOut::new(ends.as_mut_ptr()));
        pool::each_with(panels, k * WIDTH, |room, panel| {
            let (numbers, _) = room.as_chunks_mut::<PAIRED>();
            fill(panel, numbers);
            // SAFETY: a panel's places are its own, and any bits are integers.
            let (values, ends) = unsafe {
                (
                    std::slice::from_raw_parts_mut(to_values.at(panel * quads), quads),
                    std::slice::from_raw_parts_mut(to_ends.at(panel * parts), parts),
                )
            };
            lay::round_columns(numbers, values, ends);
        });
        // SAFETY: all was written.
        unsafe { values.set_len(panels * quads) };
        Self { values, ends, n, k }
    }

    /// A part of a panel: number `at` of all of them.
    #[inline(always)]
    pub(super) fn part(&self, at: usize) -> (&Quads, &End) {
        (&self.values.as_chunks().0[at], &self.ends[at])
    }

    /// Whether all numbers are finite.
    pub(super) fn is_finite(&self) -> bool {
        self.ends.iter().all(|end| end.scales.iter().all(|scale| scale.is_finite()))
    }

    /// Makes all numbers none.
    pub(super) fn be_nothing(&mut self) {
        self.ends.iter_mut().for_each(|end| end.scales = [f32::NAN; WIDTH]);
    }

    /// Does with a panel's totals of the rows from `row` on what is to be done, and puts those of the job where they go.
    ///
    /// # Safety
    /// As [`Self::piece`].
    #[inline(always)]
    unsafe fn finish<S: Simd>(
        &self,
        job: &Job<'_>,
        panel: usize,
        totals: &[S::V],
        row: usize,
        out: *mut f32,
        stride: usize,
    ) {
        let (bias, columns) = (&job.bias.as_chunks().0[panel], WIDTH.min(self.n - panel * WIDTH));
        let totals = &totals[..totals.len().min(job.rows.end - row)];
        // SAFETY: by this function's contract.
        unsafe {
            let at = out.add((row - job.rows.start) * stride + panel * WIDTH);
            let out = Place { at, stride, columns };
            match job.then {
                Then::Set => put::<false, false, S>(totals, out, bias),
                Then::Gelu => put::<false, true, S>(totals, out, bias),
                Then::Add => put::<true, false, S>(totals, out, bias),
            }
        }
    }

    /// Some rows of `x` by some panels.
    ///
    /// # Safety
    /// `out` must be valid for these rows of n values, `stride` apart, in the columns of the panels; with [`Then::Add`] it must hold
    /// numbers. `x` must have at least [`tiles::ROWS`] rows.
    pub(super) unsafe fn piece(&self, x: &Bytes, job: Job<'_>, out: *mut f32, stride: usize) {
        #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma,f16c")]
        unsafe fn vnni(w: &Narrow, x: &Bytes, job: Job<'_>, out: *mut f32, stride: usize) {
            // SAFETY: by this function's contract.
            unsafe { piece_in::<Avx512<true>>(w, x, job, out, stride) }
        }
        debug_assert!(x.m >= tiles::ROWS && x.k == self.k);
        // SAFETY: by this function's contract; the processor has what the function needs.
        unsafe {
            match level() {
                Level::Amx => tiles::piece(self, x, job, out, stride),
                Level::Vnni => vnni(self, x, job, out, stride),
                _ => piece_of_any(self, x, job, out, stride),
            }
        }
    }
}

impl Bytes {
    /// m rows of k numbers.
    pub(super) fn of(x: Rows<'_>, m: usize, k: usize) -> Self {
        let parts = k / PART;
        let (mut values, mut ends) = (room(m * k), vec![[0f32; 2]; m * parts]);
        let (to_values, to_ends) = (SharedOut::new(values.as_mut_ptr()), SharedOut::new(ends.as_mut_ptr()));
        pool::each(m.div_ceil(ROUNDED), |task| {
            for row in task * ROUNDED..((task + 1) * ROUNDED).min(m) {
                // SAFETY: a row's places are its own.
                let (values, ends) = unsafe {
                    (
                        std::slice::from_raw_parts_mut(to_values.at(row * k), k),
                        std::slice::from_raw_parts_mut(to_ends.at(row * parts), parts),
                    )
                };
                let parts =
                    x.values[row * x.stride..][..k].as_chunks().0.iter().zip(values.as_chunks_mut().0);
                for ((x, values), end) in parts.zip(ends) {
                    // SAFETY: the processor has AVX2, without which there are no such products.
                    *end = unsafe { round_part(x, values) };
                }
            }
        });
        // SAFETY: all was written.
        unsafe { values.set_len(m * k) };
        Self { values, ends, m, k }
    }
}

/// Some rows by some panels.
pub(super) struct Job<'a> {
    pub rows: Range<usize>,
    pub part: Range<usize>,
    /// The bias in panels.
    pub bias: &'a [f32],
    pub then: Then,
}

/// # Safety
/// As [`Narrow::piece`].
#[inline(always)]
unsafe fn piece_in<S: Simd>(w: &Narrow, x: &Bytes, job: Job<'_>, out: *mut f32, stride: usize) {
    // SAFETY: by this function's contract.
    unsafe {
        match S::ROWS {
            6 => piece_by::<4, S>(w, x, job, out, stride),
            _ => piece_by::<MOST_ROWS, S>(w, x, job, out, stride),
        }
    }
}

vectorised! {
    /// # Safety
    /// As [`Narrow::piece`].
    unsafe fn piece_of_any(w: &Narrow, x: &Bytes, job: Job<'_>, out: *mut f32, stride: usize) = piece_in::<S>
}

/// # Safety
/// As [`Narrow::piece`].
#[inline(always)]
unsafe fn piece_by<const M: usize, S: Simd>(
    w: &Narrow,
    x: &Bytes,
    job: Job<'_>,
    out: *mut f32,
    stride: usize,
) {
    let (quads, parts) = (w.k / QUAD, w.k / PART);
    for j in job.part.clone() {
        let panel = (&w.values[j * quads..][..quads], &w.ends[j * parts..][..parts]);
        for row in job.rows.clone().step_by(M) {
            // The last rows are multiplied with some before them, which are done.
            let first = row.min(x.m - M);
            // SAFETY: by this function's contract; there are as many rows.
            unsafe {
                let totals = totals::<M, S>(x, first, panel);
                w.finish::<S>(&job, j, &totals[row - first..], row, out, stride);
            }
        }
    }
}

/// # Safety
/// `x` must have `M` rows from `first` on, as long as the panel.
#[inline(always)]
unsafe fn totals<const M: usize, S: Simd>(
    x: &Bytes,
    first: usize,
    (values, ends): (&[[i8; QUADS]], &[End]),
) -> [S::V; M] {
    let mut totals = [S::splat(0.0); M];
    let parts = ends.len();
    let of_rows = &x.ends[first * parts..(first + M) * parts];
    let rows: [*const u8; M] = std::array::from_fn(|i| x.values[(first + i) * x.k..].as_ptr());
    for (p, (values, end)) in values.as_chunks::<{ PART / QUAD }>().0.iter().zip(ends).enumerate() {
        // SAFETY: rows are as long as the panel.
        let sums = unsafe { S::sums_of_bytes(&rows, p * PART, values) };
        // SAFETY: as many were cut out.
        let of_rows = std::array::from_fn(|i| unsafe { *of_rows.get_unchecked(i * parts + p) });
        add::<M, S>(&mut totals, &sums, &of_rows, end);
    }
    totals
}

/// Adds what the sums of a part stand for. of_rows: scale and least
#[inline(always)]
pub(super) fn add<const M: usize, S: Simd>(
    totals: &mut [S::V; M],
    sums: &[S::Sums; M],
    of_rows: &[[f32; 2]; M],
    end: &End,
) {
    let of_least = S::load(&end.sums);
    for (total, [_, least]) in totals.iter_mut().zip(of_rows) {
        *total = S::mul_add(S::splat(*least), of_least, *total);
    }
    add_scaled::<M, S>(totals, sums, of_rows, end);
}

/// The same of rows whose least is 0.
#[inline(always)]
pub(super) fn add_scaled<const M: usize, S: Simd>(
    totals: &mut [S::V],
    sums: &[S::Sums; M],
    of_rows: &[[f32; 2]; M],
    end: &End,
) {
    let scales = S::load(&end.scales);
    for ((total, sum), [scale, _]) in totals.iter_mut().zip(sums).zip(of_rows) {
        *total = S::mul_add(S::mul(S::of_sums(*sum), S::splat(*scale)), scales, *total);
    }
}

/// Puts some of the rows where they go, the first at `out`.
///
/// # Safety
/// `out` must be valid for them.
#[inline(always)]
unsafe fn put<const ADDS: bool, const GELU: bool, S: Simd>(totals: &[S::V], out: Place, bias: &[f32; WIDTH]) {
    let bias = S::load(bias);
    for (i, total) in totals.iter().enumerate() {
        // SAFETY: by this function's contract.
        let at = unsafe { out.at.add(i * out.stride) };
        if out.columns == WIDTH {
            // SAFETY: as above; a row is as long as the array.
            put_row::<ADDS, GELU, S>(*total, bias, unsafe { &mut *at.cast() });
        } else {
            let mut row = [0f32; WIDTH];
            // SAFETY: as above.
            unsafe {
                if ADDS {
                    row.as_mut_ptr().copy_from_nonoverlapping(at, out.columns);
                }
                put_row::<ADDS, GELU, S>(*total, bias, &mut row);
                at.copy_from_nonoverlapping(row.as_ptr(), out.columns);
            }
        }
    }
}

#[inline(always)]
fn put_row<const ADDS: bool, const GELU: bool, S: Simd>(total: S::V, bias: S::V, to: &mut [f32; WIDTH]) {
    let y = S::add(total, bias);
    S::store(if ADDS { S::add(y, S::load(to)) } else { y }, to);
    if GELU {
        to.iter_mut().for_each(|x| *x = gelu::<S>(*x));
    }
}

/// Φ(x) - ½ by odd powers on ±4, where it comes to ½.
const PHI: [f32; 8] = [
    0.398_705_04,
    -0.065_893_07,
    9.506_152e-3,
    -1.006_570_2e-3,
    7.486_097e-5,
    -3.657_421_3e-6,
    1.042_042_3e-7,
    -1.301_396_3e-9,
];

/// x Φ(x) to 2e-4.
#[inline(always)]
fn gelu<S: Simd>(x: f32) -> f32 {
    // What is no number stays none.
    let x = if x < -4.0 { -4.0 } else { x };
    let t = x.min(4.0);
    let u = t * t;
    let mut p = PHI[7];
    for &c in PHI[..7].iter().rev() {
        p = math::mul_add(p, u, c, S::FUSED);
    }
    x * math::mul_add(p, t, 0.5, S::FUSED)
}
