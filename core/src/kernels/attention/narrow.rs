//! Attention of as many queries as there are keys, the encoder's, in bytes ([`super::super::narrow`]): queries and weights of seven bits
//! without sign, keys and values of seven with one. The weights of [`PART`] keys share a scale, so that small ones are as exact as
//! large ones; where none is worth more than a ten-thousandth of the largest all count as nothing, and are not multiplied.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::super::amx::is_used;
use super::super::level::{Level, level};
use super::super::narrow::{self, Narrow, OF_ROW, PART, tiles};
use super::super::room::room;
use super::super::shared::SharedOut;
use super::super::simd::{Avx512, MOST_ROWS, PAIRED, Simd, WIDTH, largest, round_part, round_weights};
use super::super::tile::Rows;
use super::super::{math, pool};
use super::{Heads, scale};

mod on_tiles;

/// Numbers of a head, at most.
const MOST: usize = 512;

/// One head's keys and values; zeros after the last.
struct Head {
    /// Keys by √d and in powers of two, a row each. (⌈len / 16⌉ · 16, d)
    k: Narrow,
    /// Values, a row for each of their numbers. (d, ⌈len / 64⌉ · 64)
    v: Narrow,
}

/// Whether heads of `d` numbers may be so.
pub(super) fn fits(d: usize) -> bool {
    (1..=MOST).contains(&d) && narrow::fits(d)
}

/// Softmax attention of all queries to all keys. q, k, v: (n_batch, t, n_state), heads side by side -> as q
///
/// # Errors
/// If the shapes do not fit, or they are not in f32 on a CPU.
pub(super) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, n_head: usize) -> Result<Tensor> {
    q.apply_op3_no_bwd(k, v, &Narrower { n_head, on_tiles: is_used() })
}

/// [`attention`] as on AMX, on other processors slowly: for tests.
#[doc(hidden)]
pub fn rounded_attention_on_tiles(q: &Tensor, k: &Tensor, v: &Tensor, n_head: usize) -> Result<Tensor> {
    q.apply_op3_no_bwd(k, v, &Narrower { n_head, on_tiles: true })
}

struct Narrower {
    n_head: usize,
    on_tiles: bool,
}

impl CustomOp3 for Narrower {
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
        let rows = if self.on_tiles { tiles::ROWS } else { MOST_ROWS };
        let (blocks, scratch) = (t_q.div_ceil(rows), Desk::numbers(rows, len, d));
        for i in 0..b {
            let head = |head| Head::new(k.at(i, 0, head), v.at(i, 0, head), len, d);
            let heads: Vec<Head> = (0..n_head).map(head).collect();
            pool::each_with(n_head * blocks, scratch, |room, task| {
                let (head, first) = (task / blocks, task % blocks * rows);
                let m = rows.min(t_q - first);
                let asked = Asked { head: &heads[head], q: q.at(i, first, head), m, len, d };
                // SAFETY: tasks write disjoint places: their rows differ, or their columns do.
                unsafe {
                    let out = shared.at((i * t_q + first) * n + head * d);
                    match level() {
                        _ if self.on_tiles => on_tiles::queries(asked, room, out, n),
                        Level::Vnni => vnni(asked, room, out, n),
                        _ => queries(asked, room, out, n),
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
        let scale = scale(d);
        let k = Narrow::new(len.next_multiple_of(WIDTH), d, |panel, numbers| {
            let first = panel * WIDTH;
            let rows = Rows { values: &k.values[first * k.stride..], stride: k.stride };
            columns(rows, WIDTH.min(len - first), scale, numbers);
        });
        let mut v = Narrow::new(d, len.next_multiple_of(PART), |panel, numbers| {
            steps_of(Rows { values: &v.values[panel * WIDTH..], stride: v.stride }, len, numbers);
        });
        // The weights are integers, and some are left out: what is no number would be lost among them.
        if !(k.is_finite() && v.is_finite()) {
            v.be_nothing();
        }
        Self { k, v }
    }
}

#[inline(always)]
fn columns_in(x: Rows<'_>, n: usize, scale: f32, numbers: &mut [[f32; PAIRED]]) {
    let none = [0f32; MOST];
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
    /// How many: one at least, and no more than there is room for.
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
            6 => of_rows::<4, S>(asked, room, out, stride),
            _ => of_rows::<MOST_ROWS, S>(asked, room, out, stride),
        }
    }
}

/// What some queries are worked on in.
struct Desk<'a> {
    /// (rows, len)
    scores: &'a mut [f32],
    /// What they become, and the scales of its parts, each beside 0. (rows, len), (rows, len / [`PART`])
    weights: &'a mut [u8],
    scales: &'a mut [[f32; 2]],
    /// Queries, and what their parts' bytes stand for. (rows, d), (rows, d / [`PART`])
    q: &'a mut [u8],
    ends: &'a mut [[f32; 2]],
    /// How many keys and, for whole parts, zeros.
    len: usize,
}

impl<'a> Desk<'a> {
    /// Numbers that it takes: bytes are four in a number's place.
    fn numbers(rows: usize, len: usize, d: usize) -> usize {
        let len = len.next_multiple_of(PART);
        rows * (len + len / 4 + 2 * len / PART + d / 4 + 2 * d / PART)
    }

