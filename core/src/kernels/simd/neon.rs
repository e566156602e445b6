//! Vectors of aarch64.

use std::arch::aarch64::*;
use std::arch::asm;

use half::{bf16, f16};

use super::{PAIRED, Simd, WIDTH};

/// aarch64's vectors of four. With `DOT`, integers of sixteen bits are multiplied as two of eight each, by the
/// instruction that adds up four products.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Neon<const DOT: bool = false>;

// SAFETY of all below: every aarch64 that this is compiled for has vectors, and `integers::piece` takes `DOT` only
// where the processor has the instruction. Pointers are into arrays of sixteen, or what their lengths say.
impl<const DOT: bool> Simd for Neon<DOT> {
    type V = [float32x4_t; 4];
    // Thirty-two registers; with `DOT` a row has twice as many sums.
    const ROWS: usize = if DOT { 3 } else { 6 };
    const CHAINS: usize = 4;
    const FUSED: bool = true;

    #[inline(always)]
    fn splat(x: f32) -> Self::V {
        // SAFETY: above.
        unsafe { [vdupq_n_f32(x); 4] }
    }

    #[inline(always)]
    fn load(from: &[f32; WIDTH]) -> Self::V {
        // SAFETY: above.
        [0, 4, 8, 12].map(|i| unsafe { vld1q_f32(from.as_ptr().add(i)) })
    }

    #[inline(always)]
    fn store(v: Self::V, to: &mut [f32; WIDTH]) {
        for (i, v) in v.into_iter().enumerate() {
            // SAFETY: above.
            unsafe { vst1q_f32(to.as_mut_ptr().add(4 * i), v) }
        }
    }

    #[inline(always)]
    fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: above.
        [0, 1, 2, 3].map(|i| unsafe { vaddq_f32(a[i], b[i]) })
    }

    #[inline(always)]
    fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: above.
        [0, 1, 2, 3].map(|i| unsafe { vmulq_f32(a[i], b[i]) })
    }

    #[inline(always)]
    fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: above.
        [0, 1, 2, 3].map(|i| unsafe { vfmaq_f32(c[i], a[i], b[i]) })
    }

    #[inline(always)]
    fn of_f16(from: &[f16; WIDTH]) -> Self::V {
        let from = from.as_ptr().cast::<u16>();
        // SAFETY: above.
        [0, 4, 8, 12].map(|i| unsafe { vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from.add(i)))) })
    }

    #[inline(always)]
    fn of_bf16(from: &[bf16; WIDTH]) -> Self::V {
        let from = from.as_ptr().cast::<u16>();
        // SAFETY: above.
        [0, 4, 8, 12].map(|i| unsafe { vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(from.add(i)))) })
    }

    #[inline(always)]
    fn of_i8(from: &[i8; WIDTH]) -> Self::V {
        // SAFETY: above.
        unsafe {
            let all = vld1q_s8(from.as_ptr());
            let (low, high) = (vmovl_s8(vget_low_s8(all)), vmovl_high_s8(all));
            [
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
                vcvtq_f32_s32(vmovl_high_s16(low)),
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
                vcvtq_f32_s32(vmovl_high_s16(high)),
            ]
        }
    }

    /// With `DOT` those of the upper and of the lower eight bits, else the first alone.
    type Sums = [[int32x4_t; 4]; 2];
    /// With `DOT` four steps of four rows each, else one step of eight rows each, the first step's first.
    type Pairs = [int16x8_t; 4];
    const PAIRS: usize = if DOT { 2 } else { 1 };

    #[inline(always)]
    fn no_sums() -> Self::Sums {
        // SAFETY: above.
        unsafe { [[vdupq_n_s32(0); 4]; 2] }
    }

    #[inline(always)]
    fn pairs_of_i8(from: &[[i8; PAIRED]]) -> Self::Pairs {
        // SAFETY: above.
        unsafe {
            if DOT {
                let [a, b] = [0, 1].map(|i| {
                    let from = from[i].as_ptr();
                    [vreinterpretq_s16_s8(vld1q_s8(from)), vreinterpretq_s16_s8(vld1q_s8(from.add(16)))]
                });
                return [
                    vzip1q_s16(a[0], b[0]),
                    vzip2q_s16(a[0], b[0]),
                    vzip1q_s16(a[1], b[1]),
                    vzip2q_s16(a[1], b[1]),
                ];
            }
            let int8x16x2_t(even, odd) = vld2q_s8(from[0].as_ptr());
            [vmovl_s8(vget_low_s8(even)), vmovl_high_s8(even), vmovl_s8(vget_low_s8(odd)), vmovl_high_s8(odd)]
        }
    }

    #[inline(always)]
    unsafe fn add_products(sums: Self::Sums, row: *const [i16; 2], at: usize, w: Self::Pairs) -> Self::Sums {
        // SAFETY: above, and this function's contract.
        unsafe {
            let x = std::slice::from_raw_parts(row.add(at), Self::PAIRS);
            if DOT {
                // x = 256 · upper + lower, both from -128 to 127: rows are rounded to no more than 32639.
                let four = vld1_s16([x[0][0], x[0][1], x[1][0], x[1][1]].as_ptr());
                let four = vcombine_s16(four, four);
                let (upper, lower) = (vrshrn_n_s16::<8>(four), vmovn_s16(four));
                return [
                    [0, 1, 2, 3].map(|i| dot(sums[0][i], w[i], upper)),
                    [0, 1, 2, 3].map(|i| dot(sums[1][i], w[i], lower)),
                ];
            }
            let [s0, s1, s2, s3] = sums[0];
            let (x, y) = (x[0][0], x[0][1]);
            let first = [
                vmlal_n_s16(s0, vget_low_s16(w[0]), x),
                vmlal_high_n_s16(s1, w[0], x),
                vmlal_n_s16(s2, vget_low_s16(w[1]), x),
                vmlal_high_n_s16(s3, w[1], x),
            ];
            let both = [
                vmlal_n_s16(first[0], vget_low_s16(w[2]), y),
                vmlal_high_n_s16(first[1], w[2], y),
                vmlal_n_s16(first[2], vget_low_s16(w[3]), y),
                vmlal_high_n_s16(first[3], w[3], y),
            ];
            [both, sums[1]]
        }
    }

    #[inline(always)]
    fn of_sums(sums: Self::Sums) -> Self::V {
        // SAFETY: above.
        [0, 1, 2, 3].map(|i| unsafe {
            if DOT {
                vcvtq_f32_s32(vaddq_s32(vshlq_n_s32::<8>(sums[0][i]), sums[1][i]))
            } else {
                vcvtq_f32_s32(sums[0][i])
            }
        })
    }

    #[inline(always)]
    fn sum(v: Self::V) -> f32 {
        // SAFETY: above.
        unsafe {
            let four = vaddq_f32(vaddq_f32(v[0], v[2]), vaddq_f32(v[1], v[3]));
            let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
            vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
        }
    }
}

/// Adds to each sum the products of four numbers of `w` by the first four of `x`.
///
/// # Safety
/// The processor must have the instruction, which Rust has no stable name for.
#[inline(always)]
unsafe fn dot(mut sums: int32x4_t, w: int16x8_t, x: int8x8_t) -> int32x4_t {
    // SAFETY: by this function's contract; it changes nothing but its result.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sums:v}.4s, {w:v}.16b, {x:v}.4b[0]",
            sums = inout(vreg) sums,
            w = in(vreg) w,
            x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}
