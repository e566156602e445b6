//! Which options go together, and the tokens they stand for.

use crate::error::{Error, Result};
use crate::model::Model;
use crate::options::{DecodingOptions, Task};
use crate::tokenizer::Tokenizer;

impl DecodingOptions {
    /// Checks the options against each other.
    ///
    /// # Errors
    /// If two exclude each other, or one has a value that can't be used.
    pub fn validate(&self) -> Result<()> {
        let bad = |why: &str| Err(Error::Options(why.to_owned()));
        if self.beam_size.is_some() && self.best_of.is_some() {
            return bad("`beam_size` and `best_of` can't be given together");
        }
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return bad("`temperature` must be 0 or more");
        }
        if self.temperature == 0.0 && self.best_of.is_some() {
            return bad("`best_of` needs a `temperature` above 0");
        }
        if self.temperature > 0.0 && self.beam_size.is_some() {
            return bad("`beam_size` needs `temperature` 0");
        }
        if self.patience.is_some() && self.beam_size.is_none() {
            return bad("`patience` requires `beam_size` to be given");
        }
        if self.length_penalty.is_some_and(|alpha| !(0.0..=1.0).contains(&alpha)) {
            return bad("`length_penalty` (alpha) should be a value between 0 and 1");
        }
        if self.beam_size == Some(0) || self.best_of == Some(0) || self.sample_len == Some(0) {
            return bad("`beam_size`, `best_of` and `sample_len` must be 1 or more");
        }
        if self.beam_size.or(self.best_of).is_some_and(|n| n > 1000) {
            return bad("`beam_size` and `best_of` can be 1000 at most");
        }
        let candidates = self.patience.map(|p| (self.beam_size.unwrap_or(1) as f64 * p).round_ties_even());
        if candidates.is_some_and(|n| !(1.0..=1e6).contains(&n)) {
            return bad("`patience` times `beam_size` must round to 1 or more");
        }
        if self.max_initial_timestamp.is_some_and(|t| !(0.0..=30.0).contains(&t)) {
            return bad("`max_initial_timestamp` must be between 0 and 30 seconds");
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return bad("`repetition_penalty` must be above 0");
        }
        Ok(())
    }
}

/// Previous text, start, language, task, and the beginning of the transcript.
pub(super) fn initial_tokens(
    model: &dyn Model,
    tokenizer: &Tokenizer,
    options: &DecodingOptions,
    sample_len: usize,
) -> Result<Vec<u32>> {
    let n_ctx = model.dims().n_text_ctx;
    if !tokenizer.is_multilingual() && options.task == Task::Translate {
        return Err(Error::Options("this model knows only English, so it can't translate".into()));
    }
    // With the language still to be detected, English holds its place.
    let mut tokens = tokenizer.sot_sequence(options.language.as_deref().unwrap_or("en"), options.task)?;
    if options.without_timestamps {
        tokens.push(tokenizer.special().no_timestamps);
    }
    if let Some(prefix) = &options.prefix {
        let prefix = tokenizer.encode_given(prefix)?;
        // With the default `sample_len` no room is reserved and nothing is cut.
        let room = (n_ctx / 2).saturating_sub(sample_len);
        let cut = if room == 0 { 0 } else { prefix.len().saturating_sub(room) };
        tokens.extend(&prefix[cut..]);
    }
    if let Some(prompt) = &options.prompt {
        let prompt = tokenizer.encode_given(prompt)?;
        if !prompt.is_empty() {
            let cut = prompt.len().saturating_sub(n_ctx / 2 - 1);
            tokens.splice(
                0..0,
                std::iter::once(tokenizer.special().sot_prev).chain(prompt[cut..].iter().copied()),
            );
        }
    }
    if tokens.len() >= n_ctx {
        return Err(Error::Options(format!(
            "`prefix` and `prompt` fill the model's {n_ctx} positions; shorten `prefix`"
        )));
    }
    Ok(tokens)
}

/// Ids never to sample: those given, -1 standing for the non-speech symbols, and the special tokens.
pub(super) fn suppress_tokens(
    model: &dyn Model,
    tokenizer: &Tokenizer,
    options: &DecodingOptions,
) -> Result<Vec<u32>> {
    let Some(given) = options.suppress_tokens.as_ref().filter(|given| !given.is_empty()) else {
        return Ok(Vec::new());
    };
    let mut tokens = Vec::new();
    for &id in given {
        match u32::try_from(id) {
            Ok(id) if (id as usize) < model.dims().n_vocab => tokens.push(id),
            Err(_) if id == -1 => tokens.extend(tokenizer.non_speech_tokens()),
            _ => {
                return Err(Error::Options(format!(
                    "`suppress_tokens`: there is no token `{id}`; the vocabulary has {}",
                    model.dims().n_vocab
                )));
            }
        }
    }
    let special = tokenizer.special();
    tokens.extend([
        special.transcribe,
        special.translate,
        special.sot,
        special.sot_prev,
        special.sot_lm,
        special.no_speech,
    ]);
    tokens.sort_unstable();
    tokens.dedup();
    Ok(tokens)
}
