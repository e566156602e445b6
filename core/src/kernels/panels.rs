//! `x · wᵀ + b` with `w` laid out once, when it is loaded, and what follows the product done while its results
//! are in registers.
//!
//! Sixteen rows of `w` make a panel: (k, 16), so that a step over k reads neighbours. A tile of up to six rows of
//! `x` by one panel stays in registers. Work is split by rows of `x` if there are many, else by panels.

use candle_core::{CpuStorage, CustomOp1, DType, InplaceOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::elementwise::values_mut;
use super::shared::SharedOut;
use super::{contiguous, math};

/// Rows of `w` in a panel.
pub(super) const WIDTH: usize = 16;
/// Rows of `x` in a tile.
const ROWS: usize = 6;
/// Rows of `x` that one thread takes at once: with `STEPS` of each they stay in the second-level cache.
const BLOCK: usize = 16 * ROWS;
/// Steps over k that a panel is read for at once: it stays in the first-level cache.
const STEPS: usize = 448;
/// Multiplications below which a piece of work is not worth handing to another thread.
const LEAST: usize = 1 << 16;

/// A matrix (n, k) in panels, and the bias of its results.
#[derive(Debug)]
pub struct Panels {
    n: usize,
    k: usize,
    /// (⌈n / 16⌉, k, 16), zeros after the last row
    values: Vec<f32>,
    /// (⌈n / 16⌉ · 16)
    bias: Vec<f32>,
}

/// What becomes of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It is the result.
    Set,
    /// Its exact GELU is.
    Gelu,
    /// It is added to what is there.
    Add,
}

/// Rows of a matrix: where they start and how far apart they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub values: &'a [f32],
    pub stride: usize,
}

impl Panels {
    /// weight: (n, k), bias: (n). `None` where the kernels are of no use: on another device, or not in f32.
    ///
    /// # Errors
    /// If the shapes do not fit each other.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Option<Self>> {
        let (n, k) = weight.dims2()?;
        if !weight.device().is_cpu() || weight.dtype() != DType::F32 || k == 0 || n == 0 {
            return Ok(None);
        }
        let mut padded = match bias {
            Some(bias) => bias.to_vec1()?,
            None => vec![0.0; n],
        };
        if padded.len() != n {
            bail!("bias of {} for {n} rows", padded.len());
        }
        padded.resize(n.next_multiple_of(WIDTH), 0.0);
        let weight = weight.contiguous()?;
        let (storage, layout) = weight.storage_and_layout();
        let candle_core::Storage::Cpu(storage) = &*storage else { return Ok(None) };
        let w = contiguous("panels", storage, layout)?;
        let mut values = vec![0f32; padded.len() * k];
        values.par_chunks_mut(WIDTH * k).zip(w.par_chunks(WIDTH * k)).for_each(|(panel, rows)| {
            for (j, row) in rows.chunks_exact(k).enumerate() {
                panel[j..].iter_mut().step_by(WIDTH).zip(row).for_each(|(to, from)| *to = *from);
            }
        });
        Ok(Some(Self { n, k, values, bias: padded }))
    }

    /// (n, k)
    pub fn dims(&self) -> (usize, usize) {
        (self.n, self.k)
    }

    /// x: (…, k) -> (…, n)
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1_no_bwd(&Product { panels: self, then: Then::Set })
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
        let panels = self.n.div_ceil(WIDTH);
        let threads = rayon::current_num_threads();
        let row_blocks = m.div_ceil(BLOCK);
        // Few rows leave the panels to be split; no more pieces than keep their threads busy for a while.
        let wanted = if threads == 1 { 1 } else { (m * self.n * self.k / LEAST).clamp(1, 2 * threads) };
        let column_blocks = wanted.div_ceil(row_blocks.max(1)).min(panels);
        let columns = panels.div_ceil(column_blocks);
        let one = |task: usize| {
            let (block, part) = (task / column_blocks, task % column_blocks);
            let first = block * BLOCK;
            let part = part * columns..((part + 1) * columns).min(panels);
            let x = Rows { values: &x.values[first * x.stride..], stride: x.stride };
            // SAFETY: pieces write disjoint places, by this function's contract there.
            unsafe {
                piece(self, x, BLOCK.min(m - first), part, then, out.at(first * out_stride), out_stride)
            }
        };
        match row_blocks * column_blocks {
            tasks @ (0 | 1) => (0..tasks).for_each(one),
            tasks => (0..tasks).into_par_iter().for_each(one),
        }
    }
}

