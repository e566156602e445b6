//! Numbers one behind the other that lie in another order, by all threads: a window's keys and values, head by head, are megabytes.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};

use super::pool;
use super::room::room;
use super::shared::SharedOut;

/// Rows that are one task.
const ROWS: usize = 64;

/// As `Tensor::contiguous`, of up to four dimensions in f32 on a CPU by all threads.
///
/// # Errors
/// If the device fails.
pub(crate) fn laid_out(x: &Tensor) -> Result<Tensor> {
    match x.device().is_cpu() && x.dtype() == DType::F32 && x.rank() <= 4 && !x.is_contiguous() {
        true => x.apply_op1_no_bwd(&LaidOut),
        false => x.contiguous(),
    }
}

struct LaidOut;

impl CustomOp1 for LaidOut {
    fn name(&self) -> &'static str {
        "laid out"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(laid(storage.as_slice()?, layout)), layout.shape().clone()))
    }
}

fn laid(x: &[f32], layout: &Layout) -> Vec<f32> {
    let (mut dims, mut strides) = ([1; 4], [0; 4]);
    let first = dims.len() - layout.dims().len();
    dims[first..].copy_from_slice(layout.dims());
    strides[first..].copy_from_slice(layout.stride());
    let ([_, b, c, d], n) = (dims, dims.iter().product::<usize>());
    let mut out = room::<f32>(n);
    let start = SharedOut::new(out.as_mut_ptr());
    let blocks = c.div_ceil(ROWS);
    pool::each(n / (c * d).max(1) * blocks, |task| {
        let (outer, block) = (task / blocks, task % blocks);
        let at = layout.start_offset() + outer / b * strides[0] + outer % b * strides[1];
        for row in block * ROWS..((block + 1) * ROWS).min(c) {
            let from = &x[at + row * strides[2]..];
            // SAFETY: a row's places are its own.
            unsafe {
                let to = start.at((outer * c + row) * d);
                match strides[3] {
                    1 => to.copy_from_nonoverlapping(from[..d].as_ptr(), d),
                    stride => (0..d).for_each(|i| to.add(i).write(from[i * stride])),
                }
            }
        }
    });
    // SAFETY: all was written.
    unsafe { out.set_len(n) };
    out
}
