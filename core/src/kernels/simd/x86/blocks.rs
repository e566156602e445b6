//! Products of integers by the blocks of a panel, of which the compiler makes less than the processor can do.

use std::arch::asm;
use std::arch::x86_64::*;

use super::super::{AHEAD, PAIRED, Simd, WIDTH};

/// Pairs of the blocks that most matrices have.
pub(super) const PAIRS: usize = 16;
/// Pairs in a turn of others.
const AT_ONCE: usize = 8;
/// Rows that are few.
const FEW: usize = 8;

/// [`Simd::ask`]
#[inline(always)]
pub(super) fn ask<T>(from: *const T, n: usize) {
    const LINE: usize = 64;
    for at in (0..n * size_of::<T>()).step_by(LINE) {
        // SAFETY: any address may be asked for.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast::<i8>().wrapping_add(at)) };
    }
}

/// [`Simd::add_blocks`] with some pairs in each turn, and of few rows with what comes next asked for: their time is the memory's.
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn add_blocks_ahead<const M: usize, S: Simd>(
    totals: &mut [S::V; M],
    rows: &[*const [i16; 2]; M],
    values: &[[i8; PAIRED]],
    scales: &[[f32; WIDTH]],
    pairs: usize,
) {
    for (b, scales) in scales.iter().enumerate() {
        // SAFETY: there are values for every scale, by this function's contract.
        let (turns, rest) =
            unsafe { values.get_unchecked(b * pairs..(b + 1) * pairs) }.as_chunks::<AT_ONCE>();
        let mut sums = [S::no_sums(); M];
        if M <= FEW {
            S::ask(std::ptr::from_ref(scales).wrapping_add(AHEAD / (pairs * PAIRED)), 1);
        }
        for (turn, values) in turns.iter().enumerate() {
            for (p, pair) in values.iter().enumerate() {
                if M <= FEW && p % 2 == 0 {
                    S::ask(pair.as_ptr().wrapping_add(AHEAD), 2 * PAIRED);
                }
                // SAFETY: by this function's contract.
                unsafe { add_pair::<M, S>(&mut sums, rows, b * pairs + turn * AT_ONCE + p, pair) };
            }
        }
        for (p, pair) in rest.iter().enumerate() {
            // SAFETY: by this function's contract.
            unsafe { add_pair::<M, S>(&mut sums, rows, b * pairs + turns.len() * AT_ONCE + p, pair) };
        }
        let scales = S::load(scales);
        for (total, sum) in totals.iter_mut().zip(&sums) {
            *total = S::mul_add(S::of_sums(*sum), scales, *total);
        }
    }
}

/// # Safety
/// The rows must have a pair `at`.
#[inline(always)]
unsafe fn add_pair<const M: usize, S: Simd>(
    sums: &mut [S::Sums; M],
    rows: &[*const [i16; 2]; M],
    at: usize,
    pair: &[i8; PAIRED],
) {
    let w = S::pairs_of_i8(std::slice::from_ref(pair));
    for (sum, row) in sums.iter_mut().zip(rows) {
        // SAFETY: by this function's contract.
        *sum = unsafe { S::add_products(*sum, *row, at, w) };
    }
}

