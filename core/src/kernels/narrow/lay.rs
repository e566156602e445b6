//! How a matrix is laid out as bytes.

use super::super::math;
use super::super::simd::{PAIRED, Simd, WIDTH};
use super::super::store::{Blocks, Matrix, Store};
use super::{End, OF_COLUMN, PART, QUAD, QUADS};

/// A panel's numbers, two steps side by side.
pub(super) fn numbers(matrix: &Matrix, panel: usize, k: usize, to: &mut [[f32; PAIRED]]) {
    match matrix {
        Matrix::Integers(blocks) => integers(blocks, panel, k, to),
        Matrix::Floats(store) => floats(store, panel, k, to),
    }
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

/// What each column is a multiple of if its largest magnitude becomes `most`, and the inverses, for both steps that lie side by side.
#[inline(always)]
fn scales(numbers: &[[f32; PAIRED]], most: f32) -> ([f32; WIDTH], [f32; PAIRED]) {
    // Magnitudes are in the order of their bits, NaNs above all.
    let mut largest = [0u32; PAIRED];
    for pair in numbers {
        largest.iter_mut().zip(pair).for_each(|(most, x)| *most = (*most).max(x.to_bits() & 0x7fff_ffff));
    }
    let (mut scales, mut inverses) = ([0f32; WIDTH], [0f32; PAIRED]);
    for ((scale, two), inverses) in
        scales.iter_mut().zip(largest.as_chunks::<2>().0).zip(inverses.as_chunks_mut::<2>().0)
    {
        let largest = f32::from_bits(two[0].max(two[1]));
        // A NaN stays one: in the scale.
        *scale = largest / most;
        *inverses = [if largest > 0.0 { (most / largest).min(f32::MAX) } else { 0.0 }; 2];
    }
    (scales, inverses)
}

#[inline(always)]
fn round_columns_in(numbers: &[[f32; PAIRED]], values: &mut [[i8; QUADS]], ends: &mut [End]) {
    let parts = numbers.chunks_exact(PART / 2).zip(values.chunks_exact_mut(PART / QUAD));
    for ((numbers, values), end) in parts.zip(ends) {
        let (scales, inverses) = scales(numbers, OF_COLUMN);
        let mut sums = [0i32; PAIRED];
        for (pairs, to) in numbers.as_chunks::<2>().0.iter().zip(values) {
            let mut rounded = [[0i32; PAIRED]; 2];
            for (to, pair) in rounded.iter_mut().zip(pairs) {
                for (((to, sum), x), inverse) in to.iter_mut().zip(&mut sums).zip(pair).zip(&inverses) {
                    *to = math::rounded(x * inverse);
                    *sum += *to;
                }
            }
            for (c, to) in to.as_chunks_mut::<QUAD>().0.iter_mut().enumerate() {
                let [a, b] = &rounded;
                *to = [a[2 * c] as i8, a[2 * c + 1] as i8, b[2 * c] as i8, b[2 * c + 1] as i8];
            }
        }
        end.scales = scales;
        end.sums = std::array::from_fn(|c| scales[c] * (sums[2 * c] + sums[2 * c + 1]) as f32);
    }
}

vectorised! {
    /// Rounds each column's parts to multiples of their scales.
    pub(super) fn round_columns(numbers: &[[f32; PAIRED]], values: &mut [[i8; QUADS]], ends: &mut [End]) = round_columns_in
}
