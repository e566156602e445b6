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
    let mut spans = Spans::new(options);
    probabilities.iter().for_each(|&probability| spans.push(probability));
    spans.finish(n_samples)
}

/// Stretches of speech, found while probabilities come.
pub(super) struct Spans {
    threshold: f64,
    /// Speech ends below this.
    below: f64,
    /// These are in samples.
    min_speech: usize,
    min_silence: usize,
    pad: usize,
    longest: usize,
    found: Vec<Span>,
    under_way: Option<Speech>,
    /// Samples that probabilities have come for.
    at: usize,
}

impl Spans {
    pub(super) fn new(options: &VadOptions) -> Self {
        let pad = samples(options.speech_pad_ms);
        let longest = |seconds: f64| samples(seconds * 1000.0).saturating_sub(CHUNK + 2 * pad).max(CHUNK);
        Self {
            threshold: options.threshold,
            below: (options.threshold - HYSTERESIS).max(0.01),
            min_speech: samples(options.min_speech_duration_ms),
            min_silence: samples(options.min_silence_duration_ms),
            pad,
            longest: options.max_speech_duration_s.map_or(usize::MAX, longest),
            found: Vec::new(),
            under_way: None,
            at: 0,
        }
    }

    /// Takes the probability of the next chunk.
    pub(super) fn push(&mut self, probability: f32) {
        let (at, probability) = (self.at, f64::from(probability));
        self.at += CHUNK;
        let Some(speech) = &mut self.under_way else {
            if probability >= self.threshold {
                self.under_way = Some(Speech::from(at));
            }
            return;
        };
        if probability >= self.threshold
            && let Some(since) = speech.silent_since.take()
            && at - since > samples(CUTTABLE_MS)
            && self.longest < usize::MAX
        {
            speech.silences.push((since, at - since));
        }
        if at - speech.start > self.longest {
            // The longest one; of equals the first.
            let cut = speech.silences.iter().rev().max_by_key(|(_, length)| *length).copied();
            let (end, next) = cut.map_or((at, None), |(end, length)| (end, Some(end + length)));
            self.found.push(Span { start: speech.start, end });
            match next {
                Some(next) => *speech = Speech::from(next),
                None => {
                    self.under_way = None;
                    return;
                }
            }
        }
        if let Some(speech) = &mut self.under_way
            && probability < self.below
        {
            let since = *speech.silent_since.get_or_insert(at);
            if at - since >= self.min_silence {
                if since - speech.start > self.min_speech {
                    self.found.push(Span { start: speech.start, end: since });
                }
                self.under_way = None;
            }
        }
    }

    /// The stretches, in a recording of `n_samples`.
    pub(super) fn finish(mut self, n_samples: usize) -> Vec<Span> {
        if let Some(speech) = self.under_way
            && n_samples.saturating_sub(speech.start) > self.min_speech
        {
            self.found.push(Span { start: speech.start, end: n_samples });
        }
        widen(&mut self.found, self.pad, n_samples);
        self.found
    }
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
