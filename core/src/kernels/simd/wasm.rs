//! Vectors of WebAssembly.

use std::arch::wasm32::*;

use half::{bf16, f16};

use super::{PAIRED, Simd, TWO_TO_112, WIDTH, joined};

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

    type Sums = [v128; 4];
    type Pairs = [v128; 4];

    #[inline(always)]
    fn no_sums() -> Self::Sums {
        [i32x4_splat(0); 4]
    }

    #[inline(always)]
    fn pairs_of_i8(from: &[[i8; PAIRED]]) -> Self::Pairs {
        // SAFETY: the pointers are into the array.
        unsafe { [0, 8, 16, 24].map(|i| i16x8_load_extend_i8x8(from[0].as_ptr().add(i))) }
    }

    #[inline(always)]
    unsafe fn add_products(sums: Self::Sums, row: *const [i16; 2], at: usize, w: Self::Pairs) -> Self::Sums {
        // SAFETY: by this function's contract.
        let x = i32x4_splat(joined(unsafe { row.add(at).read() }));
        [0, 1, 2, 3].map(|i| i32x4_add(sums[i], i32x4_dot_i16x8(x, w[i])))
    }

    #[inline(always)]
    fn of_sums(sums: Self::Sums) -> Self::V {
        sums.map(|four| f32x4_convert_i32x4(four))
    }

    #[inline(always)]
    fn sum(v: Self::V) -> f32 {
        let four = f32x4_add(f32x4_add(v[0], v[2]), f32x4_add(v[1], v[3]));
        let two = f32x4_add(four, i64x2_shuffle::<1, 1>(four, four));
        f32x4_extract_lane::<0>(two) + f32x4_extract_lane::<1>(two)
    }
}
