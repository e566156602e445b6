//! Vectors of x86-64.

use std::arch::asm;
use std::arch::x86_64::*;

use half::{bf16, f16};

use super::super::narrow::Quads;
use super::{MOST_ROWS, PAIRED, Simd, WIDTH, joined};

mod beside;
mod blocks;
mod bytes;
mod floats;

pub(in super::super) use bytes::{largest, round_part, round_weights};

use blocks::{PAIRS, add_blocks_ahead, add_blocks_to_six, ask};

/// x86-64 with AVX2, FMA and F16C.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx2;

// SAFETY of all below: `vectorised` calls what is written over this only where the processor has the instructions,
// and pointers are into arrays of sixteen. No closures: they would be functions that do not know the instructions.
impl Simd for Avx2 {
    type V = [__m256; 2];
    const ROWS: usize = 6;
    const CHAINS: usize = 4;
    const FUSED: bool = true;

    #[inline(always)]
    fn splat(x: f32) -> Self::V {
        // SAFETY: above.
        unsafe { [_mm256_set1_ps(x); 2] }
    }

    #[inline(always)]
    fn ask<T>(from: *const T, n: usize) {
        ask(from, n);
    }

    #[inline(always)]
    fn load(from: &[f32; WIDTH]) -> Self::V {
        // SAFETY: above.
        unsafe { [_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(8))] }
    }

    #[inline(always)]
    fn store(v: Self::V, to: &mut [f32; WIDTH]) {
        // SAFETY: above.
        unsafe {
            _mm256_storeu_ps(to.as_mut_ptr(), v[0]);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), v[1]);
        }
    }

    #[inline(always)]
    fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: above.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: above.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: above.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }

    #[inline(always)]
    fn of_f16(from: &[f16; WIDTH]) -> Self::V {
        let from = from.as_ptr().cast::<__m128i>();
        // SAFETY: above.
        unsafe { [_mm256_cvtph_ps(_mm_loadu_si128(from)), _mm256_cvtph_ps(_mm_loadu_si128(from.add(1)))] }
    }

    #[inline(always)]
    fn of_bf16(from: &[bf16; WIDTH]) -> Self::V {
        let from = from.as_ptr().cast::<__m128i>();
        // SAFETY: above.
        unsafe {
            let low = _mm256_cvtepu16_epi32(_mm_loadu_si128(from));
            let high = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.add(1)));
            [
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(low)),
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(high)),
            ]
        }
    }

    #[inline(always)]
    fn of_i8(from: &[i8; WIDTH]) -> Self::V {
        // SAFETY: above.
        unsafe {
            let low = _mm_loadu_si128(from.as_ptr().cast());
            let high = _mm_srli_si128::<8>(low);
            [_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(low)), _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(high))]
        }
    }

    #[inline(always)]
    unsafe fn sums<const M: usize>(x: *const f32, stride: usize, panel: &[[f32; WIDTH]]) -> [Self::V; M] {
        // SAFETY: above, and this function's contract.
        unsafe { floats::sums(x, stride, panel) }
    }

    type Sums = [__m256i; 2];
    type Pairs = [__m256i; 2];

    #[inline(always)]
    fn no_sums() -> Self::Sums {
        // SAFETY: above.
        unsafe { [_mm256_setzero_si256(); 2] }
    }

    #[inline(always)]
    fn pairs_of_i8(from: &[[i8; PAIRED]]) -> Self::Pairs {
        let from = from[0].as_ptr().cast::<__m128i>();
        // SAFETY: above.
        unsafe {
            [_mm256_cvtepi8_epi16(_mm_loadu_si128(from)), _mm256_cvtepi8_epi16(_mm_loadu_si128(from.add(1)))]
        }
    }

    #[inline(always)]
    unsafe fn add_products(sums: Self::Sums, row: *const [i16; 2], at: usize, w: Self::Pairs) -> Self::Sums {
        // SAFETY: above, and this function's contract.
        unsafe { add_both_pairs(sums, row, at, w) }
    }

    #[inline(always)]
    fn of_sums(sums: Self::Sums) -> Self::V {
        // SAFETY: above.
        unsafe { [_mm256_cvtepi32_ps(sums[0]), _mm256_cvtepi32_ps(sums[1])] }
    }

    #[inline(always)]
    unsafe fn sums_of_bytes<const M: usize>(
        rows: &[*const u8; M],
        at: usize,
        values: &Quads,
    ) -> [Self::Sums; M] {
        // SAFETY: above, and this function's contract.
        unsafe { bytes::sums(rows, at, values) }
    }

    #[inline(always)]
    unsafe fn add_blocks<const M: usize>(
        totals: &mut [Self::V; M],
        rows: &[*const [i16; 2]; M],
        values: &[[i8; PAIRED]],
        scales: &[[f32; WIDTH]],
        pairs: usize,
    ) {
        // SAFETY: above, and this function's contract.
        unsafe {
            if M == Self::ROWS && pairs == PAIRS && !scales.is_empty() && !cfg!(miri) {
                let (totals, rows) = (totals.as_mut_ptr().cast(), rows.as_ptr().cast());
                add_blocks_to_six(&mut *totals, &*rows, values, scales);
            } else {
                add_blocks_ahead::<M, Self>(totals, rows, values, scales, pairs);
            }
        }
    }

    #[inline(always)]
    fn sum(v: Self::V) -> f32 {
        // SAFETY: above.
        unsafe {
            let eight = _mm256_add_ps(v[0], v[1]);
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
}

/// `sums + x · w`, by `_mm256_madd_epi16`. The sums of six rows, a panel's pairs and these two take all sixteen registers; the
/// compiler would read the rows ahead and keep some sums in memory, for which every step waits.
///
/// # Safety
/// The row must have a pair `at`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn add_both_pairs(
    [mut low, mut high]: [__m256i; 2],
    row: *const [i16; 2],
    at: usize,
    w: [__m256i; 2],
) -> [__m256i; 2] {
    if cfg!(miri) {
        // SAFETY: by this function's contract.
        let x = _mm256_set1_epi32(joined(unsafe { row.add(at).read() }));
        let sums = [low, high];
        return [0, 1].map(|i| _mm256_add_epi32(sums[i], _mm256_madd_epi16(x, w[i])));
    }
    // SAFETY: it changes registers of its own, and reads what it may.
    unsafe {
        asm!(
            "vpbroadcastd {x}, dword ptr [{row} + 4 * {at}]",
            "vpmaddwd {products}, {x}, {w_low}",
            "vpaddd {low}, {low}, {products}",
            "vpmaddwd {x}, {x}, {w_high}",
            "vpaddd {high}, {high}, {x}",
            row = in(reg) row,
            at = in(reg) at,
            x = out(ymm_reg) _,
            products = out(ymm_reg) _,
            low = inout(ymm_reg) low,
            high = inout(ymm_reg) high,
            w_low = in(ymm_reg) w[0],
            w_high = in(ymm_reg) w[1],
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    [low, high]
}

/// The same with AVX-512; with `VNNI`, products of integers are added up by the instruction that makes them.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx512<const VNNI: bool = false>;

impl<const VNNI: bool> Simd for Avx512<VNNI> {
    type V = __m512;
    const ROWS: usize = MOST_ROWS;
    const CHAINS: usize = 4;
    const FUSED: bool = true;
    const BESIDE: bool = !cfg!(miri);

    #[inline(always)]
    fn splat(x: f32) -> Self::V {
        // SAFETY: above.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn ask<T>(from: *const T, n: usize) {
        ask(from, n);
    }

    #[inline(always)]
    fn load(from: &[f32; WIDTH]) -> Self::V {
        // SAFETY: above.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(v: Self::V, to: &mut [f32; WIDTH]) {
        // SAFETY: above.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: above.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: above.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: above.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn of_f16(from: &[f16; WIDTH]) -> Self::V {
        // SAFETY: above.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast())) }
    }

    #[inline(always)]
    fn of_bf16(from: &[bf16; WIDTH]) -> Self::V {
        // SAFETY: above.
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.as_ptr().cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
    }

    #[inline(always)]
    fn of_i8(from: &[i8; WIDTH]) -> Self::V {
        // SAFETY: above.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.as_ptr().cast()))) }
    }

    #[inline(always)]
    unsafe fn sums_beside(
        x: *const f32,
        stride: usize,
        panels: [&[[f32; WIDTH]]; 2],
    ) -> [[Self::V; MOST_ROWS]; 2] {
        // SAFETY: above, and this function's contract.
        unsafe { beside::sums(x, stride, panels) }
    }

    type Sums = __m512i;
    type Pairs = __m512i;

    #[inline(always)]
    fn no_sums() -> Self::Sums {
        // SAFETY: above.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn pairs_of_i8(from: &[[i8; PAIRED]]) -> Self::Pairs {
        // SAFETY: above.
        unsafe { _mm512_cvtepi8_epi16(_mm256_loadu_si256(from[0].as_ptr().cast())) }
    }

    #[inline(always)]
    unsafe fn add_products(sums: Self::Sums, row: *const [i16; 2], at: usize, w: Self::Pairs) -> Self::Sums {
        // SAFETY: above, and this function's contract.
        unsafe {
            let x = _mm512_set1_epi32(joined(row.add(at).read()));
            if VNNI { add_pairs(sums, x, w) } else { _mm512_add_epi32(sums, _mm512_madd_epi16(x, w)) }
        }
    }

    #[inline(always)]
    fn of_sums(sums: Self::Sums) -> Self::V {
        // SAFETY: above.
        unsafe { _mm512_cvtepi32_ps(sums) }
    }

    #[inline(always)]
    unsafe fn sums_of_bytes<const M: usize>(
        rows: &[*const u8; M],
        at: usize,
        values: &Quads,
    ) -> [Self::Sums; M] {
        // SAFETY: above, and this function's contract.
        unsafe {
            match VNNI {
                true => bytes::sums_by_vnni(rows, at, values),
                false => bytes::sums_by_avx512(rows, at, values),
            }
        }
    }

    #[inline(always)]
    unsafe fn add_blocks<const M: usize>(
        totals: &mut [Self::V; M],
        rows: &[*const [i16; 2]; M],
        values: &[[i8; PAIRED]],
        scales: &[[f32; WIDTH]],
        pairs: usize,
    ) {
        // SAFETY: above, and this function's contract.
        unsafe { add_blocks_ahead::<M, Self>(totals, rows, values, scales, pairs) }
    }
}

/// `_mm512_dpwssd_epi32`, which the compiler would take apart into two instructions again.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn add_pairs(mut sums: __m512i, x: __m512i, w: __m512i) -> __m512i {
    // SAFETY: it changes nothing but its first register.
    unsafe {
        asm!(
            "vpdpwssd {sums}, {x}, {w}",
            sums = inout(zmm_reg) sums,
            x = in(zmm_reg) x,
            w = in(zmm_reg) w,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}