struct Product<'a> {
    panels: &'a Panels,
    then: Then,
}

impl Product<'_> {
    fn rows(&self, layout: &Layout) -> Result<usize> {
        match layout.dims().last() {
            Some(&k) if k == self.panels.k => Ok(layout.shape().elem_count() / k),
            _ => bail!("x is {:?}, w is {:?}", layout.shape(), self.panels.dims()),
        }
    }
}

impl CustomOp1 for Product<'_> {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let m = self.rows(layout)?;
        let Panels { n, k, .. } = *self.panels;
        let x = Rows { values: contiguous("linear", storage, layout)?, stride: k };
        let mut out = Vec::with_capacity(m * n);
        // SAFETY: the product writes all of the m · n values there is room for.
        unsafe {
            self.panels.product(x, m, self.then, SharedOut::new(out.as_mut_ptr()), n);
            out.set_len(m * n);
        }
        let mut dims = layout.dims().to_vec();
        dims.pop();
        dims.push(n);
        Ok((CpuStorage::F32(out), dims.into()))
    }
}

impl InplaceOp2 for Product<'_> {
    fn name(&self) -> &'static str {
        "linear-add"
    }

    fn cpu_fwd(&self, s1: &mut CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<()> {
        let m = self.rows(l2)?;
        let x = Rows { values: contiguous("linear-add", s2, l2)?, stride: self.panels.k };
        let out = values_mut("linear-add", s1, l1)?;
        if out.len() != m * self.panels.n {
            bail!("linear-add: {:?} to {:?}", l2.shape(), l1.shape());
        }
        // SAFETY: `out` is borrowed, and as long as was checked.
        unsafe { self.panels.product(x, m, self.then, SharedOut::new(out.as_mut_ptr()), self.panels.n) };
        Ok(())
    }
}

/// `m` rows of `x` by some panels.
///
/// # Safety
/// `out` must be valid for `m` rows of n values, `out_stride` apart, in the columns of these panels, and `x` must
/// have `m` rows of k.
#[inline(always)]
unsafe fn piece_in<const FUSED: bool>(
    w: &Panels,
    x: Rows<'_>,
    m: usize,
    part: std::ops::Range<usize>,
    then: Then,
    out: *mut f32,
    out_stride: usize,
) {
    let k = w.k;
    let steps = if m < ROWS { k } else { k.div_ceil(k.div_ceil(STEPS)) };
    for from in (0..k).step_by(steps) {
        let to = (from + steps).min(k);
        for j in part.clone() {
            let panel = &w.values[(j * k + from) * WIDTH..(j * k + to) * WIDTH];
            let columns = WIDTH.min(w.n - j * WIDTH);
            let bias = &w.bias[j * WIDTH..][..WIDTH];
            let mut row = 0;
            while row < m {
                let rows = ROWS.min(m - row);
                let x = Rows { values: &x.values[row * x.stride + from..], stride: x.stride };
                // SAFETY: inside of what this function was given.
                unsafe {
                    let out =
                        Place { at: out.add(row * out_stride + j * WIDTH), stride: out_stride, columns };
                    let end = End { first: from == 0, last: to == k, bias, then };
                    match rows {
                        1 => tile::<1, FUSED>(x, panel, out, end),
                        2 => tile::<2, FUSED>(x, panel, out, end),
                        3 => tile::<3, FUSED>(x, panel, out, end),
                        4 => tile::<4, FUSED>(x, panel, out, end),
                        5 => tile::<5, FUSED>(x, panel, out, end),
                        _ => tile::<6, FUSED>(x, panel, out, end),
                    }
                }
                row += rows;
            }
        }
    }
}

