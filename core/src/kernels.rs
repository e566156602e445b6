//! What candle's own operations do too slowly on a CPU, in f32: attention without copies, the exact GELU, and
//! products of few rows with a large matrix.
//!
//! Plain loops that the compiler turns into vector code: [`pulp`] chooses the instruction set at run time, and
//! the same source serves wasm. Each kernel has a slow oracle beside its test in `tests/core/kernels.rs`.

mod attention;
mod elementwise;
mod few_rows;
mod math;

pub use attention::attention;
pub use elementwise::{add_bias, add_bias_gelu, add_residual, gelu};
pub use few_rows::few_rows;
pub use math::{log_sum_exp, max};

use candle_core::{CpuStorage, Layout, Result, bail};

/// Values of a contiguous f32 tensor.
fn contiguous<'a>(op: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage.as_slice::<f32>()?, layout.contiguous_offsets()) {
        (values, Some((start, end))) => Ok(&values[start..end]),
        (_, None) => bail!("{op}: the tensor is not contiguous"),
    }
}
