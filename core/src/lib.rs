//! OpenAI's Whisper on Candle, without I/O.

pub mod align;
pub mod attention;
pub mod audio;
pub mod compression;
pub mod decoding;
pub mod dims;
pub mod error;
pub mod guards;
pub mod kernels;
pub mod kv_cache;
pub mod languages;
pub mod linear;
pub mod live;
#[cfg(feature = "media")]
pub mod media;
pub mod mel;
pub mod memory;
pub mod model;
pub mod observer;
pub mod options;
pub mod recording;
pub mod timing;
pub mod tokenizer;
pub mod transcribe;
pub mod transcript;
pub mod vad;
pub mod weights;
pub mod writers;

pub use audio::Waveform;
pub use error::{Error, Result};
pub use observer::{Event, Observer};
pub use options::{DecodingOptions, Task, TranscribeOptions};
pub use recording::Recording;
pub use transcribe::{Transcriber, Transcription};
pub use transcript::{Segment, Transcript, Word};
