//! A convolution of width 3 over time as a product: with time in rows, three neighbouring rows are one long row, so
//! nothing is unfolded. The GELU after it is done with it.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};

use super::contiguous;
use super::laid::laid_out;
use super::pack::{Part, Products};
use super::panels::Panels;
use super::room::room;
use super::shared::SharedOut;
use super::tile::{Rows, Then};

/// Frames that one result hears: itself and its neighbours, silence beyond the ends.
const KERNEL: usize = 3;

/// A convolution with padding 1, its kernel in panels.
#[derive(Debug)]
pub struct Convolution {
    /// (n_out, 3 · n_in)
    panels: Panels,
    stride: usize,
}

impl Convolution {
    /// weight: (n_out, n_in, 3), bias: (n_out). `None` on another device than a CPU, or not in f32.
    ///
    /// # Errors
    /// If the shapes do not fit each other.
    pub fn new(weight: &Tensor, bias: &Tensor, stride: usize) -> Result<Option<Self>> {
        let (n_out, n_in, kernel) = weight.dims3()?;
        if kernel != KERNEL || stride == 0 {
            bail!("a convolution of width {kernel}, every {stride}");
        }
        if !weight.device().is_cpu() || weight.dtype() != DType::F32 {
            return Ok(None);
        }
        let rows = weight.transpose(1, 2)?.contiguous()?.reshape((n_out, KERNEL * n_in))?;
        let panels = Panels::new(KERNEL * n_in, &[Part::of(&rows)?], &bias.to_vec1()?, Products::Floats)?;
        Ok(Some(Self { panels: panels.of_many_rows(), stride }))
    }

    /// The exact GELU of the convolution. x: (n_audio, t, n_in) -> (n_audio, ⌈t / stride⌉, n_out)
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward_gelu(&self, x: &Tensor) -> Result<Tensor> {
        laid_out(x)?.apply_op1_no_bwd(self)
    }

    /// The rows that result `at` hears, with zeros beyond the ends. x: (t, n_in) -> (3 · n_in)
    fn heard(&self, x: &[f32], at: usize) -> Vec<f32> {
        let n_in = self.panels.dims().1 / KERNEL;
        let mut row = vec![0.0; KERNEL * n_in];
        for (i, part) in row.chunks_exact_mut(n_in).enumerate() {
            let frame = (at * self.stride + i).checked_sub(1);
            if let Some(frame) = frame.and_then(|t| x.get(t * n_in..(t + 1) * n_in)) {
                part.copy_from_slice(frame);
            }
        }
        row
    }
}

impl CustomOp1 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n_audio, t, n_in) = layout.shape().dims3()?;
        let (n_out, k) = self.panels.dims();
        if k != KERNEL * n_in || t == 0 {
            bail!("convolution: x is {:?}, the kernel {:?}", layout.shape(), self.panels.dims());
        }
        let x = contiguous("convolution", storage, layout)?;
        let t_out = t.div_ceil(self.stride);
        let mut out = room::<f32>(n_audio * t_out * n_out);
        for (audio, x) in x.chunks_exact(t * n_in).enumerate() {
            // Results from 1 on hear whole rows until one reaches beyond the end.
            let whole = t_out.min((t.saturating_sub(2)) / self.stride + 1).max(1);
            let start = out.as_mut_ptr();
            let product = |x: &[f32], stride: usize, rows: std::ops::Range<usize>| {
                // SAFETY: there is room for all rows of all audio, and these are some of them; nobody else writes there.
                unsafe {
                    let to = SharedOut::new(start.add((audio * t_out + rows.start) * n_out));
                    self.panels.product(Rows { values: x, stride }, rows.len(), Then::Gelu, to, n_out);
                }
            };
            for edge in std::iter::once(0).chain(whole..t_out) {
                product(&self.heard(x, edge), k, edge..edge + 1);
            }
            if whole > 1 {
                product(&x[(self.stride - 1) * n_in..], self.stride * n_in, 1..whole);
            }
        }
        // SAFETY: the first row, the last ones and those between were written.
        unsafe { out.set_len(n_audio * t_out * n_out) };
        Ok((CpuStorage::F32(out), (n_audio, t_out, n_out).into()))
    }
}
