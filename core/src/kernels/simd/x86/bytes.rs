//! Products of bytes without sign by bytes with one, four steps side by side, whose sums of four fit into sixteen bits.

use std::arch::asm;
use std::arch::x86_64::*;

use super::super::super::math::ROUND;
use super::super::super::narrow::{OF_ROW, PART, Quads};

/// Four steps of a row.
///
/// # Safety
/// There must be so many.
#[inline(always)]
unsafe fn four(row: *const u8, at: usize) -> i32 {
    // SAFETY: by this function's contract.
    unsafe { row.add(at).cast::<i32>().read_unaligned() }
}

/// [`Simd::sums_of_bytes`](super::Simd::sums_of_bytes) with AVX2.
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn sums<const M: usize>(
    rows: &[*const u8; M],
    at: usize,
    values: &Quads,
) -> [[__m256i; 2]; M] {
    if M == 4 && !cfg!(miri) {
        // SAFETY: by this function's contract; there are four rows.
        unsafe {
            let sums = sums_of_four(&*rows.as_ptr().cast(), at, values);
            return *sums.as_ptr().cast();
        }
    }
    let ones = _mm256_set1_epi16(1);
    let mut sums = [[_mm256_setzero_si256(); 2]; M];
    for (q, two) in values.as_chunks::<2>().0.iter().enumerate() {
        let w = two.as_ptr().cast::<__m256i>();
        // SAFETY: a four of sixteen columns has two halves.
        let w = unsafe { [0, 1, 2, 3].map(|i| _mm256_loadu_si256(w.add(i))) };
        for (sums, row) in sums.iter_mut().zip(rows) {
            // SAFETY: by this function's contract.
            let (a, b) = unsafe { (four(*row, at + 8 * q), four(*row, at + 8 * q + 4)) };
            let (a, b) = (_mm256_set1_epi32(a), _mm256_set1_epi32(b));
            for (i, sum) in sums.iter_mut().enumerate() {
                let four = _mm256_add_epi16(_mm256_maddubs_epi16(a, w[i]), _mm256_maddubs_epi16(b, w[2 + i]));
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(four, ones));
            }
        }
    }
    sums
}

/// The same with AVX-512.
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn sums_by_avx512<const M: usize>(
    rows: &[*const u8; M],
    at: usize,
    values: &Quads,
) -> [__m512i; M] {
    let ones = _mm512_set1_epi16(1);
    let mut sums = [_mm512_setzero_si512(); M];
    for (q, [v, w]) in values.as_chunks::<2>().0.iter().enumerate() {
        // SAFETY: a four of sixteen columns is a vector.
        let [v, w] = unsafe { [v, w].map(|w| _mm512_loadu_si512(w.as_ptr().cast())) };
        for (sum, row) in sums.iter_mut().zip(rows) {
            // SAFETY: by this function's contract.
            let (a, b) = unsafe { (four(*row, at + 8 * q), four(*row, at + 8 * q + 4)) };
            let (a, b) = (_mm512_set1_epi32(a), _mm512_set1_epi32(b));
            let four = _mm512_add_epi16(_mm512_maddubs_epi16(a, v), _mm512_maddubs_epi16(b, w));
            *sum = _mm512_add_epi32(*sum, _mm512_madd_epi16(four, ones));
        }
    }
    sums
}

/// The same with AVX-512 VNNI.
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn sums_by_vnni<const M: usize>(
    rows: &[*const u8; M],
    at: usize,
    values: &Quads,
) -> [__m512i; M] {
    let mut sums = [_mm512_setzero_si512(); M];
    for (q, w) in values.iter().enumerate() {
        // SAFETY: a four of sixteen columns is a vector.
        let w = unsafe { _mm512_loadu_si512(w.as_ptr().cast()) };
        for (sum, row) in sums.iter_mut().zip(rows) {
            // SAFETY: by this function's contract.
            let a = unsafe { four(*row, at + 4 * q) };
            *sum = _mm512_dpbusd_epi32(*sum, _mm512_set1_epi32(a), w);
        }
    }
    sums
}