    /// Of so many numbers.
    fn new(room: &'a mut [f32], rows: usize, len: usize, d: usize) -> Self {
        let len = len.next_multiple_of(PART);
        let (scores, room) = room.split_at_mut(rows * len);
        let (scales, room) = room.split_at_mut(rows * (2 * len / PART));
        let (ends, room) = room.split_at_mut(rows * (2 * d / PART));
        // SAFETY: any bits are integers, four where there is one number.
        let (_, bytes, _) = unsafe { room.align_to_mut::<u8>() };
        let (q, rest) = bytes.split_at_mut(rows * d);
        let weights = &mut rest[..rows * len];
        Self { scores, weights, scales: scales.as_chunks_mut().0, q, ends: ends.as_chunks_mut().0, len }
    }

    /// Rounds the queries. Those that there are not become zeros.
    #[inline(always)]
    fn round(&mut self, Asked { q, m, d, .. }: Asked<'_>) {
        self.ends.fill([0.0; 2]);
        let rows = self.q.chunks_exact_mut(d).zip(self.ends.chunks_exact_mut(d / PART));
        for (i, (to, ends)) in rows.enumerate().take(m) {
            let q = q.values[i * q.stride..][..d].as_chunks().0.iter();
            for ((end, to), q) in ends.iter_mut().zip(to.as_chunks_mut().0).zip(q) {
                // SAFETY: the processor has AVX2, or heads would not fit.
                *end = unsafe { round_part(q, to) };
            }
        }
    }

