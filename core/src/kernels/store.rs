//! The numbers of a matrix as they lie in memory: sixteen of its rows side by side, step by step over k, in the type
//! they came in. What is read is always the number that was stored, to the last bit.

use half::{bf16, f16};

use super::simd::{AHEAD, PAIRED, Simd, WIDTH};

/// Steps after which a scale may change divide this, and every cut through k is a multiple of it.
pub(super) const LONGEST_BLOCK: usize = 32;

/// Steps that are asked for at once: no less than a line of the caches.
const ASKED: usize = 4;

/// Sixteen rows for some steps over k.
pub(super) trait Steps: Copy {
    /// How many steps.
    fn len(self) -> usize;

    /// One number of each row.
    ///
    /// # Safety
    /// `step` must be less than the length.
    unsafe fn at<S: Simd>(self, step: usize) -> S::V;

    /// Asks for what comes [`AHEAD`] of some steps.
    fn ask<S: Simd>(self, step: usize, n: usize);
}

#[inline(always)]
fn ask<S: Simd, T>(all: &[T], at: usize, n: usize) {
    S::ask(all.as_ptr().wrapping_add(at + AHEAD / size_of::<T>()), n);
}

impl Steps for &[[f32; WIDTH]] {
    fn len(self) -> usize {
        <[_]>::len(self)
    }

    #[inline(always)]
    unsafe fn at<S: Simd>(self, step: usize) -> S::V {
        // SAFETY: by this function's contract.
        S::load(unsafe { self.get_unchecked(step) })
    }

    #[inline(always)]
    fn ask<S: Simd>(self, step: usize, n: usize) {
        ask::<S, _>(self, step, n);
    }
}

impl Steps for &[[f16; WIDTH]] {
    fn len(self) -> usize {
        <[_]>::len(self)
    }

    #[inline(always)]
    unsafe fn at<S: Simd>(self, step: usize) -> S::V {
        // SAFETY: by this function's contract.
        S::of_f16(unsafe { self.get_unchecked(step) })
    }

    #[inline(always)]
    fn ask<S: Simd>(self, step: usize, n: usize) {
        ask::<S, _>(self, step, n);
    }
}

impl Steps for &[[bf16; WIDTH]] {
    fn len(self) -> usize {
        <[_]>::len(self)
    }

    #[inline(always)]
    unsafe fn at<S: Simd>(self, step: usize) -> S::V {
        // SAFETY: by this function's contract.
        S::of_bf16(unsafe { self.get_unchecked(step) })
    }

    #[inline(always)]
    fn ask<S: Simd>(self, step: usize, n: usize) {
        ask::<S, _>(self, step, n);
    }
}

/// Integers, each block of steps with a scale for every row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scaled<'a> {
    values: &'a [[i8; WIDTH]],
    scales: &'a [[f32; WIDTH]],
    /// log2 of a block's steps
    shift: u32,
}

impl Steps for Scaled<'_> {
    fn len(self) -> usize {
        self.values.len()
    }

    #[inline(always)]
    unsafe fn at<S: Simd>(self, step: usize) -> S::V {
        // SAFETY: by this function's contract; there is a scale for every block begun.
        let (q, scale) =
            unsafe { (self.values.get_unchecked(step), self.scales.get_unchecked(step >> self.shift)) };
        S::mul(S::of_i8(q), S::load(scale))
    }

    #[inline(always)]
    fn ask<S: Simd>(self, step: usize, n: usize) {
        ask::<S, _>(self.values, step, n);
    }
}

/// The same with a number that is added.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shifted<'a> {
    scaled: Scaled<'a>,
    offsets: &'a [[f32; WIDTH]],
}

impl Steps for Shifted<'_> {
    fn len(self) -> usize {
        self.scaled.len()
    }

    #[inline(always)]
    unsafe fn at<S: Simd>(self, step: usize) -> S::V {
        // SAFETY: as for the scales.
        let (scaled, offset) =
            unsafe { (self.scaled.at::<S>(step), self.offsets.get_unchecked(step >> self.scaled.shift)) };
        S::add(scaled, S::load(offset))
    }

    #[inline(always)]
    fn ask<S: Simd>(self, step: usize, n: usize) {
        self.scaled.ask::<S>(step, n);
    }
}

