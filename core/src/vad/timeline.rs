//! The times of a recording that has only its speech left.

use crate::audio::{SAMPLE_RATE, Waveform};
use crate::transcript::Segment;

use super::Span;

/// Where stretches of speech, one behind the other, lie in the recording that they are from.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// (start in what is left, start in the recording, length), in seconds
    parts: Vec<(f64, f64, f64)>,
}

impl Timeline {
    /// Of these stretches of a recording.
    pub fn of(spans: &[Span]) -> Self {
        let seconds = |samples: usize| samples as f64 / SAMPLE_RATE as f64;
        let mut left = 0;
        let parts = spans.iter().map(|span| {
            let length = span.end - span.start;
            left += length;
            (seconds(left - length), seconds(span.start), seconds(length))
        });
        Self { parts: parts.collect() }
    }

    /// Cuts these stretches out of a recording and puts them together.
    pub fn cut(audio: &Waveform, spans: &[Span]) -> (Waveform, Self) {
        let mut left = Vec::with_capacity(spans.iter().map(|span| span.end - span.start).sum());
        for span in spans {
            left.extend_from_slice(&audio.samples()[span.start..span.end]);
        }
        (Waveform::new(left), Self::of(spans))
    }

    /// Where each stretch begins and ends in what is left, in seconds.
    pub fn parts(&self) -> impl Iterator<Item = (f64, f64)> {
        self.parts.iter().map(|(start, _, length)| (*start, start + length))
    }

    /// The part that something at this time is in.
    fn part(&self, time: f64) -> Option<(f64, f64, f64)> {
        let after = self.parts.partition_point(|(start, ..)| *start <= time);
        self.parts.get(after.saturating_sub(1)).copied()
    }

    /// The time in the recording of one in what is left of it: what starts at a cut starts after it.
    pub fn start(&self, time: f64) -> f64 {
        self.part(time).map_or(time, |(left, there, length)| there + (time - left).clamp(0.0, length))
    }

    /// The same: what ends at a cut ends before it.
    pub fn end(&self, time: f64) -> f64 {
        let after = self.parts.partition_point(|(start, ..)| *start < time);
        let part = self.parts.get(after.saturating_sub(1));
        part.map_or(time, |(left, there, length)| there + (time - left).clamp(0.0, *length))
    }

    /// Gives a segment and its words the times of the recording. A word is where its middle is.
    pub fn place(&self, segment: &mut Segment) {
        if segment.start == segment.end {
            segment.start = self.start(segment.start);
            segment.end = segment.start;
        } else {
            (segment.start, segment.end) = (self.start(segment.start), self.end(segment.end));
        }
        let words = segment.words.iter_mut().flatten();
        for word in words {
            if let Some((left, there, length)) = self.part((word.start + word.end) / 2.0) {
                let within = |time: f64| there + (time - left).clamp(0.0, length);
                (word.start, word.end) = (within(word.start), within(word.end));
            }
        }
        if let Some([first, .., last] | [first @ last]) = segment.words.as_deref() {
            (segment.start, segment.end) = (first.start, last.end);
        }
    }
}
