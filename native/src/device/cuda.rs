//! CUDA in a build that has it; a machine without a usable GPU gets a reason instead of a panic.

use std::panic::{self, catch_unwind};

use candle_core::Device;

use crate::memory::Memory;

/// Whether this build has CUDA.
pub const BUILT: bool = true;

/// Opens the CUDA device of this number; the error is one line.
pub fn open(number: usize) -> Result<Device, String> {
    // Where the driver's library is missing altogether, the bindings panic.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let opened = catch_unwind(|| Device::new_cuda(number));
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

/// What the device has and what is free on it now; `None` for the CPU.
pub fn memory(device: &Device) -> Option<Memory> {
    let stream = device.as_cuda_device().ok()?.cuda_stream();
    let (available, total) = stream.context().mem_get_info().ok()?;
    Some(Memory { total: total as u64, available: available as u64 })
}
