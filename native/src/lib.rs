//! candle-whisper, native.

pub mod load;
pub mod quantise;

pub use candle_whisper_core as core;
