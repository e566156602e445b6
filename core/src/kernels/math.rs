//! Exponential and error function without branches, so that loops over them become vector code.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

use super::pool;
use super::simd::{Number, Simd, WIDTH};

/// Rounds to the nearest integer when added and subtracted: 1.5 * 2^23.
pub(crate) const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts, the first with few digits, so that `n * LN2_HI` is exact.
const LN2_HI: f32 = 0.693_359_4;
const LN2_LO: f32 = -2.121_944_4e-4;
/// Least squares in relative error on ±ln(2)/2: 4.4e-9.
const EXP: [f32; 7] = [1.0, 1.0, 0.499_999_94, 0.166_664_6, 0.041_668_236, 0.008_371_565, 0.001_382_482];
/// The same for powers of two, on ±½.
const EXP2: [f32; 7] = {
    let (mut terms, mut power, mut i) = ([0.0; 7], 1.0, 0);
    while i < terms.len() {
        terms[i] = (EXP[i] as f64 * power) as f32;
        power *= std::f64::consts::LN_2;
        i += 1;
    }
    terms
};

/// The nearest integer to a number below 2^22, halves to the even one. Becomes two instructions for a whole vector, where
/// `as` has to look for what does not fit.
#[inline(always)]
pub(super) fn rounded(x: f32) -> i32 {
    ((x + ROUND).to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32)
}

/// `a · b + c`, for processors that have an instruction for it, if it is `fused`.
#[inline(always)]
pub(super) fn mul_add(a: f32, b: f32, c: f32, fused: bool) -> f32 {
    if fused { a.mul_add(b, c) } else { a * b + c }
}

/// e^x to about 2e-7 relative; 0 becomes 1, and what is below -87 becomes 0: numbers near the smallest would turn into
/// subnormal ones in what follows, with which some processors are a hundred times slower.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let small = x < -87.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN2_HI - n * LN2_LO;
    let p = EXP[..6].iter().rev().fold(EXP[6], |p, &c| p * r + c);
    // The lowest bits of `shifted` are the integer; moved to the exponent they multiply by 2^n.
    let y = f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23));
    if small { 0.0 } else { y }
}

/// 2^x of an x that is not above 127, as exact as [`exp`]; what is below 2^-100 becomes 0, and nothing becomes a subnormal
/// number by what it is multiplied by.
#[inline(always)]
fn exp2(x: f32, fused: bool) -> f32 {
    let small = x < -100.0;
    let x = if small { 0.0 } else { x };
    let shifted = x + ROUND;
    let r = x - (shifted - ROUND);
    let p = EXP2[..6].iter().rev().fold(EXP2[6], |p, &c| mul_add(p, r, c, fused));
    let y = f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23));
    if small { 0.0 } else { y }
}

/// `erfc(a) exp(a²)` as a polynomial in `1 / (1 + 0.39 a)`, its error weighted by `exp(-a²)`: 8.3e-9.
const ERFC: [f32; 6] = [0.235_325_17, 0.091_388_7, 0.649_558_66, -0.635_399_4, 0.886_663_85, -0.227_537];

/// x Φ(x), the exact GELU, to 4e-7 absolute.
#[inline(always)]
pub(super) fn gelu_one<S: Simd>(x: f32) -> f32 {
    let t = 1.0 / mul_add(x.abs(), 0.39 * FRAC_1_SQRT_2, 1.0, S::FUSED);
    let p = ERFC[..5].iter().rev().fold(ERFC[5], |p, &c| mul_add(p, t, c, S::FUSED));
    let tail = 0.5 * p * t * exp2(x * x * (-0.5 * LOG2_E), S::FUSED);
    x * if x < 0.0 { tail } else { 1.0 - tail }
}

/// Number of partial sums: enough to fill the widest vectors twice.
pub(super) const LANES: usize = 32;

#[inline(always)]
fn fold_lanes(row: &[f32], start: f32, step: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    let mut lanes = [start; LANES];
    let chunks = row.chunks_exact(LANES);
    for (lane, &x) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane = step(*lane, x);
    }
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = step(*lane, x);
        }
    }
    lanes
}

