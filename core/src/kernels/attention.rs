//! Softmax attention over heads that lie side by side in each row. Scores exist for a block of queries and keys at a
//! time: what a block adds is put right when a later one has a larger score.

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};

use half::f16;

use super::shared::SharedOut;
use super::simd::{MOST_ROWS, Simd, WIDTH};
use super::tile::{Rows, sums};
use super::{math, pool};

mod few;

use few::Element;

/// Queries per block.
const QUERIES: usize = 48;
/// Keys per block: with their values, and the scores of a tile, they stay in the second-level cache.
const KEYS: usize = 256;
/// Up to this many queries, laying out the keys for tiles would cost more than it gains.
const FEW: usize = 16;
/// Multiplications below which threads are not worth their while.
const LEAST: usize = 1 << 17;

struct Attention<'a> {
    n_head: usize,
    causal: bool,
    /// For each batch of queries the number of its keys and values; its own if not given.
    batches: Option<&'a [usize]>,
}

impl Attention<'_> {
    fn keys_of(&self, batch: usize) -> usize {
        self.batches.map_or(batch, |batches| batches[batch])
    }
}

/// A tensor with heads side by side, wherever its rows start and however far apart they are.
#[derive(Clone, Copy)]
struct Heads<'a, E> {
    values: &'a [E],
    /// (batch, row) strides
    strides: (usize, usize),
}

impl<'a, E: Element> Heads<'a, E> {
    fn new(storage: &'a CpuStorage, layout: &Layout) -> Result<(Self, (usize, usize, usize))> {
        let dims = layout.shape().dims3()?;
        let &[batch, row, 1] = layout.stride() else {
            bail!("attention: the last dimension is not contiguous: {layout:?}");
        };
        let values = &storage.as_slice::<E>()?[layout.start_offset()..];
        Ok((Self { values, strides: (batch, row) }, dims))
    }

    fn at(&self, batch: usize, row: usize, column: usize) -> Rows<'a, E> {
        let values = &self.values[batch * self.strides.0 + row * self.strides.1 + column..];
        Rows { values, stride: self.strides.1 }
    }
}

impl CustomOp3 for Attention<'_> {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        match s2 {
            CpuStorage::F16(_) => self.run::<f16>((s1, l1), (s2, l2), (s3, l3)),
            _ => self.run::<f32>((s1, l1), (s2, l2), (s3, l3)),
        }
    }
}

