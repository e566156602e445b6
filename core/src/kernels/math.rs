//! Exponential and error function without branches, so that loops over them become vector code.

/// Rounds to the nearest integer when added and subtracted: 1.5 * 2^23.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts, the first with few digits, so that `n * LN2_HI` is exact.
const LN2_HI: f32 = 0.693_359_4;
const LN2_LO: f32 = -2.121_944_4e-4;
/// Least squares in relative error on ±ln(2)/2: 4.4e-9.
const EXP: [f32; 7] = [1.0, 1.0, 0.499_999_94, 0.166_664_6, 0.041_668_236, 0.008_371_565, 0.001_382_482];

/// e^x to about 2e-7 relative; 0 becomes 1, -87 and below the smallest normal numbers.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HI) - n * LN2_LO;
    let mut p = EXP[6];
    for c in EXP[..6].iter().rev() {
        p = p * r + c;
    }
    // The lowest bits of `shifted` are the integer; moved to the exponent they multiply by 2^n.
    f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// `erfc(a) exp(a²)` as a polynomial in `1 / (1 + 0.39 a)`, its error weighted by `exp(-a²)`: 8.3e-9.
const ERFC: [f32; 6] = [0.235_325_17, 0.091_388_7, 0.649_558_66, -0.635_399_4, 0.886_663_85, -0.227_537];

/// x Φ(x), the exact GELU, to 4e-7 absolute.
#[inline(always)]
pub(super) fn gelu_one(x: f32) -> f32 {
    let a = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.39 * a);
    let mut p = ERFC[5];
    for c in ERFC[..5].iter().rev() {
        p = p * t + c;
    }
    let tail = 0.5 * p * t * exp(-a * a);
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

/// A comparison that becomes one instruction; a NaN never wins.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

#[inline(always)]
pub(super) fn max_in(row: &[f32]) -> f32 {
    fold_lanes(row, f32::NEG_INFINITY, larger).into_iter().fold(f32::NEG_INFINITY, larger)
}

vectorised! {
    /// The largest value; -inf for none.
    pub fn max(row: &[f32]) -> f32 = max_in
}

#[inline(always)]
fn log_sum_exp_in(row: &[f32]) -> f32 {
    let max = max_in(row);
    if max == f32::NEG_INFINITY {
        return max;
    }
    // Terms of -inf would count as e^-87, so they are left out.
    let term = |x: f32| if x == f32::NEG_INFINITY { 0.0 } else { exp(x - max) };
    let sums = fold_lanes(row, 0.0, |sum, x| sum + term(x));
    let sum: f64 = sums.iter().map(|&x| f64::from(x)).sum();
    (f64::from(max) + sum.ln()) as f32
}

vectorised! {
    /// ln of the sum of the exponentials; -inf for none.
    pub fn log_sum_exp(row: &[f32]) -> f32 = log_sum_exp_in
}

/// One step of a softmax over pieces of a row: `row` becomes its exponentials relative to the largest value so far,
/// which `max` and `sum` follow. -> what the sums before it must be multiplied by
#[inline(always)]
pub(super) fn softmax_step(row: &mut [f32], max: &mut f32, sum: &mut f32) -> f32 {
    let largest = larger(*max, max_in(row));
    let factor = exp(*max - largest);
    for x in row.iter_mut() {
        *x = exp(*x - largest);
    }
    *sum = *sum * factor + fold_lanes(row, 0.0, |a, b| a + b).iter().sum::<f32>();
    *max = largest;
    factor
}

/// `a * b + c`, rounded once if `FUSED`; where that is no instruction it would be slow.
#[inline(always)]
pub(super) fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Scalar product; `FUSED` only where a processor was found to have AVX2 and FMA, or always has them.
#[inline(always)]
pub(super) fn dot<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if FUSED {
        // SAFETY: `vectorised` sets `FUSED` for processors that have what the function needs.
        return unsafe { dot_wide(a, b) };
    }
    dot_in_lanes(a, b)
}

/// Written out: the compiler tears the plain loop apart for the sum at its end.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[inline]
fn dot_wide(a: &[f32], b: &[f32]) -> f32 {
    use std::arch::x86_64::*;
    let n = a.len().min(b.len());
    let whole = n / LANES * LANES;
    let mut sums = [_mm256_setzero_ps(); 4];
    for at in (0..whole).step_by(LANES) {
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `at + 8 · i + 8` is at most `whole`.
            let (x, y) = unsafe {
                (_mm256_loadu_ps(a.as_ptr().add(at + 8 * i)), _mm256_loadu_ps(b.as_ptr().add(at + 8 * i)))
            };
            *sum = _mm256_fmadd_ps(x, y, *sum);
        }
    }
    let eight = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    let one = _mm_add_ss(two, _mm_shuffle_ps::<1>(two, two));
    let rest: f32 = a[whole..n].iter().zip(&b[whole..n]).map(|(x, y)| x * y).sum();
    _mm_cvtss_f32(one) + rest
}

#[inline(always)]
fn dot_in_lanes(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (ca, cb) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for ((lane, x), y) in lanes.iter_mut().zip(ca.remainder()).zip(cb.remainder()) {
        *lane = x * y;
    }
    for (x, y) in ca.zip(cb) {
        for i in 0..LANES {
            lanes[i] += x[i] * y[i];
        }
    }
    // Halves added to halves: a sum the compiler can keep in vectors.
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}
