//! What looks made up, and where the next window starts then.

use candle_whisper_core::transcribe::Window;
use candle_whisper_core::transcribe::anomalies::{Outcome, Scene, is_anomaly, skip_silence};
use candle_whisper_core::transcript::{Segment, Word};

fn word(word: &str, start: f64, end: f64, probability: f64) -> Word {
    Word { word: word.into(), start, end, probability }
}

/// A segment of good words, half a second each.
fn said(start: f64, n: usize) -> Segment {
    let words: Vec<Word> =
        (0..n).map(|i| start + 0.5 * i as f64).map(|t| word(" so", t, t + 0.5, 0.9)).collect();
    Segment { start, end: start + 0.5 * n as f64, words: Some(words), ..Default::default() }
}

/// A segment of improbable words.
fn invented(start: f64, n: usize) -> Segment {
    let mut segment = said(start, n);
    segment.words.iter_mut().flatten().for_each(|w| w.probability = 0.05);
    segment
}

fn scene(segments: &[Segment]) -> Outcome {
    skip_silence(&Scene {
        window: Window { seek: 1000, segment_size: 3000 },
        threshold: 2.0,
        single_timestamp_ending: true,
        content_frames: 10_000,
        last_speech_timestamp: 9.0,
        seek: 4000,
        segments,
    })
}

#[test]
fn words_too_improbable_too_short_or_too_long_are_anomalies() {
    let with = |words: Vec<Word>| Segment { words: Some(words), ..Default::default() };
    assert!(!is_anomaly(&said(0.0, 5)));
    assert!(is_anomaly(&invented(0.0, 1)));
    assert!(is_anomaly(&invented(0.0, 9)));
    assert!(is_anomaly(&with(vec![word(" a", 0.0, 5.5, 0.9), word(" b", 5.5, 6.0, 0.9)])));
    assert!(is_anomaly(&with(vec![word(" a", 0.0, 0.0, 0.9)])));
    // One doubtful word in five is none, and punctuation does not count.
    let mut five = said(0.0, 5);
    five.words.as_mut().unwrap()[2].probability = 0.05;
    assert!(!is_anomaly(&five));
    assert!(is_anomaly(&with(vec![word(".", 0.0, 0.5, 0.9), word(" a", 0.5, 1.0, 0.05)])));
    assert!(!is_anomaly(&with(vec![])));
}

#[test]
fn a_window_without_anomalies_is_kept() {
    assert_eq!(scene(&[said(10.0, 4), said(14.0, 4)]), Outcome { seek: 4000, keep: Some(2) });
}

#[test]
fn silence_before_a_doubtful_first_segment_is_skipped_and_heard_again() {
    assert_eq!(scene(&[invented(13.5, 3)]), Outcome { seek: 1350, keep: None });
}

#[test]
fn a_doubtful_segment_with_silence_around_is_dropped_with_all_after_it() {
    let segments = [said(10.0, 4), invented(20.0, 3), said(35.0, 2)];
    assert_eq!(scene(&segments), Outcome { seek: 2000, keep: Some(1) });
    // With speech close by it stays.
    let close = [said(10.0, 4), invented(12.2, 3), said(14.0, 30)];
    assert_eq!(scene(&close).keep, Some(3));
}

#[test]
fn at_the_end_of_the_recording_nothing_is_heard_again() {
    let outcome = skip_silence(&Scene {
        window: Window { seek: 0, segment_size: 3000 },
        threshold: 2.0,
        single_timestamp_ending: true,
        content_frames: 3000,
        last_speech_timestamp: 0.0,
        seek: 3000,
        segments: &[said(10.0, 4), invented(28.0, 3)],
    });
    assert_eq!(outcome, Outcome { seek: 3000, keep: Some(1) });
}

#[test]
fn a_window_that_ends_in_speech_goes_on_after_its_last_word() {
    let outcome = |segments: &[Segment]| {
        skip_silence(&Scene {
            window: Window { seek: 0, segment_size: 3000 },
            threshold: 2.0,
            single_timestamp_ending: false,
            content_frames: 9000,
            last_speech_timestamp: 0.0,
            seek: 1234,
            segments,
        })
        .seek
    };
    // Long silence after the last word: start there; short: the window is done.
    assert_eq!(outcome(&[said(1.0, 10)]), 600);
    assert_eq!(outcome(&[said(1.0, 55)]), 3000);
}
