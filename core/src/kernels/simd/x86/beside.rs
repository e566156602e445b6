//! Products of floats by two panels beside each other with AVX-512. A number of a row is read once for both: with one panel there are
//! thirteen reads to twelve products, of which a processor has as many in a cycle, and fewer where another program has its other half.

use std::arch::asm;
use std::arch::x86_64::*;

use super::super::{MOST_ROWS, WIDTH};

/// Steps in a turn.
const TURN: usize = 4;

/// A number of a row by a step of both panels.
#[rustfmt::skip]
macro_rules! row {
    ($p:literal, $at:literal, $x:literal, $v:literal, $w:literal) => {
        concat!(
            "vbroadcastss zmm", $x, ", dword ptr [", $at, " + 4 * ", $p, "]\n",
            "vfmadd231ps zmm", $v, ", zmm", $x, ", zmm24\n",
            "vfmadd231ps zmm", $w, ", zmm", $x, ", zmm25\n",
        )
    };
}

#[rustfmt::skip]
macro_rules! step {
    ($p:literal) => {
        concat!(
            "vmovups zmm24, zmmword ptr [{v} + 64 * ", $p, "]\n",
            "vmovups zmm25, zmmword ptr [{w} + 64 * ", $p, "]\n",
            row!($p, "{x0}", 26, 0, 12),
            row!($p, "{x0} + {stride}", 27, 1, 13),
            row!($p, "{x0} + 2 * {stride}", 28, 2, 14),
            row!($p, "{x3}", 29, 3, 15),
            row!($p, "{x3} + {stride}", 26, 4, 16),
            row!($p, "{x3} + 2 * {stride}", 27, 5, 17),
            row!($p, "{x6}", 28, 6, 18),
            row!($p, "{x6} + {stride}", 29, 7, 19),
            row!($p, "{x6} + 2 * {stride}", 26, 8, 20),
            row!($p, "{x9}", 27, 9, 21),
            row!($p, "{x9} + {stride}", 28, 10, 22),
            row!($p, "{x9} + 2 * {stride}", 29, 11, 23),
        )
    };
}

#[rustfmt::skip]
macro_rules! on {
    ($steps:literal) => {
        concat!(
            "add {x0}, 4 * ", $steps, "\n",
            "add {x3}, 4 * ", $steps, "\n",
            "add {x6}, 4 * ", $steps, "\n",
            "add {x9}, 4 * ", $steps, "\n",
            "add {v}, 64 * ", $steps, "\n",
            "add {w}, 64 * ", $steps, "\n",
        )
    };
}

/// [`Simd::sums_beside`](super::Simd::sums_beside), with nothing left to the compiler, which keeps some sums in memory.
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn sums(
    x: *const f32,
    stride: usize,
    [v, w]: [&[[f32; WIDTH]]; 2],
) -> [[__m512; MOST_ROWS]; 2] {
    let steps = v.len().min(w.len());
    let mut sums = [[_mm512_setzero_ps(); MOST_ROWS]; 2];
    let [
        [a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11],
        [b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11],
    ] = &mut sums;
    // SAFETY: it reads what it may, by this function's contract, and changes registers that it names.
    unsafe {
        asm!(
            "test {turns}, {turns}",
            "jz 3f",
            "2:",
            step!(0), step!(1), step!(2), step!(3),
            on!("{TURN}"),
            "dec {turns}",
            "jnz 2b",
            "3:",
            "test {rest}, {rest}",
            "jz 5f",
            "4:",
            step!(0),
            on!("1"),
            "dec {rest}",
            "jnz 4b",
            "5:",
            TURN = const TURN,
            turns = inout(reg) steps / TURN => _,
            rest = inout(reg) steps % TURN => _,
            x0 = inout(reg) x => _,
            x3 = inout(reg) x.wrapping_add(3 * stride) => _,
            x6 = inout(reg) x.wrapping_add(6 * stride) => _,
            x9 = inout(reg) x.wrapping_add(9 * stride) => _,
            stride = in(reg) 4 * stride,
            v = inout(reg) v.as_ptr() => _,
            w = inout(reg) w.as_ptr() => _,
            inout("zmm0") *a0, inout("zmm1") *a1, inout("zmm2") *a2, inout("zmm3") *a3,
            inout("zmm4") *a4, inout("zmm5") *a5, inout("zmm6") *a6, inout("zmm7") *a7,
            inout("zmm8") *a8, inout("zmm9") *a9, inout("zmm10") *a10, inout("zmm11") *a11,
            inout("zmm12") *b0, inout("zmm13") *b1, inout("zmm14") *b2, inout("zmm15") *b3,
            inout("zmm16") *b4, inout("zmm17") *b5, inout("zmm18") *b6, inout("zmm19") *b7,
            inout("zmm20") *b8, inout("zmm21") *b9, inout("zmm22") *b10, inout("zmm23") *b11,
            out("zmm24") _, out("zmm25") _, out("zmm26") _, out("zmm27") _, out("zmm28") _, out("zmm29") _,
            options(pure, readonly, nostack)
        );
    }
    sums
}
