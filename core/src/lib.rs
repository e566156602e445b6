//! OpenAI's Whisper on Candle, without I/O.

pub mod audio;
pub mod error;
#[cfg(feature = "media")]
pub mod media;
pub mod observer;
pub mod options;
pub mod transcript;

pub use audio::Waveform;
pub use error::{Error, Result};
pub use observer::{Event, Observer};
pub use options::{DecodingOptions, Task, TranscribeOptions};
pub use transcript::{Segment, Transcript, Word};
