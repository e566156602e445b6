//! `x · wᵀ` for few rows of `x`, as in decoding: bound by reading `w`, which is read once for all rows.

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{contiguous, math};

/// Above this a general matrix product is faster.
pub const MOST_ROWS: usize = 12;
/// Rows of `w` that one thread takes at once.
const BLOCK: usize = 64;

/// out: (n, m), x: (m, k), w: (n, k)
#[inline(always)]
fn rows_in<const FUSED: bool>(out: &mut [f32], x: &[f32], w: &[f32], k: usize) {
    let m = x.len() / k;
    for (out, w) in out.chunks_exact_mut(m).zip(w.chunks_exact(k)) {
        for (out, x) in out.iter_mut().zip(x.chunks_exact(k)) {
            *out = math::dot::<FUSED>(x, w);
        }
    }
}

vectorised!(fn rows(out: &mut [f32], x: &[f32], w: &[f32], k: usize) = rows_in::<FUSED>);

struct FewRows;

impl CustomOp2 for FewRows {
    fn name(&self) -> &'static str {
        "few-rows"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (m, k) = l1.shape().dims2()?;
        let (n, k2) = l2.shape().dims2()?;
        if k != k2 || k == 0 {
            bail!("few-rows: x is ({m}, {k}), w is ({n}, {k2})");
        }
        let (x, w) = (contiguous(self.name(), s1, l1)?, contiguous(self.name(), s2, l2)?);
        // (n, m): a thread's rows of `w` give one run of results.
        let mut out = vec![0f32; n * m];
        out.par_chunks_mut(BLOCK * m).zip(w.par_chunks(BLOCK * k)).for_each(|(out, w)| rows(out, x, w, k));
        if m > 1 {
            let columns = out;
            out = vec![0f32; n * m];
            for (j, column) in columns.chunks_exact(m).enumerate() {
                for (i, &value) in column.iter().enumerate() {
                    out[i * n + j] = value;
                }
            }
        }
        Ok((CpuStorage::F32(out), (m, n).into()))
    }
}

/// `x · wᵀ` if this is the case that the kernel is for. x: (m, k), w: (n, k) -> (m, n)
pub fn few_rows(x: &Tensor, w: &Tensor) -> Result<Option<Tensor>> {
    let fits = x.device().is_cpu()
        && x.dtype() == DType::F32
        && w.dtype() == DType::F32
        && x.dim(0)? <= MOST_ROWS
        && x.is_contiguous()
        && w.is_contiguous();
    if fits { x.apply_op2_no_bwd(w, &FewRows).map(Some) } else { Ok(None) }
}
