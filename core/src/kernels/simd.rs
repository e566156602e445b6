//! Sixteen numbers at once, in whatever registers a processor has: the only place that knows instructions.
//!
//! A kernel is written over [`Simd`] and compiled for each implementation by `vectorised`. Sums of products may be
//! rounded once or twice per step; all else is exact and so the same everywhere.

use half::{bf16, f16};

/// Numbers in a vector.
pub(super) const WIDTH: usize = 16;
/// Rows of the largest tile.
pub(super) const MOST_ROWS: usize = 12;

/// A kind of processor. Nothing here may be called where it does not run.
pub(super) trait Simd: Copy {
    /// Sixteen numbers.
    type V: Copy;
    /// Rows of a tile whose sums stay in registers, at most [`MOST_ROWS`].
    const ROWS: usize;
    /// Sums that do not wait for each other where there is one row.
    const CHAINS: usize;

    fn splat(x: f32) -> Self::V;
    fn load(from: &[f32; WIDTH]) -> Self::V;
    fn store(v: Self::V, to: &mut [f32; WIDTH]);
    fn add(a: Self::V, b: Self::V) -> Self::V;
    fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`
    fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn of_f16(from: &[f16; WIDTH]) -> Self::V;
    fn of_bf16(from: &[bf16; WIDTH]) -> Self::V;
    fn of_i8(from: &[i8; WIDTH]) -> Self::V;

    /// The sum of all, in the same order everywhere.
    #[inline(always)]
    fn sum(v: Self::V) -> f32 {
        let mut lanes = [0f32; WIDTH];
        Self::store(v, &mut lanes);
        let mut width = WIDTH / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
            width /= 2;
        }
        lanes[0]
    }
}

/// Any processor; the compiler makes of it what it can.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain;

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
impl Simd for Plain {
    type V = [f32; WIDTH];
    const ROWS: usize = 6;
    const CHAINS: usize = 4;

    #[inline(always)]
    fn splat(x: f32) -> Self::V {
        [x; WIDTH]
    }

    #[inline(always)]
    fn load(from: &[f32; WIDTH]) -> Self::V {
        *from
    }

    #[inline(always)]
    fn store(v: Self::V, to: &mut [f32; WIDTH]) {
        *to = v;
    }

    #[inline(always)]
    fn add(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|j| a[j] + b[j])
    }

    #[inline(always)]
    fn mul(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|j| a[j] * b[j])
    }

    #[inline(always)]
    fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        let fused = cfg!(target_arch = "aarch64");
        std::array::from_fn(|j| if fused { a[j].mul_add(b[j], c[j]) } else { a[j] * b[j] + c[j] })
    }

    #[inline(always)]
    fn of_f16(from: &[f16; WIDTH]) -> Self::V {
        std::array::from_fn(|j| {
            let bits = u32::from(from[j].to_bits());
            // The exponent counts from 15 in one and from 127 in the other; the product is exact, and right for the
            // smallest numbers too. Its largest exponent is for infinity and what is no number.
            let size = f32::from_bits((bits & 0x7fff) << 13) * TWO_TO_112;
            let endless = if size >= 65536.0 { f32::INFINITY.to_bits() } else { 0 };
            f32::from_bits(size.to_bits() | endless | (bits & 0x8000) << 16)
        })
    }

    #[inline(always)]
    fn of_bf16(from: &[bf16; WIDTH]) -> Self::V {
        std::array::from_fn(|j| f32::from_bits(u32::from(from[j].to_bits()) << 16))
    }

    #[inline(always)]
    fn of_i8(from: &[i8; WIDTH]) -> Self::V {
        std::array::from_fn(|j| f32::from(from[j]))
    }
}

const TWO_TO_112: f32 = f32::from_bits((127 + 112) << 23);

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use half::{bf16, f16};

    use super::{Simd, WIDTH};

    /// x86-64 with AVX2, FMA and F16C.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Avx2;

    // SAFETY of all below: `vectorised` calls what is written over this only where the processor has the instructions,
    // and pointers are into arrays of sixteen. No closures: they would be functions that do not know the instructions.
    impl Simd for Avx2 {
        type V = [__m256; 2];
        const ROWS: usize = 6;
        const CHAINS: usize = 4;

        #[inline(always)]
        fn splat(x: f32) -> Self::V {
            // SAFETY: above.
            unsafe { [_mm256_set1_ps(x); 2] }
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
                [
                    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(low)),
                    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(high)),
                ]
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

    /// The same with AVX-512.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Avx512;

    impl Simd for Avx512 {
        type V = __m512;
        const ROWS: usize = 12;
        const CHAINS: usize = 4;

        #[inline(always)]
        fn splat(x: f32) -> Self::V {
            // SAFETY: above.
            unsafe { _mm512_set1_ps(x) }
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
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(super) use wasm::Simd128;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm {
    use std::arch::wasm32::*;

    use half::{bf16, f16};

    use super::{Simd, TWO_TO_112, WIDTH};

    /// WebAssembly's vectors of four.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Simd128;

    impl Simd for Simd128 {
        type V = [v128; 4];
        // Browsers have sixteen registers for them on x86-64, and put the rest into memory.
        const ROWS: usize = 2;
        const CHAINS: usize = 2;

        #[inline(always)]
        fn splat(x: f32) -> Self::V {
            [f32x4_splat(x); 4]
        }

        #[inline(always)]
        fn load(from: &[f32; WIDTH]) -> Self::V {
            // SAFETY: the pointers are into the array.
            unsafe { [0, 4, 8, 12].map(|i| v128_load(from.as_ptr().add(i).cast())) }
        }

        #[inline(always)]
        fn store(v: Self::V, to: &mut [f32; WIDTH]) {
            for (i, v) in v.into_iter().enumerate() {
                // SAFETY: the pointer is into the array.
                unsafe { v128_store(to.as_mut_ptr().add(4 * i).cast(), v) }
            }
        }

        #[inline(always)]
        fn add(a: Self::V, b: Self::V) -> Self::V {
            [0, 1, 2, 3].map(|i| f32x4_add(a[i], b[i]))
        }

        #[inline(always)]
        fn mul(a: Self::V, b: Self::V) -> Self::V {
            [0, 1, 2, 3].map(|i| f32x4_mul(a[i], b[i]))
        }

        #[inline(always)]
        fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            #[cfg(target_feature = "relaxed-simd")]
            return [0, 1, 2, 3].map(|i| f32x4_relaxed_madd(a[i], b[i], c[i]));
            #[cfg(not(target_feature = "relaxed-simd"))]
            [0, 1, 2, 3].map(|i| f32x4_add(f32x4_mul(a[i], b[i]), c[i]))
        }

        #[inline(always)]
        fn of_f16(from: &[f16; WIDTH]) -> Self::V {
            [0, 4, 8, 12].map(|i| {
                // SAFETY: the pointer is into the array. The arithmetic is `Plain`'s, the sign going along.
                let bits = unsafe { i32x4_load_extend_i16x4(from.as_ptr().add(i).cast()) };
                let x = v128_and(u32x4_shl(bits, 13), u32x4_splat(0x8fff_e000));
                let x = f32x4_mul(x, f32x4_splat(TWO_TO_112));
                let over = f32x4_ge(f32x4_abs(x), f32x4_splat(65536.0));
                v128_or(x, v128_and(over, u32x4_splat(f32::INFINITY.to_bits())))
            })
        }

        #[inline(always)]
        fn of_bf16(from: &[bf16; WIDTH]) -> Self::V {
            [0, 4, 8, 12].map(|i| {
                // SAFETY: the pointer is into the array.
                let bits = unsafe { u32x4_extend_low_u16x8(v128_load64_zero(from.as_ptr().add(i).cast())) };
                u32x4_shl(bits, 16)
            })
        }

        #[inline(always)]
        fn of_i8(from: &[i8; WIDTH]) -> Self::V {
            // SAFETY: there are sixteen bytes.
            let all = unsafe { v128_load(from.as_ptr().cast()) };
            let (low, high) = (i16x8_extend_low_i8x16(all), i16x8_extend_high_i8x16(all));
            [
                i32x4_extend_low_i16x8(low),
                i32x4_extend_high_i16x8(low),
                i32x4_extend_low_i16x8(high),
                i32x4_extend_high_i16x8(high),
            ]
            .map(|four| f32x4_convert_i32x4(four))
        }

        #[inline(always)]
        fn sum(v: Self::V) -> f32 {
            let four = f32x4_add(f32x4_add(v[0], v[2]), f32x4_add(v[1], v[3]));
            let two = f32x4_add(four, i64x2_shuffle::<1, 1>(four, four));
            f32x4_extract_lane::<0>(two) + f32x4_extract_lane::<1>(two)
        }
    }
}
