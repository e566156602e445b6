//! Attention of as many queries as there are keys, the encoder's, in integers of sixteen bits: scores by queries of thirteen and keys of
//! eleven, weights of twelve bits by values of eleven. Exponentials are as exact as what they are rounded to.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::super::integers::round_in;
use super::super::level::{Level, level};
use super::super::room::room;
use super::super::shared::SharedOut;
use super::super::simd::{Avx512, MOST_ROWS, PAIRED, Simd, WIDTH};
use super::super::tile::Rows;
use super::super::wide::{self, OF_ROW, STEPS, TURN, Wide, steps};
use super::super::{math, pool};
use super::Heads;

/// One head's keys and values; zeros after the last.
struct Head {
    /// Keys by √d and in powers of two, a row each. (⌈len / 16⌉ · 16, d)
    k: Wide,
    /// Values, a row for each of their numbers. (d, ⌈len / 16⌉ · 16)
    v: Wide,
}

/// Whether heads of `d` numbers may be so.
pub(super) fn fits(d: usize) -> bool {
    (1..=STEPS).contains(&d) && wide::fits(d)
}

/// Softmax attention of all queries to all keys. q, k, v: (n_batch, t, n_state), heads side by side -> as q
///
/// # Errors
/// If the shapes do not fit, or they are not in f32 on a CPU.
pub(super) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, n_head: usize) -> Result<Tensor> {
    q.apply_op3_no_bwd(k, v, &Wider { n_head })
}

struct Wider {
    n_head: usize,
}

impl CustomOp3 for Wider {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        s_q: &CpuStorage,
        l_q: &Layout,
        s_k: &CpuStorage,
        l_k: &Layout,
        s_v: &CpuStorage,
        l_v: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let n_head = self.n_head;
        let (q, (b, t_q, n)) = Heads::<f32>::new(s_q, l_q, n_head)?;
        let ((k, dims_k), (v, dims_v)) =
            (Heads::<f32>::new(s_k, l_k, n_head)?, Heads::<f32>::new(s_v, l_v, n_head)?);
        let len = dims_k.1;
        if dims_k != (b, len, n) || dims_v != dims_k || len == 0 || !n.is_multiple_of(n_head) {
            bail!("attention: q {:?}, k {dims_k:?}, v {dims_v:?}, {n_head} heads", l_q.shape());
        }
        let d = n / n_head;
        let mut out = room::<f32>(b * t_q * n);
        let shared = SharedOut::new(out.as_mut_ptr());
        let (blocks, padded) = (t_q.div_ceil(MOST_ROWS), len.next_multiple_of(TURN));
        // Scores; weights, two in a number's place; queries likewise.
        let scratch = MOST_ROWS * (padded + padded / 2 + d / 2);
        for i in 0..b {
            let head = |head| Head::new(k.at(i, 0, head), v.at(i, 0, head), len, d);
            let heads: Vec<Head> = (0..n_head).map(head).collect();
            pool::each_with(n_head * blocks, scratch, |room, task| {
                let (head, first) = (task / blocks, task % blocks * MOST_ROWS);
                let m = MOST_ROWS.min(t_q - first);
                let asked = Asked { head: &heads[head], q: q.at(i, first, head), m, len, d };
                // SAFETY: tasks write disjoint places: their rows differ, or their columns do.
                unsafe {
                    let out = shared.at((i * t_q + first) * n + head * d);
                    match level() >= Level::Vnni {
                        true => vnni(asked, room, out, n),
                        false => queries(asked, room, out, n),
                    }
                }
            });
        }
        // SAFETY: every query of every head was written.
        unsafe { out.set_len(b * t_q * n) };
        Ok((CpuStorage::F32(out), (b, t_q, n).into()))
    }
}

