//! `x · wᵀ + b` with `w` laid out once, when it is loaded, and what follows the product done while its results
//! are in registers.
//!
//! Sixteen rows of `w` make a panel: (k, 16), so that a step over k reads neighbours. A tile of up to six rows of
//! `x` by one panel stays in registers. Work is split by rows of `x` if there are many, else by panels.

use std::ops::Range;

use candle_core::{Device, Result, Tensor, bail};

use super::amx;
use super::integers::{self, Buffers};
#[cfg(target_arch = "x86_64")]
use super::narrow::{self, Bytes, Narrow};
use super::pool;
use super::shared::SharedOut;
use super::simd::{MOST_ROWS, PAIRED, Simd, WIDTH};
use super::store::{Blocks, LONGEST_BLOCK, Matrix, Store, View};
#[cfg(target_arch = "x86_64")]
use super::strassen;
use super::tile::{End, Factor, Place, Rows, Then, row, tiles};

mod made;
mod on_tiles;
mod operation;

use operation::Product;

/// Rows of `x` that one thread takes at once: with `STEPS` of each they stay in the second-level cache.
const BLOCK: usize = 16 * MOST_ROWS;
/// Steps over k that a panel is read for at once: it stays in the first-level cache. A multiple of a block's.
const STEPS: usize = 448;
/// From so many rows on laying a matrix out in another way for one product takes less time than it saves.
const MANY: usize = 48;
/// Multiplications below which a piece of work is not worth handing to another thread.
const LEAST: usize = 1 << 15;

/// What a matrix is multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MultipliedBy {
    /// Any number of rows.
    Any,
    /// Always many.
    Many,
    /// Always many, which may be rounded.
    ManyRounded,
}

/// A matrix (n, k) in panels, and the bias of its results.
#[derive(Debug)]
pub struct Panels {
    n: usize,
    k: usize,
    matrix: Matrix,
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
    by: MultipliedBy,
    /// (⌈n / 16⌉ · 16)
    bias: Vec<f32>,
}

