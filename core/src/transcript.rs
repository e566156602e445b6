//! What a transcription gives: plain data with public fields. Writers are functions of it.

use serde::{Deserialize, Serialize};

use crate::guards::{Check, LeftOut, Readings};

/// The text of a whole recording.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// All text tokens decoded together, in order.
    pub text: String,
    /// In the order of time.
    pub segments: Vec<Segment>,
    /// Code of the language spoken, such as `en`.
    pub language: String,
    /// What was taken for made up, if the guards are on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// A phrase with its times and the scores of the window it comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Position in [`Transcript::segments`].
    pub id: usize,
    /// Start of the window it was decoded in, in mel frames (10 ms).
    pub seek: usize,
    /// Seconds from the start of the recording.
    pub start: f64,
    /// Seconds from the start of the recording.
    pub end: f64,
    /// The text, with the space it begins with.
    pub text: String,
    /// Token ids, the timestamps at both ends included.
    pub tokens: Vec<u32>,
    /// Temperature of the accepted decoding.
    pub temperature: f64,
    /// Mean log-probability of the window's tokens, end-of-text included.
    pub avg_logprob: f64,
    /// UTF-8 bytes of the window's text by the bytes zlib makes of them.
    pub compression_ratio: f64,
    /// Probability of `<|nospeech|>` at the window's start.
    pub no_speech_prob: f64,
    /// With `word_timestamps`, the words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<Word>>,
    /// Code of its language, where every window's was detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What speaks against it, if the guards are on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// What else its window was taken for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readings: Option<Box<Readings>>,
}

/// A word with its times.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// The text, with the space and the punctuation that belong to it.
    pub word: String,
    /// Seconds from the start of the recording.
    pub start: f64,
    /// Seconds from the start of the recording.
    pub end: f64,
    /// Mean probability of its tokens.
    pub probability: f64,
}
