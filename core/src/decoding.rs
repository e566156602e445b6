//! From encoded audio to the tokens of one window (openai/whisper, `whisper/decoding.py`).
//!
//! [`DecodingTask`] chooses its parts from the options, filters, a token decoder and a ranker, and then runs a
//! loop that never changes. Rows of a batch are the candidates of each piece of audio, audio by audio.

use std::borrow::Cow;
use std::ops::ControlFlow;

use candle_core::{Device, Tensor};

use crate::audio::CHUNK_LENGTH;
use crate::compression::compression_ratio;
use crate::error::{Error, Result};
use crate::kernels;
use crate::model::{AudioFeatures, Model};
use crate::options::DecodingOptions;
use crate::tokenizer::Tokenizer;

pub mod filters;
mod language;
mod options;
mod ranker;
pub mod repeats;
pub mod samplers;

pub(crate) use language::most_probable;
pub use language::{LanguageProbability, detect_language};
pub use ranker::best_candidate;

use filters::{ApplyTimestampRules, LogitFilter, SuppressBlank, SuppressTokens};
use repeats::{NoRepeatNgram, RepetitionPenalty};
use samplers::{Batch, BeamSearchDecoder, Candidate, GreedyDecoder, Step, TokenDecoder};

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
}

/// A part of a batch that is done leaves it when it is as large as one in so many.
const LEAVING: usize = 4;

/// What is still being decoded.
struct Left<'x> {
    /// Numbers of the pieces of audio.
    audios: Vec<usize>,
    xa: Cow<'x, AudioFeatures>,
}

impl Left<'_> {
    fn keep(&self, which: &[usize]) -> Result<Self> {
        let audios = which.iter().map(|&i| self.audios[i]).collect();
        Ok(Self { audios, xa: Cow::Owned(self.xa.select(which)?) })
    }
}

/// Told the leading candidate's sampled tokens after each step; `Break` gives the window up.
pub type OnTokens<'a> = dyn FnMut(&[u32]) -> ControlFlow<()> + 'a;

/// Decodes windows by one set of options.
pub struct DecodingTask<'a> {
    model: &'a dyn Model,
    tokenizer: &'a Tokenizer,
    options: &'a DecodingOptions,
    initial_tokens: Vec<u32>,
    sot_index: usize,
    sample_len: usize,
    filters: Vec<Box<dyn LogitFilter + 'a>>,
}

impl<'a> DecodingTask<'a> {
    /// Checks the options against each other and against the model.
    ///
    /// # Errors
    /// If two options exclude each other, or one has a value that can't be used.
    pub fn new(model: &'a dyn Model, tokenizer: &'a Tokenizer, options: &'a DecodingOptions) -> Result<Self> {
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
        let (mut rows, languages) = self.first_rows(xa)?;
        let n_audio = rows.len();
        if seeds.len() != n_audio {
            return Err(Error::Options(format!("{} seeds for {n_audio} pieces of audio", seeds.len())));
        }
        let n_group = self.options.beam_size.or(self.options.best_of).unwrap_or(1);
        let eot = self.tokenizer.special().eot;
        let mut decoder: Box<dyn TokenDecoder> = match self.options.beam_size {
            Some(beam_size) => Box::new(BeamSearchDecoder::new(beam_size, eot, self.options.patience)),
            None => Box::new(GreedyDecoder::new(self.options.temperature, eot, seeds)),
        };

        let n_ctx = self.model.dims().n_text_ctx;
        let sample_begin = self.initial_tokens.len();
        let capacity = (sample_begin + self.sample_len).min(n_ctx);
        let mut cache = self.model.new_cache(n_audio, capacity)?;
        // The candidates of one piece of audio begin alike, so the prompt is run once for all of them.
        let (mut logits, no_speech_probs) = self.first_logits(&rows, xa, &mut cache)?;
        if n_group > 1 {
            let source: Vec<usize> = (0..n_audio * n_group).map(|row| row / n_group).collect();
            cache.reorder(&source)?;
            rows = source.iter().map(|&row| rows[row].clone()).collect();
            logits = source.iter().flat_map(|&row| self.row(&logits, row).to_vec()).collect();
        }
        let mut batch = Batch::new(rows, n_group);
        let mut left = Left { audios: (0..n_audio).collect(), xa: Cow::Borrowed(xa) };
        let mut groups = vec![Vec::new(); n_audio];
        for step in 0..self.sample_len {
            if step > 0 {
                logits = self.next_logits(&batch, &left.xa, &mut cache)?;
            }
            for (row, tokens) in logits.chunks_exact_mut(self.n_vocab()).zip(&batch.tokens) {
                self.filters.iter().for_each(|filter| filter.apply(row, tokens));
            }
            let Step { mut source_rows, completed } = decoder.update(&mut batch, &logits, self.n_vocab());
            if on_tokens(&batch.tokens[0][sample_begin..]).is_break() {
                return Ok(None);
            }
            if completed || batch.tokens[0].len() > n_ctx {
                break;
            }
            let (done, going): (Vec<usize>, Vec<usize>) =
                (0..left.audios.len()).partition(|&audio| decoder.is_finished(&batch, audio));
            for &i in &done {
                let group = &mut groups[left.audios[i]];
                if group.is_empty() {
                    *group = decoder.candidates(&batch, i);
                }
            }
            // Leaving costs a copy of the cache that the others need.
            if !done.is_empty() && LEAVING * done.len() >= left.audios.len() {
                let rows = going.iter().flat_map(|&audio| batch.rows(audio));
                source_rows = Some(rows.map(|row| source_rows.as_ref().map_or(row, |s| s[row])).collect());
                batch = batch.with(&going);
                decoder.keep(&going);
                left = left.keep(&going)?;
            }
            if let Some(source_rows) = source_rows {
                cache.reorder(&source_rows)?;
            }
        }
        for (&audio, candidates) in left.audios.iter().zip(decoder.finalize(&batch)) {
            if groups[audio].is_empty() {
                groups[audio] = candidates;
            }
        }
        let audio = groups.into_iter().zip(languages).zip(no_speech_probs);
        Ok(Some(audio.map(|((group, language), p)| self.result(group, language, p)).collect()))
    }

