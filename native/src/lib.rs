//! candle-whisper, native: files, models, devices and the terminal around [`candle_whisper_core`].
//!
//! The program `candle-whisper` reads as a line: what was typed ([`cli`]) is checked and becomes [`options`] and a
//! [`job`]; [`run`] takes each recording from its file to its transcript while [`progress`] watches, and [`output`]
//! puts the transcript where it belongs. Words for people go through [`messages`] to stderr, transcripts alone
//! to stdout.
//!
//! As a library, the short way is [`transcribe`]; [`preload_model`] gives a [`Transcriber`] for more:
//!
//! ```
//! use candle_whisper::core::{TranscribeOptions, Waveform, observer::Silent};
//!
//! let whisper = candle_whisper::preload_model("tiny.en")?;
//! let silence = Waveform::new(vec![0.0; 16_000]);
//! let options = TranscribeOptions { word_timestamps: true, ..Default::default() };
//! let transcript = whisper.run(&silence, options, &mut Silent)?;
//! assert_eq!(transcript.language, "en");
//! # anyhow::Ok(())
//! ```

pub mod ahead;
pub mod align;
mod alone;
pub mod cache;
pub mod cli;
pub mod device;
pub mod engine;
pub mod hub;
pub mod input;
pub mod interrupt;
pub mod job;
pub mod journal;
pub mod kept;
pub mod live;
pub mod load;
pub mod locate;
pub mod mark;
pub mod memory;
pub mod messages;
pub mod models;
pub mod options;
mod order;
pub mod output;
pub mod program;
pub mod progress;
pub mod run;
pub mod together;

pub use cache::{evict_model, preload_model, transcribe};
pub use candle_whisper_core as core;
pub use candle_whisper_core::Transcriber;
