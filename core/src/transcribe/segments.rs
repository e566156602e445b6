//! From a window's tokens to segments: pure functions of tokens and times.

use super::{Window, frames};
use crate::audio::{HOP_LENGTH, N_FRAMES, SAMPLE_RATE};
use crate::decoding::DecodingResult;
use crate::tokenizer::Tokenizer;
use crate::transcript::Segment;

/// Mel frames per audio token: the stem's second convolution has stride 2.
const INPUT_STRIDE: usize = 2;
/// Seconds per timestamp token: 0.02.
const TIME_PRECISION: f64 = (INPUT_STRIDE * HOP_LENGTH) as f64 / SAMPLE_RATE as f64;

/// The segments of a window, and where the next one starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// In the order of time.
    pub segments: Vec<Segment>,
    /// What was begun after them and has no end, as if it ended with the window.
    pub unfinished: Option<Segment>,
    /// Start of the next window, in mel frames.
    pub seek: usize,
    /// Whether one timestamp ends the window: nothing is said after it.
    pub single_timestamp_ending: bool,
}

/// Cuts where two timestamps follow each other.
pub fn split_by_timestamps(tokenizer: &Tokenizer, window: Window, result: &DecodingResult) -> Split {
    let tokens = &result.tokens;
    let begin = tokenizer.special().timestamp_begin;
    let is_timestamp = |t: u32| t >= begin;
    let position = |t: u32| t.saturating_sub(begin) as usize;
    let single_timestamp_ending =
        matches!(tokens[..], [.., text, time] if !is_timestamp(text) && is_timestamp(time));
    let segment = |start: f64, end: f64, tokens: &[u32]| {
        let text: Vec<u32> = tokens.iter().copied().filter(|&t| t < tokenizer.special().eot).collect();
        Segment {
            id: 0,
            seek: window.seek,
            start,
            end,
            text: tokenizer.decode(&text),
            tokens: tokens.to_vec(),
            temperature: result.temperature,
            avg_logprob: result.avg_logprob,
            compression_ratio: result.compression_ratio,
            no_speech_prob: result.no_speech_prob,
            words: None,
            language: None,
            checks: Vec::new(),
            readings: None,
        }
    };
    let offset = window.time_offset();
    let mut slices: Vec<usize> =
        (1..tokens.len()).filter(|&i| is_timestamp(tokens[i - 1]) && is_timestamp(tokens[i])).collect();

    if slices.is_empty() {
        let last = tokens.iter().rfind(|&&t| is_timestamp(t)).map(|&t| position(t));
        let duration = match last {
            Some(position) if position != 0 => position as f64 * TIME_PRECISION,
            _ => window.duration(),
        };
        return Split {
            segments: vec![segment(offset, offset + duration, tokens)],
            unfinished: None,
            seek: window.seek + window.segment_size,
            single_timestamp_ending,
        };
    }
    if single_timestamp_ending {
        slices.push(tokens.len());
    }
    let mut segments = Vec::with_capacity(slices.len());
    let mut first = 0;
    for end in slices {
        let slice = &tokens[first..end];
        let time = |t: u32| offset + position(t) as f64 * TIME_PRECISION;
        segments.push(segment(time(slice[0]), time(slice[slice.len() - 1]), slice));
        first = end;
    }
    let seek = if single_timestamp_ending {
        window.seek + window.segment_size
    } else {
        // What was begun after the last timestamp is heard again from there.
        window.seek + position(tokens[first - 1]) * INPUT_STRIDE
    };
    let unfinished = match &tokens[first..] {
        rest @ [start, _, ..] => {
            let end = offset + window.duration();
            Some(segment((offset + position(*start) as f64 * TIME_PRECISION).min(end), end, rest))
        }
        _ => None,
    };
    Split { segments, unfinished, seek, single_timestamp_ending }
}

/// (start, end) in mel frames; the last end is the recording's if it is not given.
pub fn clips(timestamps: &[f64], content_frames: usize) -> Vec<(usize, usize)> {
    let mut points: Vec<usize> = timestamps.iter().map(|&t| frames(t)).collect();
    if points.is_empty() {
        points.push(0);
    }
    if points.len() % 2 == 1 {
        points.push(content_frames);
    }
    points.chunks_exact(2).map(|clip| (clip[0], clip[1])).collect()
}

/// End of the last word, or of the last segment where no words are known.
pub fn end_of(segments: &[Segment]) -> Option<f64> {
    let words = segments.iter().rev().filter_map(|s| s.words.as_ref()?.last());
    words.map(|w| w.end).next().or_else(|| segments.last().map(|s| s.end))
}

// A window's content never exceeds what the encoder hears.
const _: () = assert!(N_FRAMES.is_multiple_of(INPUT_STRIDE));
