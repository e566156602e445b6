//! The temperature ladder: a window is decoded at rising temperatures until its text can be believed.

use std::ops::ControlFlow;

use crate::decoding::{DecodingResult, DecodingTask};
use crate::error::Result;
use crate::model::{AudioFeatures, Model};
use crate::observer::{Event, FallbackReason, Observer};
use crate::options::{DecodingOptions, MOST_WINDOWS, TranscribeOptions};
use crate::tokenizer::Tokenizer;
use crate::vad::VadOptions;

/// What the thresholds say of a decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Good enough.
    Accept,
    /// Try the next temperature.
    Retry(FallbackReason),
}

/// Applies the three thresholds.
pub fn judge(options: &TranscribeOptions, result: &DecodingResult) -> Verdict {
    let above = |x: f64, threshold: Option<f64>| threshold.is_some_and(|t| x > t);
    let low_logprob = options.logprob_threshold.is_some_and(|t| result.avg_logprob < t);
    if low_logprob && above(result.no_speech_prob, options.no_speech_threshold) {
        return Verdict::Accept; // silence, which no temperature makes clearer
    }
    if above(result.compression_ratio, options.compression_ratio_threshold) {
        Verdict::Retry(FallbackReason::Repetition)
    } else if low_logprob {
        Verdict::Retry(FallbackReason::LowLogprob)
    } else {
        Verdict::Accept
    }
}

/// Whether the window holds no speech: probably silent, and its text is not too probable to be dropped.
pub fn is_silence(options: &TranscribeOptions, result: &DecodingResult) -> bool {
    options.no_speech_threshold.is_some_and(|t| result.no_speech_prob > t)
        && !options.logprob_threshold.is_some_and(|t| result.avg_logprob > t)
}

/// Options at one rung: beams only at 0, several samples only above.
pub fn options_at(options: &DecodingOptions, temperature: f64) -> DecodingOptions {
    let mut options = DecodingOptions { temperature, ..options.clone() };
    if temperature > 0.0 {
        options.beam_size = None;
        options.patience = None;
    } else {
        options.best_of = None;
    }
    options
}

/// Decodes an encoded window at the temperatures that it needs; `None` if the observer stopped it. `seek` is where it starts.
/// The observer is told its text so far.
///
/// # Errors
/// If the device fails.
pub fn decode_with_fallback(
    model: &dyn Model,
    tokenizer: &Tokenizer,
    xa: &AudioFeatures,
    options: &TranscribeOptions,
    seek: usize,
    observer: &mut dyn Observer,
) -> Result<Option<DecodingResult>> {
    let tried = all_readings(model, tokenizer, xa, options, seek, &mut || Ok(false), observer)?;
    Ok(tried.and_then(|mut results| results.pop()))
}

/// The same with all decodings, the one that counts last. Where `is_vain` says so nothing more is tried.
pub(super) fn all_readings(
    model: &dyn Model,
    tokenizer: &Tokenizer,
    xa: &AudioFeatures,
    options: &TranscribeOptions,
    seek: usize,
    is_vain: &mut dyn FnMut() -> Result<bool>,
    observer: &mut dyn Observer,
) -> Result<Option<Vec<DecodingResult>>> {
    let mut results = Vec::new();
    for (rung, &temperature) in options.temperatures.iter().enumerate() {
        let decode = options_at(&options.decode, temperature);
        let seed = seed(options, seek, rung);
        let result = decode_once(model, tokenizer, xa, (&decode, seed), &|_| false, observer)?;
        let Some(result) = result else { return Ok(None) };
        let verdict = judge(options, &result);
        results.push(result);
        let Verdict::Retry(reason) = verdict else { break };
        if rung + 1 == options.temperatures.len() || is_vain()? {
            break;
        }
        if observer.event(Event::Fallback { temperature, reason }).is_break() {
            return Ok(None);
        }
    }
    Ok(Some(results))
}

/// Decodes an encoded window once, by these options and this seed; `None` if the observer stopped it. It ends where `is_vain` says
/// so, as in [`DecodingTask::run_until`].
pub(super) fn decode_once(
    model: &dyn Model,
    tokenizer: &Tokenizer,
    xa: &AudioFeatures,
    (options, seed): (&DecodingOptions, u64),
    is_vain: &dyn Fn(&[u32]) -> bool,
    observer: &mut dyn Observer,
) -> Result<Option<DecodingResult>> {
    let task = DecodingTask::new(model, tokenizer, options)?;
    let mut on_tokens = |tokens: &[u32]| -> ControlFlow<()> {
        observer.event(Event::Text { so_far: &tokenizer.decode(tokens) })
    };
    let results = task.run_until(xa, &[seed], &mut on_tokens, is_vain)?;
    Ok(results.and_then(|mut results| results.pop()))
}

/// Random numbers follow from seed, place and attempt alone, so no state has to be kept between windows.
pub(super) fn seed(options: &TranscribeOptions, seek: usize, attempt: usize) -> u64 {
    mix(mix(options.seed ^ seek as u64) ^ attempt as u64)
}

/// Spreads the bits of a number (the finaliser of splitmix64).
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl TranscribeOptions {
    /// Checks what concerns the whole recording; [`DecodingOptions::validate`] checks the rest.
    ///
    /// # Errors
    /// If an option has a value that can't be used.
    pub fn validate(&self) -> Result<()> {
        let bad = |why: String| Err(crate::error::Error::Options(why));
        if self.temperatures.is_empty() {
            return bad("`temperatures` is empty".into());
        }
        if let Some(t) = self.clip_timestamps.iter().find(|t| !(t.is_finite() && **t >= 0.0)) {
            return bad(format!("`clip_timestamps`: `{t}` is not a time"));
        }
        if self.clip_timestamps.chunks_exact(2).any(|clip| clip[0] >= clip[1]) {
            return bad("`clip_timestamps`: each clip must end after it starts".into());
        }
        if self.hallucination_silence_threshold.is_some() && !self.word_timestamps {
            return bad("`hallucination_silence_threshold` requires `word_timestamps`".into());
        }
        if self.snap_to_speech && !self.word_timestamps {
            return bad("`snap_to_speech` requires `word_timestamps`".into());
        }
        if self.vad.is_some() && self.clip_timestamps.iter().any(|t| *t > 0.0) {
            return bad("`vad` and `clip_timestamps` can't be given together".into());
        }
        self.validate_batch()?;
        self.vad.as_ref().map_or(Ok(()), VadOptions::validate)
    }

    /// Checks `batch`, and what does not go together with it.
    ///
    /// # Errors
    /// If there is any of it.
    pub fn validate_batch(&self) -> Result<()> {
        let Some(batch) = self.batch else { return Ok(()) };
        if !(1..=MOST_WINDOWS).contains(&batch) {
            let why = format!("`batch` must be 1 to {MOST_WINDOWS} windows, not {batch}");
            return Err(crate::error::Error::Options(why));
        }
        // Windows of a batch know nothing of each other.
        let given = [
            (self.condition_on_previous_text, "condition_on_previous_text"),
            (self.hallucination_silence_threshold.is_some(), "hallucination_silence_threshold"),
            (self.clip_timestamps.iter().any(|t| *t > 0.0), "clip_timestamps"),
        ];
        match given.into_iter().find(|(given, _)| *given) {
            Some((_, name)) => {
                Err(crate::error::Error::Options(format!("`batch` and `{name}` can't be given together")))
            }
            None => Ok(()),
        }
    }
}
