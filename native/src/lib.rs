//! candle-whisper, native.

pub mod load;

pub use candle_whisper_core as core;
