//! Softmax attention over heads that lie side by side in each row. Scores exist for a block of queries and keys at a
//! time: what a block adds is put right when a later one has a larger score.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Storage, Tensor, bail};

use half::f16;

use super::amx;
use super::room::room;
use super::shared::SharedOut;
use super::simd::{MOST_ROWS, Simd, WIDTH};
use super::tile::Rows;
use super::{math, on_device, pool};

mod few;
mod integers;
mod multiply;
#[cfg(target_arch = "x86_64")]
mod narrow;
mod on_tiles;
mod pack;
mod steps;

use few::Element;
pub use integers::{IntegerHeads, attention_to_integers};
use multiply::multiply;
#[cfg(target_arch = "x86_64")]
pub use narrow::rounded_attention_on_tiles;
pub use on_tiles::{attention_on_tiles, rounded_attention};
pub(super) use pack::Sizes;
use pack::{pack, scale};
use steps::{attention_by_steps, gathered};

/// Queries per block.
const QUERIES: usize = 48;
/// Keys per block: with their values, and the scores of a tile, they stay in the second-level cache.
pub(super) const KEYS: usize = 256;
/// Up to this many queries, laying out the keys for tiles would cost more than it gains.
const FEW: usize = 16;
/// Multiplications below which threads are not worth their while.
const LEAST: usize = 1 << 17;

/// What a batch of queries looks at: of number `batch` of keys and values the first `len`.
///
/// k, v: (_, `len` or more, n_state), heads side by side; on a CPU also (_, n_head, `len` or more, d)
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub k: &'a Tensor,
    pub v: &'a Tensor,
    pub batch: usize,
    pub len: usize,
}

struct Attention<'a> {
    n_head: usize,
    causal: bool,
    /// Whether many queries are multiplied on tiles.
    on_tiles: bool,
    /// By each batch of queries.
    seen: &'a [Seen<'a>],
}

/// A tensor with heads side by side or one behind the other, wherever its rows start and however far apart they are.
#[derive(Clone, Copy)]
struct Heads<'a, E> {
    values: &'a [E],
    /// (batch, row, head) strides
    strides: (usize, usize, usize),
}

impl<'a, E: Element> Heads<'a, E> {
    /// Of (n_batch, t, n_state) or (n_batch, n_head, t, d). -> that, and (n_batch, t, n_state)
    fn new(storage: &'a CpuStorage, layout: &Layout, n_head: usize) -> Result<(Self, (usize, usize, usize))> {
        let (strides, dims) = match (layout.stride(), layout.dims()) {
            (&[batch, row, 1], &[b, t, n]) => ((batch, row, n / n_head), (b, t, n)),
            (&[batch, head, row, 1], &[b, h, t, d]) if h == n_head => ((batch, row, head), (b, t, h * d)),
            _ => bail!("attention: {layout:?} for {n_head} heads"),
        };
        Ok((Self { values: &storage.as_slice::<E>()?[layout.start_offset()..], strides }, dims))
    }

    fn at(&self, batch: usize, row: usize, head: usize) -> Rows<'a, E> {
        let (of_batch, of_row, of_head) = self.strides;
        let values = &self.values[batch * of_batch + row * of_row + head * of_head..];
        Rows { values, stride: of_row }
    }
}

impl CustomOp1 for Attention<'_> {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        match self.seen.first().map(|seen| seen.k.dtype()) {
            Some(DType::F16) => self.run::<f16>(storage, layout),
            _ => self.run::<f32>(storage, layout),
        }
    }
}

/// Keys and values of one batch of queries, from number `batch` on.
struct KeysValues<'a, E> {
    k: Heads<'a, E>,
    v: Heads<'a, E>,
    batch: usize,
    shape: Sizes,
}

impl<'a, E: Element> KeysValues<'a, E> {
    fn head(&self, head: usize) -> (Rows<'a, E>, Rows<'a, E>) {
        (self.k.at(self.batch, 0, head), self.v.at(self.batch, 0, head))
    }
}

