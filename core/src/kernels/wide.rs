//! Products of integers where there are many rows, on x86-64: the matrix in sixteen bits too, with one scale for hundreds of steps
//! where its blocks have one for every 32. What a block ends with costs a seventh with AVX2, and widening its integers more; both
//! are left out here. To fit into a sum, a row has thirteen bits and the matrix eleven, its blocks eight.

use std::ops::Range;

use super::integers::{Columns, Job, Panel, Rounded, piece_in};
use super::level::{Level, level};
use super::room::room;
use super::shared::SharedOut;
use super::simd::{Avx512, PAIRED, Simd, WIDTH};
use super::store::{Blocks, Matrix, Store};
use super::tile::{End, Place, Then, finish};
use super::{math, pool};

/// What the largest magnitudes of a row, and of a column of the matrix, become.
pub(super) const OF_ROW: f32 = 4095.0;
const OF_COLUMN: f32 = 1023.0;
/// Steps over k whose products are summed up: no sum of so many is 2^31.
pub(super) const STEPS: usize = 512;
const _: () = assert!(STEPS as f64 * OF_ROW as f64 * (OF_COLUMN as f64) < (1u64 << 31) as f64);
/// Steps that go together; a multiple of a turn's.
pub(super) const TURN: usize = 16;
/// Numbers up to which a matrix is laid out: all but vocabularies.
const MOST: usize = 16 << 20;

/// Whether the kernels use it for matrices of this size: a matrix unit is faster.
pub(super) fn is_used(n: usize, k: usize) -> bool {
    fits(k) && n * k <= MOST && level() != Level::Amx
}

/// Whether they could, for so many steps.
pub(super) fn fits(k: usize) -> bool {
    level() >= Level::Avx2 && k.is_multiple_of(TURN)
}

/// A matrix (n, k) in panels of sixteen rows, two steps side by side.
#[derive(Debug)]
pub(super) struct Wide {
    /// (⌈n / 16⌉, k / 2)
    pub values: Vec<[i16; PAIRED]>,
    /// (⌈n / 16⌉, parts)
    pub scales: Vec<[f32; WIDTH]>,
}

/// Steps of the parts that k is cut into.
pub(super) fn steps(k: usize) -> usize {
    k.div_ceil(k.div_ceil(STEPS)).next_multiple_of(TURN)
}

impl Wide {
    /// So many panels of k steps; `fill` writes the numbers of one.
    pub(super) fn new(panels: usize, k: usize, fill: impl Fn(usize, &mut [[f32; PAIRED]]) + Sync) -> Self {
        let (pairs, parts) = (k / 2, k.div_ceil(steps(k)));
        let mut values = room(panels * pairs);
        let mut scales = vec![[0f32; WIDTH]; panels * parts];
        let to_values = SharedOut::new(values.as_mut_ptr());
        let to_scales = SharedOut::new(scales.as_mut_ptr());
        pool::each_with(panels, k * WIDTH, |room, panel| {
            let (numbers, _) = room.as_chunks_mut::<PAIRED>();
            fill(panel, numbers);
            // SAFETY: a panel's places are its own, and any bits are integers.
            let (values, scales) = unsafe {
                (
                    std::slice::from_raw_parts_mut(to_values.at(panel * pairs), pairs),
                    std::slice::from_raw_parts_mut(to_scales.at(panel * parts), parts),
                )
            };
            let parts = numbers.chunks(steps(k) / 2).zip(values.chunks_mut(steps(k) / 2));
            parts.zip(scales).for_each(|((numbers, values), scales)| round(numbers, values, scales));
        });
        // SAFETY: all was written.
        unsafe { values.set_len(panels * pairs) };
        Self { values, scales }
    }

    /// The same numbers (n, k).
    pub(super) fn of(matrix: &Matrix, n: usize, k: usize) -> Self {
        Self::new(n.div_ceil(WIDTH), k, |panel, numbers| match matrix {
            Matrix::Integers(blocks) => integers(blocks, panel, k, numbers),
            Matrix::Floats(store) => floats(store, panel, k, numbers),
        })
    }
}

