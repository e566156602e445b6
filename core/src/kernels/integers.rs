//! Products of integers: the rows of `x` rounded to sixteen bits, blocks of small integers as they are, sums exact in
//! 32 bits, with one scale for each block of the matrix and one for each row of `x`. Twice as fast as in floats, where
//! an instruction multiplies sixteen pairs.

#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
use super::level::{Level, level};
use super::shared::SharedOut;
#[cfg(target_arch = "x86_64")]
use super::simd::Avx512;
#[cfg(target_arch = "aarch64")]
use super::simd::Neon;
use super::simd::{MOST_ROWS, PAIRED, Simd, WIDTH};
use super::store::{Blocks, LONGEST_BLOCK};
use super::tile::{End, Place, Rows, finish};
use super::{math, pool};

/// The largest integer that a row is rounded to: with the largest of a matrix, 128, and the steps of the longest block
/// a sum stays far below 2^31. On aarch64 the largest that is 256 times one number of eight bits and another one.
const LARGEST: f32 = if cfg!(target_arch = "aarch64") { 32639.0 } else { 32767.0 };
/// Steps over k that a panel is read for at once: with a block of rows they stay in the second-level cache. A multiple
/// of a block's.
const STEPS: usize = 768;
/// Rows that are rounded in one task: a multiple of every processor's [`Simd::ROWS`].
const ROUNDED: usize = 2 * MOST_ROWS;
/// Numbers that are rounded at a time; every matrix's rows are whole multiples of that.
const AT_ONCE: usize = WIDTH;

/// Rows rounded to integers, in the order in which a tile reads them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounded<'a> {
    /// Groups of [`Simd::ROWS`] rows, the last may have fewer: (k / unit, rows, unit), a unit being what a row gives
    /// to one product.
    values: &'a [i16],
    /// (m)
    scales: &'a [f32],
    /// The sum of each block, if something is added there. (m, k / block)
    sums: &'a [f32],
    k: usize,
    order: Order,
}

/// Room for rounded rows.
pub(super) struct Buffers {
    values: Vec<i16>,
    scales: Vec<f32>,
    sums: Vec<f32>,
    k: usize,
    order: Order,
}

/// How many rows lie between each other, and how many numbers of each at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Order {
    rows: usize,
    unit: usize,
}

#[inline(always)]
fn order_of<S: Simd>() -> Order {
    Order { rows: S::ROWS, unit: 2 * S::PAIRS }
}

vectorised! {
    fn order_of_any() -> Order = order_of::<S>
}

fn order() -> Order {
    #[cfg(target_arch = "aarch64")]
    if level() == Level::Dotprod {
        return order_of::<Neon<true>>();
    }
    order_of_any()
}

impl Buffers {
    /// m rows of k numbers, for a matrix with such blocks.
    pub(super) fn new(x: Rows<'_>, m: usize, k: usize, blocks: &Blocks<PAIRED>) -> Self {
        let order = order();
        let n_sums = if blocks.offsets.is_empty() { 0 } else { k / blocks.block };
        let (mut values, mut scales, mut sums) = (vec![0i16; m * k], vec![0f32; m], vec![0f32; m * n_sums]);
        let to_values = SharedOut::new(values.as_mut_ptr());
        let (to_scales, to_sums) = (SharedOut::new(scales.as_mut_ptr()), SharedOut::new(sums.as_mut_ptr()));
        pool::each(m.div_ceil(ROUNDED), |task| {
            let first = task * ROUNDED;
            let rows = ROUNDED.min(m - first);
            // SAFETY: a task's places are its own.
            let out = unsafe {
                Places {
                    values: std::slice::from_raw_parts_mut(to_values.at(first * k), rows * k),
                    scales: std::slice::from_raw_parts_mut(to_scales.at(first), rows),
                    sums: std::slice::from_raw_parts_mut(to_sums.at(first * n_sums), rows * n_sums),
                }
            };
            let x = Rows { values: &x.values[first * x.stride..], stride: x.stride };
            round_rows(x, k, order, out);
        });
        Self { values, scales, sums, k, order }
    }

    pub(super) fn rounded(&self) -> Rounded<'_> {
        let Self { values, scales, sums, k, order } = self;
        Rounded { values, scales, sums, k: *k, order: *order }
    }
}

/// Where some rows go, as in [`Rounded`]; the values may hold anything before, the sums nothing.
struct Places<'a> {
    values: &'a mut [i16],
    scales: &'a mut [f32],
    sums: &'a mut [f32],
}

/// As many rows of k numbers as there are scales.
fn round_rows(x: Rows<'_>, k: usize, order: Order, out: Places<'_>) {
    let (m, n_sums) = (out.scales.len(), out.sums.len() / out.scales.len().max(1));
    for first in (0..m).step_by(order.rows) {
        let rows = order.rows.min(m - first);
        for row in 0..rows {
            let at = first + row;
            let group = Group {
                values: &mut out.values[first * k..(first + rows) * k],
                order: Order { rows, ..order },
                row,
            };
            let sums = &mut out.sums[at * n_sums..(at + 1) * n_sums];
            out.scales[at] = round(&x.values[at * x.stride..][..k], group, sums);
        }
    }
}

