//! What stands between the products of a network, on a CPU in f32: sums, norms, and numbers of other types.
//!
//! candle has each of these for every pair of types and every order of memory: more code than all kernels together, which a
//! browser would have to fetch. Only other devices and types need it: [`on_device`].

use std::mem::MaybeUninit;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};
use half::{bf16, f16};

use super::math::LANES;
use super::room::room;
use super::{contiguous, pool};

/// Rows of a norm that are one task.
const ROWS: usize = 16;

/// What only other devices than a CPU and other types than f32 need. A build without the feature `devices` has none of it.
pub(crate) fn on_device<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    if cfg!(feature = "devices") {
        work()
    } else {
        bail!("this build computes on a CPU and in f32: it lacks the feature `devices`")
    }
}

fn on_cpu(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

/// The same numbers as `dtype`, rounded where it is shorter.
///
/// # Errors
/// If the device fails.
pub(crate) fn cast(x: &Tensor, dtype: DType) -> Result<Tensor> {
    use DType::{BF16, F16, F32, F64};
    match (x.dtype(), dtype) {
        (from, to) if from == to => Ok(x.clone()),
        (F16 | BF16 | F64, F32) | (F32, F16 | BF16) if x.device().is_cpu() => {
            x.contiguous()?.apply_op1_no_bwd(&Cast(dtype))
        }
        _ => on_device(|| x.to_dtype(dtype)),
    }
}

struct Cast(DType);

impl CustomOp1 for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("cast: the tensor is not contiguous");
        };
        let numbers = start..end;
        let cast = match (storage, self.0) {
            (CpuStorage::F16(x), DType::F32) => {
                CpuStorage::F32(x[numbers].iter().map(|x| x.to_f32()).collect())
            }
            (CpuStorage::BF16(x), DType::F32) => {
                CpuStorage::F32(x[numbers].iter().map(|x| x.to_f32()).collect())
            }
            (CpuStorage::F64(x), DType::F32) => {
                CpuStorage::F32(x[numbers].iter().map(|&x| x as f32).collect())
            }
            (CpuStorage::F32(x), DType::F16) => {
                CpuStorage::F16(x[numbers].iter().map(|&x| f16::from_f32(x)).collect())
            }
            (CpuStorage::F32(x), DType::BF16) => {
                CpuStorage::BF16(x[numbers].iter().map(|&x| bf16::from_f32(x)).collect())
            }
            (_, to) => bail!("cast: to {to:?}"),
        };
        Ok((cast, layout.shape().clone()))
    }
}

/// x: (…, as y), y: (…) -> as x
///
/// # Errors
/// If the shapes do not fit or the device fails.
pub(crate) fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    if on_cpu(x) && on_cpu(y) && x.dims().ends_with(y.dims()) {
        return x.contiguous()?.apply_op2_no_bwd(&y.contiguous()?, &Sum);
    }
    on_device(|| x.broadcast_add(y))
}

struct Sum;

impl CustomOp2 for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, y) = (contiguous("sum", s1, l1)?, contiguous("sum", s2, l2)?);
        let mut out = Vec::with_capacity(x.len());
        for x in x.chunks_exact(y.len().max(1)) {
            out.extend(x.iter().zip(y).map(|(x, y)| x + y));
        }
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }
}

/// Layer norm. x: (…, n), weight and bias: (n) -> as x
///
/// # Errors
/// If the shapes do not fit, or they are not in f32 on a CPU.
pub(crate) fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f32) -> Result<Tensor> {
    x.contiguous()?.apply_op3_no_bwd(weight, bias, &Norm(epsilon))
}

struct Norm(f32);

impl CustomOp3 for Norm {
    fn name(&self) -> &'static str {
        "layer-norm"
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
        let x = contiguous("layer-norm", s1, l1)?;
        let (weight, bias) = (contiguous("layer-norm", s2, l2)?, contiguous("layer-norm", s3, l3)?);
        let n = weight.len();
        if n == 0 || bias.len() != n || l1.dims().last() != Some(&n) {
            bail!("layer-norm: {:?} by {:?} and {:?}", l1.shape(), l2.shape(), l3.shape());
        }
        let mut out = room(x.len());
        pool::each_chunk(&mut out.spare_capacity_mut()[..x.len()], ROWS * n, |out, task| {
            let rows = x[task * ROWS * n..].chunks_exact(n);
            for (out, x) in out.chunks_exact_mut(n).zip(rows) {
                norm(x, weight, bias, self.0, out);
            }
        });
        // SAFETY: every row was written.
        unsafe { out.set_len(x.len()) };
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }
}

#[inline(always)]
fn norm_in(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [MaybeUninit<f32>]) {
    // Sums that do not wait for each other.
    let (mut sums, mut squares) = ([0f32; LANES], [0f32; LANES]);
    for x in x.chunks(LANES) {
        for ((sum, square), x) in sums.iter_mut().zip(&mut squares).zip(x) {
            *sum += x;
            *square += x * x;
        }
    }
    let n = x.len() as f32;
    let mean = sums.iter().sum::<f32>() / n;
    let variance = squares.iter().sum::<f32>() / n - mean * mean;
    let scale = (variance + epsilon).sqrt().recip();
    for ((out, x), (weight, bias)) in out.iter_mut().zip(x).zip(weight.iter().zip(bias)) {
        out.write((x - mean) * scale * weight + bias);
    }
}

vectorised! {
    /// One row of a layer norm.
    fn norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [MaybeUninit<f32>]) = norm_in
}
