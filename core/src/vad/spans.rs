//! From probabilities to stretches of speech, after Silero's `get_speech_timestamps`.

use super::{CHUNK, Span, VadOptions, samples};

/// Speech ends so far below the threshold at which it begins.
const HYSTERESIS: f64 = 0.15;
/// Silences that speech which is too long may be cut at, in milliseconds.
const CUTTABLE_MS: f64 = 98.0;

/// Speech under way.
struct Speech {
    start: usize,
    /// Where its last silence began, if it is in one.
    silent_since: Option<usize>,
    /// Silences it went on over, and how long they were.
    silences: Vec<(usize, usize)>,
}

impl Speech {
    fn from(start: usize) -> Self {
        Self { start, silent_since: None, silences: Vec::new() }
    }
}

/// The stretches of speech in a recording of `n_samples`, by the probability of each chunk.
pub fn spans(probabilities: &[f32], n_samples: usize, options: &VadOptions) -> Vec<Span> {
    let below = (options.threshold - HYSTERESIS).max(0.01);
    let min_speech = samples(options.min_speech_duration_ms);
    let min_silence = samples(options.min_silence_duration_ms);
    let pad = samples(options.speech_pad_ms);
    let longest = options
        .max_speech_duration_s
        .map_or(usize::MAX, |seconds| samples(seconds * 1000.0).saturating_sub(CHUNK + 2 * pad).max(CHUNK));
    let mut spans = Vec::new();
    let mut under_way: Option<Speech> = None;
    for (i, &probability) in probabilities.iter().enumerate() {
        let (at, probability) = (i * CHUNK, f64::from(probability));
        let Some(speech) = &mut under_way else {
            if probability >= options.threshold {
                under_way = Some(Speech::from(at));
            }
            continue;
        };
        if probability >= options.threshold
            && let Some(since) = speech.silent_since.take()
            && at - since > samples(CUTTABLE_MS)
        {
            speech.silences.push((since, at - since));
        }
        if at - speech.start > longest {
            // The longest one; of equals the first.
            let cut = speech.silences.iter().rev().max_by_key(|(_, length)| *length).copied();
            let (end, next) = cut.map_or((at, None), |(end, length)| (end, Some(end + length)));
            spans.push(Span { start: speech.start, end });
            match next {
                Some(next) => *speech = Speech::from(next),
                None => {
                    under_way = None;
                    continue;
                }
            }
        }
        if let Some(speech) = &mut under_way
            && probability < below
        {
            let since = *speech.silent_since.get_or_insert(at);
            if at - since >= min_silence {
                if since - speech.start > min_speech {
                    spans.push(Span { start: speech.start, end: since });
                }
                under_way = None;
            }
        }
    }
    if let Some(speech) = under_way
        && n_samples.saturating_sub(speech.start) > min_speech
    {
        spans.push(Span { start: speech.start, end: n_samples });
    }
    widen(&mut spans, pad, n_samples);
    spans
}

/// Adds to both ends of each; neighbours share a silence that is too short for both.
fn widen(spans: &mut [Span], pad: usize, n_samples: usize) {
    if let Some(first) = spans.first_mut() {
        first.start = first.start.saturating_sub(pad);
    }
    for i in 0..spans.len() {
        let Some(&next) = spans.get(i + 1) else {
            spans[i].end = (spans[i].end + pad).min(n_samples);
            break;
        };
        let silence = next.start - spans[i].end;
        let each = if silence < 2 * pad { silence / 2 } else { pad };
        spans[i].end = (spans[i].end + each).min(n_samples);
        spans[i + 1].start = next.start - each;
    }
}