impl Attention<'_> {
    /// With keys and values of a type.
    fn run<E: Element>(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let n_head = self.n_head;
        let (q, (b, t_q, n)) = Heads::<f32>::new(storage, layout, n_head)?;
        if self.seen.len() != b || !n.is_multiple_of(n_head) {
            bail!("attention: q {:?}, {} of keys, {n_head} heads", layout.shape(), self.seen.len());
        }
        let d = n / n_head;
        let locked: Vec<_> =
            self.seen.iter().map(|s| (s.k.storage_and_layout(), s.v.storage_and_layout())).collect();
        let mut all = Vec::with_capacity(b);
        for (seen, ((k, l_k), (v, l_v))) in self.seen.iter().zip(&locked) {
            let (Storage::Cpu(k), Storage::Cpu(v)) = (&**k, &**v) else {
                bail!("attention: keys are not where the queries are");
            };
            let (k, dims_k) = Heads::<E>::new(k, l_k, n_head)?;
            let (v, dims_v) = Heads::<E>::new(v, l_v, n_head)?;
            let &Seen { batch, len: t_k, .. } = seen;
            if dims_k != dims_v || dims_k.0 <= batch || dims_k.1 < t_k || dims_k.2 != n {
                bail!("attention: q {:?}, k {dims_k:?}, v {dims_v:?}", layout.shape());
            }
            if t_k == 0 || (self.causal && t_k < t_q) {
                bail!("attention: {t_q} queries, {t_k} keys");
            }
            // Query 0 may see this many keys, and each after it one more.
            let visible = if self.causal { t_k - t_q + 1 } else { t_k };
            all.push(KeysValues { k, v, batch, shape: Sizes { t_k, d, visible, causal: self.causal } });
        }
        let mut out = room(b * t_q * n);
        let queries = Queries { q, t_q, n_head, d, out: SharedOut::new(out.as_mut_ptr()) };
        // SAFETY: all of them write what every query of every head sees, and nobody else writes there.
        unsafe {
            match t_q {
                ..=FEW => queries.one_by_one(&all),
                _ if amx::IS_BUILT && self.on_tiles && amx::Head::fits(d) => queries.on_tiles(&all),
                _ => queries.in_blocks(&all),
            }
            out.set_len(b * t_q * n);
        }
        Ok((CpuStorage::F32(out), (b, t_q, n).into()))
    }
}

/// The queries of each head of each batch.
#[derive(Clone, Copy)]
struct Queries<'a> {
    q: Heads<'a, f32>,
    t_q: usize,
    n_head: usize,
    d: usize,
    /// What they see. (n_batch, t_q, n_state)
    out: SharedOut,
}

