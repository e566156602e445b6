//! What candle's own operations do too slowly on a CPU, in f32: attention in blocks, linear layers and
//! convolutions with what follows them.
//!
//! Kernels are written once, over vectors of sixteen (`simd`); `vectorised` compiles them for each kind of processor and
//! chooses at run time, and the same source serves wasm. Each has a slow oracle beside its test in
//! `tests/core/kernels.rs`.

/// Defines a function whose body is compiled for every [`Level`] and chosen when it is called. The body must be
/// `#[inline(always)]`, or it is not compiled anew; it may name the type `S`, what sixteen numbers are in.
macro_rules! vectorised {
    (@ [$($unsafe:tt)*] [$(#[$doc:meta])*] $vis:vis $name:ident [$($arg:ident: $ty:ty),*] [$($out:ty)?] $body:path) => {
        $(#[$doc])*
        $vis $($unsafe)* fn $name($($arg: $ty),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx2,fma,f16c")]
                $($unsafe)* fn widest($($arg: $ty),*) $(-> $out)? {
                    #[allow(dead_code)]
                    type S = $crate::kernels::simd::Avx512;
                    #[allow(unused_unsafe)]
                    // SAFETY: by this function's contract, if it has one.
                    unsafe { $body($($arg),*) }
                }
                #[target_feature(enable = "avx2,fma,f16c")]
                $($unsafe)* fn wide($($arg: $ty),*) $(-> $out)? {
                    #[allow(dead_code)]
                    type S = $crate::kernels::simd::Avx2;
                    #[allow(unused_unsafe)]
                    // SAFETY: by this function's contract, if it has one.
                    unsafe { $body($($arg),*) }
                }
                match $crate::kernels::level::level() {
                    $crate::kernels::Level::Avx512
                    | $crate::kernels::Level::Vnni
                    | $crate::kernels::Level::Amx => {
                        // SAFETY: the processor has what the function needs.
                        return unsafe { widest($($arg),*) };
                    }
                    // SAFETY: as above.
                    $crate::kernels::Level::Avx2 => return unsafe { wide($($arg),*) },
                    _ => {}
                }
            }
            #[cfg(target_arch = "aarch64")]
            if $crate::kernels::level::level() != $crate::kernels::Level::Plain {
                #[allow(dead_code)]
                type S = $crate::kernels::simd::Neon;
                #[allow(unused_unsafe)]
                // SAFETY: by this function's contract, if it has one.
                return unsafe { $body($($arg),*) };
            }
            #[allow(dead_code)]
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            type S = $crate::kernels::simd::Simd128;
            #[allow(dead_code)]
            #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
            type S = $crate::kernels::simd::Plain;
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

mod amx;
mod attention;
mod blocks;
mod convolution;
mod dots;
mod integers;
mod laid;
mod lay;
mod level;
mod math;
#[cfg(target_arch = "x86_64")]
mod narrow;
mod pack;
mod panels;
pub mod pool;
mod room;
mod rows;
mod shared;
mod simd;
mod store;
#[cfg(target_arch = "x86_64")]
mod strassen;
mod tile;

#[cfg(target_arch = "x86_64")]
pub use attention::rounded_attention_on_tiles;
pub use attention::{IntegerHeads, attention, attention_on_tiles, attention_to_integers, rounded_attention};
pub(crate) use attention::{Seen, attention_of};
pub use convolution::Convolution;
pub(crate) use dots::Dots;
pub(crate) use laid::laid_out;
pub use level::{Level, level, limit};
pub(crate) use math::{ROUND, lstm, sigmoid, softmax};
pub use math::{log_sum_exp, max};
pub use pack::{Kept, Part, Products, Written};
pub use panels::Panels;
pub(crate) use rows::{add, cast, layer_norm, on_device};

use candle_core::{CpuStorage, Layout, Result, bail};

vectorised!(
    /// Σ x·w over the shorter of the two.
    pub(crate) fn dot(x: &[f32], w: &[f32]) -> f32 = math::dot::<S, f32>
);

/// Values of a contiguous f32 tensor.
fn contiguous<'a>(op: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage.as_slice::<f32>()?, layout.contiguous_offsets()) {
        (values, Some((start, end))) => Ok(&values[start..end]),
        (_, None) => bail!("{op}: the tensor is not contiguous"),
    }
}

/// The same to write to.
fn values_mut<'a>(op: &str, storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&mut values[start..end]),
        _ => bail!("{op}: contiguous f32 expected"),
    }
}
