//! Attention of many queries: scores and sums on tiles, the softmax between them as elsewhere.

use super::super::attention::{KEYS, Sizes};
use super::super::math;
use super::super::simd::{Simd, WIDTH};
use super::super::tile::Rows;
use super::{Amx, OF_ROW, Parts, SIDE, STEPS, Slow, Tile, Unit, is_used, lay};

/// Queries at once.
pub(in super::super) const QUERIES: usize = 2 * SIDE;

/// Keys and values of one head.
#[derive(Clone, Copy)]
pub(in super::super) struct Head<'a> {
    /// (⌈t_k / 16⌉, d / 32, 3)
    keys: &'a [Tile],
    /// (d / 16, ⌈t_k / 32⌉, 3)
    values: &'a [Tile],
    shape: Sizes,
}

impl<'a> Head<'a> {
    /// Whether heads of `d` numbers are whole tiles.
    pub(in super::super) fn fits(d: usize) -> bool {
        d > 0 && d.is_multiple_of(STEPS)
    }

    /// Tiles of its keys, and of its values.
    fn sizes(shape: Sizes) -> (usize, usize) {
        let keys = shape.t_k.div_ceil(WIDTH) * (shape.d / STEPS);
        (keys * OF_ROW, shape.d / WIDTH * shape.t_k.div_ceil(STEPS) * OF_ROW)
    }

    /// Tiles of one.
    pub(in super::super) fn len(shape: Sizes) -> usize {
        let (keys, values) = Self::sizes(shape);
        keys + values
    }

    /// Lays one out that lies in panels.
    pub(in super::super) fn lay_out(panels: &[f32], shape: Sizes, tiles: &mut [Tile]) {
        let (keys, values) = panels.split_at(shape.keys());
        let (to_keys, to_values) = tiles.split_at_mut(Self::sizes(shape).0);
        for (panels, to, steps) in [(keys, to_keys, shape.d), (values, to_values, shape.t_k)] {
            let each = steps.div_ceil(STEPS) * OF_ROW;
            for (panel, to) in panels.chunks_exact(steps * WIDTH).zip(to.chunks_exact_mut(each)) {
                lay::columns(panel.as_chunks().0, OF_ROW, to);
            }
        }
    }

    /// One that was laid out.
    pub(in super::super) fn of(tiles: &'a [Tile], shape: Sizes) -> Self {
        let (keys, values) = tiles[..Self::len(shape)].split_at(Self::sizes(shape).0);
        Self { keys, values, shape }
    }

    /// Numbers that [`many_queries`] needs room for.
    pub(in super::super) fn room(d: usize) -> usize {
        let tiles = (d / STEPS + KEYS / STEPS) * 2 * OF_ROW;
        // One more, so that a whole number of them begins where a tile may.
        (tiles + 1) * (size_of::<Tile>() / size_of::<f32>()) + QUERIES * (KEYS + d)
    }
}

/// Some queries of a head, and where what they see goes.
#[derive(Clone, Copy)]
pub(in super::super) struct Asked<'a> {
    pub head: Head<'a>,
    pub q: Rows<'a>,
    /// The first query's number, and how many there are, [`QUERIES`] at most.
    pub first: usize,
    pub m: usize,
    pub out: *mut f32,
    pub stride: usize,
}

/// # Safety
/// `out` must be valid for `m` rows of d numbers, `stride` apart, and nobody else's. The processor must have the unit that is used.
#[inline(always)]
unsafe fn many_queries_in<S: Simd>(asked: Asked<'_>, room: &mut [f32]) {
    // SAFETY: by this function's contract.
    unsafe {
        match is_used() {
            true => queries::<S, Amx>(asked, room),
            false => queries::<S, Slow>(asked, room),
        }
    }
}