impl Head {
    fn new(k: Rows<'_>, v: Rows<'_>, len: usize, d: usize) -> Self {
        let padded = len.next_multiple_of(TURN);
        let scale = std::f32::consts::LOG2_E / (d as f32).sqrt();
        let k = Wide::new(padded / WIDTH, d, |panel, numbers| {
            let first = panel * WIDTH;
            let rows = Rows { values: &k.values[first * k.stride..], stride: k.stride };
            columns(rows, WIDTH.min(len - first), scale, numbers);
        });
        let mut v = Wide::new(d / WIDTH, padded, |panel, numbers| {
            steps_of(Rows { values: &v.values[panel * WIDTH..], stride: v.stride }, len, numbers);
        });
        // The weights are integers: a key that is no number would be lost among them.
        if !k.scales.as_flattened().iter().all(|scale| scale.is_finite()) {
            v.scales.fill([f32::NAN; WIDTH]);
        }
        Self { k, v }
    }
}

#[inline(always)]
fn columns_in(x: Rows<'_>, n: usize, scale: f32, numbers: &mut [[f32; PAIRED]]) {
    let none = [0f32; STEPS];
    let rows: [&[f32]; WIDTH] =
        std::array::from_fn(|i| if i < n { &x.values[i * x.stride..][..2 * numbers.len()] } else { &none });
    for (p, to) in numbers.iter_mut().enumerate() {
        for (to, row) in to.as_chunks_mut::<2>().0.iter_mut().zip(rows) {
            *to = [row[2 * p] * scale, row[2 * p + 1] * scale];
        }
    }
}