/// [`Simd::add_blocks`] of six rows and blocks of [`PAIRS`], with nothing left to the compiler: it would keep half of the totals in
/// registers that the sums need.
///
/// # Safety
/// As there; there must be a block.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn add_blocks_to_six(
    totals: &mut [[__m256; 2]; 6],
    rows: &[*const [i16; 2]; 6],
    values: &[[i8; PAIRED]],
    scales: &[[f32; WIDTH]],
) {
    /// A pair's weights.
    #[rustfmt::skip]
    macro_rules! weights {
        ($p:literal) => {
            concat!(
                "vpmovsxbw ymm12, xmmword ptr [{w} + 32 * ", $p, "]\n",
                "vpmovsxbw ymm13, xmmword ptr [{w} + 32 * ", $p, " + 16]\n",
            )
        };
    }
    /// The first products of a row, which are its sums.
    #[rustfmt::skip]
    macro_rules! begin {
        ($row:literal, $low:literal, $high:literal) => {
            concat!(
                "vpbroadcastd ymm14, dword ptr [{", $row, "} + 4 * {at}]\n",
                "vpmaddwd ymm", $low, ", ymm14, ymm12\n",
                "vpmaddwd ymm", $high, ", ymm14, ymm13\n",
            )
        };
    }
    /// Others, added to them.
    #[rustfmt::skip]
    macro_rules! row {
        ($row:literal, $low:literal, $high:literal, $p:literal) => {
            concat!(
                "vpbroadcastd ymm14, dword ptr [{", $row, "} + 4 * {at} + 4 * ", $p, "]\n",
                "vpmaddwd ymm15, ymm14, ymm12\n",
                "vpmaddwd ymm14, ymm14, ymm13\n",
                "vpaddd ymm", $low, ", ymm", $low, ", ymm15\n",
                "vpaddd ymm", $high, ", ymm", $high, ", ymm14\n",
            )
        };
    }
    #[rustfmt::skip]
    macro_rules! pair {
        ($p:literal) => {
            concat!(
                weights!($p),
                row!("a", 0, 1, $p), row!("b", 2, 3, $p), row!("c", 4, 5, $p),
                row!("d", 6, 7, $p), row!("e", 8, 9, $p), row!("f", 10, 11, $p),
            )
        };
    }
    /// A block's sum, times its scale, to its total.
    #[rustfmt::skip]
    macro_rules! total {
        ($sum:literal, $scales:literal) => {
            concat!(
                "vcvtdq2ps ymm", $sum, ", ymm", $sum, "\n",
                "vfmadd213ps ymm", $sum, ", ymm", $scales, ", ymmword ptr [{totals} + 32 * ", $sum, "]\n",
                "vmovups ymmword ptr [{totals} + 32 * ", $sum, "], ymm", $sum, "\n",
            )
        };
    }
    let [a, b, c, d, e, f] = *rows;
    // SAFETY: by this function's contract; it writes the totals, and registers that it names.
    unsafe {
        asm!(
            "2:",
            weights!(0),
            begin!("a", 0, 1), begin!("b", 2, 3), begin!("c", 4, 5),
            begin!("d", 6, 7), begin!("e", 8, 9), begin!("f", 10, 11),
            pair!(1), pair!(2), pair!(3), pair!(4), pair!(5), pair!(6), pair!(7), pair!(8),
            pair!(9), pair!(10), pair!(11), pair!(12), pair!(13), pair!(14), pair!(15),
            "vmovups ymm12, ymmword ptr [{scales}]",
            "vmovups ymm13, ymmword ptr [{scales} + 32]",
            total!(0, 12), total!(1, 13), total!(2, 12), total!(3, 13), total!(4, 12), total!(5, 13),
            total!(6, 12), total!(7, 13), total!(8, 12), total!(9, 13), total!(10, 12), total!(11, 13),
            "add {at}, {PAIRS}",
            "add {w}, {BYTES}",
            "add {scales}, {SCALES}",
            "cmp {scales}, {end}",
            "jne 2b",
            PAIRS = const PAIRS,
            BYTES = const PAIRS * PAIRED,
            SCALES = const WIDTH * size_of::<f32>(),
            a = in(reg) a, b = in(reg) b, c = in(reg) c, d = in(reg) d, e = in(reg) e, f = in(reg) f,
            at = inout(reg) 0usize => _,
            w = inout(reg) values.as_ptr() => _,
            scales = inout(reg) scales.as_ptr() => _,
            end = in(reg) scales.as_ptr_range().end,
            totals = in(reg) totals.as_mut_ptr(),
            out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _, out("ymm4") _, out("ymm5") _,
            out("ymm6") _, out("ymm7") _, out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _,
            out("ymm12") _, out("ymm13") _, out("ymm14") _, out("ymm15") _,
            options(nostack)
        );
    }
}
