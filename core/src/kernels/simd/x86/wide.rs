//! Products of integers of sixteen bits, of which the compiler makes less than the processor can do.

use std::arch::asm;
use std::arch::x86_64::*;

use super::super::PAIRED;

/// Pairs in a turn.
const PAIRS: usize = 8;

/// Whether there are whole turns of pairs.
#[inline(always)]
pub(super) fn are_turns(values: &[[i16; PAIRED]]) -> bool {
    !values.is_empty() && values.len().is_multiple_of(PAIRS) && !cfg!(miri)
}

/// [`Simd::sums`](super::Simd::sums) of six rows with AVX2, with nothing left to the compiler.
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

/// The same of twelve rows that lie equally far apart, with AVX-512 VNNI: each product reads its pair of a row itself, and pointers to
/// a third of the rows are enough.
///
/// # Safety
/// As there; there must be a turn of pairs.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn sums_of_twelve(rows: &[*const [i16; 2]; 12], values: &[[i16; PAIRED]]) -> [__m512i; 12] {
    #[rustfmt::skip]
    macro_rules! row {
        ($sum:literal, $row:literal, $p:literal) => {
            concat!("vpdpwssd {", $sum, "}, {pair}, dword ptr [", $row, " + 4 * ", $p, "]{{1to16}}\n")
        };
    }
    #[rustfmt::skip]
    macro_rules! pair {
        ($p:literal) => {
            concat!(
                "vmovdqu32 {pair}, zmmword ptr [{w} + 64 * ", $p, "]\n",
                row!("s0", "{a}", $p), row!("s1", "{a} + {stride}", $p), row!("s2", "{a} + 2 * {stride}", $p),
                row!("s3", "{b}", $p), row!("s4", "{b} + {stride}", $p), row!("s5", "{b} + 2 * {stride}", $p),
                row!("s6", "{c}", $p), row!("s7", "{c} + {stride}", $p), row!("s8", "{c} + 2 * {stride}", $p),
                row!("s9", "{d}", $p), row!("s10", "{d} + {stride}", $p), row!("s11", "{d} + 2 * {stride}", $p),
            )
        };
    }
    let stride = rows[1].addr().wrapping_sub(rows[0].addr());
    debug_assert!(rows.windows(2).all(|two| two[1].addr().wrapping_sub(two[0].addr()) == stride));
    let zero = _mm512_setzero_si512();
    let [mut s0, mut s1, mut s2, mut s3, mut s4, mut s5] = [zero; 6];
    let [mut s6, mut s7, mut s8, mut s9, mut s10, mut s11] = [zero; 6];
    // SAFETY: it reads what it may, by this function's contract, and changes registers that it names.
    unsafe {
        asm!(
            "2:",
            pair!(0), pair!(1), pair!(2), pair!(3), pair!(4), pair!(5), pair!(6), pair!(7),
            "add {a}, {STEP}",
            "add {b}, {STEP}",
            "add {c}, {STEP}",
            "add {d}, {STEP}",
            "add {w}, {BYTES}",
            "cmp {w}, {end}",
            "jne 2b",
            STEP = const 4 * PAIRS,
            BYTES = const 2 * PAIRED * PAIRS,
            a = inout(reg) rows[0] => _,
            b = inout(reg) rows[3] => _,
            c = inout(reg) rows[6] => _,
            d = inout(reg) rows[9] => _,
            stride = in(reg) stride,
            w = inout(reg) values.as_ptr() => _,
            end = in(reg) values.as_ptr_range().end,
            s0 = inout(zmm_reg) s0, s1 = inout(zmm_reg) s1, s2 = inout(zmm_reg) s2, s3 = inout(zmm_reg) s3,
            s4 = inout(zmm_reg) s4, s5 = inout(zmm_reg) s5, s6 = inout(zmm_reg) s6, s7 = inout(zmm_reg) s7,
            s8 = inout(zmm_reg) s8, s9 = inout(zmm_reg) s9, s10 = inout(zmm_reg) s10, s11 = inout(zmm_reg) s11,
            pair = out(zmm_reg) _,
            options(pure, readonly, nostack)
        );
    }
    [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11]
}
