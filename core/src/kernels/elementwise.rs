//! Bias, residual and GELU, in place.

use candle_core::{CpuStorage, DType, InplaceOp1, InplaceOp2, Layout, Result, Tensor, bail};
use rayon::prelude::*;

use super::{contiguous, math};

/// Values worked on at once by one thread.
const CHUNK: usize = 1 << 14;

fn in_place(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32 && x.is_contiguous()
}

pub(super) fn values_mut<'a>(op: &str, s: &'a mut CpuStorage, l: &Layout) -> Result<&'a mut [f32]> {
    match (s, l.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&mut values[start..end]),
        _ => bail!("{op}: contiguous f32 expected"),
    }
}

#[inline(always)]
fn gelu_in(chunk: &mut [f32]) {
    chunk.iter_mut().for_each(|x| *x = math::gelu_one(*x));
}

#[inline(always)]
fn bias_in(chunk: &mut [f32], bias: &[f32]) {
    for row in chunk.chunks_exact_mut(bias.len()) {
        row.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
    }
}

#[inline(always)]
fn bias_gelu_in(chunk: &mut [f32], bias: &[f32]) {
    for row in chunk.chunks_exact_mut(bias.len()) {
        row.iter_mut().zip(bias).for_each(|(x, b)| *x = math::gelu_one(*x + b));
    }
}

vectorised!(fn gelu_chunk(chunk: &mut [f32]) = gelu_in);
vectorised!(fn bias_chunk(chunk: &mut [f32], bias: &[f32]) = bias_in);
vectorised!(fn bias_gelu_chunk(chunk: &mut [f32], bias: &[f32]) = bias_gelu_in);

struct Gelu;

impl InplaceOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        values_mut(self.name(), storage, layout)?.par_chunks_mut(CHUNK).for_each(gelu_chunk);
        Ok(())
    }
}

/// Adds `bias` to each row, and applies the GELU after it if asked.
struct Bias {
    gelu: bool,
}

impl InplaceOp2 for Bias {
    fn name(&self) -> &'static str {
        "add-bias"
    }

    fn cpu_fwd(&self, s1: &mut CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<()> {
        let bias = contiguous(self.name(), s2, l2)?;
        let rows = CHUNK.div_ceil(bias.len()) * bias.len();
        values_mut(self.name(), s1, l1)?.par_chunks_mut(rows).for_each(|chunk| match self.gelu {
            true => bias_gelu_chunk(chunk, bias),
            false => bias_chunk(chunk, bias),
        });
        Ok(())
    }
}

struct Residual;

impl InplaceOp2 for Residual {
    fn name(&self) -> &'static str {
        "add-residual"
    }

    fn cpu_fwd(&self, s1: &mut CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<()> {
        let other = contiguous(self.name(), s2, l2)?;
        values_mut(self.name(), s1, l1)?
            .par_chunks_mut(CHUNK)
            .zip(other.par_chunks(CHUNK))
            .for_each(|(x, y)| x.iter_mut().zip(y).for_each(|(x, y)| *x += y));
        Ok(())
    }
}

/// The exact GELU. Overwrites `x` where it can. x: any shape -> the same
pub fn gelu(x: Tensor) -> Result<Tensor> {
    if !in_place(&x) {
        return x.gelu_erf();
    }
    x.inplace_op1(&Gelu)?;
    Ok(x)
}

/// Adds a bias to the last dimension. Overwrites `x` where it can. x: (…, n), bias: (n) -> (…, n)
pub fn add_bias(x: Tensor, bias: &Tensor) -> Result<Tensor> {
    bias_op(x, bias, false)
}

/// Adds a bias to the last dimension, then applies the GELU. x: (…, n), bias: (n) -> (…, n)
pub fn add_bias_gelu(x: Tensor, bias: &Tensor) -> Result<Tensor> {
    bias_op(x, bias, true)
}

fn bias_op(x: Tensor, bias: &Tensor, gelu: bool) -> Result<Tensor> {
    if x.dims().last() != bias.dims().last() || bias.rank() != 1 {
        bail!("bias {:?} does not fit {:?}", bias.dims(), x.dims());
    }
    if !in_place(&x) {
        let x = x.broadcast_add(bias)?;
        return if gelu { x.gelu_erf() } else { Ok(x) };
    }
    x.inplace_op2(bias, &Bias { gelu })?;
    Ok(x)
}

/// Adds `y` to `x`. Overwrites `x` where it can. x, y: the same shape -> the same
pub fn add_residual(x: Tensor, y: &Tensor) -> Result<Tensor> {
    if !in_place(&x) || !in_place(y) || x.dims() != y.dims() {
        return x + y;
    }
    x.inplace_op2(y, &Residual)?;
    Ok(x)
}
