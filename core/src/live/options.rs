//! How a live transcription listens and decodes.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::options::{DecodingOptions, Task, TranscribeOptions};
use crate::vad::VadOptions;

/// Options of [`super::Live`]; what has a name in [`TranscribeOptions`] means the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LiveOptions {
    /// Transcribe or translate.
    pub task: Task,
    /// Code or English name of the language spoken; detected in the first two seconds of speech if `None`.
    pub language: Option<String>,
    /// Text to prompt the first words with.
    pub initial_prompt: Option<String>,
    /// Beams; greedy if `None`.
    pub beam_size: Option<usize>,
    /// Tried in turn where speech ends until a decoding passes the thresholds; before that only the first is.
    pub temperatures: Vec<f64>,
    /// A decoding whose text compresses better than this repeats itself, and none of it is confirmed.
    pub compression_ratio_threshold: Option<f64>,
    /// A decoding with a lower mean log-probability has failed.
    pub logprob_threshold: Option<f64>,
    /// More probably silent than this, and failed: nothing was said.
    pub no_speech_threshold: Option<f64>,
    /// Start of the random numbers that sampling uses.
    pub seed: u64,
    /// Seconds of new audio between two decodings; more if decoding takes long.
    pub min_chunk_s: f64,
    /// What counts as speech; after `min_silence_duration_ms` without, all that was said is confirmed. Speech of any length goes on:
    /// `max_speech_duration_s` is not taken.
    pub vad: VadOptions,
}

impl Default for LiveOptions {
    fn default() -> Self {
        let TranscribeOptions {
            temperatures,
            compression_ratio_threshold,
            logprob_threshold,
            no_speech_threshold,
            seed,
            ..
        } = TranscribeOptions::default();
        Self {
            task: Task::Transcribe,
            language: None,
            initial_prompt: None,
            beam_size: None,
            temperatures,
            compression_ratio_threshold,
            logprob_threshold,
            no_speech_threshold,
            seed,
            min_chunk_s: 1.0,
            vad: VadOptions { min_silence_duration_ms: 700.0, ..VadOptions::default() },
        }
    }
}

impl LiveOptions {
    /// Checks what is not checked by those of a window.
    ///
    /// # Errors
    /// If an option has a value that can't be used; it is named.
    pub fn validate(&self) -> Result<()> {
        if !(0.1..=10.0).contains(&self.min_chunk_s) {
            return Err(Error::Options(format!("`min_chunk_s` must be 0.1 to 10, not {}", self.min_chunk_s)));
        }
        if self.vad.max_speech_duration_s.is_some() {
            let why = "`vad max_speech_duration_s` has no meaning in a live transcription: leave it out";
            return Err(Error::Options(why.into()));
        }
        self.vad.validate()?;
        self.of_windows().validate()
    }

    /// The same for the decoding of a window.
    pub(super) fn of_windows(&self) -> TranscribeOptions {
        TranscribeOptions {
            temperatures: self.temperatures.clone(),
            compression_ratio_threshold: self.compression_ratio_threshold,
            logprob_threshold: self.logprob_threshold,
            no_speech_threshold: self.no_speech_threshold,
            seed: self.seed,
            decode: DecodingOptions {
                task: self.task,
                language: self.language.clone(),
                beam_size: self.beam_size,
                // What is confirmed is a prefix, which timestamps would have to follow; words have their times by alignment.
                without_timestamps: true,
                // After a prefix the text may end at once.
                suppress_blank: false,
                ..DecodingOptions::default()
            },
            ..TranscribeOptions::default()
        }
    }
}