impl<'a> Rounded<'a> {
    /// Numbers of f32 that m rows of k need room for.
    pub(super) fn room(m: usize, k: usize) -> usize {
        m + (m * k).div_ceil(2)
    }

    /// m rows of k numbers, kept in `room`, for a matrix to whose blocks nothing is added.
    pub(super) fn within(room: &'a mut [f32], x: Rows<'_>, m: usize, k: usize) -> Self {
        let (scales, values) = room[..Self::room(m, k)].split_at_mut(m);
        // SAFETY: two integers of sixteen bits where there is one number of 32, and any bits are integers.
        let values = unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast::<i16>(), m * k) };
        let order = order();
        round_rows(x, k, order, Places { values, scales, sums: &mut [] });
        Self { values, scales, sums: &[], k, order }
    }

    fn sums(&self, i: usize) -> &'a [f32] {
        let n = self.sums.len() / self.scales.len();
        &self.sums[i * n..(i + 1) * n]
    }
}

/// One row's places among those of its group.
struct Group<'a> {
    values: &'a mut [i16],
    order: Order,
    row: usize,
}

impl Group<'_> {
    #[inline(always)]
    fn put_at(&mut self, at: usize, numbers: &[i16; AT_ONCE]) {
        match self.order.unit {
            2 => self.put::<2>(at, numbers),
            _ => self.put::<4>(at, numbers),
        }
    }

    #[inline(always)]
    fn put<const UNIT: usize>(&mut self, at: usize, numbers: &[i16; AT_ONCE]) {
        let Order { rows, .. } = self.order;
        for (u, numbers) in numbers.as_chunks::<UNIT>().0.iter().enumerate() {
            let to = ((at / UNIT + u) * rows + self.row) * UNIT;
            self.values[to..to + UNIT].copy_from_slice(numbers);
        }
    }
}

#[inline(always)]
fn round_in(x: &[f32], mut out: Group<'_>, sums: &mut [f32]) -> f32 {
    let largest = math::max_abs(x);
    // A NaN stays one: in the scale, beside numbers that are all nothing.
    if largest == 0.0 || largest.is_nan() {
        for i in 0..x.len() / AT_ONCE {
            out.put_at(i * AT_ONCE, &[0; AT_ONCE]);
        }
        return largest;
    }
    // So small that its inverse is infinite: as good as nothing.
    let inverse = (LARGEST / largest).min(f32::MAX);
    let (sixteens, rest) = x.as_chunks::<AT_ONCE>();
    debug_assert!(rest.is_empty());
    for (i, x) in sixteens.iter().enumerate() {
        let mut numbers = [0i16; AT_ONCE];
        for (number, x) in numbers.iter_mut().zip(x) {
            *number = math::rounded(x * inverse) as i16;
        }
        out.put_at(i * AT_ONCE, &numbers);
        if !sums.is_empty() {
            let sum = i * sums.len() / sixteens.len();
            sums[sum] += numbers.iter().map(|&x| i32::from(x)).sum::<i32>() as f32;
        }
    }
    largest / LARGEST
}

vectorised! {
    /// Rounds numbers to multiples of what it returns, and adds up those of each block.
    fn round(x: &[f32], out: Group<'_>, sums: &mut [f32]) -> f32 = round_in
}

/// Some rows of `x` by some panels.
pub(super) struct Job<'a> {
    pub x: Rounded<'a>,
    /// The rows, and the panels.
    pub rows: std::ops::Range<usize>,
    pub part: std::ops::Range<usize>,
    /// Rows of the matrix, and its bias in panels.
    pub n: usize,
    pub bias: &'a [f32],
    pub then: super::tile::Then,
}

/// # Safety
/// `out` must be valid for the job's rows of n values, `out_stride` apart, in the columns of its panels.
#[inline(always)]
unsafe fn piece_in<S: Simd>(w: &Blocks<PAIRED>, job: Job<'_>, out: *mut f32, out_stride: usize) {
    let k = job.x.k;
    assert_eq!(job.x.order, order_of::<S>(), "rows in another processor's order");
    let steps = k.div_ceil(k.div_ceil(STEPS)).next_multiple_of(LONGEST_BLOCK);
    for from in (0..k).step_by(steps) {
        let to = (from + steps).min(k);
        for j in job.part.clone() {
            let blocks = (j * k + from) / w.block..(j * k + to) / w.block;
            let panel = Panel {
                values: &w.values[(j * k + from) / 2..(j * k + to) / 2],
                scales: &w.scales[blocks.clone()],
                offsets: if w.offsets.is_empty() { &[] } else { &w.offsets[blocks] },
                block: w.block,
                from,
            };
            let columns = WIDTH.min(job.n - j * WIDTH);
            let bias = &job.bias[j * WIDTH..][..WIDTH];
            let end = End { first: from == 0, last: to == k, bias, then: job.then };
            for row in job.rows.clone().step_by(S::ROWS) {
                // SAFETY: inside of what this function was given.
                unsafe {
                    let at = out.add((row - job.rows.start) * out_stride + j * WIDTH);
                    let out = Place { at, stride: out_stride, columns };
                    match (job.rows.end - row).min(S::ROWS) {
                        1 => tile::<1, S>(job.x, row, panel, out, end),
                        2 => tile::<2, S>(job.x, row, panel, out, end),
                        3 => tile::<3, S>(job.x, row, panel, out, end),
                        4 => tile::<4, S>(job.x, row, panel, out, end),
                        5 => tile::<5, S>(job.x, row, panel, out, end),
                        6 => tile::<6, S>(job.x, row, panel, out, end),
                        7 => tile::<7, S>(job.x, row, panel, out, end),
                        8 => tile::<8, S>(job.x, row, panel, out, end),
                        9 => tile::<9, S>(job.x, row, panel, out, end),
                        10 => tile::<10, S>(job.x, row, panel, out, end),
                        11 => tile::<11, S>(job.x, row, panel, out, end),
                        _ => tile::<12, S>(job.x, row, panel, out, end),
                    }
                }
            }
        }
    }
}

