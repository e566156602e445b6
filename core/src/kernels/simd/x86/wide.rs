//! Products of integers of sixteen bits, of which the compiler makes less than the processor can do.

use std::arch::asm;
use std::arch::x86_64::*;

use super::super::PAIRED;

/// Pairs in a turn.
pub(super) const PAIRS: usize = 8;

/// [`Simd::sums`](super::Simd::sums) of six rows, with nothing left to the compiler.
///
/// # Safety
/// As there; there must be a turn of pairs.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn sums_of_six(rows: &[*const [i16; 2]; 6], values: &[[i16; PAIRED]]) -> [[__m256i; 2]; 6] {
    /// A row's products by a pair, added to its sums.
    #[rustfmt::skip]
    macro_rules! row {
        ($row:literal, $p:literal) => {
            concat!(
                "vpbroadcastd {x}, dword ptr [{", $row, "} + {at} + 4 * ", $p, "]\n",
                "vpmaddwd {y}, {x}, {low}\n",
                "vpmaddwd {x}, {x}, {high}\n",
                "vpaddd {", $row, "0}, {", $row, "0}, {y}\n",
                "vpaddd {", $row, "1}, {", $row, "1}, {x}\n",
            )
        };
    }
    #[rustfmt::skip]
    macro_rules! pair {
        ($p:literal) => {
            concat!(
                "vmovdqu {low}, ymmword ptr [{w} + 64 * ", $p, "]\n",
                "vmovdqu {high}, ymmword ptr [{w} + 64 * ", $p, " + 32]\n",
                row!("a", $p), row!("b", $p), row!("c", $p), row!("d", $p), row!("e", $p), row!("f", $p),
            )
        };
    }
    let zero = _mm256_setzero_si256();
    let [[mut a0, mut a1], [mut b0, mut b1], [mut c0, mut c1]] = [[zero; 2]; 3];
    let [[mut d0, mut d1], [mut e0, mut e1], [mut f0, mut f1]] = [[zero; 2]; 3];
    let [a, b, c, d, e, f] = *rows;
    // SAFETY: it reads what it may, by this function's contract, and changes registers that it names.
    unsafe {
        asm!(
            "2:",
            pair!(0), pair!(1), pair!(2), pair!(3), pair!(4), pair!(5), pair!(6), pair!(7),
            "add {at}, {STEP}",
            "add {w}, {BYTES}",
            "cmp {w}, {end}",
            "jne 2b",
            STEP = const 4 * PAIRS,
            BYTES = const 2 * PAIRED * PAIRS,
            a = in(reg) a, b = in(reg) b, c = in(reg) c, d = in(reg) d, e = in(reg) e, f = in(reg) f,
            at = inout(reg) 0usize => _,
            w = inout(reg) values.as_ptr() => _,
            end = in(reg) values.as_ptr_range().end,
            a0 = inout(ymm_reg) a0, a1 = inout(ymm_reg) a1, b0 = inout(ymm_reg) b0, b1 = inout(ymm_reg) b1,
            c0 = inout(ymm_reg) c0, c1 = inout(ymm_reg) c1, d0 = inout(ymm_reg) d0, d1 = inout(ymm_reg) d1,
            e0 = inout(ymm_reg) e0, e1 = inout(ymm_reg) e1, f0 = inout(ymm_reg) f0, f1 = inout(ymm_reg) f1,
            x = out(ymm_reg) _, y = out(ymm_reg) _, low = out(ymm_reg) _, high = out(ymm_reg) _,
            options(pure, readonly, nostack)
        );
    }
    [[a0, a1], [b0, b1], [c0, c1], [d0, d1], [e0, e1], [f0, f1]]
}