vectorised! {
    /// `n` rows as columns, times `scale`; zeros after the last.
    fn columns(x: Rows<'_>, n: usize, scale: f32, numbers: &mut [[f32; PAIRED]]) = columns_in
}

#[inline(always)]
fn steps_in(x: Rows<'_>, n: usize, numbers: &mut [[f32; PAIRED]]) {
    let row = |i: usize| match i < n {
        true => x.values[i * x.stride..].as_chunks::<WIDTH>().0[0],
        false => [0.0; WIDTH],
    };
    for (p, to) in numbers.iter_mut().enumerate() {
        let (a, b) = (row(2 * p), row(2 * p + 1));
        for ((to, a), b) in to.as_chunks_mut::<2>().0.iter_mut().zip(a).zip(b) {
            *to = [a, b];
        }
    }
}

vectorised! {
    /// `n` rows of sixteen, two beside each other; zeros after the last.
    fn steps_of(x: Rows<'_>, n: usize, numbers: &mut [[f32; PAIRED]]) = steps_in
}

/// Some queries of a head.
#[derive(Clone, Copy)]
struct Asked<'a> {
    head: &'a Head,
    q: Rows<'a>,
    /// How many, [`MOST_ROWS`] at most.
    m: usize,
    /// Keys, and numbers of each.
    len: usize,
    d: usize,
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma,f16c")]
unsafe fn vnni(asked: Asked<'_>, room: &mut [f32], out: *mut f32, stride: usize) {
    // SAFETY: by this function's contract.
    unsafe { queries_in::<Avx512<true>>(asked, room, out, stride) }
}

vectorised! {
    /// # Safety
    /// As [`queries_in`].
    unsafe fn queries(asked: Asked<'_>, room: &mut [f32], out: *mut f32, stride: usize) = queries_in::<S>
}

/// # Safety
/// `out` must be valid for m rows of d numbers, `stride` apart, and nobody else's.
#[inline(always)]
unsafe fn queries_in<S: Simd>(asked: Asked<'_>, room: &mut [f32], out: *mut f32, stride: usize) {
    // SAFETY: by this function's contract.
    unsafe {
        match S::ROWS {
            6 => of_rows::<6, S>(asked, room, out, stride),
            _ => of_rows::<MOST_ROWS, S>(asked, room, out, stride),
        }
    }
}

/// # Safety
/// As [`queries_in`].
#[inline(always)]
unsafe fn of_rows<const M: usize, S: Simd>(asked: Asked<'_>, room: &mut [f32], out: *mut f32, stride: usize) {
    let Asked { head: Head { k, v }, q, m, len, d } = asked;
    let padded = len.next_multiple_of(TURN);
    let (scores, room) = room.split_at_mut(MOST_ROWS * padded);
    // SAFETY: any bits are integers, two where there is one number.
    let (_, integers, _) = unsafe { room.align_to_mut::<i16>() };
    let (for_q, weights) = integers.split_at_mut(MOST_ROWS * d);
    let mut scales_of_q = [0f32; MOST_ROWS];
    for (i, (to, scale)) in for_q.chunks_exact_mut(d).zip(&mut scales_of_q).enumerate().take(m) {
        *scale = round_in(&q.values[i * q.stride..][..d], None, OF_ROW, to);
    }
    for (panel, (values, scales)) in k.values.chunks_exact(d / 2).zip(&k.scales).enumerate() {
        let scales = S::load(scales);
        for row in (0..MOST_ROWS).step_by(M) {
            // SAFETY: the rows are as long as the panel.
            let sums = unsafe { S::sums(&pairs::<M>(for_q, row, d, 0), values) };
            for (i, sum) in sums.iter().enumerate() {
                // SAFETY: there is room for a panel of every row.
                let to = unsafe { scores.as_mut_ptr().add((row + i) * padded + panel * WIDTH) };
                S::store(S::mul(S::of_sums(*sum), scales), unsafe { &mut *to.cast() });
            }
        }
    }
    let mut parts = [0f32; MOST_ROWS];
    for (i, (part, scale)) in parts.iter_mut().zip(scales_of_q).enumerate().take(m) {
        let (scores, weights) = (&scores[i * padded..][..len], &mut weights[i * padded..][..padded]);
        // Of a query that is no number nothing is.
        *part = 1.0 / rounded_weights::<S>(scores, scale, weights) as f32 + 0.0 * scale;
        weights[len..].fill(0);
    }
    let steps = steps(padded);
    for (panel, values) in v.values.chunks_exact(padded / 2).enumerate() {
        for (part, values) in values.chunks(steps / 2).enumerate() {
            let scales = S::load(&v.scales[panel * padded.div_ceil(steps) + part]);
            for row in (0..m).step_by(M) {
                let rows = pairs::<M>(weights, row, padded, part * steps);
                // SAFETY: the rows are as long as the panel.
                let sums = unsafe { S::sums(&rows, values) };
                for (i, sum) in sums.iter().enumerate().take(m - row) {
                    let y = S::mul(S::mul(S::of_sums(*sum), scales), S::splat(parts[row + i]));
                    // SAFETY: by this function's contract.
                    let to = unsafe { &mut *out.add((row + i) * stride + panel * WIDTH).cast() };
                    S::store(if part == 0 { y } else { S::add(y, S::load(to)) }, to);
                }
            }
        }
    }
}

/// `M` of the rows of k numbers, from step `from` on.
#[inline(always)]
fn pairs<const M: usize>(rows: &[i16], first: usize, k: usize, from: usize) -> [*const [i16; 2]; M] {
    std::array::from_fn(|i| rows[(first + i) * k + from..(first + i + 1) * k].as_ptr().cast())
}

/// 2^x on ±½, in relative error: 2.6e-6.
const EXP2: [f32; 5] = [0.999_999_3, 0.693_121_8, 0.240_247_44, 0.055_917_867, 0.009_570_098];

/// Powers of two of the scores times `scale`, the largest [`OF_ROW`], rounded. -> their sum
#[inline(always)]
fn rounded_weights<S: Simd>(scores: &[f32], scale: f32, weights: &mut [i16]) -> i32 {
    let most = math::max_in(scores) * scale;
    let mut sum = 0i32;
    for (weight, score) in weights.iter_mut().zip(scores) {
        // What is less than this becomes nothing.
        let x = math::mul_add(*score, scale, -most, S::FUSED).max(-14.0);
        let shifted = x + math::ROUND;
        let rest = x - (shifted - math::ROUND);
        let mut p = EXP2[4] * OF_ROW;
        for &c in EXP2[..4].iter().rev() {
            p = math::mul_add(p, rest, c * OF_ROW, S::FUSED);
        }
        let y = math::rounded(f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23)));
        sum += y;
        *weight = y as i16;
    }
    sum
}
