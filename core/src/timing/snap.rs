//! Words against what Silero VAD hears: attention often gives a pause to the word before or behind it.

use crate::audio::SAMPLE_RATE;
use crate::transcript::{Segment, Word};
use crate::vad::{Span, VadOptions};

/// A word that is the first in a stretch of speech begins with it, if it is said to begin at most so much later. Seconds.
const LATE: f64 = 0.3;

/// What is speech for this: short pauses count, and a tenth of a second is kept around it.
pub fn snap_options() -> VadOptions {
    VadOptions { min_silence_duration_ms: 150.0, speech_pad_ms: 100.0, ..VadOptions::default() }
}

/// Cuts each word, in order of time, to the stretch of speech that it has most of, and lets the first in a stretch begin
/// with it. A word that nobody is heard to speak stays as it is. `before` is where the last word before these ends.
pub fn snap_words<'a>(words: impl IntoIterator<Item = &'a mut Word>, speech: &[Span], mut before: f64) {
    let seconds = |samples: usize| samples as f64 / SAMPLE_RATE as f64;
    for word in words {
        let first = speech.partition_point(|span| seconds(span.end) <= word.start);
        let spans = speech[first..].iter().map(|span| (seconds(span.start), seconds(span.end)));
        let overlap = |span: &(f64, f64)| span.1.min(word.end) - span.0.max(word.start);
        let most = spans
            .take_while(|(start, _)| *start < word.end)
            .max_by(|a, b| overlap(a).total_cmp(&overlap(b)))
            .filter(|span| overlap(span) > 0.0);
        if let Some((start, end)) = most {
            let begins_it = start >= before && word.start - start <= LATE;
            word.start = super::hundredths(if begins_it { start } else { start.max(word.start) });
            word.end = super::hundredths(end.min(word.end)).max(word.start);
        }
        before = word.end;
    }
}

/// The same for a segment, which goes with its words.
pub fn snap_segment(segment: &mut Segment, speech: &[Span], before: f64) {
    let Some(words) = segment.words.as_mut().filter(|words| !words.is_empty()) else { return };
    snap_words(words.iter_mut(), speech, before);
    if let (Some(first), Some(last)) = (words.first(), words.last()) {
        (segment.start, segment.end) = (first.start, last.end);
    }
}
