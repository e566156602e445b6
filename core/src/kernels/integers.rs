//! Products of integers: the rows of `x` rounded to sixteen bits, blocks of small integers as they are, sums exact in
//! 32 bits, with one scale for each block of the matrix and one for each row of `x`. Nearly twice as fast as in floats
//! where an instruction multiplies sixteen pairs and adds them up; with AVX2 alone two fifths faster: a cycle has 26 products
//! there, of floats 16 (`tests/bench/results/kernels.md`, with what else was tried).

#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
use super::level::{Level, level};
use super::room::room;
use super::shared::SharedOut;
#[cfg(target_arch = "x86_64")]
use super::simd::Avx512;
#[cfg(target_arch = "aarch64")]
use super::simd::Neon;
use super::simd::{PAIRED, Simd, WIDTH};
use super::store::{Blocks, LONGEST_BLOCK};
use super::tile::{End, Place, Rows, finish};
use super::{math, pool};

/// The largest integer that a row is rounded to: with the largest of a matrix, 128, and the steps of the longest block
/// a sum stays far below 2^31. On aarch64 the largest that is 256 times one number of eight bits and another one.
const LARGEST: f32 = if cfg!(target_arch = "aarch64") { 32639.0 } else { 32767.0 };
/// Steps over k that a panel is read for at once: with a block of rows they stay in the second-level cache. A multiple
/// of a block's.
const STEPS: usize = 768;
/// Rows that are rounded in one task.
const ROUNDED: usize = 32;

/// Rows rounded to integers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounded<'a> {
    /// (m, k)
    values: &'a [i16],
    /// (m)
    scales: &'a [f32],
    /// The sum of each block, if something is added there. (m, k / block)
    sums: &'a [f32],
    k: usize,
}

/// Rounded rows of one's own.
pub(super) struct Buffers {
    values: Vec<i16>,
    scales: Vec<f32>,
    sums: Vec<f32>,
    k: usize,
}

impl Buffers {
    /// m rows of k numbers, for a matrix with such blocks.
    pub(super) fn new(x: Rows<'_>, m: usize, k: usize, blocks: &Blocks<PAIRED>) -> Self {
        let n_sums = if blocks.offsets.is_empty() { 0 } else { k / blocks.block };
        let (mut values, mut scales, mut sums) = (room(m * k), vec![0f32; m], vec![0f32; m * n_sums]);
        let to_values = SharedOut::new(values.as_mut_ptr());
        let (to_scales, to_sums) = (SharedOut::new(scales.as_mut_ptr()), SharedOut::new(sums.as_mut_ptr()));
        pool::each(m.div_ceil(ROUNDED), |task| {
            for row in task * ROUNDED..((task + 1) * ROUNDED).min(m) {
                // SAFETY: a row's places are its own.
                let (values, scale, sums) = unsafe {
                    (
                        std::slice::from_raw_parts_mut(to_values.at(row * k), k),
                        &mut *to_scales.at(row),
                        std::slice::from_raw_parts_mut(to_sums.at(row * n_sums), n_sums),
                    )
                };
                *scale = round(&x.values[row * x.stride..][..k], None, values);
                for (sum, block) in sums.iter_mut().zip(values.chunks_exact(blocks.block)) {
                    *sum = block.iter().map(|&x| i32::from(x)).sum::<i32>() as f32;
                }
            }
        });
        // SAFETY: all was written.
        unsafe { values.set_len(m * k) };
        Self { values, scales, sums, k }
    }

    pub(super) fn rounded(&self) -> Rounded<'_> {
        Rounded { values: &self.values, scales: &self.scales, sums: &self.sums, k: self.k }
    }
}

impl<'a> Rounded<'a> {
    /// Numbers of f32 that m rows of k need room for.
    pub(super) fn room(m: usize, k: usize) -> usize {
        m + (m * k).div_ceil(2)
    }