/// A matrix (n, k), in panels of sixteen rows: each (⌈n / 16⌉, k), zeros after the last row.
#[derive(Debug)]
pub(super) enum Store {
    F32(Vec<[f32; WIDTH]>),
    F16(Vec<[f16; WIDTH]>),
    Bf16(Vec<[bf16; WIDTH]>),
    /// Small integers, whatever number of bits they had in a file.
    Blocks(Blocks<WIDTH>),
}

/// A matrix, as it is multiplied.
#[derive(Debug)]
pub(super) enum Matrix {
    /// As floats.
    Floats(Store),
    /// As integers, two steps side by side.
    Integers(Blocks<PAIRED>),
}

/// Integers in blocks over k.
#[derive(Debug)]
pub(super) struct Blocks<const TOGETHER: usize> {
    pub values: Vec<[i8; TOGETHER]>,
    /// One for each block of steps.
    pub scales: Vec<[f32; WIDTH]>,
    /// As the scales, or none at all.
    pub offsets: Vec<[f32; WIDTH]>,
    /// Steps in a block, a power of two.
    pub block: usize,
}

/// Some steps of a panel, in whatever type.
pub(super) enum View<'a> {
    F32(&'a [[f32; WIDTH]]),
    F16(&'a [[f16; WIDTH]]),
    Bf16(&'a [[bf16; WIDTH]]),
    Scaled(Scaled<'a>),
    Shifted(Shifted<'a>),
}

impl Blocks<PAIRED> {
    /// The numbers of a row of a matrix with `k` columns.
    pub(super) fn row(&self, row: usize, k: usize) -> impl Iterator<Item = f32> {
        let (panel, lane) = (row / WIDTH, row % WIDTH);
        (0..k).map(move |step| {
            let q = self.values[(panel * k + step) / 2][2 * lane + step % 2];
            let block = (panel * k + step) / self.block;
            let offset = self.offsets.get(block).map_or(0.0, |offsets| offsets[lane]);
            f32::from(q) * self.scales[block][lane] + offset
        })
    }
}

impl Store {
    /// Steps `from` to `to` over k, counted over all panels; both multiples of a block's unless a panel ends there.
    #[inline(always)]
    pub(super) fn view(&self, from: usize, to: usize) -> View<'_> {
        match self {
            Self::F32(values) => View::F32(&values[from..to]),
            Self::F16(values) => View::F16(&values[from..to]),
            Self::Bf16(values) => View::Bf16(&values[from..to]),
            Self::Blocks(b) => {
                let blocks = from / b.block..to.div_ceil(b.block);
                let scaled = Scaled {
                    values: &b.values[from..to],
                    scales: &b.scales[blocks.clone()],
                    shift: b.block.trailing_zeros(),
                };
                match b.offsets.get(blocks) {
                    Some(offsets) if !offsets.is_empty() => View::Shifted(Shifted { scaled, offsets }),
                    _ => View::Scaled(scaled),
                }
            }
        }
    }
}

impl View<'_> {
    /// Writes the numbers to `out`, as many steps.
    #[inline(always)]
    pub(super) fn unpack<S: Simd>(self, out: &mut [[f32; WIDTH]]) {
        #[inline(always)]
        fn all<S: Simd>(steps: impl Steps, out: &mut [[f32; WIDTH]]) {
            for (step, out) in out.iter_mut().enumerate().take(steps.len()) {
                if step.is_multiple_of(ASKED) {
                    steps.ask::<S>(step, ASKED);
                }
                // SAFETY: no more are taken than there are.
                S::store(unsafe { steps.at::<S>(step) }, out);
            }
        }
        match self {
            Self::F32(steps) => all::<S>(steps, out),
            Self::F16(steps) => all::<S>(steps, out),
            Self::Bf16(steps) => all::<S>(steps, out),
            Self::Scaled(steps) => all::<S>(steps, out),
            Self::Shifted(steps) => all::<S>(steps, out),
        }
    }
}
