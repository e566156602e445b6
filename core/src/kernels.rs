//! What candle's own operations do too slowly on a CPU, in f32: attention in blocks, linear layers and
//! convolutions with what follows them, the exact GELU, and products of few rows with a large matrix.
//!
//! Plain loops that the compiler turns into vector code: `vectorised` compiles each a second time for AVX2 and
//! chooses at run time, and the same source serves wasm. Each kernel has a slow oracle beside its test in `tests/core/kernels.rs`.

/// Defines a function whose body is compiled for every processor, and on x86-64 again for those with AVX2 and FMA.
/// The body must be `#[inline(always)]`, or it is not compiled anew; it may take the constant `FUSED`: whether a
/// multiplication and an addition are one instruction.
macro_rules! vectorised {
    (@ [$($unsafe:tt)*] [$(#[$doc:meta])*] $vis:vis $name:ident [$($arg:ident: $ty:ty),*] [$($out:ty)?] $body:path) => {
        $(#[$doc])*
        $vis $($unsafe)* fn $name($($arg: $ty),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                $($unsafe)* fn wide($($arg: $ty),*) $(-> $out)? {
                    #[allow(dead_code)]
                    const FUSED: bool = true;
                    #[allow(unused_unsafe)]
                    // SAFETY: by this function's contract, if it has one.
                    unsafe { $body($($arg),*) }
                }
                if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has what the function needs.
                    return unsafe { wide($($arg),*) };
                }
            }
            #[allow(dead_code)]
            const FUSED: bool = cfg!(target_arch = "aarch64");
            #[allow(unused_unsafe)]
            // SAFETY: by this function's contract, if it has one.
            unsafe { $body($($arg),*) }
        }
    };
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $out:ty)? = $body:path) => {
        vectorised! { @ [] [$(#[$doc])*] $vis $name [$($arg: $ty),*] [$($out)?] $body }
    };
    ($(#[$doc:meta])* $vis:vis unsafe fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $out:ty)? = $body:path) => {
        vectorised! { @ [unsafe] [$(#[$doc])*] $vis $name [$($arg: $ty),*] [$($out)?] $body }
    };
}

mod attention;
mod convolution;
mod elementwise;
mod few_rows;
mod math;
mod panels;
mod shared;

pub use attention::attention;
pub use convolution::Convolution;
pub use elementwise::{add_bias, add_bias_gelu, add_residual, gelu};
pub use few_rows::{MOST_ROWS, few_rows};
pub use math::{log_sum_exp, max};
pub use panels::Panels;

use candle_core::{CpuStorage, Layout, Result, bail};

vectorised!(
    /// Σ x·w over the shorter of the two.
    pub(crate) fn dot(x: &[f32], w: &[f32]) -> f32 = math::dot::<false>
);

/// Values of a contiguous f32 tensor.
fn contiguous<'a>(op: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage.as_slice::<f32>()?, layout.contiguous_offsets()) {
        (values, Some((start, end))) => Ok(&values[start..end]),
        (_, None) => bail!("{op}: the tensor is not contiguous"),
    }
}