    /// m rows of k numbers, kept in `room`, for a matrix to whose blocks nothing is added. The largest magnitude of each, if that is known.
    pub(super) fn within(room: &'a mut [f32], x: Rows<'_>, m: usize, k: usize, largest: Option<f32>) -> Self {
        let (scales, values) = room[..Self::room(m, k)].split_at_mut(m);
        // SAFETY: two integers of sixteen bits where there is one number of 32, and any bits are integers.
        let values = unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast::<i16>(), m * k) };
        for (row, (values, scale)) in values.chunks_exact_mut(k).zip(&mut *scales).enumerate() {
            *scale = round(&x.values[row * x.stride..][..k], largest, values);
        }
        Self { values, scales, sums: &[], k }
    }

    /// Row `i`, from step `from` on.
    fn row(&self, i: usize, from: usize) -> &'a [i16] {
        &self.values[i * self.k + from..(i + 1) * self.k]
    }

    fn sums(&self, i: usize) -> &'a [f32] {
        let n = self.sums.len() / self.scales.len();
        &self.sums[i * n..(i + 1) * n]
    }
}

#[inline(always)]
fn round_in(x: &[f32], largest: Option<f32>, out: &mut [i16]) -> f32 {
    // A NaN stays one: in the scale.
    let largest = match largest {
        Some(largest) => largest,
        None => math::max_abs(x),
    };
    if largest == 0.0 || largest.is_nan() {
        out.fill(0);
        return largest;
    }
    // So small that its inverse is infinite: as good as nothing.
    let inverse = (LARGEST / largest).min(f32::MAX);
    for (out, x) in out.iter_mut().zip(x) {
        *out = math::rounded(x * inverse) as i16;
    }
    largest / LARGEST
}

vectorised! {
    /// Rounds numbers to multiples of what it returns; their largest magnitude need not be looked for if it is known.
    fn round(x: &[f32], largest: Option<f32>, out: &mut [i16]) -> f32 = round_in
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
    let steps = k.div_ceil(k.div_ceil(STEPS)).next_multiple_of(LONGEST_BLOCK);
    // A power of two, and shifts take no time.
    let shift = w.block.trailing_zeros();
    for from in (0..k).step_by(steps) {
        let to = (from + steps).min(k);
        for j in job.part.clone() {
            let blocks = (j * k + from) >> shift..(j * k + to) >> shift;
            let panel = Panel {
                values: &w.values[(j * k + from) / 2..(j * k + to) / 2],
                scales: &w.scales[blocks.clone()],
                offsets: if w.offsets.is_empty() { &[] } else { &w.offsets[blocks] },
                block: w.block,
                from,
            };
            let columns = WIDTH.min(job.n - j * WIDTH);
            let bias = &job.bias.as_chunks().0[j];
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
                        12 => tile::<12, S>(job.x, row, panel, out, end),
                        _ => {}
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
        if level() >= Level::Vnni {
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
    // Pointers, not an index: a register for each row, and nothing to add up.
    let rows: [*const [i16; 2]; M] = std::array::from_fn(|i| x.row(first + i, panel.from).as_ptr().cast());
    // SAFETY: a row is as long as the panel; any place will do for pairs of this type.
    unsafe { S::add_blocks(&mut totals, &rows, panel.values, panel.scales, panel.block / 2) };
    if !panel.offsets.is_empty() {
        let before = panel.from / panel.block;
        for (i, total) in totals.iter_mut().enumerate() {
            for (sum, offsets) in x.sums(first + i)[before..].iter().zip(panel.offsets) {
                *total = S::mul_add(S::splat(*sum), S::load(offsets), *total);
            }
        }
    }
    for (i, total) in totals.iter_mut().enumerate() {
        *total = S::mul(*total, S::splat(x.scales[first + i]));
    }
    // SAFETY: by this function's contract.
    unsafe { finish::<M, S>(&totals, out, end) };
}