impl Attention<'_> {
    /// With keys and values of a type.
    fn run<E: Element>(
        &self,
        (s1, l1): (&CpuStorage, &Layout),
        (s2, l2): (&CpuStorage, &Layout),
        (s3, l3): (&CpuStorage, &Layout),
    ) -> Result<(CpuStorage, Shape)> {
        let (q, (b, t_q, n)) = Heads::<f32>::new(s1, l1)?;
        let (k, (b_k, t_k, n_k)) = Heads::<E>::new(s2, l2)?;
        let (v, dims_v) = Heads::<E>::new(s3, l3)?;
        let n_head = self.n_head;
        let fit = match self.batches {
            Some(batches) => batches.len() == b && batches.iter().all(|&batch| batch < b_k),
            None => b_k == b,
        };
        if !fit || n_k != n || dims_v != (b_k, t_k, n) || !n.is_multiple_of(n_head) {
            bail!("attention: q {:?}, k {:?}, v {dims_v:?}", l1.shape(), l2.shape());
        }
        if t_k == 0 || (self.causal && t_k < t_q) {
            bail!("attention: {t_q} queries, {t_k} keys");
        }
        let d = n / n_head;
        // Query 0 may see this many keys, and each after it one more.
        let visible = if self.causal { t_k - t_q + 1 } else { t_k };
        let shape = Sizes { t_k, d, visible, causal: self.causal };
        let mut out = vec![0f32; b * t_q * n];
        let shared = SharedOut::new(out.as_mut_ptr());
        if t_q <= FEW {
            let one = |scores: &mut [f32], task: usize| {
                let (i, head) = (task / n_head, task % n_head);
                let keys = self.keys_of(i);
                let (k, v) = (k.at(keys, 0, head * d), v.at(keys, 0, head * d));
                for row in 0..t_q {
                    let q = &q.at(i, row, head * d).values[..d];
                    // SAFETY: tasks write disjoint places: their batches differ, or their columns do.
                    let out = unsafe {
                        std::slice::from_raw_parts_mut(shared.at((i * t_q + row) * n + head * d), d)
                    };
                    E::one_query(&mut scores[..shape.visible(row)], q, k, v, out);
                }
            };
            if b * t_q * t_k * n < LEAST {
                let mut scores = vec![0.0; t_k];
                (0..b * n_head).for_each(|task| one(&mut scores, task));
            } else {
                pool::each_with(b * n_head, t_k, one);
            }
            return Ok((CpuStorage::F32(out), (b, t_q, n).into()));
        }
        let packed = shape.packed();
        let mut keys_values = vec![0f32; b * n_head * packed];
        pool::each_chunk(&mut keys_values, packed, |packed, task| {
            let (i, head) = (task / n_head, task % n_head);
            let keys = self.keys_of(i);
            pack(packed, k.at(keys, 0, head * d), v.at(keys, 0, head * d), shape);
        });
        let blocks = t_q.div_ceil(QUERIES);
        let scratch = MOST_ROWS * KEYS + QUERIES * d.next_multiple_of(WIDTH);
        pool::each_with(b * n_head * blocks, scratch, |scratch, task| {
            let (i, head, block) = (task / (n_head * blocks), task / blocks % n_head, task % blocks);
            let first = block * QUERIES;
            let job = Job {
                q: q.at(i, first, head * d),
                keys_values: &keys_values[(i * n_head + head) * packed..][..packed],
                first,
                rows: QUERIES.min(t_q - first),
                shape,
            };
            // SAFETY: tasks write disjoint places: their rows differ, or their columns do.
            unsafe { many_queries(job, scratch, shared.at((i * t_q + first) * n + head * d), n) }
        });
        Ok((CpuStorage::F32(out), (b, t_q, n).into()))
    }
}

/// What all heads have in common.
#[derive(Clone, Copy)]
struct Sizes {
    t_k: usize,
    d: usize,
    /// Keys that query 0 may see.
    visible: usize,
    causal: bool,
}

impl Sizes {
    fn visible(self, query: usize) -> usize {
        if self.causal { self.visible + query } else { self.t_k }
    }

    /// Values of one head's keys when they are laid out for tiles.
    fn keys(self) -> usize {
        self.t_k.next_multiple_of(WIDTH) * self.d
    }

    /// Keys and values.
    fn packed(self) -> usize {
        self.keys() + self.d.next_multiple_of(WIDTH) * self.t_k
    }
}

/// Scaled keys as (⌈t_k / 16⌉, d, 16), then values as (⌈d / 16⌉, t_k, 16). `out` holds zeros.
fn pack<E: Element>(out: &mut [f32], k: Rows<'_, E>, v: Rows<'_, E>, s: Sizes) {
    let scale = (s.d as f32).sqrt().recip();
    let (keys, values) = out.split_at_mut(s.keys());
    for (j, panel) in keys.chunks_exact_mut(WIDTH * s.d).enumerate() {
        for column in 0..WIDTH.min(s.t_k - j * WIDTH) {
            let key = &k.values[(j * WIDTH + column) * k.stride..][..s.d];
            panel[column..]
                .iter_mut()
                .step_by(WIDTH)
                .zip(key)
                .for_each(|(to, from)| *to = from.number() * scale);
        }
    }
    for (j, panel) in values.chunks_exact_mut(WIDTH * s.t_k).enumerate() {
        let columns = WIDTH.min(s.d - j * WIDTH);
        for (row, to) in panel.chunks_exact_mut(WIDTH).enumerate() {
            let from = &v.values[row * v.stride + j * WIDTH..][..columns];
            to.iter_mut().zip(from).for_each(|(to, from)| *to = from.number());
        }
    }
}

/// One block of queries of one head; its scratch is the scores of a tile, then the block's sums.
#[derive(Clone, Copy)]
struct Job<'a> {
    q: Rows<'a>,
    keys_values: &'a [f32],
    /// The first query's number.
    first: usize,
    rows: usize,
    shape: Sizes,
}

