//! OpenAI's Whisper on Candle, without I/O.

pub mod audio;
pub mod error;
pub mod observer;
pub mod options;
pub mod transcript;

pub use audio::Waveform;
pub use error::{Error, Result};
pub use observer::{Event, Observer};
pub use options::{DecodingOptions, Task, TranscribeOptions};
pub use transcript::{Segment, Transcript, Word};
