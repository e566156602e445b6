//! Up to a dozen rows by one panel, their sums in registers, and what is done with the sums while they are there.

use super::math;
use super::simd::{MOST_ROWS, Simd, WIDTH};
use super::store::Steps;

/// What becomes of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It is the result.
    Set,
    /// Its exact GELU is.
    Gelu,
    /// It is added to what is there.
    Add,
}

/// Rows of a matrix: where they start and how far apart they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a, E = f32> {
    pub values: &'a [E],
    pub stride: usize,
}

/// A panel, and where its products go.
#[derive(Clone, Copy)]
pub(super) struct Factor<'a> {
    pub panel: &'a [[f32; WIDTH]],
    pub out: Place,
    pub end: End<'a>,
}

/// `m` rows of `x` by a panel, or by two of as many steps.
///
/// # Safety
/// The places must be valid for `m` rows, and `x` must have them, as long as the panels.
#[inline(always)]
pub(super) unsafe fn tiles<const P: usize, S: Simd>(x: Rows<'_>, m: usize, factors: [Factor<'_>; P]) {
    for row in (0..m).step_by(S::ROWS) {
        let x = Rows { values: &x.values[row * x.stride..], stride: x.stride };
        let mut factors = factors;
        for Factor { out, .. } in &mut factors {
            // SAFETY: by this function's contract.
            out.at = unsafe { out.at.add(row * out.stride) };
        }
        if let [a, b] = factors.as_slice()
            && S::BESIDE
            && m - row >= MOST_ROWS
        {
            debug_assert!(x.values.len() >= (MOST_ROWS - 1) * x.stride + a.panel.len());
            // SAFETY: by this function's contract.
            unsafe {
                let sums = S::sums_beside(x.values.as_ptr(), x.stride, [a.panel, b.panel]);
                finish::<MOST_ROWS, S>(&sums[0], a.out, a.end);
                finish::<MOST_ROWS, S>(&sums[1], b.out, b.end);
            }
            continue;
        }
        for factor in factors {
            // SAFETY: by this function's contract.
            unsafe {
                match (m - row).min(S::ROWS) {
                    1 => tile::<1, S>(x, factor),
                    2 => tile::<2, S>(x, factor),
                    3 => tile::<3, S>(x, factor),
                    4 => tile::<4, S>(x, factor),
                    5 => tile::<5, S>(x, factor),
                    6 => tile::<6, S>(x, factor),
                    7 => tile::<7, S>(x, factor),
                    8 => tile::<8, S>(x, factor),
                    9 => tile::<9, S>(x, factor),
                    10 => tile::<10, S>(x, factor),
                    11 => tile::<11, S>(x, factor),
                    12 => tile::<12, S>(x, factor),
                    _ => {}
                }
            }
        }
    }
}

/// Where a tile goes: up to 16 columns of rows that lie `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub at: *mut f32,
    pub stride: usize,
    pub columns: usize,
}

/// What to do with the sums of a tile.
#[derive(Clone, Copy)]
pub(super) struct End<'a> {
    pub first: bool,
    pub last: bool,
    pub bias: &'a [f32; WIDTH],
    pub then: Then,
}

/// # Safety
/// The place must be valid for `M` rows, and `x` must have them, as long as the panel.
#[inline(always)]
unsafe fn tile<const M: usize, S: Simd>(x: Rows<'_>, Factor { panel, out, end }: Factor<'_>) {
    // SAFETY: by this function's contract.
    unsafe { finish::<M, S>(&sums::<M, S>(x, panel), out, end) };
}

/// One row by a panel of whatever numbers.
///
/// # Safety
/// `out` must be valid for it.
#[inline(always)]
pub(super) unsafe fn row<S: Simd, P: Steps>(x: Rows<'_>, panel: P, out: Place, end: End<'_>) {
    // SAFETY: by this function's contract.
    unsafe { finish::<1, S>(&[one::<S, P>(&x.values[..panel.len()], panel)], out, end) };
}

/// Does with the sums of `M` rows what is to be done, and puts them where they go.
///
/// # Safety
/// `out` must be valid for `M` rows.
#[inline(always)]
pub(super) unsafe fn finish<const M: usize, S: Simd>(sums: &[S::V; M], out: Place, end: End<'_>) {
    let adds = !end.first || end.then == Then::Add;
    // A row of fewer columns is finished here, and then copied.
    let (fewer, mut room) = (out.columns < WIDTH, [0f32; WIDTH]);
    // By reference: taking an array apart would copy it.
    for (i, &sum) in sums.iter().enumerate() {
        let mut sum = sum;
        // SAFETY: by this function's contract; a row of sixteen columns is as long as the array.
        let at = unsafe { out.at.add(i * out.stride) };
        if fewer && adds {
            // SAFETY: as above.
            room[..out.columns].copy_from_slice(unsafe { std::slice::from_raw_parts(at, out.columns) });
        }
        // SAFETY: as above.
        let to = if fewer { &mut room } else { unsafe { &mut *at.cast::<[f32; WIDTH]>() } };
        if end.last {
            sum = S::add(sum, S::load(end.bias));
        }
        if adds {
            sum = S::add(sum, S::load(to));
        }
        S::store(sum, to);
        if end.last && end.then == Then::Gelu {
            to.iter_mut().for_each(|x| *x = math::gelu_one::<S>(*x));
        }
        if fewer {
            // SAFETY: as above.
            unsafe { at.copy_from_nonoverlapping(room.as_ptr(), out.columns) };
        }
    }
}

/// `M` rows of `x` by a panel.
///
/// # Safety
/// `x` must have `M` rows as long as the panel.
#[inline(always)]
pub(super) unsafe fn sums<const M: usize, S: Simd>(x: Rows<'_>, panel: &[[f32; WIDTH]]) -> [S::V; M] {
    if M == 1 {
        return [one::<S, _>(&x.values[..panel.len()], panel); M];
    }
    debug_assert!(x.values.len() >= (M - 1) * x.stride + panel.len());
    // SAFETY: by this function's contract.
    unsafe { S::sums(x.values.as_ptr(), x.stride, panel) }
}

/// One row by a panel, in sums that do not wait for each other.
#[inline(always)]
fn one<S: Simd, P: Steps>(x: &[f32], panel: P) -> S::V {
    match S::CHAINS {
        2 => chains::<2, S, P>(x, panel),
        _ => chains::<4, S, P>(x, panel),
    }
}

#[inline(always)]
fn chains<const N: usize, S: Simd, P: Steps>(x: &[f32], panel: P) -> S::V {
    let mut sums = [S::splat(0.0); N];
    let (whole, rest) = x.as_chunks::<N>();
    for (i, x) in whole.iter().enumerate() {
        panel.ask::<S>(N * i, N);
        for (u, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `x` was cut to the panel's length.
            let w = unsafe { panel.at::<S>(N * i + u) };
            *sum = S::mul_add(S::splat(x[u]), w, *sum);
        }
    }
    for (i, x) in rest.iter().enumerate() {
        // SAFETY: as above.
        let w = unsafe { panel.at::<S>(N * whole.len() + i) };
        sums[0] = S::mul_add(S::splat(*x), w, sums[0]);
    }
    // Pairs first; no closures, see `simd`.
    let mut left = N;
    while left > 1 {
        left /= 2;
        for i in 0..left {
            sums[i] = S::add(sums[2 * i], sums[2 * i + 1]);
        }
    }
    sums[0]
}
