//! Sixteen numbers at once, in whatever registers a processor has: the only place that knows instructions.
//!
//! A kernel is written over [`Simd`] and compiled for each implementation by `vectorised`. Sums of products may be
//! rounded once or twice per step; all else is exact and so the same everywhere.

use half::{bf16, f16};

#[cfg(target_arch = "x86_64")]
use super::narrow::Quads;

/// Numbers in a vector.
pub(super) const WIDTH: usize = 16;
/// Two steps of sixteen rows: a row's two beside each other.
pub(super) const PAIRED: usize = 2 * WIDTH;
/// Rows of the largest tile.
pub(super) const MOST_ROWS: usize = 12;

/// Bytes between what is read and what is asked for meanwhile, where a thread's time is the memory's: processors guess what comes next,
/// but not beyond a page.
pub(super) const AHEAD: usize = 4096;

/// A kind of processor. Nothing here may be called where it does not run.
pub(super) trait Simd: Copy {
    /// Sixteen numbers.
    type V: Copy;
    /// Rows of a tile whose sums stay in registers, at most [`MOST_ROWS`].
    const ROWS: usize;
    /// Whether it has an instruction for `a · b + c` with one rounding, so that vector code can be made of `f32::mul_add`.
    const FUSED: bool = false;
    /// Sums that do not wait for each other where there is one row.
    const CHAINS: usize;
    /// Whether it has tiles of [`MOST_ROWS`] rows, which are multiplied by two panels at once in less time.
    const BESIDE: bool = false;

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

    /// Asks for `n` of these, which need not be there, so that they are near when they are read.
    #[inline(always)]
    fn ask<T>(from: *const T, n: usize) {
        let _ = (from, n);
    }

    /// `M` rows, `stride` apart from `x` on, by a panel.
    ///
    /// # Safety
    /// There must be `M` rows as long as the panel.
    #[inline(always)]
    unsafe fn sums<const M: usize>(x: *const f32, stride: usize, panel: &[[f32; WIDTH]]) -> [Self::V; M] {
        let mut sums = [Self::splat(0.0); M];
        // Pointers, not an index: a register for each row, and nothing to add up.
        let rows: [*const f32; M] = std::array::from_fn(|i| x.wrapping_add(i * stride));
        for (p, w) in panel.iter().enumerate() {
            let w = Self::load(w);
            for (sum, row) in sums.iter_mut().zip(rows) {
                // SAFETY: by this function's contract.
                let x = unsafe { *row.add(p) };
                *sum = Self::mul_add(Self::splat(x), w, *sum);
            }
        }
        sums
    }

    /// [`Simd::sums`] of [`MOST_ROWS`] rows by two panels of as many steps.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn sums_beside(
        x: *const f32,
        stride: usize,
        panels: [&[[f32; WIDTH]]; 2],
    ) -> [[Self::V; MOST_ROWS]; 2] {
        // SAFETY: by this function's contract.
        unsafe { [Self::sums(x, stride, panels[0]), Self::sums(x, stride, panels[1])] }
    }

    /// Sixteen sums of integers of 32 bits.
    type Sums: Copy;
    /// Sixteen pairs of integers, or as many more as are multiplied at once.
    type Pairs: Copy;
    /// Pairs of each row that are multiplied at once: one or two.
    const PAIRS: usize = 1;

    fn no_sums() -> Self::Sums;
    /// From so many pairs of steps.
    fn pairs_of_i8(from: &[[i8; PAIRED]]) -> Self::Pairs;
    /// Adds to each sum `x[0] · w[0] + x[1] · w[1]` of each of its pairs. Those of x are in `row` from pair `at` on.
    ///
    /// # Safety
    /// The row must have so many.
    unsafe fn add_products(sums: Self::Sums, row: *const [i16; 2], at: usize, w: Self::Pairs) -> Self::Sums;
    fn of_sums(sums: Self::Sums) -> Self::V;

    /// Adds to the totals of `M` rows their products by blocks of so many pairs, each times its scales.
    ///
    /// # Safety
    /// The rows must have as many pairs as there are values.
    #[inline(always)]
    unsafe fn add_blocks<const M: usize>(
        totals: &mut [Self::V; M],
        rows: &[*const [i16; 2]; M],
        values: &[[i8; PAIRED]],
        scales: &[[f32; WIDTH]],
        pairs: usize,
    ) {
        for (b, (values, scales)) in values.chunks_exact(pairs).zip(scales).enumerate() {
            let mut sums = [Self::no_sums(); M];
            for (p, w) in values.chunks_exact(Self::PAIRS).enumerate() {
                let w = Self::pairs_of_i8(w);
                for (sum, row) in sums.iter_mut().zip(rows) {
                    // SAFETY: by this function's contract.
                    *sum = unsafe { Self::add_products(*sum, *row, b * pairs + p * Self::PAIRS, w) };
                }
            }
            let scales = Self::load(scales);
            for (total, sum) in totals.iter_mut().zip(&sums) {
                *total = Self::mul_add(Self::of_sums(*sum), scales, *total);
            }
        }
    }

    /// The sums of `M` rows, from step `at` on, by a part's: bytes below 128 by numbers from -63 to 63.
    ///
    /// # Safety
    /// The rows must have as many steps.
    #[cfg(target_arch = "x86_64")]
    unsafe fn sums_of_bytes<const M: usize>(
        rows: &[*const u8; M],
        at: usize,
        values: &Quads,
    ) -> [Self::Sums; M];

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

