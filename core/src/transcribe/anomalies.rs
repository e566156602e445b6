//! `hallucination_silence_threshold`: segments whose words are too short, too long or too improbable, with
//! silence around them, were probably never said. Pure functions of segments and times.

use super::{Window, frames, segments};
use crate::audio::N_FRAMES;
use crate::transcript::{Segment, Word};

const PUNCTUATION: &str = "\"'“¿([{-\"'.。,，!！?？:：”)]}、";

/// A decoded window as the rules see it.
#[derive(Debug)]
pub struct Scene<'a> {
    /// Where it lies.
    pub window: Window,
    /// Silence longer than this counts, in seconds.
    pub threshold: f64,
    /// Whether one timestamp ends the window.
    pub single_timestamp_ending: bool,
    /// Mel frames in the recording.
    pub content_frames: usize,
    /// End of the last word before the window, in seconds.
    pub last_speech_timestamp: f64,
    /// Where the next window would start.
    pub seek: usize,
    /// With words.
    pub segments: &'a [Segment],
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Start of the next window, in mel frames.
    pub seek: usize,
    /// How many segments to keep; `None` if the window is to be decoded again from `seek`.
    pub keep: Option<usize>,
}

fn anomaly_score(word: &Word) -> f64 {
    let duration = word.end - word.start;
    let mut score = 0.0;
    if word.probability < 0.15 {
        score += 1.0;
    }
    if duration < 0.133 {
        score += (0.133 - duration) * 15.0;
    }
    if duration > 2.0 {
        score += duration - 2.0;
    }
    score
}

fn words(segment: &Segment) -> &[Word] {
    segment.words.as_deref().unwrap_or_default()
}

/// Whether a segment's first eight words look made up.
pub fn is_anomaly(segment: &Segment) -> bool {
    if words(segment).is_empty() {
        return false;
    }
    let spoken: Vec<&Word> =
        words(segment).iter().filter(|w| !PUNCTUATION.contains(w.word.as_str())).take(8).collect();
    let score: f64 = spoken.iter().map(|w| anomaly_score(w)).sum();
    score >= 3.0 || score + 0.01 >= spoken.len() as f64
}

fn with_words(segments: &[Segment]) -> Option<&Segment> {
    segments.iter().find(|s| !words(s).is_empty())
}

/// Applies the three rules: skip silence after the last word, before a doubtful first segment, and around
/// doubtful segments in between.
pub fn skip_silence(scene: &Scene<'_>) -> Outcome {
    let Scene { window, threshold, segments, .. } = *scene;
    let offset = window.time_offset();
    let mut seek = scene.seek;

    let last_word_end = segments::end_of(segments).filter(|&end| end > offset);
    if let (false, Some(end)) = (scene.single_timestamp_ending, last_word_end) {
        let remaining = window.end_time() - end;
        seek = if remaining > threshold { frames(end) } else { window.seek + window.segment_size };
    }

    if let Some(first) = with_words(segments).filter(|s| is_anomaly(s)) {
        let gap = first.start - offset;
        if gap > threshold {
            return Outcome { seek: window.seek + frames(gap), keep: None };
        }
    }

    let mut last_end = scene.last_speech_timestamp;
    for (i, segment) in segments.iter().enumerate().filter(|(_, s)| !words(s).is_empty()) {
        if is_anomaly(segment) {
            let next = with_words(&segments[i + 1..]);
            let next_start = next.map_or(offset + window.duration(), |next| words(next)[0].start);
            let silence_before = segment.start - last_end > threshold
                || segment.start < threshold
                || segment.start - offset < 2.0;
            let silence_after = next_start - segment.end > threshold
                || next.is_some_and(is_anomaly)
                || window.end_time() - segment.end < 2.0;
            if silence_before && silence_after {
                let content_duration = super::seconds(scene.content_frames);
                seek = if content_duration - segment.end < threshold {
                    scene.content_frames
                } else {
                    frames((offset + 1.0).max(segment.start))
                };
                return Outcome { seek, keep: Some(i) };
            }
        }
        last_end = segment.end;
    }
    Outcome { seek, keep: Some(segments.len()) }
}

// The end of a window is reckoned from its full length.
const _: () = assert!(N_FRAMES == 3000);
