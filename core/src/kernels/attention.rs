//! Softmax attention over heads that lie side by side in each row, so nothing is copied to part them. Scores
//! exist for one block of queries at a time, never for all.

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::math;

/// Queries per block: their scores against 1500 keys stay in the second-level cache.
const BLOCK: usize = 64;
/// Below this many queries, scalar products beat a matrix product.
const FEW: usize = 4;

struct Attention {
    n_head: usize,
    causal: bool,
}

/// Rows of a tensor with heads side by side, wherever they start and however far apart they are.
#[derive(Clone, Copy)]
struct Rows<'a> {
    values: &'a [f32],
    /// (batch, row) strides
    strides: (usize, usize),
}

impl<'a> Rows<'a> {
    fn new(storage: &'a CpuStorage, layout: &Layout) -> Result<(Self, (usize, usize, usize))> {
        let dims = layout.shape().dims3()?;
        let &[batch, row, 1] = layout.stride() else {
            bail!("attention: the last dimension is not contiguous: {layout:?}");
        };
        let values = &storage.as_slice::<f32>()?[layout.start_offset()..];
        Ok((Self { values, strides: (batch, row) }, dims))
    }

    fn at(&self, batch: usize, row: usize, column: usize) -> &'a [f32] {
        &self.values[batch * self.strides.0 + row * self.strides.1 + column..]
    }
}

impl CustomOp3 for Attention {
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
        let (q, (b, t_q, n)) = Rows::new(s1, l1)?;
        let (k, (b_k, t_k, n_k)) = Rows::new(s2, l2)?;
        let (v, dims_v) = Rows::new(s3, l3)?;
        let n_head = self.n_head;
        if (b_k, t_k, n_k) != (b, t_k, n) || dims_v != (b, t_k, n) || !n.is_multiple_of(n_head) {
            bail!("attention: q {:?}, k {:?}, v {dims_v:?}", l1.shape(), l2.shape());
        }
        if t_k == 0 || (self.causal && t_k < t_q) {
            bail!("attention: {t_q} queries, {t_k} keys");
        }
        let d = n / n_head;
        let blocks = t_q.div_ceil(BLOCK);
        let mut out = vec![0f32; b * t_q * n];
        let shared = SharedOut(out.as_mut_ptr());
        (0..b * n_head * blocks).into_par_iter().for_each_init(Vec::new, |scores, task| {
            let (i, head, block) = (task / (n_head * blocks), task / blocks % n_head, task % blocks);
            let first = block * BLOCK;
            let rows = BLOCK.min(t_q - first);
            let job = Job {
                q: (q.at(i, first, head * d), q.strides.1),
                k: (k.at(i, 0, head * d), k.strides.1),
                v: (v.at(i, 0, head * d), v.strides.1),
                rows,
                t_k,
                d,
                // Query j of the block may see this many keys, plus j.
                visible: if self.causal { t_k - t_q + first + 1 } else { t_k },
                causal: self.causal,
            };
            // SAFETY: tasks write disjoint places: their rows differ, or their columns do.
            unsafe { job.run(scores, shared.at((i * t_q + first) * n + head * d), n) }
        });
        Ok((CpuStorage::F32(out), (b, t_q, n).into()))
    }
}

#[derive(Clone, Copy)]
struct SharedOut(*mut f32);
// SAFETY: see the only use.
unsafe impl Sync for SharedOut {}
// SAFETY: as above.
unsafe impl Send for SharedOut {}

impl SharedOut {
    fn at(&self, offset: usize) -> *mut f32 {
        // SAFETY: callers stay inside the vector this points to.
        unsafe { self.0.add(offset) }
    }
}

