//! candle-whisper, native.
