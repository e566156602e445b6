//! Clean-up of word times: punctuation goes with its word, words at the ends of sentences and segments are cut
//! to a likely length. The rules and their numbers are the reference's.

use crate::transcript::{Segment, Word};

/// A word as the alignment found it.
#[derive(Debug, Clone, PartialEq)]
pub struct WordTiming {
    /// Text, with its space.
    pub word: String,
    /// Token ids.
    pub tokens: Vec<u32>,
    /// Seconds from the start of the window.
    pub start: f64,
    /// Seconds from the start of the window.
    pub end: f64,
    /// Mean probability of the tokens.
    pub probability: f64,
}

/// How long words usually are in a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Durations {
    median: f64,
    max: f64,
    any: bool,
}

impl Durations {
    pub(super) fn of(alignment: &[WordTiming]) -> Self {
        let mut durations: Vec<f64> =
            alignment.iter().map(|t| t.end - t.start).filter(|&d| d != 0.0).collect();
        durations.sort_by(f64::total_cmp);
        let middle = durations.len() / 2;
        let median = match durations.len() {
            0 => 0.0,
            n if n % 2 == 1 => durations[middle],
            _ => (durations[middle - 1] + durations[middle]) / 2.0,
        };
        let median = median.min(0.7);
        Self { median, max: median * 2.0, any: !durations.is_empty() }
    }
}

/// Cuts long marks at the end of a sentence, and long words after one.
pub(super) fn shorten_at_sentence_ends(alignment: &mut [WordTiming], durations: &Durations) {
    const SENTENCE_END_MARKS: &str = ".。!！?？";
    if !durations.any {
        return;
    }
    for i in 1..alignment.len() {
        if alignment[i].end - alignment[i].start > durations.max {
            if SENTENCE_END_MARKS.contains(&alignment[i].word) {
                alignment[i].end = alignment[i].start + durations.max;
            } else if SENTENCE_END_MARKS.contains(&alignment[i - 1].word) {
                alignment[i].start = alignment[i].end - durations.max;
            }
        }
    }
}

/// Joins opening punctuation to the next word and closing punctuation to the word before; what was joined is
/// left without text and tokens.
pub fn merge_punctuations(alignment: &mut [WordTiming], prepended: &str, appended: &str) {
    let mut j = alignment.len().saturating_sub(1);
    for i in (0..alignment.len().saturating_sub(1)).rev() {
        let word = &alignment[i].word;
        if word.starts_with(' ') && prepended.contains(word.trim()) {
            let (word, tokens) = take(&mut alignment[i]);
            alignment[j].word.insert_str(0, &word);
            alignment[j].tokens.splice(0..0, tokens);
        } else {
            j = i;
        }
    }
    let mut i = 0;
    for j in 1..alignment.len() {
        if !alignment[i].word.ends_with(' ') && appended.contains(&alignment[j].word) {
            let (word, tokens) = take(&mut alignment[j]);
            alignment[i].word.push_str(&word);
            alignment[i].tokens.extend(tokens);
        } else {
            i = j;
        }
    }
}

fn take(timing: &mut WordTiming) -> (String, Vec<u32>) {
    (std::mem::take(&mut timing.word), std::mem::take(&mut timing.tokens))
}

/// Cuts long words at a segment's ends, then moves the segment's ends to its words'.
pub(super) fn fit_to_segment(
    segment: &mut Segment,
    words: &mut [Word],
    durations: &Durations,
    last_speech_timestamp: &mut f64,
) {
    let Durations { median, max, .. } = *durations;
    if words.is_empty() {
        return;
    }
    // After a pause, the first word and the second are not longer than twice the median.
    if words[0].end - *last_speech_timestamp > median * 4.0
        && (words[0].end - words[0].start > max
            || (words.len() > 1 && words[1].end - words[0].start > max * 2.0))
    {
        if words.len() > 1 && words[1].end - words[1].start > max {
            let boundary = (words[1].end / 2.0).max(words[1].end - max);
            words[0].end = boundary;
            words[1].start = boundary;
        }
        words[0].start = (words[0].end - max).max(0.0);
    }
    // A first word that starts long before its segment is too long.
    if segment.start < words[0].end && segment.start - 0.5 > words[0].start {
        words[0].start = (words[0].end - median).min(segment.start).max(0.0);
    } else {
        segment.start = words[0].start;
    }
    let last = words.len() - 1;
    if segment.end > words[last].start && segment.end + 0.5 < words[last].end {
        words[last].end = (words[last].start + median).max(segment.end);
    } else {
        segment.end = words[last].end;
    }
    *last_speech_timestamp = segment.end;
}
