//! Numbers taken apart and laid out for tiles.

use super::super::simd::{Simd, WIDTH};
use super::super::store::Store;
use super::super::tile::Rows;
use super::{SIDE, STEPS, Tile};

/// The upper half is the next part of each number, and `rest` what that leaves; the last part is rounded.
#[inline(always)]
fn part<const N: usize>(rest: &mut [f32; N], is_last: bool) -> [u32; N] {
    let mut bits = [0; N];
    for (bits, rest) in bits.iter_mut().zip(rest) {
        let x = rest.to_bits();
        let x = if is_last { x + 0x7fff + (x >> 16 & 1) } else { x };
        *bits = x & 0xffff_0000;
        let left = *rest - f32::from_bits(*bits);
        // Of what is infinite, or no number, nothing is left.
        *rest = if left.is_nan() { 0.0 } else { left };
    }
    bits
}

/// So that no part of its bits is another number's.
#[inline(always)]
fn plain<const N: usize>(mut x: [f32; N]) -> [f32; N] {
    x.iter_mut().for_each(|x| *x = if x.is_nan() { f32::NAN } else { *x });
    x
}

/// Puts all parts of these numbers, two beside each other, into a row of each tile.
#[inline(always)]
fn put(numbers: &mut [f32; STEPS], row: usize, tiles: &mut [Tile]) {
    let n = tiles.len();
    for (i, tile) in tiles.iter_mut().enumerate() {
        let bits = part(numbers, i + 1 == n);
        let mut halves = [0u16; STEPS];
        halves.iter_mut().zip(bits).for_each(|(half, bits)| *half = (bits >> 16) as u16);
        // SAFETY: both are 64 bytes, and any bits are integers. Two neighbours are the halves of one.
        tile.0[row] = unsafe { std::mem::transmute::<[u16; STEPS], [u32; SIDE]>(halves) };
    }
}

/// Zeros after the last.
#[inline(never)]
fn fewer(x: &[f32]) -> [f32; STEPS] {
    let mut all = [0f32; STEPS];
    all[..x.len()].copy_from_slice(x);
    all
}

#[inline(always)]
fn numbers(x: &[f32]) -> [f32; STEPS] {
    plain(match x.first_chunk() {
        Some(all) => *all,
        None => fewer(x),
    })
}

/// Sixteen rows in `n` parts, as many steps as there are tiles; zeros after the last of `m` rows and of their numbers.
#[inline(always)]
fn rows_in(x: Rows<'_>, m: usize, k: usize, n: usize, tiles: &mut [Tile]) {
    for (step, tiles) in tiles.chunks_exact_mut(n).enumerate() {
        let from = step * STEPS;
        let len = STEPS.min(k - from);
        for row in 0..SIDE {
            let mut rest = match row < m {
                true => numbers(&x.values[row * x.stride + from..][..len]),
                false => [0.0; STEPS],
            };
            put(&mut rest, row, tiles);
        }
    }
}

vectorised! {
    /// Sixteen rows, or the `m` there are, of `k` numbers in `n` parts.
    pub(super) fn rows(x: Rows<'_>, m: usize, k: usize, n: usize, tiles: &mut [Tile]) = rows_in
}

/// Sixteen columns in `n` parts, step by step; zeros after the last step.
#[inline(always)]
fn columns_in(steps: &[[f32; WIDTH]], n: usize, tiles: &mut [Tile]) {
    for (steps, tiles) in steps.chunks(STEPS).zip(tiles.chunks_exact_mut(n)) {
        for pair in 0..SIDE {
            let numbers = |i: usize| plain(steps.get(2 * pair + i).copied().unwrap_or_default());
            let (mut first, mut second) = (numbers(0), numbers(1));
            for (i, tile) in tiles.iter_mut().enumerate() {
                let (low, high) = (part(&mut first, i + 1 == n), part(&mut second, i + 1 == n));
                for ((to, low), high) in tile.0[pair].iter_mut().zip(low).zip(high) {
                    *to = low >> 16 | high;
                }
            }
        }
    }
}

vectorised! {
    /// Sixteen columns in `n` parts, step by step.
    pub(super) fn columns(steps: &[[f32; WIDTH]], n: usize, tiles: &mut [Tile]) = columns_in
}

#[inline(always)]
fn panel_in<S: Simd>(w: &Store, panel: usize, (k, n): (usize, usize), room: &mut [f32], tiles: &mut [Tile]) {
    let (numbers, _) = room.as_chunks_mut::<WIDTH>();
    w.view(panel * k, (panel + 1) * k).unpack::<S>(numbers);
    columns_in(numbers, n, tiles);
}

vectorised! {
    /// A panel of a matrix with `k` columns in `n` parts. `room` is for `k` numbers of each row.
    pub(super) fn panel(w: &Store, panel: usize, k_n: (usize, usize), room: &mut [f32], tiles: &mut [Tile]) = panel_in::<S>
}