    /// Makes weights of the scores. inverses: what their sums are to be multiplied by
    #[inline(always)]
    fn weigh(&mut self, Asked { m, len, d, .. }: Asked<'_>, inverses: &mut [f32]) {
        let (padded, of_q) = (self.len, d / PART);
        let rows = self.scores.chunks_exact_mut(padded).zip(self.weights.chunks_exact_mut(padded));
        let rows = rows.zip(self.scales.chunks_exact_mut(padded / PART)).zip(inverses);
        for (i, (((scores, weights), scales), inverse)) in rows.enumerate() {
            scales.fill([0.0; 2]);
            if i < m {
                scores[len..].fill(f32::NEG_INFINITY);
                // Of a query that is no number nothing is.
                let ends = &self.ends[i * of_q..(i + 1) * of_q];
                let wrong: f32 = ends.iter().flatten().map(|x| 0.0 * x).sum();
                *inverse = 1.0 / rounded_weights(scores, scales, weights) + wrong;
            }
        }
    }
}

/// # Safety
/// As [`queries_in`].
#[inline(always)]
unsafe fn of_rows<const M: usize, S: Simd>(asked: Asked<'_>, room: &mut [f32], out: *mut f32, stride: usize) {
    let Asked { head: Head { k, v }, m, len, d, .. } = asked;
    let mut desk = Desk::new(room, MOST_ROWS, len, d);
    let (padded, parts, parts_of_q) = (desk.len, desk.len / PART, d / PART);
    desk.round(asked);
    for panel in 0..len.div_ceil(WIDTH) {
        let parts = panel * parts_of_q..(panel + 1) * parts_of_q;
        for row in (0..m).step_by(M) {
            let mut totals = [S::splat(0.0); M];
            for (p, part) in parts.clone().enumerate() {
                let (values, end) = k.part(part);
                let rows = std::array::from_fn(|i| desk.q[(row + i) * d..].as_ptr());
                let ends = std::array::from_fn(|i| desk.ends[(row + i) * parts_of_q + p]);
                // SAFETY: the rows are as long as the panel.
                let sums = unsafe { S::sums_of_bytes::<M>(&rows, p * PART, values) };
                narrow::add::<M, S>(&mut totals, &sums, &ends, end);
            }
            for (i, total) in totals.iter().enumerate() {
                let to = &mut desk.scores[(row + i) * padded + panel * WIDTH..];
                // SAFETY: there is room for a panel of every row.
                S::store(*total, unsafe { &mut *to.as_mut_ptr().cast() });
            }
        }
    }
    let mut inverses = [0f32; MOST_ROWS];
    desk.weigh(asked, &mut inverses);
    for panel in 0..d / WIDTH {
        let mut totals = [S::splat(0.0); MOST_ROWS];
        for p in 0..parts {
            let (values, end) = v.part(panel * parts + p);
            for row in (0..m).step_by(M) {
                let ends: [_; M] = std::array::from_fn(|i| desk.scales[(row + i) * parts + p]);
                if ends.iter().all(|end| end[0] == 0.0) {
                    continue;
                }
                let rows = std::array::from_fn(|i| desk.weights[(row + i) * padded..].as_ptr());
                // SAFETY: the rows are as long as the panel.
                let sums = unsafe { S::sums_of_bytes::<M>(&rows, p * PART, values) };
                narrow::add_scaled::<M, S>(&mut totals[row..row + M], &sums, &ends, end);
            }
        }
        for (i, (total, inverse)) in totals.iter().zip(inverses).enumerate().take(m) {
            // SAFETY: by this function's contract.
            let to = unsafe { &mut *out.add(i * stride + panel * WIDTH).cast() };
            S::store(S::mul(*total, S::splat(inverse)), to);
        }
    }
}

/// Powers of two, as terms of a polynomial on ±½, in relative error: 7.5e-5.
const EXP2: [f32; 4] = [0.999_928_1, 0.693_261, 0.242_611_12, 0.055_171_58];
/// What is less than this power of two of the largest counts as nothing.
const NOTHING: f32 = -14.0;

/// Powers of two of the scores as bytes, and the scales of their parts, the largest number 1. -> the sum of what they stand for
#[inline(always)]
fn rounded_weights(scores: &[f32], scales: &mut [[f32; 2]], weights: &mut [u8]) -> f32 {
    let (scores, weights) = (scores.as_chunks::<PART>().0, weights.as_chunks_mut::<PART>().0);
    let mut most = f32::NEG_INFINITY;
    for ([of_part, _], scores) in scales.iter_mut().zip(scores) {
        // SAFETY: the processor has AVX2, or heads would not fit.
        *of_part = unsafe { largest(scores) };
        most = math::larger(most, *of_part);
    }
    let mut sum = 0.0;
    for (([scale, _], scores), weights) in scales.iter_mut().zip(scores).zip(weights) {
        let of_part = *scale;
        *scale = 0.0;
        if of_part - most > NOTHING {
            // SAFETY: as above.
            let of_weights = unsafe { round_weights(scores, (of_part, NOTHING), &EXP2, weights) };
            *scale = power_of_two(of_part - most) / OF_ROW;
            sum += *scale * of_weights as f32;
        } else {
            weights.fill(0);
        }
    }
    sum
}

/// 2^x for x from [`NOTHING`] to 0.
#[inline(always)]
fn power_of_two(x: f32) -> f32 {
    let shifted = x + math::ROUND;
    let rest = x - (shifted - math::ROUND);
    let p = EXP2[0] + rest * (EXP2[1] + rest * (EXP2[2] + rest * EXP2[3]));
    f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
}
