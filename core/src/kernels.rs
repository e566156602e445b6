//! What candle's own operations do too slowly on a CPU, in f32: attention without copies, the exact GELU, and
//! products of few rows with a large matrix.
//!
//! Plain loops that the compiler turns into vector code: `vectorised` compiles each a second time for AVX2 and
//! chooses at run time, and the same source serves wasm. Each kernel has a slow oracle beside its test in `tests/core/kernels.rs`.

/// Defines a function whose body is compiled for every x86-64, and again for those with AVX2 and FMA.
/// The body must be `#[inline(always)]`, or it is not compiled anew.
macro_rules! vectorised {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $out:ty)? = $body:path) => {
        $(#[$doc])*
        $vis fn $name($($arg: $ty),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn wide($($arg: $ty),*) $(-> $out)? {
                    $body($($arg),*)
                }
                if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has what the function needs.
                    return unsafe { wide($($arg),*) };
                }
            }
            $body($($arg),*)
        }
    };
}

mod attention;
mod elementwise;
mod few_rows;
mod math;

pub use attention::attention;
pub use elementwise::{add_bias, add_bias_gelu, add_residual, gelu};
pub use few_rows::{MOST_ROWS, few_rows};
pub use math::{log_sum_exp, max};

use candle_core::{CpuStorage, Layout, Result, bail};

vectorised!(
    /// Σ x·w over the shorter of the two.
    pub(crate) fn dot(x: &[f32], w: &[f32]) -> f32 = math::dot
);

/// Values of a contiguous f32 tensor.
fn contiguous<'a>(op: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage.as_slice::<f32>()?, layout.contiguous_offsets()) {
        (values, Some((start, end))) => Ok(&values[start..end]),
        (_, None) => bail!("{op}: the tensor is not contiguous"),
    }
}