/// All lanes in one, half by half.
#[inline(always)]
fn across(mut lanes: [f32; LANES], step: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = step(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// A comparison that becomes one instruction; a NaN never wins.
#[inline(always)]
pub(super) fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

#[inline(always)]
pub(super) fn max_in(row: &[f32]) -> f32 {
    across(fold_lanes(row, f32::NEG_INFINITY, larger), larger)
}

vectorised! {
    /// The largest value; -inf for none.
    pub fn max(row: &[f32]) -> f32 = max_in
}

/// The largest magnitude, 0 for none; a NaN where there is one.
#[inline(always)]
pub(super) fn max_abs(row: &[f32]) -> f32 {
    // Magnitudes are in the order of their bits, NaNs above all, and the largest integer is found by vectors.
    f32::from_bits(row.iter().fold(0, |largest, x| largest.max(x.to_bits() & 0x7fff_ffff)))
}

#[inline(always)]
fn sum_exp_in<S: Simd>(row: &[f32]) -> (f32, f64) {
    let max = max_in(row);
    if max == f32::NEG_INFINITY {
        return (max, 0.0);
    }
    let sums = fold_lanes(row, 0.0, |sum, x| sum + exp2((x - max) * LOG2_E, S::FUSED));
    (max, sums.iter().map(|&x| f64::from(x)).sum())
}

vectorised! {
    /// The largest value, and the sum of the exponentials of what all are below it.
    fn sum_exp(row: &[f32]) -> (f32, f64) = sum_exp_in::<S>
}

/// Numbers of a vocabulary that one thread takes at once.
const PIECE: usize = 1 << 13;

/// ln of the sum of the exponentials; -inf for none. By all threads: no task may ask for it.
pub fn log_sum_exp(row: &[f32]) -> f32 {
    let pieces = row.len().div_ceil(PIECE);
    let mut sums = vec![(f32::NEG_INFINITY, 0.0); pieces];
    pool::each_chunk(&mut sums, 1, |sums, piece| {
        let of_piece = &row[piece * PIECE..((piece + 1) * PIECE).min(row.len())];
        sums.iter_mut().for_each(|sum| *sum = sum_exp(of_piece));
    });
    let max = sums.iter().fold(f32::NEG_INFINITY, |max, sum| larger(max, sum.0));
    if max == f32::NEG_INFINITY {
        return max;
    }
    // A piece without a number adds nothing: it is that far below.
    let sum: f64 = sums.iter().map(|&(largest, sum)| sum * f64::from(largest - max).exp()).sum();
    (f64::from(max) + sum.ln()) as f32
}

/// One step of a softmax over pieces of a row of logarithms to base 2: `row` becomes its powers of two relative to the largest
/// value so far, which `max` and `sum` follow. -> what the sums before it must be multiplied by
#[inline(always)]
pub(super) fn softmax_step<S: Simd>(row: &mut [f32], max: &mut f32, sum: &mut f32) -> f32 {
    let largest = larger(*max, max_in(row));
    let factor = exp2(*max - largest, S::FUSED);
    let mut sums = [0f32; LANES];
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *x = exp2(*x - largest, S::FUSED);
            *sum += *x;
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *x = exp2(*x - largest, S::FUSED);
        *sum += *x;
    }
    *sum = *sum * factor + across(sums, |a, b| a + b);
    *max = largest;
    factor
}

vectorised! {
    /// [`softmax_step`] of a whole row, to which `max` and `sum` belong.
    pub(crate) fn softmax(row: &mut [f32], max: &mut f32, sum: &mut f32) -> f32 = softmax_step::<S>
}

/// 1 / (1 + e^-x)
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
fn lstm_in(gates: &[f32], cell: &mut [f32], hidden: &mut [f32]) {
    let n = cell.len();
    let (input, rest) = gates.split_at(n);
    let (forget, rest) = rest.split_at(n);
    let (new, output) = rest.split_at(n);
    // To 1e-7 absolute, which is all that is needed of numbers that are added to others near 1.
    let tanh = |x: f32| 2.0 * sigmoid(2.0 * x) - 1.0;
    let gates = input.iter().zip(forget).zip(new).zip(output);
    for ((cell, hidden), (((input, forget), new), output)) in cell.iter_mut().zip(hidden).zip(gates) {
        *cell = sigmoid(*forget) * *cell + sigmoid(*input) * tanh(*new);
        *hidden = sigmoid(*output) * tanh(*cell);
    }
}

vectorised! {
    /// One step of an LSTM, whose memory is `cell` and `hidden`. gates: (4 · n), those of input, forgetting, the new value and
    /// output
    pub(crate) fn lstm(gates: &[f32], cell: &mut [f32], hidden: &mut [f32]) = lstm_in
}

/// Scalar product.
#[inline(always)]
pub(super) fn dot<S: Simd, E: Number>(a: &[f32], b: &[E]) -> f32 {
    let n = a.len().min(b.len());
    let ((a, rest_a), (b, rest_b)) = (a[..n].as_chunks::<WIDTH>(), b[..n].as_chunks::<WIDTH>());
    let mut sums = [S::splat(0.0); 2];
    for (a, b) in a.chunks(2).zip(b.chunks(2)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = S::mul_add(S::load(a), E::vector::<S>(b), *sum);
        }
    }
    let rest: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b.number()).sum();
    S::sum(S::add(sums[0], sums[1])) + rest
}