#[inline(always)]
fn round_in(numbers: &[[f32; PAIRED]], values: &mut [[i16; PAIRED]], scales: &mut [f32; WIDTH]) {
    // Magnitudes are in the order of their bits, NaNs above all.
    let mut largest = [0u32; PAIRED];
    for pair in numbers {
        largest.iter_mut().zip(pair).for_each(|(most, x)| *most = (*most).max(x.to_bits() & 0x7fff_ffff));
    }
    let mut inverses = [0f32; PAIRED];
    for ((scale, two), inverses) in
        scales.iter_mut().zip(largest.as_chunks::<2>().0).zip(inverses.as_chunks_mut::<2>().0)
    {
        let most = f32::from_bits(two[0].max(two[1]));
        // A NaN stays one: in the scale.
        *scale = most / OF_COLUMN;
        *inverses = [if most > 0.0 { (OF_COLUMN / most).min(f32::MAX) } else { 0.0 }; 2];
    }
    for (values, numbers) in values.iter_mut().zip(numbers) {
        for ((value, x), inverse) in values.iter_mut().zip(numbers).zip(&inverses) {
            *value = math::rounded(x * inverse) as i16;
        }
    }
}

vectorised! {
    /// Rounds each column to multiples of its scale.
    fn round(numbers: &[[f32; PAIRED]], values: &mut [[i16; PAIRED]], scales: &mut [f32; WIDTH]) = round_in
}

/// A number of each column for both steps that lie beside each other.
#[inline(always)]
fn twice(of: &[f32; WIDTH]) -> [f32; PAIRED] {
    std::array::from_fn(|i| of[i / 2])
}

#[inline(always)]
fn integers_in(w: &Blocks<PAIRED>, panel: usize, k: usize, numbers: &mut [[f32; PAIRED]]) {
    for (b, numbers) in numbers.chunks_exact_mut(w.block / 2).enumerate() {
        let block = panel * k / w.block + b;
        let scales = twice(&w.scales[block]);
        let offsets = w.offsets.get(block).map_or([0.0; PAIRED], twice);
        for (numbers, q) in numbers.iter_mut().zip(&w.values[block * w.block / 2..]) {
            for (i, number) in numbers.iter_mut().enumerate() {
                *number = f32::from(q[i]) * scales[i] + offsets[i];
            }
        }
    }
}

vectorised! {
    /// A panel's numbers.
    fn integers(w: &Blocks<PAIRED>, panel: usize, k: usize, numbers: &mut [[f32; PAIRED]]) = integers_in
}

#[inline(always)]
fn floats_in<S: Simd>(w: &Store, panel: usize, k: usize, numbers: &mut [[f32; PAIRED]]) {
    for (p, to) in numbers.iter_mut().enumerate() {
        let (at, mut steps) = (panel * k + 2 * p, [[0f32; WIDTH]; 2]);
        w.view(at, at + 2).unpack::<S>(&mut steps);
        for ((to, a), b) in to.as_chunks_mut::<2>().0.iter_mut().zip(steps[0]).zip(steps[1]) {
            *to = [a, b];
        }
    }
}

vectorised! {
    /// The same of floats.
    fn floats(w: &Store, panel: usize, k: usize, numbers: &mut [[f32; PAIRED]]) = floats_in::<S>
}

impl Columns for Wide {
    fn largest(&self) -> f32 {
        OF_ROW
    }

    fn summed(&self) -> Option<usize> {
        None
    }

    #[inline(always)]
    fn steps(&self, k: usize) -> usize {
        steps(k)
    }

    #[inline(always)]
    fn panel(&self, j: usize, k: usize, at: Range<usize>) -> impl Panel {
        PanelOfWide {
            values: &self.values[(j * k + at.start) / 2..(j * k + at.end) / 2],
            scales: &self.scales[j * k.div_ceil(steps(k)) + at.start / steps(k)],
            from: at.start,
        }
    }

