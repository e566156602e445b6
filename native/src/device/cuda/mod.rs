//! CUDA in a build that has it; a machine without a usable GPU gets a reason instead of a panic.

use std::panic::{self, catch_unwind};
use std::sync::Arc;

use candle_core::{CudaDevice, Device};
use candle_whisper_core::Result as WhisperResult;
use candle_whisper_core::dims::{Head, ModelDimensions};
use candle_whisper_core::model::{Model, Whisper};
use candle_whisper_core::weights::Weights;

use crate::memory::Memory;

mod arguments;
mod beside;
mod choice;
mod decoder;
mod encoder;
mod launch;
mod network;
mod state;
mod weights;

pub use network::GpuWhisper;

/// Whether this build has CUDA.
pub const BUILT: bool = true;

/// Opens the CUDA device of this number; the error is one line.
pub fn open(number: usize) -> Result<Device, String> {
    // Where the driver's library is missing altogether, the bindings panic.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let opened = catch_unwind(|| new(number));
    panic::set_hook(hook);
    match opened {
        Ok(Ok(device)) => Ok(device),
        Ok(Err(error)) => {
            let error = error.to_string();
            let line = error.lines().next().unwrap_or("unknown error").trim();
            Err(format!("CUDA device {number} can't be used ({line})"))
        }
        Err(_) => Err("no CUDA driver was found".into()),
    }
}

/// A device with one stream for all threads; candle's own has another for each, between which nothing waits.
fn new(number: usize) -> candle_core::Result<Device> {
    let gpu = CudaDevice::new_with_stream(number)?;
    // SAFETY: what is on this device is used on this stream alone, recorded steps too; `beside` has a stream of its own, and
    // says what waits for what.
    unsafe { gpu.disable_event_tracking() };
    Ok(Device::Cuda(gpu))
}

/// Loads a network to where its weights go: with kernels of its own where they can compute it, else on candle's operations.
///
/// # Errors
/// If a tensor is missing or has another shape, or the device fails.
pub fn network(dims: ModelDimensions, heads: Vec<Head>, weights: &Weights) -> WhisperResult<Arc<dyn Model>> {
    Ok(if GpuWhisper::can(&dims, weights) {
        Arc::new(GpuWhisper::load(dims, heads, weights)?)
    } else {
        Arc::new(Whisper::load(dims, heads, weights)?)
    })
}

/// What the device has and what is free on it now; `None` for the CPU.
pub fn memory(device: &Device) -> Option<Memory> {
    let stream = device.as_cuda_device().ok()?.cuda_stream();
    let (available, total) = stream.context().mem_get_info().ok()?;
    Some(Memory { total: total as u64, available: available as u64 })
}
