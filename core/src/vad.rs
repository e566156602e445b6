//! Voice activity: where in a recording somebody speaks, so that silence and noise are neither computed nor made words
//! of. The network is Silero VAD (MIT, PyPI `silero-vad`), its weights are bundled (feature `vad`) or given.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::audio::{SAMPLE_RATE, Waveform};
use crate::error::{Error, Result};
use crate::recording::Blocks;

mod network;
mod spans;
mod timeline;

use network::{AT_ONCE, MOST_PARTS};
pub use network::{CHUNK, Vad};
use spans::Spans;
pub use spans::spans;
pub use timeline::Timeline;

/// A stretch of samples in which somebody speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// The same of a recording that is read block by block. `told` hears how many samples were read; `None` if it breaks.
///
/// # Errors
/// If an option is out of range, or the recording can't be read.
pub fn listen(
    vad: Vad,
    blocks: &mut dyn Blocks,
    options: &VadOptions,
    told: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Heard>> {
    let heard = listen_by(vad, blocks, std::slice::from_ref(options), told)?;
    Ok(heard.and_then(|heard| heard.into_iter().next()))
}

/// The same by several sets of limits: the recording is read once, and heard once. There are as many answers.
///
/// # Errors
/// As [`listen`].
pub fn listen_by(
    mut vad: Vad,
    blocks: &mut dyn Blocks,
    options: &[VadOptions],
    told: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Vec<Heard>>> {
    options.iter().try_for_each(VadOptions::validate)?;
    let mut spans: Vec<Spans> = options.iter().map(Spans::new).collect();
    let mut found = |probability| spans.iter_mut().for_each(|spans| spans.push(probability));
    // As many at once as of a whole recording, so that its probabilities are the same to the last bit.
    let each = AT_ONCE * CHUNK;
    let at_once = rayon::current_num_threads().min(MOST_PARTS) * each;
    let (mut samples, mut n_samples) = (Vec::with_capacity(at_once), 0);
    let mut gates = Vec::new();
    loop {
        let block = blocks.next_block()?;
        let at_end = block.is_none();
        let read = n_samples + samples.len();
        samples.extend_from_slice(block.unwrap_or_default());
        let now_read = n_samples + samples.len();
        let n = if at_end { samples.len() } else { samples.len() / at_once * at_once };
        if n > 0 {
            gates = vad.go_on(gates, &samples[..n], &mut found);
            samples.drain(..n);
            n_samples += n;
        }
        if at_end {
            vad.go_on(gates, &[], &mut found);
            let heard = spans.into_iter().map(|spans| Heard { spans: spans.finish(n_samples), n_samples });
            return Ok(Some(heard.collect()));
        }
        if now_read / each > read / each && told(now_read).is_break() {
            return Ok(None);
        }
    }
}

/// What voice activity is known of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Where somebody speaks.
    pub spans: Vec<Span>,
    /// Samples in the recording.
    pub n_samples: usize,
}

/// Samples in so many milliseconds.
pub(crate) fn samples(ms: f64) -> usize {
    (ms * SAMPLE_RATE as f64 / 1000.0) as usize
}
