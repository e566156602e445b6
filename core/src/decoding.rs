//! From encoded audio to the tokens of one window (openai/whisper, `whisper/decoding.py`).
//!
//! [`DecodingTask`] chooses its parts from the options, filters, a token decoder and a ranker; the loop over several windows
//! (`places`) never changes.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use crate::audio::{CHUNK_LENGTH, N_FRAMES};
use crate::compression::compression_ratio;
use crate::error::{Error, Result};
use crate::model::{AudioFeatures, Model, Piece};
use crate::options::DecodingOptions;
use crate::tokenizer::Tokenizer;

pub mod choice;
pub mod filters;
mod language;
mod options;
pub(crate) mod places;
mod ranker;
pub mod repeats;
pub mod samplers;

pub(crate) use language::most_probable;
pub use language::{LanguageProbability, detect_language};
pub use ranker::best_candidate;

use filters::{ApplyTimestampRules, LogitFilter, NoBreakingOff, SuppressBlank, SuppressTokens};
use places::{Asker, Wanted};
use repeats::{NoRepeatNgram, RepetitionPenalty};
use samplers::{BeamSearchDecoder, Candidate, GreedyDecoder, TokenDecoder};

/// The text of one window, with its scores.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodingResult {
    /// Sampled tokens, timestamps included, the end of the text not.
    pub tokens: Vec<u32>,
    /// Their text, trimmed.
    pub text: String,
    /// Code of the language.
    pub language: String,
    /// Log-probability per token, the end of the text counted as one.
    pub avg_logprob: f64,
    /// Probability of `<|nospeech|>` at the start.
    pub no_speech_prob: f64,
    /// The temperature it was sampled at.
    pub temperature: f64,
    /// How well zlib compresses the text.
    pub compression_ratio: f64,
    /// Whether the network ended it, and not the room there is for a text.
    pub is_complete: bool,
}

/// Told the leading candidate's sampled tokens after each step; `Break` gives the window up.
pub type OnTokens<'a> = dyn FnMut(&[u32]) -> ControlFlow<()> + 'a;

/// Decodes windows by one set of options. Clones share what it is made of.
#[derive(Clone)]
pub struct DecodingTask<'a> {
    model: &'a dyn Model,
    tokenizer: &'a Tokenizer,
    options: Rc<DecodingOptions>,
    initial_tokens: Vec<u32>,
    sot_index: usize,
    sample_len: usize,
    filters: Rc<[Box<dyn LogitFilter + 'a>]>,
}

impl<'a> DecodingTask<'a> {
    /// Checks the options against each other and against the model.
    ///
    /// # Errors
    /// If two options exclude each other, or one has a value that can't be used.
    pub fn new(model: &'a dyn Model, tokenizer: &'a Tokenizer, options: &DecodingOptions) -> Result<Self> {
        options.validate()?;
        let sample_len = options.sample_len.unwrap_or(model.dims().n_text_ctx / 2);
        let initial_tokens = options::initial_tokens(model, tokenizer, options, sample_len)?;
        let sample_begin = initial_tokens.len();
        let sot = tokenizer.special().sot;
        let sot_index = initial_tokens
            .iter()
            .position(|&t| t == sot)
            .ok_or_else(|| Error::Tokenizer("the start token is missing".into()))?;
        let mut filters: Vec<Box<dyn LogitFilter>> = Vec::new();
        // Before all that forbids: what is forbidden has no logit to be divided.
        if options.repetition_penalty != 1.0 {
            filters.push(Box::new(RepetitionPenalty::new(
                tokenizer,
                sample_begin,
                options.repetition_penalty,
            )));
        }
        if options.no_repeat_ngram_size > 0 {
            filters.push(Box::new(NoRepeatNgram::new(tokenizer, sample_begin, options.no_repeat_ngram_size)));
        }
        if options.suppress_blank {
            filters.push(Box::new(SuppressBlank::new(tokenizer, sample_begin)));
        }
        let suppressed = options::suppress_tokens(model, tokenizer, options)?;
        if !suppressed.is_empty() {
            filters.push(Box::new(SuppressTokens::new(suppressed)));
        }
        if !options.without_timestamps {
            let precision = CHUNK_LENGTH as f64 / model.dims().n_audio_ctx as f64;
            // Python takes 0 for "no limit" too.
            let limit = options.max_initial_timestamp.filter(|&t| t != 0.0);
            let limit = limit.map(|t| (t / precision).round_ties_even() as u32);
            filters.push(Box::new(ApplyTimestampRules::new(tokenizer, sample_begin, limit)));
        }
        let (options, filters) = (Rc::new(options.clone()), filters.into());
        Ok(Self { model, tokenizer, options, initial_tokens, sot_index, sample_len, filters })
    }

    /// Decodes each piece of encoded audio; `None` if `on_tokens` gave up. `seeds` has a number for each of them, from which
    /// all that is random in it follows.
    ///
    /// Pieces that are done leave the batch, so that the others go on faster. Which others there are changes a piece's numbers
    /// by no more than rounding.
    ///
    /// # Errors
    /// If there is not one seed for each piece, or the device fails.
    pub fn run(
        &self,
        xa: &AudioFeatures,
        seeds: &[u64],
        on_tokens: &mut OnTokens<'_>,
    ) -> Result<Option<Vec<DecodingResult>>> {
        self.run_until(xa, seeds, on_tokens, &|_| false)
    }