/// [`sums`] with nothing left to the compiler, which would read all four vectors of the matrix ahead and have no register for what they
/// are multiplied by.
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn sums_of_four(rows: &[*const u8; 4], at: usize, values: &Quads) -> [[__m256i; 2]; 4] {
    /// Eight steps of a row, added to its sums.
    #[rustfmt::skip]
    macro_rules! row {
        ($row:literal, $q:literal) => {
            concat!(
                "vpbroadcastd {x}, dword ptr [{", $row, "} + 8 * ", $q, "]\n",
                "vpbroadcastd {y}, dword ptr [{", $row, "} + 8 * ", $q, " + 4]\n",
                "vpmaddubsw {low}, {x}, {v0}\n",
                "vpmaddubsw {x}, {x}, {v1}\n",
                "vpmaddubsw {high}, {y}, {w0}\n",
                "vpmaddubsw {y}, {y}, ymmword ptr [{w} + 128 * ", $q, " + 96]\n",
                "vpaddw {low}, {low}, {high}\n",
                "vpaddw {x}, {x}, {y}\n",
                "vpmaddwd {low}, {low}, {ones}\n",
                "vpmaddwd {x}, {x}, {ones}\n",
                "vpaddd {", $row, "0}, {", $row, "0}, {low}\n",
                "vpaddd {", $row, "1}, {", $row, "1}, {x}\n",
            )
        };
    }
    #[rustfmt::skip]
    macro_rules! eight {
        ($q:literal) => {
            concat!(
                "vmovdqu {v0}, ymmword ptr [{w} + 128 * ", $q, "]\n",
                "vmovdqu {v1}, ymmword ptr [{w} + 128 * ", $q, " + 32]\n",
                "vmovdqu {w0}, ymmword ptr [{w} + 128 * ", $q, " + 64]\n",
                row!("a", $q), row!("b", $q), row!("c", $q), row!("d", $q),
            )
        };
    }
    const { assert!(size_of::<Quads>() == 8 * 128) };
    let zero = _mm256_setzero_si256();
    let [[mut a0, mut a1], [mut b0, mut b1], [mut c0, mut c1], [mut d0, mut d1]] = [[zero; 2]; 4];
    // SAFETY: it reads what it may, by this function's contract, and changes registers that it names.
    unsafe {
        let [a, b, c, d] = [rows[0].add(at), rows[1].add(at), rows[2].add(at), rows[3].add(at)];
        asm!(
            eight!(0), eight!(1), eight!(2), eight!(3), eight!(4), eight!(5), eight!(6), eight!(7),
            a = in(reg) a, b = in(reg) b, c = in(reg) c, d = in(reg) d,
            w = in(reg) values.as_ptr(),
            a0 = inout(ymm_reg) a0, a1 = inout(ymm_reg) a1, b0 = inout(ymm_reg) b0, b1 = inout(ymm_reg) b1,
            c0 = inout(ymm_reg) c0, c1 = inout(ymm_reg) c1, d0 = inout(ymm_reg) d0, d1 = inout(ymm_reg) d1,
            v0 = out(ymm_reg) _, v1 = out(ymm_reg) _, w0 = out(ymm_reg) _,
            x = out(ymm_reg) _, y = out(ymm_reg) _, low = out(ymm_reg) _, high = out(ymm_reg) _,
            ones = in(ymm_reg) _mm256_set1_epi16(1),
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    [[a0, a1], [b0, b1], [c0, c1], [d0, d1]]
}

/// The largest number of a part.
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super::super) fn largest(x: &[f32; PART]) -> f32 {
    let [first, rest @ ..] = x.as_chunks::<8>().0 else { return f32::NEG_INFINITY };
    // SAFETY: there are eight numbers each.
    let load = |x: &[f32; 8]| unsafe { _mm256_loadu_ps(x.as_ptr()) };
    let mut most = load(first);
    for x in rest {
        most = _mm256_max_ps(most, load(x));
    }
    let four = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps::<1>(most));
    let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_max_ps(two, _mm_shuffle_ps::<1>(two, two)))
}

