//! Reasons to doubt what the network wrote. A reason alone takes nothing away: what meets some is heard again in other ways,
//! and what nobody said, by two of them, is left out. [`crate::transcribe`] has what follows from them.

use serde::{Deserialize, Serialize};

mod loops;
mod phantoms;

pub(crate) use loops::SPARE_TOKENS;
pub use loops::longest_loop;
pub use phantoms::is_phantom;

/// What speaks against a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Check {
    /// It compresses better than `compression_ratio_threshold`.
    CompressionRatio,
    /// The same tokens come three times or more, one after the other, and nothing new for long.
    RepeatedNgrams,
    /// Its log-probability is below `logprob_threshold`.
    Logprob,
    /// The window is more probably silent than one that holds speech.
    NoSpeech,
    /// Voice activity detection hears nobody there.
    VadSilence,
    /// The attention stays in one place for most of the words.
    Attention,
    /// It is what Whisper is known to write in silence, or no word.
    PhantomPhrase,
}

impl Check {
    /// Whether it alone makes a reading worse than another.
    pub fn is_severe(self) -> bool {
        !matches!(self, Self::NoSpeech | Self::PhantomPhrase)
    }
}

/// How a window was decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum How {
    /// As the options say, at one of their temperatures.
    Ladder,
    /// At the first temperature, without the text before it.
    WithoutPrompt,
    /// At the second temperature, without it.
    HigherTemperature,
    /// At the first temperature, without it, and only up to a pause of speech.
    ShorterWindow,
}

/// One of several decodings of a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// How it came about.
    pub how: How,
    /// Its temperature.
    pub temperature: f64,
    /// Mean log-probability of its tokens.
    pub avg_logprob: f64,
    /// UTF-8 bytes of its text by the bytes zlib makes of them.
    pub compression_ratio: f64,
    /// What speaks against it.
    pub checks: Vec<Check>,
    /// What it says.
    pub text: String,
}

/// Why a reading was preferred to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// It passed the thresholds.
    Passed,
    /// Less speaks against it.
    FewestChecks,
    /// No more speaks against it than against the others, and it is the most probable.
    HighestLogprob,
}

/// The decodings of a window, in the order in which they were tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Readings {
    /// At least two.
    pub tried: Vec<Reading>,
    /// Which of them is the transcript.
    pub kept: usize,
    /// Why it is that one.
    pub why: Why,
}

/// Text that was taken for made up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Seconds from the start of the recording.
    pub start: f64,
    /// Seconds from the start of the recording.
    pub end: f64,
    /// What was written there.
    pub text: String,
    /// What speaks against it.
    pub checks: Vec<Check>,
}
