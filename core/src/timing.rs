//! When each word is said: the path that dynamic time warping finds through the cross-attention of the heads
//! that follow the audio (openai/whisper, `whisper/timing.py`).

use candle_core::{Device, Tensor};

use crate::audio::{HOP_LENGTH, SAMPLE_RATE, TOKENS_PER_SECOND};
use crate::error::Result;
use crate::kernels::{self, pool};
use crate::model::{AudioFeatures, Model};
use crate::options::Task;
use crate::tokenizer::Tokenizer;
use crate::transcript::{Segment, Word};

mod path;
mod place;
mod snap;

pub use path::{dtw, median_filter};
pub use place::{WordTiming, merge_punctuations};
pub use snap::{snap_options, snap_segment, snap_words};

/// Rows of attention that a thread takes at once.
const ROWS: usize = 4;
/// Width of the median filter over time, in audio tokens.
const MEDIAN_FILTER_WIDTH: usize = 7;
/// Text tokens whose logits are held at once: 13 MB for 32, where a full window would take 90 MB.
pub(crate) const LOGIT_ROWS: usize = 32;

/// What word times depend on beside the segments.
#[derive(Debug, Clone, Copy)]
pub struct WordOptions<'a> {
    /// Code of the language, which decides where words are split.
    pub language: &'a str,
    /// The task that was decoded.
    pub task: Task,
    /// Punctuation that belongs to the next word.
    pub prepend_punctuations: &'a str,
    /// Punctuation that belongs to the word before.
    pub append_punctuations: &'a str,
    /// End of the last word before the window, in seconds.
    pub last_speech_timestamp: f64,
}

/// Gives each segment of one window its words, and moves its start and end to theirs.
///
/// # Errors
/// If the device fails.
pub fn add_word_timestamps(
    segments: &mut [Segment],
    model: &dyn Model,
    tokenizer: &Tokenizer,
    xa: &AudioFeatures,
    num_frames: usize,
    options: &WordOptions<'_>,
) -> Result<()> {
    let Some(first) = segments.first() else { return Ok(()) };
    let time_offset = (first.seek * HOP_LENGTH) as f64 / SAMPLE_RATE as f64;
    let eot = tokenizer.special().eot;
    let text_tokens: Vec<Vec<u32>> =
        segments.iter().map(|s| s.tokens.iter().copied().filter(|&t| t < eot).collect()).collect();
    let mut alignment = find_alignment(model, tokenizer, xa, &text_tokens.concat(), num_frames, options)?;
    let durations = place::Durations::of(&alignment);
    place::shorten_at_sentence_ends(&mut alignment, &durations);
    merge_punctuations(&mut alignment, options.prepend_punctuations, options.append_punctuations);

    let mut last_speech = options.last_speech_timestamp;
    let mut timings = alignment.into_iter().peekable();
    for (segment, text_tokens) in segments.iter_mut().zip(&text_tokens) {
        let mut words = Vec::new();
        let mut saved = 0;
        while saved < text_tokens.len() {
            let Some(timing) = timings.next() else { break };
            saved += timing.tokens.len();
            if !timing.word.is_empty() {
                words.push(Word {
                    word: timing.word,
                    start: hundredths(time_offset + timing.start),
                    end: hundredths(time_offset + timing.end),
                    probability: timing.probability,
                });
            }
        }
        place::fit_to_segment(segment, &mut words, &durations, &mut last_speech);
        segment.words = Some(words);
    }
    Ok(())
}

/// Rounds as Python's `round(x, 2)` does: by the number's decimal digits, half to even.
pub(crate) fn hundredths(x: f64) -> f64 {
    format!("{x:.2}").parse().unwrap_or(x)
}

/// The words of `text_tokens` with their times in seconds from the start of the window.
///
/// # Errors
/// If the device fails.
pub fn find_alignment(
    model: &dyn Model,
    tokenizer: &Tokenizer,
    xa: &AudioFeatures,
    text_tokens: &[u32],
    num_frames: usize,
    options: &WordOptions<'_>,
) -> Result<Vec<WordTiming>> {
    if text_tokens.is_empty() || num_frames < 2 {
        return Ok(Vec::new());
    }
    let found = token_times(model, tokenizer, xa, text_tokens, num_frames, options)?;
    let mut with_end = text_tokens.to_vec();
    with_end.push(tokenizer.special().eot);
    let mut words = tokenizer.split_to_word_tokens(&with_end, options.language);
    words.pop(); // the end of the text
    let mut timings = Vec::with_capacity(words.len());
    let mut first = 0;
    for (word, tokens) in words {
        let end = first + tokens.len();
        let mean = found.probabilities[first..end].iter().sum::<f64>() / tokens.len() as f64;
        timings.push(WordTiming {
            word,
            tokens,
            start: found.start(first),
            end: found.start(end),
            probability: mean,
        });
        first = end;
    }
    Ok(timings)
}