/// # Safety
/// `out` must be valid for the job's rows of d values, `stride` apart, and nobody else's.
#[inline(always)]
unsafe fn many_queries_in<S: Simd>(job: Job<'_>, scratch: &mut [f32], out: *mut f32, stride: usize) {
    let s = job.shape;
    let (scores, totals) = scratch.split_at_mut(MOST_ROWS * KEYS);
    let width = s.d.next_multiple_of(WIDTH);
    totals.fill(0.0);
    let (mut max, mut sum) = ([f32::NEG_INFINITY; QUERIES], [0f32; QUERIES]);
    // Keys after the last query's are seen by none.
    let end = s.visible(job.first + job.rows - 1);
    for from in (0..end).step_by(KEYS) {
        let keys = from..(from + KEYS).min(end);
        for row in (0..job.rows).step_by(S::ROWS) {
            let rows = S::ROWS.min(job.rows - row);
            let tile = Tile { job, row, keys: keys.clone() };
            let (max, sum) = (&mut max[row..row + rows], &mut sum[row..row + rows]);
            let totals = &mut totals[row * width..(row + rows) * width];
            // SAFETY: the job has these rows.
            unsafe {
                match rows {
                    1 => tile.run::<1, S>(scores, totals, max, sum),
                    2 => tile.run::<2, S>(scores, totals, max, sum),
                    3 => tile.run::<3, S>(scores, totals, max, sum),
                    4 => tile.run::<4, S>(scores, totals, max, sum),
                    5 => tile.run::<5, S>(scores, totals, max, sum),
                    6 => tile.run::<6, S>(scores, totals, max, sum),
                    7 => tile.run::<7, S>(scores, totals, max, sum),
                    8 => tile.run::<8, S>(scores, totals, max, sum),
                    9 => tile.run::<9, S>(scores, totals, max, sum),
                    10 => tile.run::<10, S>(scores, totals, max, sum),
                    11 => tile.run::<11, S>(scores, totals, max, sum),
                    _ => tile.run::<12, S>(scores, totals, max, sum),
                }
            }
        }
    }
    for (i, (totals, sum)) in totals.chunks_exact(width).zip(sum).take(job.rows).enumerate() {
        // SAFETY: by this function's contract.
        let out = unsafe { std::slice::from_raw_parts_mut(out.add(i * stride), s.d) };
        let scale = 1.0 / sum;
        out.iter_mut().zip(totals).for_each(|(out, total)| *out = total * scale);
    }
}

vectorised! {
    /// # Safety
    /// As [`many_queries_in`].
    unsafe fn many_queries(job: Job<'_>, scratch: &mut [f32], out: *mut f32, stride: usize)
        = many_queries_in::<S>
}

/// Up to six queries and a block of keys.
struct Tile<'a> {
    job: Job<'a>,
    row: usize,
    keys: std::ops::Range<usize>,
}

impl Tile<'_> {
    /// # Safety
    /// The job must have `M` rows from this one on.
    #[inline(always)]
    unsafe fn run<const M: usize, S: Simd>(
        self,
        scores: &mut [f32],
        totals: &mut [f32],
        max: &mut [f32],
        sum: &mut [f32],
    ) {
        let s = self.job.shape;
        let (keys, values) = self.job.keys_values.split_at(s.keys());
        let q = &self.job.q;
        let q = Rows { values: &q.values[self.row * q.stride..], stride: q.stride };
        let n_keys = self.keys.len();
        let panels = &keys[self.keys.start * s.d..self.keys.end.next_multiple_of(WIDTH) * s.d];
        for (j, panel) in panels.chunks_exact(WIDTH * s.d).enumerate() {
            // SAFETY: by this function's contract.
            let sums = unsafe { sums::<M, S, _>(q, panel.as_chunks().0) };
            for (i, sums) in sums.iter().enumerate() {
                scores[i * KEYS + j * WIDTH..][..WIDTH].copy_from_slice(sums);
            }
        }
        let width = totals.len() / M;
        for (i, row) in scores.chunks_exact_mut(KEYS).take(M).enumerate() {
            let seen = s.visible(self.job.first + self.row + i).saturating_sub(self.keys.start).min(n_keys);
            row[seen..].fill(0.0);
            if seen > 0 {
                let factor = math::softmax_step(&mut row[..seen], &mut max[i], &mut sum[i]);
                totals[i * width..][..width].iter_mut().for_each(|total| *total *= factor);
            }
        }
        let scores = Rows { values: scores, stride: KEYS };
        for (j, panel) in values.chunks_exact(WIDTH * s.t_k).enumerate() {
            let panel = &panel[self.keys.start * WIDTH..self.keys.end * WIDTH];
            // SAFETY: there are scores of `M` rows.
            let sums = unsafe { sums::<M, S, _>(scores, panel.as_chunks().0) };
            for (i, sums) in sums.iter().enumerate() {
                let total = &mut totals[i * width + j * WIDTH..][..WIDTH];
                total.iter_mut().zip(sums).for_each(|(total, x)| *total += x);
            }
        }
    }
}

