//! CUDA in a build without it.

use std::sync::Arc;

use candle_core::Device;
use candle_whisper_core::Result as WhisperResult;
use candle_whisper_core::dims::{Head, ModelDimensions};
use candle_whisper_core::model::{Model, Whisper};
use candle_whisper_core::weights::Weights;

use crate::memory::Memory;

/// Whether this build has CUDA.
pub const BUILT: bool = false;

/// Says why there is no device.
pub fn open(_number: usize) -> Result<Device, String> {
    Err("this program was built without CUDA (`--features cuda`)".into())
}

/// Loads a network.
///
/// # Errors
/// If a tensor is missing or has another shape.
pub fn network(dims: ModelDimensions, heads: Vec<Head>, weights: &Weights) -> WhisperResult<Arc<dyn Model>> {
    Ok(Arc::new(Whisper::load(dims, heads, weights)?))
}

/// There is no device to ask.
pub fn memory(_device: &Device) -> Option<Memory> {
    None
}
