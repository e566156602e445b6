//! One query at a time: keys and values are read once, as they lie there.

use candle_core::WithDType;
use half::f16;

use super::super::math;
use super::super::simd::{AHEAD, Number, Simd, WIDTH};
use super::super::tile::Rows;
use super::scale;

/// What keys and values are kept as.
pub(super) trait Element: WithDType + Number {
    /// Softmax attention of one head. scores: room for the keys that are seen; q and out: (d)
    fn one_query(scores: &mut [f32], q: &[f32], k: Rows<'_, Self>, v: Rows<'_, Self>, out: &mut [f32]);
}

impl Element for f32 {
    fn one_query(scores: &mut [f32], q: &[f32], k: Rows<'_, Self>, v: Rows<'_, Self>, out: &mut [f32]) {
        one_query_f32(scores, q, k, v, out);
    }
}

impl Element for f16 {
    fn one_query(scores: &mut [f32], q: &[f32], k: Rows<'_, Self>, v: Rows<'_, Self>, out: &mut [f32]) {
        one_query_f16(scores, q, k, v, out);
    }
}

/// scores: (visible), q and out: (d)
#[inline(always)]
fn one_query_in<S: Simd, E: Element>(
    scores: &mut [f32],
    q: &[f32],
    k: Rows<'_, E>,
    v: Rows<'_, E>,
    out: &mut [f32],
) {
    let scale = scale(q.len());
    for (j, score) in scores.iter_mut().enumerate() {
        ask::<S, E>(k, j, q.len());
        *score = math::dot::<S, E>(q, &k.values[j * k.stride..][..q.len()]) * scale;
    }
    let (mut max, mut sum) = (f32::NEG_INFINITY, 0.0);
    math::softmax_step::<S>(scores, &mut max, &mut sum);
    let scale = 1.0 / sum;
    let (mut whole, rest) = out.as_chunks_mut::<WIDTH>();
    let mut first = 0;
    while !whole.is_empty() {
        let values = Rows { values: &v.values[first..], stride: v.stride };
        let n = match whole.len().min(S::CHAINS) {
            4.. => weighted::<4, S, E>(scores, values, scale, whole),
            2.. => weighted::<2, S, E>(scores, values, scale, whole),
            _ => weighted::<1, S, E>(scores, values, scale, whole),
        };
        first += n * WIDTH;
        whole = &mut whole[n..];
    }
    for (e, out) in rest.iter_mut().enumerate() {
        let total: f32 =
            scores.iter().enumerate().map(|(j, p)| p * v.values[j * v.stride + first + e].number()).sum();
        *out = total * scale;
    }
}

/// Asks for the first `n` numbers of a row that comes after this one.
#[inline(always)]
fn ask<S: Simd, E>(x: Rows<'_, E>, row: usize, n: usize) {
    let row = row + AHEAD / (n * size_of::<E>()).max(1);
    S::ask(x.values.as_ptr().wrapping_add(row * x.stride), n);
}

/// The first `N` vectors of the sum of rows, each row by its score. -> `N`
#[inline(always)]
fn weighted<const N: usize, S: Simd, E: Element>(
    scores: &[f32],
    v: Rows<'_, E>,
    scale: f32,
    out: &mut [[f32; WIDTH]],
) -> usize {
    let mut totals = [S::splat(0.0); N];
    for (j, &p) in scores.iter().enumerate() {
        ask::<S, E>(v, j, N * WIDTH);
        let p = S::splat(p);
        let row = v.values[j * v.stride..][..N * WIDTH].as_chunks().0;
        for (total, x) in totals.iter_mut().zip(row) {
            *total = S::mul_add(p, E::vector::<S>(x), *total);
        }
    }
    for (out, total) in out.iter_mut().zip(totals) {
        S::store(S::mul(total, S::splat(scale)), out);
    }
    N
}

vectorised!(
    fn one_query_f32(scores: &mut [f32], q: &[f32], k: Rows<'_>, v: Rows<'_>, out: &mut [f32])
        = one_query_in::<S, f32>
);

vectorised!(
    fn one_query_f16(scores: &mut [f32], q: &[f32], k: Rows<'_, f16>, v: Rows<'_, f16>, out: &mut [f32])
        = one_query_in::<S, f16>
);