vectorised! {
    /// Softmax attention of these queries.
    ///
    /// # Safety
    /// As [`many_queries_in`].
    pub(in super::super) unsafe fn many_queries(asked: Asked<'_>, room: &mut [f32]) = many_queries_in::<S>
}

/// # Safety
/// As [`many_queries_in`].
#[inline(always)]
unsafe fn queries<S: Simd, U: Unit>(asked: Asked<'_>, room: &mut [f32]) {
    let Asked { head, q, first, m, out, stride } = asked;
    let Sizes { d, t_k, .. } = head.shape;
    let (of_q, steps) = (d / STEPS * OF_ROW, t_k.div_ceil(STEPS));
    // SAFETY: any bits are integers.
    let (_, tiles, _) = unsafe { room.align_to_mut::<Tile>() };
    let (q_tiles, tiles) = tiles.split_at_mut(2 * of_q);
    let (weights, rest) = tiles.split_at_mut(KEYS / STEPS * OF_ROW * 2);
    // SAFETY: any bits are numbers.
    let (_, numbers, _) = unsafe { rest.align_to_mut::<f32>() };
    let (scores, totals) = numbers.split_at_mut(QUERIES * KEYS);
    let totals = &mut totals[..QUERIES * d];
    let below = |x: Rows<'_>, i: usize| -> usize { (i * SIDE).min(m - 1) * x.stride };
    for (i, tiles) in q_tiles.chunks_exact_mut(of_q).enumerate() {
        let x = Rows { values: &q.values[below(q, i)..], stride: q.stride };
        lay::rows(x, m.saturating_sub(i * SIDE), d, OF_ROW, tiles);
    }
    totals.fill(0.0);
    let mut sums = [[[0f32; WIDTH]; SIDE]; 4];
    let (mut max, mut sum) = ([f32::NEG_INFINITY; QUERIES], [0f32; QUERIES]);
    // SAFETY: by this function's contract.
    let mut unit = unsafe { U::begin() };
    // Keys after the last query's are seen by none.
    let end = head.shape.visible(first + m - 1);
    for from in (0..end).step_by(KEYS) {
        let n_keys = KEYS.min(end - from);
        let panels = from / WIDTH..(from + n_keys).div_ceil(WIDTH);
        for j in panels.clone().step_by(2) {
            // Of an odd number of panels the last is multiplied twice; there is room for both.
            let w = [j, (j + 1).min(panels.end - 1)].map(|j| head.keys[j * of_q..].as_ptr());
            let x = [0, 1].map(|i| q_tiles[i * of_q..].as_ptr());
            let at = |row: usize, panel: usize| row * SIDE * KEYS + (panel - panels.start) * WIDTH;
            let to = [at(0, j), at(0, j + 1), at(1, j), at(1, j + 1)].map(|at| scores[at..].as_mut_ptr());
            // SAFETY: they were laid out; a row's scores are its own.
            unsafe { Parts::<OF_ROW>::multiply(&mut unit, x, w, d / STEPS, to, KEYS) };
        }
        let mut factors = [0f32; QUERIES];
        for (i, row) in scores.chunks_exact_mut(KEYS).enumerate() {
            let seen = match i < m {
                true => head.shape.visible(first + i).saturating_sub(from).min(n_keys),
                false => 0,
            };
            row[seen..].fill(0.0);
            factors[i] = 1.0;
            if seen > 0 {
                factors[i] = math::softmax_step::<S>(&mut row[..seen], &mut max[i], &mut sum[i]);
            }
        }
        let these = n_keys.div_ceil(STEPS);
        let each = these * OF_ROW;
        for (i, tiles) in weights.chunks_exact_mut(each).take(2).enumerate() {
            let x = Rows { values: &scores[i * SIDE * KEYS..], stride: KEYS };
            lay::rows(x, SIDE, these * STEPS, OF_ROW, tiles);
        }
        for j in (0..d / WIDTH).step_by(2) {
            let w = [j, j + 1].map(|j| head.values[(j * steps + from / STEPS) * OF_ROW..].as_ptr());
            let x = [0, 1].map(|i| weights[i * each..].as_ptr());
            let to = sums.each_mut().map(|sums| sums.as_mut_ptr().cast());
            // SAFETY: they were laid out.
            unsafe { Parts::<OF_ROW>::multiply(&mut unit, x, w, these, to, WIDTH) };
            for (at, sums) in sums.iter().enumerate() {
                for (i, sums) in sums.iter().enumerate() {
                    let row = at / 2 * SIDE + i;
                    let total = totals[row * d + (j + at % 2) * WIDTH..].first_chunk_mut();
                    if let Some(total) = total {
                        let sum = S::mul_add(S::load(total), S::splat(factors[row]), S::load(sums));
                        S::store(sum, total);
                    }
                }
            }
        }
    }
    for (i, (totals, sum)) in totals.chunks_exact(d).zip(sum).take(m).enumerate() {
        // SAFETY: by this function's contract.
        let out = unsafe { std::slice::from_raw_parts_mut(out.add(i * stride), d) };
        let scale = 1.0 / sum;
        out.iter_mut().zip(totals).for_each(|(out, total)| *out = total * scale);
    }
}