vectorised! {
    /// # Safety
    /// As [`piece_in`].
    unsafe fn piece(
        w: &Panels,
        x: Rows<'_>,
        m: usize,
        part: std::ops::Range<usize>,
        then: Then,
        out: *mut f32,
        out_stride: usize,
    ) = piece_in::<FUSED>
}

/// Where a tile goes: up to 16 columns of rows that lie `stride` apart.
#[derive(Clone, Copy)]
struct Place {
    at: *mut f32,
    stride: usize,
    columns: usize,
}

/// What to do with the sums of a tile.
#[derive(Clone, Copy)]
struct End<'a> {
    first: bool,
    last: bool,
    bias: &'a [f32],
    then: Then,
}

/// # Safety
/// `out` must be valid for `M` rows, and `x` must have them, as long as the panel.
#[inline(always)]
unsafe fn tile<const M: usize, const FUSED: bool>(x: Rows<'_>, panel: &[f32], out: Place, end: End<'_>) {
    // SAFETY: by this function's contract.
    let mut sums = unsafe { sums::<M, FUSED>(x, panel) };
    for (i, row) in sums.iter_mut().enumerate() {
        // SAFETY: as above.
        let out = unsafe { std::slice::from_raw_parts_mut(out.at.add(i * out.stride), out.columns) };
        if end.last {
            row.iter_mut().zip(end.bias).for_each(|(x, b)| *x += b);
        }
        if !end.first || end.then == Then::Add {
            row.iter_mut().zip(&*out).for_each(|(x, y)| *x += y);
        }
        if end.last && end.then == Then::Gelu {
            row.iter_mut().for_each(|x| *x = math::gelu_one(*x));
        }
        // The common case apart: its length is known, so it becomes two stores.
        match <&mut [f32; WIDTH]>::try_from(&mut *out) {
            Ok(out) => *out = *row,
            Err(_) => out.copy_from_slice(&row[..out.len()]),
        }
    }
}

/// `M` rows of `x` by a panel.
///
/// # Safety
/// `x` must have `M` rows as long as the panel.
#[inline(always)]
pub(super) unsafe fn sums<const M: usize, const FUSED: bool>(
    x: Rows<'_>,
    panel: &[f32],
) -> [[f32; WIDTH]; M] {
    let (panel, _) = panel.as_chunks::<WIDTH>();
    if M == 1 {
        return [one::<FUSED>(&x.values[..panel.len()], panel); M];
    }
    debug_assert!(x.values.len() >= (M - 1) * x.stride + panel.len());
    let mut sums = [[0f32; WIDTH]; M];
    for (p, w) in panel.iter().enumerate() {
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: by this function's contract.
            let x = unsafe { *x.values.get_unchecked(i * x.stride + p) };
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum = math::multiply_add::<FUSED>(x, *w, *sum);
            }
        }
    }
    sums
}

/// One row by a panel, in four sums that do not wait for each other.
#[inline(always)]
fn one<const FUSED: bool>(x: &[f32], panel: &[[f32; WIDTH]]) -> [f32; WIDTH] {
    let mut sums = [[0f32; WIDTH]; 4];
    let ((x, x_rest), (w, w_rest)) = (x.as_chunks::<4>(), panel.as_chunks::<4>());
    for (x, w) in x.iter().zip(w) {
        for u in 0..4 {
            for j in 0..WIDTH {
                sums[u][j] = math::multiply_add::<FUSED>(x[u], w[u][j], sums[u][j]);
            }
        }
    }
    for (x, w) in x_rest.iter().zip(w_rest) {
        for j in 0..WIDTH {
            sums[0][j] = math::multiply_add::<FUSED>(*x, w[j], sums[0][j]);
        }
    }
    std::array::from_fn(|j| (sums[0][j] + sums[1][j]) + (sums[2][j] + sums[3][j]))
}