impl Queries<'_> {
    /// Where a query's goes, in a row of all heads.
    ///
    /// # Safety
    /// `out` must have it.
    unsafe fn place(&self, batch: usize, row: usize, head: usize) -> *mut f32 {
        // SAFETY: by this function's contract.
        unsafe { self.out.at(((batch * self.t_q + row) * self.n_head + head) * self.d) }
    }

    /// Of some.
    ///
    /// # Safety
    /// `out` must be valid, and nobody else's meanwhile.
    unsafe fn one_by_one<E: Element>(self, all: &[KeysValues<'_, E>]) {
        let Self { q, t_q, n_head, d, .. } = self;
        let one = |scores: &mut [f32], task: usize| {
            let (i, head) = (task / n_head, task % n_head);
            let ((k, v), shape) = (all[i].head(head), all[i].shape);
            for row in 0..t_q {
                let q = &q.at(i, row, head).values[..d];
                // SAFETY: tasks write disjoint places: their batches differ, or their columns do.
                let out = unsafe { std::slice::from_raw_parts_mut(self.place(i, row, head), d) };
                E::one_query(&mut scores[..shape.visible(row)], q, k, v, out);
            }
        };
        let most = all.iter().map(|keys| keys.shape.t_k).max().unwrap_or(0);
        let n_keys: usize = all.iter().map(|keys| keys.shape.t_k).sum();
        if n_keys * t_q * n_head * d < LEAST {
            let mut scores = vec![0.0; most];
            (0..all.len() * n_head).for_each(|task| one(&mut scores, task));
        } else {
            pool::each_with(all.len() * n_head, most, one);
        }
    }

    /// Of many.
    ///
    /// # Safety
    /// As [`Self::one_by_one`].
    unsafe fn in_blocks<E: Element>(self, all: &[KeysValues<'_, E>]) {
        let Self { q, t_q, n_head, d, .. } = self;
        let most = all.iter().map(|keys| keys.shape.packed()).max().unwrap_or(0);
        let mut keys_values = room::<f32>(all.len() * n_head * most);
        let to_packed = SharedOut::new(keys_values.as_mut_ptr());
        pool::each(all.len() * n_head, |task| {
            let ((k, v), shape) = (all[task / n_head].head(task % n_head), all[task / n_head].shape);
            // SAFETY: a head's places are its own.
            unsafe { pack(to_packed.at(task * most).cast(), k, v, shape) };
        });
        let blocks = t_q.div_ceil(QUERIES);
        let scratch = MOST_ROWS * KEYS + QUERIES * d.next_multiple_of(WIDTH);
        pool::each_with(all.len() * n_head * blocks, scratch, |scratch, task| {
            let (i, head, block) = (task / (n_head * blocks), task / blocks % n_head, task % blocks);
            let (first, shape) = (block * QUERIES, all[i].shape);
            let (q, rows) = (q.at(i, first, head), QUERIES.min(t_q - first));
            // SAFETY: so much was written there. Tasks write disjoint places: their rows differ, or their columns do.
            unsafe {
                let packed = to_packed.at((i * n_head + head) * most);
                let keys_values = std::slice::from_raw_parts(packed, shape.packed());
                let job = Job { q, keys_values, first, rows, shape };
                many_queries(job, scratch, self.place(i, first, head), n_head * d);
            }
        });
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
        // SAFETY: by this function's contract.
        unsafe { multiply::<false, M, S>(q, panels.chunks_exact(WIDTH * s.d), scores, KEYS) };
        let width = totals.len() / M;
        for (i, row) in scores.chunks_exact_mut(KEYS).take(M).enumerate() {
            let seen = s.visible(self.job.first + self.row + i).saturating_sub(self.keys.start).min(n_keys);
            row[seen..].fill(0.0);
            if seen > 0 {
                let factor = math::softmax_step::<S>(&mut row[..seen], &mut max[i], &mut sum[i]);
                totals[i * width..][..width].iter_mut().for_each(|total| *total *= factor);
            }
        }
        let scores = Rows { values: scores, stride: KEYS };
        let panels = values
            .chunks_exact(WIDTH * s.t_k)
            .map(|panel| &panel[self.keys.start * WIDTH..self.keys.end * WIDTH]);
        // SAFETY: there are scores of `M` rows.
        unsafe { multiply::<true, M, S>(scores, panels, totals, width) };
    }
}

/// Softmax attention. With `causal`, the last query sees all keys and each one before it one key less.
///
/// q: (n_batch, t_q, n_state), k and v: (n_batch, t_k, n_state), heads side by side -> (n_batch, t_q, n_state)
///
/// On a CPU keys and values may be f16 where the queries are f32.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, n_head: usize, causal: bool) -> Result<Tensor> {
    let ((b, _, _), (b_k, len, _)) = (q.dims3()?, k.dims3()?);
    if b != b_k {
        bail!("attention: q {:?}, k {:?}", q.shape(), k.shape());
    }
    let seen: Vec<Seen<'_>> = (0..b).map(|batch| Seen { k, v, batch, len }).collect();
    attention_of(q, &seen, n_head, causal)
}

/// The same where each batch of queries looks at keys and values of its own.
///
/// q: (n_batch, t_q, n_state); `seen` has `n_batch` -> (n_batch, t_q, n_state)
pub(crate) fn attention_of(q: &Tensor, seen: &[Seen<'_>], n_head: usize, causal: bool) -> Result<Tensor> {
    let rows = |x: &Tensor| x.stride().last() == Some(&1);
    let first = seen.first().map(|seen| seen.k.dtype());
    let kept = seen
        .iter()
        .all(|Seen { k, v, .. }| k.dtype() == v.dtype() && Some(k.dtype()) == first && rows(k) && rows(v));
    let kept = kept && matches!(first, Some(DType::F32 | DType::F16));
    if q.device().is_cpu() && q.dtype() == DType::F32 && kept && rows(q) {
        return q.apply_op1_no_bwd(&Attention { n_head, causal, on_tiles: amx::is_used(), seen });
    }
    on_device(|| {
        let (k, v, lens) = gathered(seen)?;
        attention_by_steps(q, &k, &v, n_head, causal, &lens)
    })
}
