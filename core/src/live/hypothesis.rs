//! What may be said in a window: decoded after the words that are confirmed in it, with the times of what follows them.

use candle_core::{Device, Tensor};

use crate::audio::{HOP_LENGTH, N_FRAMES, SAMPLE_RATE, Waveform};
use crate::compression::compression_ratio;
use crate::decoding::{self, DecodingResult};
use crate::error::Result;
use crate::model::AudioFeatures;
use crate::observer::{FallbackReason, Observer};
use crate::options::{TextOrTokens, TranscribeOptions};
use crate::timing::{self, WordOptions, WordTiming};
use crate::transcribe::Transcriber;
use crate::transcribe::encoding::context;
use crate::transcribe::fallback::{self, Verdict};
use crate::transcript::Word;

/// Of the mel frames after a window that the encoder hears, how many are silence; the others are zeros, as they are after the end
/// of a recording.
const SILENCE: usize = 50;
/// Tokens of text per second of speech, more than any language has, and those that shorter speech gets.
const TOKENS_PER_SECOND: f64 = 25.0;
const FEWEST_TOKENS: usize = 16;

/// A word and its tokens.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spoken {
    pub(super) word: Word,
    pub(super) tokens: Vec<u32>,
}

/// What is decoded of a window, and what is known of it.
pub(super) struct Scene<'a> {
    /// Samples of the window, at most 30 s.
    pub(super) samples: &'a [f32],
    /// Seconds before the window.
    pub(super) time_offset: f64,
    /// Tokens of the words that are confirmed in it.
    pub(super) prefix: &'a [u32],
    /// Seconds from the window's start to the end of those.
    pub(super) prefix_end: f64,
    /// Tokens said before the window.
    pub(super) prompt: &'a [u32],
    /// Code of the language.
    pub(super) language: &'a str,
    /// Whether speech has ended, so that there will be no better decoding.
    pub(super) ended: bool,
}

/// What follows the confirmed words.
pub(super) struct Hypothesis {
    pub(super) words: Vec<Spoken>,
    /// Whether it can't be believed: a loop, or silence.
    pub(super) failed: bool,
    pub(super) result: DecodingResult,
}

/// Encodes a window with silence after it, no more of it than it takes.
fn encode(transcriber: &Transcriber, samples: &[f32], whole: bool) -> Result<(AudioFeatures, usize)> {
    let mel = transcriber.log_mel().compute(&Waveform::new(samples.to_vec()))?;
    let n_frames = if whole { N_FRAMES } else { context(mel.content_frames()) };
    let frames = mel.window(0, if whole { n_frames } else { n_frames.min(mel.content_frames() + SILENCE) });
    let rows = frames.chunks_exact(N_FRAMES).flat_map(|row| &row[..n_frames]).copied().collect();
    let mel_window = Tensor::from_vec(rows, (1, mel.n_mels(), n_frames), &Device::Cpu)?;
    Ok((transcriber.model().encode(&mel_window)?, mel.content_frames().min(N_FRAMES)))
}

/// The most probable language of a window.
pub(super) fn language(transcriber: &Transcriber, samples: &[f32]) -> Result<(&'static str, f32)> {
    let (xa, _) = encode(transcriber, samples, true)?;
    let mut probabilities = decoding::detect_language(transcriber.model(), transcriber.tokenizer(), &xa)?;
    let best = decoding::most_probable(&probabilities.swap_remove(0))?;
    Ok((best.code, best.probability))
}

/// Decodes a window; `None` if the observer stopped it.
pub(super) fn decode(
    transcriber: &Transcriber,
    options: &TranscribeOptions,
    scene: &Scene<'_>,
    observer: &mut dyn Observer,
) -> Result<Option<Hypothesis>> {
    let (model, tokenizer) = (transcriber.model(), transcriber.tokenizer());
    let (xa, content_frames) = encode(transcriber, scene.samples, false)?;
    let mut options = options.clone();
    if !scene.ended {
        options.temperatures.truncate(1);
    }
    let seconds = (scene.samples.len() as f64 / SAMPLE_RATE as f64 - scene.prefix_end).max(0.0);
    let room = (model.dims().n_text_ctx / 2).saturating_sub(scene.prefix.len()).max(1);
    let decode = &mut options.decode;
    decode.sample_len = Some(room.min(FEWEST_TOKENS + (seconds * TOKENS_PER_SECOND) as usize));
    decode.language = Some(scene.language.to_owned());
    decode.prefix = Some(TextOrTokens::Tokens(scene.prefix.to_vec())).filter(|_| !scene.prefix.is_empty());
    decode.prompt = Some(TextOrTokens::Tokens(scene.prompt.to_vec()));
    let seek = (scene.time_offset * SAMPLE_RATE as f64) as usize / HOP_LENGTH;
    let decoded = fallback::decode_with_fallback(model, tokenizer, &xa, &options, seek, observer)?;
    let Some(result) = decoded else { return Ok(None) };

    let eot = tokenizer.special().eot;
    let text: Vec<u32> =
        scene.prefix.iter().chain(&result.tokens).copied().filter(|&token| token < eot).collect();
    let repeats = |ratio: f64| options.compression_ratio_threshold.is_some_and(|most| ratio > most);
    let failed = fallback::is_silence(&options, &result)
        || fallback::judge(&options, &result) == Verdict::Retry(FallbackReason::Repetition)
        || repeats(compression_ratio(&tokenizer.decode(&text)));
    let words = WordOptions {
        language: scene.language,
        task: options.decode.task,
        prepend_punctuations: &options.prepend_punctuations,
        append_punctuations: &options.append_punctuations,
        last_speech_timestamp: 0.0,
    };
    let mut timings = timing::find_alignment(model, tokenizer, &xa, &text, content_frames, &words)?;
    timing::merge_punctuations(&mut timings, words.prepend_punctuations, words.append_punctuations);
    let words = after(timings, scene, |tokens| tokenizer.decode(tokens));
    Ok(Some(Hypothesis { words, failed, result }))
}

/// The words after the prefix; what is appended to its last word is one too.
fn after(timings: Vec<WordTiming>, scene: &Scene<'_>, decode: impl Fn(&[u32]) -> String) -> Vec<Spoken> {
    let mut words = Vec::new();
    let mut known = scene.prefix.len();
    for mut timing in timings {
        if timing.tokens.len() <= known {
            known -= timing.tokens.len();
            continue;
        }
        if known > 0 {
            timing.tokens.drain(..known);
            timing.word = decode(&timing.tokens);
            timing.start = timing.end;
            known = 0;
        }
        let hundredths = |time: f64| ((scene.time_offset + time) * 100.0).round() / 100.0;
        let word = Word {
            word: timing.word,
            start: hundredths(timing.start),
            end: hundredths(timing.end),
            probability: timing.probability,
        };
        words.push(Spoken { word, tokens: timing.tokens });
    }
    words
}

/// How many words of `new` both hypotheses begin with, punctuation and case apart.
pub(super) fn agreement(old: &[Spoken], new: &[Spoken]) -> usize {
    let said = |words: &[Spoken]| -> Vec<(usize, String)> {
        let bare = |spoken: &Spoken| -> String {
            spoken.word.word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
        };
        words.iter().map(bare).enumerate().filter(|(_, word)| !word.is_empty()).collect()
    };
    let (old, new_words) = (said(old), said(new));
    let same = old.iter().zip(&new_words).take_while(|((_, a), (_, b))| a == b).count();
    if same == 0 {
        return 0;
    }
    // Punctuation that stands alone goes with the word before it.
    new_words.get(same).map_or(new.len(), |(next, _)| *next)
}