/// Rounds a part of a row to its least number and multiples of a scale. -> scale, least
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in super::super::super) fn round_part(x: &[f32; PART], to: &mut [u8; PART]) -> [f32; 2] {
    const EIGHT: usize = 8;
    // SAFETY: there are eight numbers each.
    let x = x.as_chunks::<EIGHT>().0;
    let load = |i: usize| unsafe { _mm256_loadu_ps(x[i].as_ptr()) };
    let (mut least, mut most, mut wrong) = (load(0), load(0), _mm256_setzero_ps());
    for i in 0..x.len() {
        least = _mm256_min_ps(least, load(i));
        most = _mm256_max_ps(most, load(i));
        // What is no finite number is none here.
        wrong = _mm256_fmadd_ps(load(i), _mm256_setzero_ps(), wrong);
    }
    // Both in one vector, the largest as the least of opposite signs.
    let halves = |v: __m256| (_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let ((a, b), (c, d), (e, f)) = (halves(least), halves(most), halves(wrong));
    let (a, c, e) = (_mm_min_ps(a, b), _mm_max_ps(c, d), _mm_add_ps(e, f));
    let c = _mm_sub_ps(_mm_setzero_ps(), c);
    let two = _mm_min_ps(_mm_unpacklo_ps(a, c), _mm_unpackhi_ps(a, c));
    let two = _mm_min_ps(two, _mm_movehl_ps(two, two));
    let wrong = _mm_add_ps(e, _mm_movehl_ps(e, e));
    let wrong = _mm_cvtss_f32(wrong) + _mm_cvtss_f32(_mm_shuffle_ps::<1>(wrong, wrong));
    let least = _mm_cvtss_f32(two);
    let range = -_mm_cvtss_f32(_mm_shuffle_ps::<1>(two, two)) - least;
    // So small that its inverse is infinite: as good as nothing.
    let inverse = if range > 0.0 { (OF_ROW / range).min(f32::MAX) } else { 0.0 };
    let (from, by) = (_mm256_set1_ps(least), _mm256_set1_ps(inverse));
    let rounded = |i: usize| _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_sub_ps(load(i), from), by));
    for (i, to) in to.as_chunks_mut().0.iter_mut().enumerate() {
        put(std::array::from_fn(|j| rounded(4 * i + j)), to);
    }
    [range / OF_ROW + wrong, least]
}

/// Integers as bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn put([a, b, c, d]: [__m256i; 4], to: &mut [u8; 32]) {
    let halves = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    // Each half of the vectors was put together by itself.
    let bytes = _mm256_permutevar8x32_epi32(halves, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    // SAFETY: there are as many bytes.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), bytes) };
}

/// Powers of two of scores, the largest [`OF_ROW`], rounded, none of less than 2^`nothing`. of: terms of 2^x on ±½ -> their sum
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in super::super::super) fn round_weights(
    scores: &[f32; PART],
    (most, nothing): (f32, f32),
    of: &[f32; 4],
    to: &mut [u8; PART],
) -> i32 {
    let (most, nothing, round) = (_mm256_set1_ps(most), _mm256_set1_ps(nothing), _mm256_set1_ps(ROUND));
    let terms = of.map(|term| _mm256_set1_ps(term * OF_ROW));
    let mut sum = _mm256_setzero_si256();
    for (scores, to) in scores.as_chunks::<32>().0.iter().zip(to.as_chunks_mut().0) {
        let mut weights = [sum; 4];
        for (weight, scores) in weights.iter_mut().zip(scores.as_chunks::<8>().0) {
            // SAFETY: there are eight numbers.
            let score = unsafe { _mm256_loadu_ps(scores.as_ptr()) };
            // What is less than this becomes nothing, and so does what is no number.
            let x = _mm256_max_ps(_mm256_sub_ps(score, most), nothing);
            let shifted = _mm256_add_ps(x, round);
            let rest = _mm256_sub_ps(x, _mm256_sub_ps(shifted, round));
            let p = _mm256_fmadd_ps(terms[3], rest, terms[2]);
            let p = _mm256_fmadd_ps(_mm256_fmadd_ps(p, rest, terms[1]), rest, terms[0]);
            let power = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted));
            *weight =
                _mm256_cvtps_epi32(_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), power)));
        }
        let [a, b, c, d] = weights;
        sum = _mm256_add_epi32(sum, _mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d)));
        put(weights, to);
    }
    let four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    let two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
}