impl Panels {
    /// Rows of the matrix. ids: (n_ids) -> (n_ids, k)
    ///
    /// # Errors
    /// If there is no such row.
    pub fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        let ids = ids.to_vec1::<u32>()?;
        let mut out = Vec::with_capacity(ids.len() * self.k);
        let mut panel = vec![[0f32; WIDTH]; self.k];
        for &id in &ids {
            let id = id as usize;
            if id >= self.n {
                bail!("row {id} of {}", self.n);
            }
            match &self.matrix {
                Matrix::Integers(blocks) => out.extend(blocks.row(id, self.k)),
                Matrix::Floats(store) => {
                    let first = id / WIDTH * self.k;
                    unpack(store, first, first + self.k, &mut panel);
                    out.extend(panel.iter().map(|step| step[id % WIDTH]));
                }
            }
        }
        Tensor::from_vec(out, (ids.len(), self.k), &Device::Cpu)
    }

    /// (n, k)
    pub fn dims(&self) -> (usize, usize) {
        (self.n, self.k)
    }

    /// Whether it is multiplied as integers.
    pub fn is_of_integers(&self) -> bool {
        matches!(self.matrix, Matrix::Integers(_))
    }

    /// x: (…, k) -> (…, n)
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1_no_bwd(&Product { panels: self, then: Then::Set })
    }

    /// [`Panels::forward`] of numbers that are in no tensor; the last row must be whole. x: (n_rows, k) -> (n_rows, n)
    pub(crate) fn of_rows(&self, x: &[f32]) -> Vec<f32> {
        let m = x.len() / self.k;
        let mut out = Vec::with_capacity(m * self.n);
        // SAFETY: the product writes all of the m · n values there is room for.
        unsafe {
            let x = Rows { values: x, stride: self.k };
            self.product(x, m, Then::Set, SharedOut::new(out.as_mut_ptr()), self.n);
            out.set_len(m * self.n);
        }
        out
    }

    /// The exact GELU of [`Panels::forward`]. x: (…, k) -> (…, n)
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward_gelu(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1_no_bwd(&Product { panels: self, then: Then::Gelu })
    }

    /// Adds [`Panels::forward`] to `residual`. Overwrites it. x: (…, k), residual: (…, n) -> (…, n)
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward_add(&self, x: &Tensor, residual: Tensor) -> Result<Tensor> {
        let residual = residual.contiguous()?;
        residual.inplace_op2(&x.contiguous()?, &Product { panels: self, then: Then::Add })?;
        Ok(residual)
    }

    /// What is multiplied on a matrix unit: floats.
    fn factor(&self) -> Option<amx::Factor<'_>> {
        match &self.matrix {
            Matrix::Floats(store) => Some(amx::Factor { store, n: self.n, k: self.k, bias: &self.bias }),
            Matrix::Integers(_) => None,
        }
    }

    /// Writes the product of `m` rows of `x` to rows of `out`, `out_stride` apart.
    ///
    /// # Safety
    /// `out` must be valid for that, and nobody else's meanwhile; with [`Then::Add`] it must hold numbers.
    pub(super) unsafe fn product(
        &self,
        x: Rows<'_>,
        m: usize,
        then: Then,
        out: SharedOut,
        out_stride: usize,
    ) {
        assert!(m == 0 || x.values.len() >= (m - 1) * x.stride + self.k, "rows of x");
        #[cfg(target_arch = "x86_64")]
        if m >= MANY
            && self.by == MultipliedBy::Many
            && let Matrix::Floats(store) = &self.matrix
            && let Some(half) = strassen::half(self.n, self.k)
        {
            let whole = m / strassen::TOGETHER * strassen::TOGETHER;
            let columns = strassen::Columns::new(store, (self.n, self.k), half, &self.bias);
            // SAFETY: by this function's contract.
            unsafe { columns.product(x, whole, then, out, out_stride) };
            if whole < m {
                let rest = Rows { values: &x.values[whole * x.stride..], stride: x.stride };
                // SAFETY: as above. They are too few to come here again.
                unsafe {
                    let out = SharedOut::new(out.at(whole * out_stride));
                    self.product(rest, m - whole, then, out, out_stride);
                }
            }
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if m >= MANY && self.by == MultipliedBy::ManyRounded && narrow::fits(self.k) {
            let (w, x) = (Narrow::of(&self.matrix, self.n, self.k), Bytes::of(x, m, self.k));
            return self.each_piece(m, |rows, part| {
                let at = rows.start * out_stride;
                let job = narrow::Job { rows, part, bias: &self.bias, then };
                // SAFETY: pieces write disjoint places, by this function's contract there.
                unsafe { w.piece(&x, job, out.at(at), out_stride) }
            });
        }
        if m >= MANY
            && amx::is_used()
            && let Some(factor) = self.factor()
        {
            // SAFETY: by this function's contract; the rows were counted.
            return unsafe { amx::product(factor, x, m, then, out, out_stride) };
        }
        let store = match &self.matrix {
            Matrix::Floats(store) => store,
            // SAFETY: by this function's contract.
            Matrix::Integers(blocks) => return unsafe { self.integers(blocks, x, m, then, out, out_stride) },
        };
        let split = self.split(m);
        let one = |scratch: &mut [f32], task: usize| {
            let (rows, part) = split.piece(task);
            let (first, m) = (rows.start, rows.len());
            let x = Rows { values: &x.values[first * x.stride..], stride: x.stride };
            let job = Job { x, m, part, then };
            // SAFETY: pieces write disjoint places, by this function's contract there.
            unsafe { piece(self, store, job, scratch, out.at(first * out_stride), out_stride) }
        };
        // One row is multiplied as it is read, more by a panel that was put into full numbers first.
        let scratch = if m == 1 || matches!(store, Store::F32(_)) { 0 } else { 2 * STEPS * WIDTH };
        pool::each_with(split.pieces(), scratch, one);
    }

    /// [`Panels::product`] by its integers as they are multiplied.
    ///
    /// # Safety
    /// As there.
    unsafe fn integers(
        &self,
        w: &Blocks<PAIRED>,
        x: Rows<'_>,
        m: usize,
        then: Then,
        out: SharedOut,
        out_stride: usize,
    ) {
        let buffers = Buffers::new(x, m, self.k, w);
        let x = buffers.rounded();
        self.each_piece(m, |rows, part| {
            let at = rows.start * out_stride;
            let job = integers::Job { x, rows, part, n: self.n, bias: &self.bias, then };
            // SAFETY: pieces write disjoint places, by this function's contract there.
            unsafe { integers::piece(w, job, out.at(at), out_stride) }
        });
    }

    /// Some of `m` rows with some panels each, until all were together.
    fn each_piece(&self, m: usize, work: impl Fn(Range<usize>, Range<usize>) + Sync + Send) {
        let split = self.split(m);
        pool::each(split.pieces(), |task| {
            let (rows, part) = split.piece(task);
            work(rows, part);
        });
    }

    fn split(&self, m: usize) -> Split {
        let threads = pool::threads();
        let row_blocks = m.div_ceil(BLOCK);
        // Few rows leave the panels to be split; no more pieces than keep their threads busy for a while.
        let wanted = if threads == 1 { 1 } else { (m * self.n * self.k / LEAST).clamp(1, 4 * threads) };
        let panels = self.n.div_ceil(WIDTH);
        let column_blocks = wanted.div_ceil(row_blocks.max(1)).min(panels);
        Split { m, panels, row_blocks, column_blocks }
    }
}