vectorised! {
    /// # Safety
    /// As [`piece_in`].
    unsafe fn piece_of_any(w: &Blocks<PAIRED>, job: Job<'_>, out: *mut f32, out_stride: usize) = piece_in::<S>
}

/// # Safety
/// As [`piece_in`].
pub(super) unsafe fn piece(w: &Blocks<PAIRED>, job: Job<'_>, out: *mut f32, out_stride: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma,f16c")]
        unsafe fn vnni(w: &Blocks<PAIRED>, job: Job<'_>, out: *mut f32, out_stride: usize) {
            // SAFETY: by this function's contract.
            unsafe { piece_in::<Avx512<true>>(w, job, out, out_stride) }
        }
        if level() == Level::Vnni {
            // SAFETY: by this function's contract; the processor has what the function needs.
            return unsafe { vnni(w, job, out, out_stride) };
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        #[target_feature(enable = "dotprod")]
        unsafe fn dot(w: &Blocks<PAIRED>, job: Job<'_>, out: *mut f32, out_stride: usize) {
            // SAFETY: by this function's contract.
            unsafe { piece_in::<Neon<true>>(w, job, out, out_stride) }
        }
        if level() == Level::Dotprod {
            // SAFETY: by this function's contract; the processor has what the function needs.
            return unsafe { dot(w, job, out, out_stride) };
        }
    }
    // SAFETY: by this function's contract.
    unsafe { piece_of_any(w, job, out, out_stride) }
}

/// Some steps of a panel.
#[derive(Clone, Copy)]
struct Panel<'a> {
    values: &'a [[i8; PAIRED]],
    scales: &'a [[f32; WIDTH]],
    offsets: &'a [[f32; WIDTH]],
    block: usize,
    /// The first of them.
    from: usize,
}

/// `M` rows of `x` from `first` on by a panel.
///
/// # Safety
/// `x` must have these rows, and `out` must be valid for them.
#[inline(always)]
unsafe fn tile<const M: usize, S: Simd>(
    x: Rounded<'_>,
    first: usize,
    panel: Panel<'_>,
    out: Place,
    end: End<'_>,
) {
    let mut totals = [S::splat(0.0); M];
    debug_assert_eq!(M, (x.scales.len() - first).min(S::ROWS));
    let x_at: *const [i16; 2] = x.values[first * x.k + panel.from * M..].as_ptr().cast();
    let pairs = panel.block / 2;
    for (b, (values, scales)) in panel.values.chunks_exact(pairs).zip(panel.scales).enumerate() {
        let mut sums = [S::no_sums(); M];
        for (p, w) in values.chunks_exact(S::PAIRS).enumerate() {
            let w = S::pairs_of_i8(w);
            for (i, sum) in sums.iter_mut().enumerate() {
                // SAFETY: rows are as long as the panel; any place will do for pairs of this type.
                let x = unsafe { x_at.add((b * pairs + p * S::PAIRS) * M + i * S::PAIRS) };
                let x = unsafe { std::slice::from_raw_parts(x, S::PAIRS) };
                *sum = S::add_products(*sum, x, w);
            }
        }
        let scales = S::load(scales);
        for (total, sum) in totals.iter_mut().zip(sums) {
            *total = S::mul_add(S::of_sums(sum), scales, *total);
        }
    }
    if !panel.offsets.is_empty() {
        let before = panel.from / panel.block;
        for (i, total) in totals.iter_mut().enumerate() {
            for (sum, offsets) in x.sums(first + i)[before..].iter().zip(panel.offsets) {
                *total = S::mul_add(S::splat(*sum), S::load(offsets), *total);
            }
        }
    }
    let mut numbers = [[0f32; WIDTH]; M];
    for (i, (numbers, total)) in numbers.iter_mut().zip(totals).enumerate() {
        S::store(S::mul(total, S::splat(x.scales[first + i])), numbers);
    }
    // SAFETY: by this function's contract.
    unsafe { finish(numbers, out, end) };
}
