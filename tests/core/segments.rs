//! The four ways a window can end, and where the next one starts.

use candle_whisper_core::audio::N_FRAMES;
use candle_whisper_core::decoding::DecodingResult;
use candle_whisper_core::transcribe::Window;
use candle_whisper_core::transcribe::segments::{Split, clips, end_of, split_by_timestamps};
use candle_whisper_core::transcript::{Segment, Word};

use crate::data::tokenizer;

const T0: u32 = 50363;

fn whole(tokens: &[u32], segment_size: usize) -> Split {
    let result = DecodingResult {
        tokens: tokens.to_vec(),
        text: String::new(),
        language: "en".into(),
        avg_logprob: -0.5,
        no_speech_prob: 0.1,
        temperature: 0.0,
        compression_ratio: 1.0,
        is_complete: true,
    };
    split_by_timestamps(&tokenizer(51864), Window { seek: 1000, segment_size }, &result)
}

/// (start, end) of each segment, next seek, single timestamp at the end
fn split(tokens: &[u32], segment_size: usize) -> (Vec<(f64, f64)>, usize, bool) {
    let split = whole(tokens, segment_size);
    let times = split.segments.iter().map(|s| (s.start, s.end)).collect();
    (times, split.seek, split.single_timestamp_ending)
}

#[test]
fn pairs_cut_segments_and_the_next_window_starts_at_the_last() {
    let tokens = [T0, 1, 2, T0 + 100, T0 + 100, 3, T0 + 200, T0 + 200, 4];
    assert_eq!(split(&tokens, N_FRAMES), (vec![(10.0, 12.0), (12.0, 14.0)], 1400, false));
}

#[test]
fn one_timestamp_at_the_end_means_the_window_is_done() {
    let tokens = [T0, 1, T0 + 100, T0 + 150, 3, T0 + 200];
    assert_eq!(split(&tokens, 2500), (vec![(10.0, 12.0), (13.0, 14.0)], 3500, true));
}

#[test]
fn a_lone_segment_ends_at_its_timestamp() {
    assert_eq!(split(&[T0, 1, T0 + 100], 2500), (vec![(10.0, 12.0)], 3500, true));
}

#[test]
fn without_a_later_timestamp_a_segment_lasts_as_long_as_the_window() {
    assert_eq!(split(&[T0, 1, 2], 2500), (vec![(10.0, 35.0)], 3500, false));
    assert_eq!(split(&[1, 2], 2500), (vec![(10.0, 35.0)], 3500, false));
    assert_eq!(split(&[], 2500), (vec![(10.0, 35.0)], 3500, false));
}

#[test]
fn a_pair_at_the_end_ends_the_last_segment() {
    let tokens = [T0, 1, T0 + 100, T0 + 100];
    assert_eq!(split(&tokens, N_FRAMES), (vec![(10.0, 12.0)], 1200, false));
}

#[test]
fn what_was_begun_and_not_ended_lasts_as_long_as_the_window() {
    let unfinished = |tokens: &[u32]| whole(tokens, 2500).unfinished.map(|s| (s.start, s.end, s.tokens));
    let tokens = [T0, 1, T0 + 100, T0 + 120, 2, 3];
    assert_eq!(unfinished(&tokens), Some((12.4, 35.0, vec![T0 + 120, 2, 3])));
    assert_eq!(unfinished(&[T0, 1, T0 + 100, T0 + 1400, 2]), Some((35.0, 35.0, vec![T0 + 1400, 2])));
    for tokens in [&tokens[..4], &[T0, 1, T0 + 100, T0 + 120, 2, T0 + 200], &[T0, 1, 2], &[]] {
        assert_eq!(unfinished(tokens), None, "{tokens:?}");
    }
}

#[test]
fn clips_pair_up_and_the_last_may_be_open() {
    assert_eq!(clips(&[], 500), [(0, 500)]);
    assert_eq!(clips(&[1.0], 500), [(100, 500)]);
    assert_eq!(clips(&[1.0, 2.005, 3.0], 500), [(100, 200), (300, 500)]);
}

#[test]
fn the_end_is_the_last_words() {
    let with = |end: f64, words: Option<Vec<f64>>| Segment {
        end,
        words: words.map(|w| w.into_iter().map(|end| Word { end, ..Default::default() }).collect()),
        ..Default::default()
    };
    assert_eq!(end_of(&[]), None);
    assert_eq!(end_of(&[with(3.0, None)]), Some(3.0));
    assert_eq!(end_of(&[with(3.0, Some(vec![1.0, 2.5])), with(9.0, Some(vec![]))]), Some(2.5));
}