/// How a product is shared out.
struct Split {
    m: usize,
    panels: usize,
    row_blocks: usize,
    column_blocks: usize,
}

impl Split {
    fn pieces(&self) -> usize {
        self.row_blocks * self.column_blocks
    }

    /// The rows and the panels of one. Pieces are alike, but for a tile, so that threads are done at the same time.
    fn piece(&self, number: usize) -> (Range<usize>, Range<usize>) {
        let (block, part) = (number / self.column_blocks, number % self.column_blocks);
        let tiles = self.m.div_ceil(MOST_ROWS);
        let row = |block: usize| (block * tiles / self.row_blocks * MOST_ROWS).min(self.m);
        let panel = |part: usize| part * self.panels / self.column_blocks;
        (row(block)..row(block + 1), panel(part)..panel(part + 1))
    }
}

/// Some rows of `x` by some panels.
struct Job<'a> {
    x: Rows<'a>,
    m: usize,
    part: Range<usize>,
    then: Then,
}

/// # Safety
/// `out` must be valid for the job's rows of n values, `out_stride` apart, in the columns of its panels, and `x` must
/// have these rows of k. There must be scratch for two panels' steps, but for one row or numbers in full.
#[inline(always)]
unsafe fn piece_in<S: Simd>(
    w: &Panels,
    store: &Store,
    job: Job<'_>,
    scratch: &mut [f32],
    out: *mut f32,
    out_stride: usize,
) {
    let (k, m) = (w.k, job.m);
    let (room, _) = scratch.as_chunks_mut::<WIDTH>();
    let (room, beside) = room.split_at_mut(room.len() / 2);
    let steps = if m == 1 { k } else { k.div_ceil(k.div_ceil(STEPS)).next_multiple_of(LONGEST_BLOCK) };
    for from in (0..k).step_by(steps) {
        let to = (from + steps).min(k);
        let x = Rows { values: &job.x.values[from..], stride: job.x.stride };
        let place = |j: usize| {
            let bias = &w.bias.as_chunks().0[j];
            let end = End { first: from == 0, last: to == k, bias, then: job.then };
            // SAFETY: inside of what this function was given.
            let at = unsafe { out.add(j * WIDTH) };
            (Place { at, stride: out_stride, columns: WIDTH.min(w.n - j * WIDTH) }, end)
        };
        let mut panels = job.part.clone();
        while let Some(j) = panels.next() {
            let (out, end) = place(j);
            let view = |j: usize| store.view(j * k + from, j * k + to);
            // SAFETY: as above.
            unsafe {
                match view(j) {
                    View::F16(panel) if m == 1 => row::<S, _>(x, panel, out, end),
                    View::Bf16(panel) if m == 1 => row::<S, _>(x, panel, out, end),
                    View::Scaled(panel) if m == 1 => row::<S, _>(x, panel, out, end),
                    View::Shifted(panel) if m == 1 => row::<S, _>(x, panel, out, end),
                    one => {
                        let one = Factor { panel: in_full::<S>(one, to - from, room), out, end };
                        if S::BESIDE
                            && m >= MOST_ROWS
                            && let Some(j) = panels.next()
                        {
                            let (out, end) = place(j);
                            let two = Factor { panel: in_full::<S>(view(j), to - from, beside), out, end };
                            tiles::<2, S>(x, m, [one, two]);
                        } else {
                            tiles::<1, S>(x, m, [one]);
                        }
                    }
                }
            }
        }
    }
}

/// The numbers of a panel in full, in `room` unless they are so already.
#[inline(always)]
fn in_full<'a, S: Simd>(view: View<'a>, steps: usize, room: &'a mut [[f32; WIDTH]]) -> &'a [[f32; WIDTH]] {
    match view {
        View::F32(panel) => panel,
        other => {
            let room = &mut room[..steps];
            other.unpack::<S>(room);
            room
        }
    }
}

vectorised! {
    /// # Safety
    /// As [`piece_in`].
    unsafe fn piece(w: &Panels, store: &Store, job: Job<'_>, scratch: &mut [f32], out: *mut f32, out_stride: usize)
        = piece_in::<S>
}

#[inline(always)]
fn unpack_in<S: Simd>(store: &Store, from: usize, to: usize, out: &mut [[f32; WIDTH]]) {
    store.view(from, to).unpack::<S>(out);
}

vectorised!(fn unpack(store: &Store, from: usize, to: usize, out: &mut [[f32; WIDTH]]) = unpack_in::<S>);