    /// As [`Self::run`], but a window with one candidate ends where `is_vain` says of its tokens that nothing that follows makes a difference.
    pub(crate) fn run_until(
        &self,
        xa: &AudioFeatures,
        seeds: &[u64],
        on_tokens: &mut OnTokens<'_>,
        is_vain: &dyn Fn(&[u32]) -> bool,
    ) -> Result<Option<Vec<DecodingResult>>> {
        let n_audio = xa.n_audio();
        if seeds.len() != n_audio {
            return Err(Error::Options(format!("{} seeds for {n_audio} pieces of audio", seeds.len())));
        }
        let results = vec![None; n_audio];
        let mut all = AtOnce { task: self, xa, seeds, on_tokens, is_vain, asked: false, results };
        let flow = places::decode(self.model, n_audio, &mut all)?;
        Ok(flow.is_continue().then(|| all.results.into_iter().flatten().collect()))
    }

    /// For a window of so many mel frames of which nobody hears the rest, if it breaks off.
    pub(crate) fn whole(&self, frames: usize) -> Option<NoBreakingOff> {
        let n = frames * self.model.dims().n_audio_ctx / N_FRAMES;
        (!self.options.without_timestamps)
            .then(|| NoBreakingOff::new(self.tokenizer, self.initial_tokens.len(), n))
    }

    /// Candidates of each window.
    fn n_group(&self) -> usize {
        self.options.beam_size.or(self.options.best_of).unwrap_or(1)
    }

    /// Tokens that a row may come to have.
    fn capacity(&self) -> usize {
        (self.initial_tokens.len() + self.sample_len).min(self.model.dims().n_text_ctx)
    }

    /// What chooses a window's tokens.
    fn decoder(&self, seed: u64) -> Box<dyn TokenDecoder> {
        let eot = self.tokenizer.special().eot;
        match self.options.beam_size {
            Some(beam_size) => Box::new(BeamSearchDecoder::new(beam_size, eot, self.options.patience)),
            None => Box::new(GreedyDecoder::new(self.options.temperature, eot, &[seed])),
        }
    }

    fn must_detect(&self) -> bool {
        self.tokenizer.is_multilingual() && self.options.language.is_none()
    }

    /// Code of the language, unless it must be detected.
    fn language(&self) -> Result<String> {
        match &self.options.language {
            Some(language) if self.tokenizer.is_multilingual() => {
                Ok(self.tokenizer.language_token(language)?.1.to_owned())
            }
            _ => Ok("en".to_owned()),
        }
    }

    /// The best of the candidates of one piece of audio.
    fn result(&self, group: Vec<Candidate>, language: String, no_speech_prob: f64) -> DecodingResult {
        let begin = self.initial_tokens.len();
        let eot = self.tokenizer.special().eot;
        let sampled: Vec<Candidate> = group
            .into_iter()
            .map(|Candidate { tokens, sum_logprob }| {
                let tokens = tokens[begin..].iter().copied().take_while(|&t| t != eot).collect();
                Candidate { tokens, sum_logprob }
            })
            .collect();
        let Candidate { tokens, sum_logprob } =
            best_candidate(sampled, self.options.length_penalty).unwrap_or_default();
        let text = self.tokenizer.decode(&tokens).trim().to_owned();
        DecodingResult {
            language,
            avg_logprob: sum_logprob / (tokens.len() + 1) as f64,
            no_speech_prob,
            temperature: self.options.temperature,
            compression_ratio: compression_ratio(&text),
            is_complete: tokens.len() < self.sample_len
                && begin + tokens.len() <= self.model.dims().n_text_ctx,
            tokens,
            text,
        }
    }
}

/// All pieces of audio that there are, at once.
struct AtOnce<'t, 'a> {
    task: &'t DecodingTask<'a>,
    xa: &'t AudioFeatures,
    seeds: &'t [u64],
    on_tokens: &'t mut dyn FnMut(&[u32]) -> ControlFlow<()>,
    is_vain: &'t dyn Fn(&[u32]) -> bool,
    asked: bool,
    results: Vec<Option<DecodingResult>>,
}

impl<'a> Asker<'a> for AtOnce<'_, 'a> {
    fn next(&mut self, _n: usize) -> Result<Vec<Wanted<'a>>> {
        if std::mem::replace(&mut self.asked, true) {
            return Ok(Vec::new());
        }
        let all = self.xa.pieces().iter().zip(self.seeds).enumerate();
        let wanted = |(id, (audio, &seed)): (usize, (&Arc<Piece>, &u64))| Wanted {
            id,
            task: self.task.clone(),
            audio: Arc::clone(audio),
            seed,
            whole: None,
        };
        Ok(all.map(wanted).collect())
    }

    fn on_tokens(&mut self, _id: usize, tokens: &[u32]) -> ControlFlow<()> {
        (self.on_tokens)(tokens)
    }

    fn is_vain(&self, _id: usize, tokens: &[u32]) -> bool {
        (self.is_vain)(tokens)
    }

    fn done(&mut self, id: usize, _audio: Arc<Piece>, result: DecodingResult) -> Result<ControlFlow<()>> {
        self.results[id] = Some(result);
        Ok(ControlFlow::Continue(()))
    }
}
