//! CUDA in a build without it.

use candle_core::Device;

use crate::memory::Memory;

/// Whether this build has CUDA.
pub const BUILT: bool = false;

/// Says why there is no device.
pub fn open(_number: usize) -> Result<Device, String> {
    Err("this program was built without CUDA (`--features cuda`)".into())
}

/// There is no device to ask.
pub fn memory(_device: &Device) -> Option<Memory> {
    None
}
