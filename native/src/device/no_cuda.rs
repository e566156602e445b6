//! CUDA in a build without it.

use candle_core::Device;

/// Whether this build has CUDA.
pub const BUILT: bool = false;

/// Says why there is no device.
pub fn open(_number: usize) -> Result<Device, String> {
    Err("this program was built without CUDA (`--features cuda`)".into())
}
