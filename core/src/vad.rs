//! Voice activity: where in a recording somebody speaks, so that silence and noise are neither computed nor made words
//! of. The network is Silero VAD (MIT, PyPI `silero-vad`), its weights are bundled (feature `vad`) or given.

use serde::{Deserialize, Serialize};

use crate::audio::{SAMPLE_RATE, Waveform};
use crate::error::{Error, Result};

mod network;
mod spans;
mod timeline;

pub use network::{CHUNK, Vad};
pub use spans::spans;
pub use timeline::Timeline;

/// A stretch of samples in which somebody speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First sample.
    pub start: usize,
    /// After the last one.
    pub end: usize,
}

/// What counts as speech. Names are Silero's, defaults those that faster-whisper found good for transcribing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VadOptions {
    /// From this probability on it is speech; it ends 0.15 below.
    pub threshold: f64,
    /// Shorter speech is none.
    pub min_speech_duration_ms: f64,
    /// Longer speech is cut, at its longest silence of 98 ms or more if it has one. None for no limit.
    pub max_speech_duration_s: Option<f64>,
    /// Speech goes on over shorter silences.
    pub min_silence_duration_ms: f64,
    /// Kept before and after speech.
    pub speech_pad_ms: f64,
}

impl Default for VadOptions {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            min_speech_duration_ms: 0.0,
            max_speech_duration_s: None,
            min_silence_duration_ms: 2000.0,
            speech_pad_ms: 400.0,
        }
    }
}

impl VadOptions {
    /// Checks the limits.
    ///
    /// # Errors
    /// If one is out of range; it is named.
    pub fn validate(&self) -> Result<()> {
        let bad = |what: String| Err(Error::Options(what));
        if !(0.0..=1.0).contains(&self.threshold) {
            return bad(format!("`vad threshold` must be from 0 to 1, not {}", self.threshold));
        }
        for (name, ms) in [
            ("min_speech_duration_ms", self.min_speech_duration_ms),
            ("min_silence_duration_ms", self.min_silence_duration_ms),
            ("speech_pad_ms", self.speech_pad_ms),
        ] {
            if !(ms >= 0.0 && ms.is_finite()) {
                return bad(format!("`vad {name}` must be 0 or more, not {ms}"));
            }
        }
        match self.max_speech_duration_s {
            Some(seconds) if seconds < 1.0 || seconds.is_nan() => {
                bad(format!("`vad max_speech_duration_s` must be 1 or more, not {seconds}"))
            }
            _ => Ok(()),
        }
    }
}

/// Where somebody speaks in a recording that `vad` has heard nothing of yet.
///
/// # Errors
/// If an option is out of range.
pub fn speech(mut vad: Vad, audio: &Waveform, options: &VadOptions) -> Result<Vec<Span>> {
    options.validate()?;
    let probabilities = vad.probabilities(audio.samples())?;
    Ok(spans(&probabilities, audio.samples().len(), options))
}

/// Samples in so many milliseconds.
pub(crate) fn samples(ms: f64) -> usize {
    (ms * SAMPLE_RATE as f64 / 1000.0) as usize
}
