//! Whether somebody speaks, chunk by chunk: the rules of [`crate::vad::spans`], told as they happen.

use crate::error::Result;
use crate::vad::{CHUNK, Vad, VadOptions, samples};

/// Speech ends so far below the threshold at which it begins.
const HYSTERESIS: f64 = 0.15;

/// What a chunk means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nobody speaks.
    Silence,
    /// Somebody speaks, or may go on.
    Speech,
    /// Speech ended at this sample.
    End(u64),
    /// What seemed to be speech was too short.
    Nothing,
}

/// Listens for speech.
#[derive(Debug, Clone)]
pub(super) struct Listener {
    fresh: Vad,
    vad: Vad,
    options: VadOptions,
    /// Sample at which speech began, if there is any.
    since: Option<u64>,
    silent_since: Option<u64>,
}

impl Listener {
    pub(super) fn new(vad: Vad, options: VadOptions) -> Self {
        Self { fresh: vad.clone(), vad, options, since: None, silent_since: None }
    }

    /// Whether somebody speaks, as far as is known.
    pub(super) fn speech(&self) -> bool {
        self.since.is_some()
    }

    /// Samples to keep before and after speech.
    pub(super) fn pad(&self) -> usize {
        samples(self.options.speech_pad_ms)
    }

    /// Forgets what it heard.
    pub(super) fn reset(&mut self) {
        (self.vad, self.since, self.silent_since) = (self.fresh.clone(), None, None);
    }

    /// Hears the next chunk, which begins with sample `at`; a shorter one ends the recording. chunk: (≤ 512)
    pub(super) fn hear(&mut self, at: u64, chunk: &[f32]) -> Result<Heard> {
        let probability = self.vad.probabilities(chunk)?.first().copied().map_or(0.0, f64::from);
        let Some(since) = self.since else {
            if probability < self.options.threshold {
                return Ok(Heard::Silence);
            }
            (self.since, self.silent_since) = (Some(at), None);
            return Ok(Heard::Speech);
        };
        if probability >= self.options.threshold {
            self.silent_since = None;
        } else if probability < (self.options.threshold - HYSTERESIS).max(0.01) {
            let silent = *self.silent_since.get_or_insert(at);
            if at + CHUNK as u64 >= silent + samples(self.options.min_silence_duration_ms) as u64 {
                (self.since, self.silent_since) = (None, None);
                let long_enough = silent - since > samples(self.options.min_speech_duration_ms) as u64;
                return Ok(if long_enough { Heard::End(silent) } else { Heard::Nothing });
            }
        }
        Ok(Heard::Speech)
    }
}