/// When the tokens of a text are said, and how probable they are.
#[derive(Debug, Clone)]
pub(crate) struct TokenTimes {
    /// Seconds from the start of the window at which each token, and at last the end of the text, is reached.
    starts: Vec<f64>,
    /// Of each token, among text tokens.
    pub probabilities: Vec<f64>,
}

impl TokenTimes {
    /// When a token, or the end of the text, is reached. Attention that is not a number leads nowhere; what it does not
    /// reach ends with the path.
    pub fn start(&self, token: usize) -> f64 {
        self.starts.get(token).or(self.starts.last()).copied().unwrap_or(0.0)
    }
}

/// The times of `text_tokens`, at least one, in a window of `num_frames` mel frames, at least two.
pub(crate) fn token_times(
    model: &dyn Model,
    tokenizer: &Tokenizer,
    xa: &AudioFeatures,
    text_tokens: &[u32],
    num_frames: usize,
    options: &WordOptions<'_>,
) -> Result<TokenTimes> {
    let n_cols = num_frames / 2;
    let sot_sequence = tokenizer.sot_sequence(options.language, options.task)?;
    let n_sot = sot_sequence.len();
    let mut tokens = sot_sequence;
    tokens.push(tokenizer.special().no_timestamps);
    tokens.extend(text_tokens);
    tokens.push(tokenizer.special().eot);
    let n_tokens = tokens.len();
    let tokens = Tensor::from_vec(tokens, (1, n_tokens), &Device::Cpu)?;
    let (hidden, scores) = model.cross_attention(&tokens, xa, model.alignment_heads())?;

    let probabilities = token_probabilities(model, tokenizer, &hidden, text_tokens, n_sot)?;
    let matrix = attention_matrix(&scores, n_tokens, n_cols)?;
    // Rows of the start are left out, and the end's: what remains is <|notimestamps|> and the text.
    let cost: Vec<f64> =
        matrix[n_sot * n_cols..(n_tokens - 1) * n_cols].iter().map(|&x| -f64::from(x)).collect();
    let (text_indices, time_indices) = dtw(&cost, n_tokens - 1 - n_sot, n_cols);
    // A token is said when the path first reaches it.
    let starts = (0..text_indices.len())
        .filter(|&i| i == 0 || text_indices[i] != text_indices[i - 1])
        .map(|i| time_indices[i] as f64 / TOKENS_PER_SECOND as f64)
        .collect();
    Ok(TokenTimes { starts, probabilities })
}

/// The probability of each text token among text tokens. hidden: (1, n_tokens, n_state)
fn token_probabilities(
    model: &dyn Model,
    tokenizer: &Tokenizer,
    hidden: &Tensor,
    text_tokens: &[u32],
    n_sot: usize,
) -> Result<Vec<f64>> {
    let n_vocab = model.dims().n_vocab;
    let eot = tokenizer.special().eot as usize;
    let mut probabilities = Vec::with_capacity(text_tokens.len());
    for (i, tokens) in text_tokens.chunks(LOGIT_ROWS).enumerate() {
        let hidden = hidden.narrow(1, n_sot + i * LOGIT_ROWS, tokens.len())?.squeeze(0)?.contiguous()?;
        let logits = model.logits(&hidden)?;
        let found = logits.chunks_exact(n_vocab).zip(tokens).map(|(row, &token)| {
            let row = &row[..eot];
            f64::from((row[token as usize] - kernels::log_sum_exp(row)).exp())
        });
        probabilities.extend(found);
    }
    Ok(probabilities)
}

/// The heads' attention, standardised over tokens, smoothed over time and averaged.
///
/// scores: per head (1, n_tokens, n_audio_ctx) -> (n_tokens, n_cols), row-major
fn attention_matrix(scores: &[Tensor], n_tokens: usize, n_cols: usize) -> Result<Vec<f32>> {
    let mut mean = vec![0f32; n_tokens * n_cols];
    for head in scores {
        let head = head.squeeze(0)?.narrow(1, 0, n_cols)?;
        let mut weights: Vec<f32> = head.flatten_all()?.to_vec1()?;
        pool::each_chunk(&mut weights, ROWS * n_cols, |rows, _| {
            for row in rows.chunks_exact_mut(n_cols) {
                let (mut max, mut sum) = (f32::NEG_INFINITY, 0.0);
                row.iter_mut().for_each(|x| *x *= std::f32::consts::LOG2_E);
                kernels::softmax(row, &mut max, &mut sum);
                row.iter_mut().for_each(|x| *x /= sum);
            }
        });
        path::standardise_columns(&mut weights, n_cols);
        let room = path::room(n_cols, MEDIAN_FILTER_WIDTH);
        pool::each_chunk_with(&mut weights, ROWS * n_cols, room, |rows, room| {
            let filter = |row: &mut [f32]| path::median_filter_in(row, MEDIAN_FILTER_WIDTH, room);
            rows.chunks_exact_mut(n_cols).for_each(filter);
        });
        mean.iter_mut().zip(&weights).for_each(|(m, w)| *m += w / scores.len() as f32);
    }
    Ok(mean)
}
