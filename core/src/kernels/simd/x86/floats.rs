//! Products of floats by a panel, of which the compiler makes less than the processor can do.

use std::arch::asm;
use std::arch::x86_64::*;

use super::super::WIDTH;

/// [`Simd::sums`](super::Simd::sums) with AVX2.
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn sums<const M: usize>(
    x: *const f32,
    stride: usize,
    panel: &[[f32; WIDTH]],
) -> [[__m256; 2]; M] {
    if M == 6 && !cfg!(miri) {
        // SAFETY: by this function's contract; there are six rows.
        unsafe {
            let sums = sums_of_six(x, stride, panel);
            return *sums.as_ptr().cast();
        }
    }
    let mut sums = [[_mm256_setzero_ps(); 2]; M];
    for (p, w) in panel.iter().enumerate() {
        // SAFETY: there are sixteen numbers.
        let w = unsafe { [_mm256_loadu_ps(w.as_ptr()), _mm256_loadu_ps(w.as_ptr().add(8))] };
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: by this function's contract.
            let x = unsafe { _mm256_broadcast_ss(&*x.add(i * stride + p)) };
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum = _mm256_fmadd_ps(x, w, *sum);
            }
        }
    }
    sums
}

/// [`sums`] with nothing left to the compiler, which adds up the address of every row at every step.
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn sums_of_six(x: *const f32, stride: usize, panel: &[[f32; WIDTH]]) -> [[__m256; 2]; 6] {
    /// Steps in a turn.
    const TURN: usize = 4;
    /// A number of a row by a step's of the panel.
    #[rustfmt::skip]
    macro_rules! row {
        ($p:literal, $at:literal, $x:literal, $low:literal, $high:literal) => {
            concat!(
                "vbroadcastss {", $x, "}, dword ptr [", $at, " + 4 * ", $p, "]\n",
                "vfmadd231ps {", $low, "}, {", $x, "}, {low}\n",
                "vfmadd231ps {", $high, "}, {", $x, "}, {high}\n",
            )
        };
    }
    #[rustfmt::skip]
    macro_rules! step {
        ($p:literal) => {
            concat!(
                "vmovups {low}, ymmword ptr [{w} + 64 * ", $p, "]\n",
                "vmovups {high}, ymmword ptr [{w} + 64 * ", $p, " + 32]\n",
                row!($p, "{x}", "v0", "a0", "a1"),
                row!($p, "{x} + {stride}", "v1", "b0", "b1"),
                row!($p, "{x} + 2 * {stride}", "v0", "c0", "c1"),
                row!($p, "{y}", "v1", "d0", "d1"),
                row!($p, "{y} + {stride}", "v0", "e0", "e1"),
                row!($p, "{y} + 2 * {stride}", "v1", "f0", "f1"),
            )
        };
    }
    let zero = _mm256_setzero_ps();
    let [[mut a0, mut a1], [mut b0, mut b1], [mut c0, mut c1]] = [[zero; 2]; 3];
    let [[mut d0, mut d1], [mut e0, mut e1], [mut f0, mut f1]] = [[zero; 2]; 3];
    // SAFETY: it reads what it may, by this function's contract, and changes registers that it names.
    unsafe {
        asm!(
            "test {turns}, {turns}",
            "jz 3f",
            "2:",
            step!(0), step!(1), step!(2), step!(3),
            "add {x}, 4 * {TURN}",
            "add {y}, 4 * {TURN}",
            "add {w}, 64 * {TURN}",
            "dec {turns}",
            "jnz 2b",
            "3:",
            "test {rest}, {rest}",
            "jz 5f",
            "4:",
            step!(0),
            "add {x}, 4",
            "add {y}, 4",
            "add {w}, 64",
            "dec {rest}",
            "jnz 4b",
            "5:",
            TURN = const TURN,
            turns = inout(reg) panel.len() / TURN => _,
            rest = inout(reg) panel.len() % TURN => _,
            x = inout(reg) x => _,
            y = inout(reg) x.wrapping_add(3 * stride) => _,
            stride = in(reg) 4 * stride,
            w = inout(reg) panel.as_ptr() => _,
            a0 = inout(ymm_reg) a0, a1 = inout(ymm_reg) a1, b0 = inout(ymm_reg) b0, b1 = inout(ymm_reg) b1,
            c0 = inout(ymm_reg) c0, c1 = inout(ymm_reg) c1, d0 = inout(ymm_reg) d0, d1 = inout(ymm_reg) d1,
            e0 = inout(ymm_reg) e0, e1 = inout(ymm_reg) e1, f0 = inout(ymm_reg) f0, f1 = inout(ymm_reg) f1,
            low = out(ymm_reg) _, high = out(ymm_reg) _, v0 = out(ymm_reg) _, v1 = out(ymm_reg) _,
            options(pure, readonly, nostack)
        );
    }
    [[a0, a1], [b0, b1], [c0, c1], [d0, d1], [e0, e1], [f0, f1]]
}