    /// Each piece of audio's initial tokens and language.
    fn first_rows(&self, xa: &AudioFeatures) -> Result<(Vec<Vec<u32>>, Vec<String>)> {
        let n_audio = xa.n_audio();
        let mut rows = vec![self.initial_tokens.clone(); n_audio];
        if !self.tokenizer.is_multilingual() {
            return Ok((rows, vec!["en".to_owned(); n_audio]));
        }
        if let Some(language) = &self.options.language {
            let code = self.tokenizer.language_token(language)?.1;
            return Ok((rows, vec![code.to_owned(); n_audio]));
        }
        let mut languages = Vec::with_capacity(n_audio);
        for (row, probabilities) in rows.iter_mut().zip(detect_language(self.model, self.tokenizer, xa)?) {
            let best = most_probable(&probabilities)?;
            row[self.sot_index + 1] = self.tokenizer.language_token(best.code)?.0;
            languages.push(best.code.to_owned());
        }
        Ok((rows, languages))
    }

    fn n_vocab(&self) -> usize {
        self.model.dims().n_vocab
    }

    fn row<'l>(&self, logits: &'l [f32], row: usize) -> &'l [f32] {
        &logits[row * self.n_vocab()..][..self.n_vocab()]
    }

    /// Runs the prompt. -> logits of its last token, (n_audio, n_vocab), and the probability of no speech
    fn first_logits(
        &self,
        rows: &[Vec<u32>],
        xa: &AudioFeatures,
        cache: &mut crate::kv_cache::KvCache,
    ) -> Result<(Vec<f32>, Vec<f64>)> {
        let n_tokens = self.initial_tokens.len();
        let tokens = Tensor::from_vec(rows.concat(), (rows.len(), n_tokens), &Device::Cpu)?;
        let hidden = self.model.decode(&tokens, xa, cache)?; // (n_audio, n_tokens, n_state)
        let logits_at = |index: usize| -> Result<Vec<f32>> {
            let hidden = hidden.narrow(1, index, 1)?.squeeze(1)?.contiguous()?;
            Ok(self.model.project(&hidden)?.flatten_all()?.to_vec1()?)
        };
        let last = logits_at(n_tokens - 1)?;
        let at_sot = if self.sot_index + 1 == n_tokens { last.clone() } else { logits_at(self.sot_index)? };
        let no_speech = self.tokenizer.special().no_speech as usize;
        let probability = |row: &[f32]| f64::from((row[no_speech] - kernels::log_sum_exp(row)).exp());
        let no_speech_probs = at_sot.chunks_exact(self.n_vocab()).map(probability).collect();
        Ok((last, no_speech_probs))
    }

    /// Runs each row's last token. -> (n_batch, n_vocab)
    fn next_logits(
        &self,
        batch: &Batch,
        xa: &AudioFeatures,
        cache: &mut crate::kv_cache::KvCache,
    ) -> Result<Vec<f32>> {
        let last: Vec<u32> = batch.tokens.iter().filter_map(|tokens| tokens.last().copied()).collect();
        let n_batch = last.len();
        let tokens = Tensor::from_vec(last, (n_batch, 1), &Device::Cpu)?;
        let hidden = self.model.decode(&tokens, xa, cache)?.squeeze(1)?;
        Ok(self.model.project(&hidden)?.flatten_all()?.to_vec1()?)
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
            tokens,
            text,
        }
    }
}