/// A number of a type that becomes an f32.
pub(super) trait Number: Copy {
    fn number(self) -> f32;

    fn vector<S: Simd>(from: &[Self; WIDTH]) -> S::V;
}

impl Number for f32 {
    #[inline(always)]
    fn number(self) -> f32 {
        self
    }

    #[inline(always)]
    fn vector<S: Simd>(from: &[Self; WIDTH]) -> S::V {
        S::load(from)
    }
}

impl Number for f16 {
    #[inline(always)]
    fn number(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    fn vector<S: Simd>(from: &[Self; WIDTH]) -> S::V {
        S::of_f16(from)
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

    type Sums = [i32; WIDTH];
    type Pairs = [i16; PAIRED];

    #[inline(always)]
    fn no_sums() -> Self::Sums {
        [0; WIDTH]
    }

    #[inline(always)]
    fn pairs_of_i8(from: &[[i8; PAIRED]]) -> Self::Pairs {
        std::array::from_fn(|j| i16::from(from[0][j]))
    }

    #[inline(always)]
    unsafe fn add_products(sums: Self::Sums, row: *const [i16; 2], at: usize, w: Self::Pairs) -> Self::Sums {
        // SAFETY: by this function's contract.
        let x = [unsafe { row.add(at).read() }];
        let product = |i: usize, j: usize| i32::from(x[0][i]) * i32::from(w[2 * j + i]);
        std::array::from_fn(|j| sums[j] + product(0, j) + product(1, j))
    }

    #[inline(always)]
    fn of_sums(sums: Self::Sums) -> Self::V {
        std::array::from_fn(|j| sums[j] as f32)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn sums_of_bytes<const M: usize>(
        rows: &[*const u8; M],
        at: usize,
        values: &Quads,
    ) -> [Self::Sums; M] {
        let mut sums = [Self::no_sums(); M];
        for (sums, row) in sums.iter_mut().zip(rows) {
            for (q, values) in values.iter().enumerate() {
                for (sum, w) in sums.iter_mut().zip(values.as_chunks::<4>().0) {
                    for (i, w) in w.iter().enumerate() {
                        // SAFETY: by this function's contract.
                        let x = unsafe { row.add(at + 4 * q + i).read() };
                        *sum += i32::from(x) * i32::from(*w);
                    }
                }
            }
        }
        sums
    }
}

/// A pair in one register's number.
#[allow(dead_code)]
#[inline(always)]
fn joined(x: [i16; 2]) -> i32 {
    // SAFETY: any bits are a number. One read, where shifts of the two would be two.
    unsafe { std::mem::transmute::<[i16; 2], i32>(x) }
}

const TWO_TO_112: f32 = f32::from_bits((127 + 112) << 23);

#[cfg(target_arch = "x86_64")]
mod x86;
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512, largest, round_part, round_weights};

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
pub(super) use neon::Neon;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(super) use wasm::Simd128;