/// One block of queries of one head: (values, row stride) of each matrix.
struct Job<'a> {
    q: (&'a [f32], usize),
    k: (&'a [f32], usize),
    v: (&'a [f32], usize),
    rows: usize,
    t_k: usize,
    d: usize,
    visible: usize,
    causal: bool,
}

impl Job<'_> {
    fn visible(&self, row: usize) -> usize {
        if self.causal { self.visible + row } else { self.t_k }
    }

    /// # Safety
    /// `out` must be valid for `rows` rows of `d` values, `stride` apart, and nobody else's.
    unsafe fn run(&self, scores: &mut Vec<f32>, out: *mut f32, stride: usize) {
        scores.resize(self.rows * self.t_k, 0.0);
        let scale = (self.d as f32).sqrt().recip();
        if self.rows < FEW {
            // SAFETY: by this function's contract.
            unsafe { self.few(scores, scale, out, stride) };
            return;
        }
        let (q, k, v) = (self.q, self.k, self.v);
        // SAFETY: the slices hold the rows that the strides reach, checked by the tensors' layouts.
        unsafe {
            product(
                self.rows,
                self.t_k,
                self.d,
                (scores.as_mut_ptr(), self.t_k),
                scale,
                (q.0.as_ptr(), 1, q.1),
                (k.0.as_ptr(), k.1, 1),
            );
        }
        for (i, row) in scores.chunks_exact_mut(self.t_k).enumerate() {
            let visible = self.visible(i);
            softmax(&mut row[..visible]);
            row[visible..].fill(0.0);
        }
        // SAFETY: as above, and `out` by this function's contract.
        unsafe {
            product(
                self.rows,
                self.d,
                self.t_k,
                (out, stride),
                1.0,
                (scores.as_ptr(), 1, self.t_k),
                (v.0.as_ptr(), 1, v.1),
            );
        }
    }

    /// # Safety
    /// As [`Job::run`].
    unsafe fn few(&self, scores: &mut [f32], scale: f32, out: *mut f32, stride: usize) {
        for (i, row) in scores.chunks_exact_mut(self.t_k).enumerate() {
            let q = &self.q.0[i * self.q.1..][..self.d];
            // SAFETY: by this function's contract.
            let out = unsafe { std::slice::from_raw_parts_mut(out.add(i * stride), self.d) };
            one_query(&mut row[..self.visible(i)], q, self.k, self.v, scale, out);
        }
    }
}

/// scores: (visible), q and out: (d); k and v: (values, row stride)
#[inline(always)]
fn one_query_in(
    scores: &mut [f32],
    q: &[f32],
    k: (&[f32], usize),
    v: (&[f32], usize),
    scale: f32,
    out: &mut [f32],
) {
    for (j, score) in scores.iter_mut().enumerate() {
        *score = math::dot(q, &k.0[j * k.1..][..q.len()]) * scale;
    }
    math::softmax_in(scores);
    out.fill(0.0);
    for (j, &p) in scores.iter().enumerate() {
        for (o, x) in out.iter_mut().zip(&v.0[j * v.1..][..q.len()]) {
            *o += p * x;
        }
    }
}

vectorised!(
    fn one_query(
        scores: &mut [f32],
        q: &[f32],
        k: (&[f32], usize),
        v: (&[f32], usize),
        scale: f32,
        out: &mut [f32],
    ) = one_query_in
);

vectorised!(fn softmax(row: &mut [f32]) = math::softmax_in);

/// dst = scale · lhs · rhs on one thread. dst: (pointer, row stride); lhs, rhs: (pointer, column stride, row stride)
///
/// # Safety
/// The pointers must be valid for what m, n, k and the strides reach.
unsafe fn product(
    m: usize,
    n: usize,
    k: usize,
    dst: (*mut f32, usize),
    scale: f32,
    lhs: (*const f32, usize, usize),
    rhs: (*const f32, usize, usize),
) {
    // SAFETY: by this function's contract.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.0,
            1,
            dst.1 as isize,
            false,
            lhs.0,
            lhs.1 as isize,
            lhs.2 as isize,
            rhs.0,
            rhs.1 as isize,
            rhs.2 as isize,
            0.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Softmax attention. With `causal`, the last query sees all keys and each one before it one key less.
///
/// q: (n_batch, t_q, n_state), k and v: (n_batch, t_k, n_state), heads side by side -> (n_batch, t_q, n_state)
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, n_head: usize, causal: bool) -> Result<Tensor> {
    let (b, t_q, n) = q.dims3()?;
    let rows = |x: &Tensor| x.stride().last() == Some(&1);
    if q.device().is_cpu() && q.dtype() == DType::F32 && rows(q) && rows(k) && rows(v) {
        return q.apply_op3_no_bwd(k, v, &Attention { n_head, causal });
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