    unsafe fn piece(&self, job: Job<'_>, out: *mut f32, out_stride: usize) {
        #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma,f16c")]
        unsafe fn vnni(w: &Wide, job: Job<'_>, out: *mut f32, out_stride: usize) {
            // SAFETY: by this function's contract.
            unsafe { piece_in::<Avx512<true>>(w, job, out, out_stride) }
        }
        // SAFETY: by this function's contract; the processor has what the function needs.
        unsafe {
            match level() >= Level::Vnni {
                true => vnni(self, job, out, out_stride),
                false => piece_of_any(self, job, out, out_stride),
            }
        }
    }
}

vectorised! {
    /// # Safety
    /// As [`piece_in`].
    unsafe fn piece_of_any(w: &Wide, job: Job<'_>, out: *mut f32, out_stride: usize) = piece_in::<S>
}

/// Some steps of a panel, from one on.
#[derive(Clone, Copy)]
struct PanelOfWide<'a> {
    values: &'a [[i16; PAIRED]],
    scales: &'a [f32; WIDTH],
    from: usize,
}

impl Panel for PanelOfWide<'_> {
    #[inline(always)]
    unsafe fn tile<const M: usize, S: Simd>(self, x: Rounded<'_>, first: usize, out: Place, end: End<'_>) {
        // SAFETY: a row is as long as the panel; any place will do for pairs of this type.
        let sums = unsafe { S::sums(&x.pairs::<M>(first, self.from), self.values) };
        let (scales, of_rows) = (S::load(self.scales), &x.scales[first..first + M]);
        if M < S::ROWS || out.columns < WIDTH {
            let mut totals = [S::splat(0.0); M];
            for ((total, sum), of_row) in totals.iter_mut().zip(&sums).zip(of_rows) {
                *total = S::mul(S::mul(S::of_sums(*sum), scales), S::splat(*of_row));
            }
            // SAFETY: by this function's contract.
            return unsafe { finish::<M, S>(&totals, out, end) };
        }
        let bias = if end.last { S::load(end.bias) } else { S::splat(0.0) };
        // SAFETY: by this function's contract; rows are whole.
        unsafe {
            match (!end.first || end.then == Then::Add, end.last && end.then == Then::Gelu) {
                (false, false) => put::<M, false, false, S>(&sums, of_rows, scales, bias, out),
                (false, true) => put::<M, false, true, S>(&sums, of_rows, scales, bias, out),
                (true, false) => put::<M, true, false, S>(&sums, of_rows, scales, bias, out),
                (true, true) => put::<M, true, true, S>(&sums, of_rows, scales, bias, out),
            }
        }
    }
}

/// # Safety
/// `out` must be valid for `M` rows of sixteen, and there must be as many scales.
#[inline(always)]
unsafe fn put<const M: usize, const ADDS: bool, const GELU: bool, S: Simd>(
    sums: &[S::Sums; M],
    of_rows: &[f32],
    scales: S::V,
    bias: S::V,
    out: Place,
) {
    for (i, sum) in sums.iter().enumerate() {
        // SAFETY: by this function's contract.
        let (to, of_row) =
            unsafe { (&mut *out.at.add(i * out.stride).cast::<[f32; WIDTH]>(), *of_rows.get_unchecked(i)) };
        let mut y = S::mul_add(S::mul(S::of_sums(*sum), scales), S::splat(of_row), bias);
        if ADDS {
            y = S::add(y, S::load(to));
        }
        S::store(y, to);
        if GELU {
            to.iter_mut().for_each(|x| *x = gelu::<S>(*x));
        }
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
    let t = x.clamp(-4.0, 4.0);
    let u = t * t;
    let mut p = PHI[7];
    for &c in PHI[..7].iter().rev() {
        p = math::mul_add(p, u, c, S::FUSED);
    }
    x * math::mul_add(p, t, 0.5, S::FUSED)
}
