//! A tile of rows by panels, two at once where that is faster.

use super::super::simd::{MOST_ROWS, Simd, WIDTH};
use super::super::tile::{Rows, sums};

/// `M` rows of `x` by panels, in rows of `out` that lie `stride` apart, or added to them.
///
/// # Safety
/// There must be so many rows as long as the panels.
#[inline(always)]
pub(super) unsafe fn multiply<'a, const ADDS: bool, const M: usize, S: Simd>(
    x: Rows<'_>,
    panels: impl Iterator<Item = &'a [f32]>,
    out: &mut [f32],
    stride: usize,
) {
    let mut panels = panels.map(|panel| panel.as_chunks().0).enumerate();
    while let Some((j, panel)) = panels.next() {
        let out = &mut out[j * WIDTH..];
        if S::BESIDE
            && M == MOST_ROWS
            && let Some((_, beside)) = panels.next()
        {
            // SAFETY: by this function's contract.
            let [one, two] = unsafe { S::sums_beside(x.values.as_ptr(), x.stride, [panel, beside]) };
            put::<ADDS, S>(&one, out, stride);
            put::<ADDS, S>(&two, &mut out[WIDTH..], stride);
        } else {
            // SAFETY: by this function's contract.
            put::<ADDS, S>(&unsafe { sums::<M, S>(x, panel) }, out, stride);
        }
    }
}

#[inline(always)]
fn put<const ADDS: bool, S: Simd>(sums: &[S::V], out: &mut [f32], stride: usize) {
    for (&sum, out) in sums.iter().zip(out.chunks_mut(stride)) {
        let out = &mut out.as_chunks_mut().0[0];
        S::store(if ADDS { S::add(S::load(out), sum) } else { sum }, out);
    }
}
