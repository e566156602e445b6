//! Words against what Silero VAD hears: attention often gives a pause to the word before or behind it.

use crate::audio::SAMPLE_RATE;
use crate::transcript::{Segment, Word};
use crate::vad::{Span, VadOptions};

/// What is speech for this: short pauses count, and little is kept around it.
pub fn snap_options() -> VadOptions {
    VadOptions { min_silence_duration_ms: 150.0, speech_pad_ms: 30.0, ..VadOptions::default() }
}

/// Cuts each word, in order of time, to the stretch of speech that it has most of. A word that nobody is heard to speak
/// stays as it is.
pub fn snap_words<'a>(words: impl IntoIterator<Item = &'a mut Word>, speech: &[Span]) {
    let seconds = |samples: usize| samples as f64 / SAMPLE_RATE as f64;
    for word in words {
        let first = speech.partition_point(|span| seconds(span.end) <= word.start);
        let overlapping = speech[first..].iter().map(|span| (seconds(span.start), seconds(span.end)));
        let cut = overlapping
            .take_while(|(start, _)| *start < word.end)
            .map(|(start, end)| (start.max(word.start), end.min(word.end)))
            .max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
        if let Some((start, end)) = cut.filter(|(start, end)| end > start) {
            (word.start, word.end) = (super::hundredths(start), super::hundredths(end));
        }
    }
}

/// The same for a segment, which goes with its words.
pub fn snap_segment(segment: &mut Segment, speech: &[Span]) {
    let Some(words) = segment.words.as_mut().filter(|words| !words.is_empty()) else { return };
    snap_words(words.iter_mut(), speech);
    if let (Some(first), Some(last)) = (words.first(), words.last()) {
        (segment.start, segment.end) = (first.start, last.end);
    }
}
