//! The same on a processor's matrix unit: the same numbers, sixteen queries at once.

use super::super::super::amx::{Amx, Slow, Unit, is_used};
use super::super::super::narrow::PART;
use super::super::super::narrow::tiles::{ROWS, Tile, totals};
use super::super::super::simd::{Simd, WIDTH};
use super::{Asked, Desk, Head};

/// # Safety
/// As [`super::queries_in`]; the processor must have the unit.
#[inline(always)]
unsafe fn of_tile<S: Simd, U: Unit>(asked: Asked<'_>, room: &mut [f32], out: *mut f32, stride: usize) {
    let Asked { head: Head { k, v }, m, len, d, .. } = asked;
    let mut desk = Desk::new(room, ROWS, len, d);
    let (padded, parts, parts_of_q) = (desk.len, desk.len / PART, d / PART);
    desk.round(asked);
    // SAFETY: by this function's contract.
    let mut unit = unsafe { U::begin() };
    let q = Tile { bytes: desk.q.as_ptr(), stride: d, ends: desk.ends.as_ptr(), apart: parts_of_q };
    for panel in 0..len.div_ceil(WIDTH) {
        // SAFETY: there are as many rows at the desk.
        let totals = unsafe { totals::<true, S, U>(&mut unit, q, k, panel, 0..parts_of_q) };
        for (total, to) in totals.iter().zip(desk.scores.chunks_exact_mut(padded)) {
            S::store(*total, &mut to.as_chunks_mut().0[panel]);
        }
    }
    let mut inverses = [0f32; ROWS];
    desk.weigh(asked, &mut inverses);
    let weights =
        Tile { bytes: desk.weights.as_ptr(), stride: padded, ends: desk.scales.as_ptr(), apart: parts };
    // Whatever lies in rows of which there are no queries, a scale of 0 makes nothing of it.
    let counts = |p: &usize| (0..m).any(|row| desk.scales[row * parts + p][0] != 0.0);
    for panel in 0..d / WIDTH {
        // SAFETY: as above.
        let totals =
            unsafe { totals::<false, S, U>(&mut unit, weights, v, panel, (0..parts).filter(counts)) };
        for (i, (total, inverse)) in totals.iter().zip(inverses).enumerate().take(m) {
            // SAFETY: by this function's contract.
            let to = unsafe { &mut *out.add(i * stride + panel * WIDTH).cast() };
            S::store(S::mul(*total, S::splat(inverse)), to);
        }
    }
}

#[inline(always)]
unsafe fn queries_in<S: Simd>(asked: Asked<'_>, room: &mut [f32], out: *mut f32, stride: usize) {
    // SAFETY: by this function's contract.
    unsafe {
        match is_used() {
            true => of_tile::<S, Amx>(asked, room, out, stride),
            false => of_tile::<S, Slow>(asked, room, out, stride),
        }
    }
}

vectorised! {
    /// # Safety
    /// As [`super::queries_in`].
    pub(super) unsafe fn queries(asked: Asked<'_>, room: &mut [f32], out: *mut f32, stride: usize) = queries_in::<S>
}