/// Softmax attention. With `causal`, the last query sees all keys and each one before it one key less.
///
/// q: (n_batch, t_q, n_state), k and v: (n_batch, t_k, n_state), heads side by side -> (n_batch, t_q, n_state)
///
/// On a CPU keys and values may be f16 where the queries are f32.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, n_head: usize, causal: bool) -> Result<Tensor> {
    attention_of(q, k, v, n_head, causal, None)
}

/// The same where batch `i` of the queries looks at keys and values of number `batches[i]`, if they are given.
pub(crate) fn attention_of(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    n_head: usize,
    causal: bool,
    batches: Option<&[usize]>,
) -> Result<Tensor> {
    let (b, t_q, n) = q.dims3()?;
    let rows = |x: &Tensor| x.stride().last() == Some(&1);
    let kept = k.dtype() == v.dtype() && matches!(k.dtype(), DType::F32 | DType::F16);
    if q.device().is_cpu() && q.dtype() == DType::F32 && kept && rows(q) && rows(k) && rows(v) {
        return q.apply_op3_no_bwd(k, v, &Attention { n_head, causal, batches });
    }
    if let Some(batches) = batches {
        let batches: Vec<u32> = batches.iter().map(|&batch| batch as u32).collect();
        let batches = Tensor::new(batches, k.device())?;
        let (k, v) = (k.index_select(&batches, 0)?, v.index_select(&batches, 0)?);
        return attention_of(q, &k, &v, n_head, causal, None);
    }
    let t_k = k.dim(1)?;
    let heads = |x: &Tensor, t: usize| {
        x.reshape((b, t, n_head, n / n_head))?.transpose(1, 2)?.contiguous() // (n_batch, n_head, t, head_dim)
    };
    let (q, k, v) = (heads(q, t_q)?, heads(k, t_k)?, heads(v, t_k)?);
    let q = (q * ((n / n_head) as f64).powf(-0.5))?;
    let k = k.transpose(2, 3)?;
    // Bounds the scores to 2^26 values, 256 MB in f32.
    let block = ((1 << 26) / (b * n_head * t_k)).clamp(1, t_q);
    let mut out = Vec::with_capacity(t_q.div_ceil(block));
    for first in (0..t_q).step_by(block) {
        let rows = block.min(t_q - first);
        let mut scores = q.narrow(2, first, rows)?.contiguous()?.matmul(&k)?.to_dtype(DType::F32)?;
        if causal && t_q > 1 {
            scores = scores.broadcast_add(&causal_mask(first, rows, t_q, t_k, q.device())?)?;
        }
        let weights = candle_nn::ops::softmax_last_dim(&scores)?.to_dtype(v.dtype())?;
        out.push(weights.matmul(&v)?);
    }
    Tensor::cat(&out, 2)?.transpose(1, 2)?.contiguous()?.reshape((b, t_q, n))
}

/// 0 where query `first + i` of `t_q` may see a key, -inf elsewhere. -> (rows, t_k)
fn causal_mask(
    first: usize,
    rows: usize,
    t_q: usize,
    t_k: usize,
    device: &candle_core::Device,
) -> Result<Tensor> {
    let mask: Vec<f32> = (0..rows)
        .flat_map(|i| {
            let last = t_k - t_q + first + i;
            (0..t_k).map(move |j| if j <= last { 0.0 } else { f32::NEG_INFINITY })
        })
        .collect();
    Tensor::from_vec(mask, (rows, t_k), device)
}
