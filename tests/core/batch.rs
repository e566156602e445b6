//! Windows of a batch know nothing of each other: what one leaves out nobody says.

use candle_whisper_core::observer::Silent;
use candle_whisper_core::options::TranscribeOptions;
use candle_whisper_core::transcript::{Segment, Transcript};
use candle_whisper_core::{Waveform, media};

use crate::data::tests;
use crate::scripted::{EOT, HELLO, Scripted, T0, WORLD, sure};

fn jfk() -> Waveform {
    media::decode(std::fs::File::open(tests().join("data/jfk.flac")).unwrap(), None).unwrap()
}

/// What becomes of 11 s of speech when the network says this, and how many windows were heard.
fn transcribed(windows: &[&[u32]], sample_len: Option<usize>) -> (Vec<Segment>, usize) {
    let windows: Vec<_> = windows.iter().map(|tokens| [sure(tokens)]).collect();
    let scripted = Scripted::new(&windows.iter().map(|window| &window[..]).collect::<Vec<_>>());
    let mut options = TranscribeOptions {
        batch: Some(2),
        condition_on_previous_text: false,
        guards: false,
        temperatures: vec![0.0],
        ..TranscribeOptions::default()
    };
    options.decode.sample_len = sample_len;
    let Transcript { segments, .. } = scripted.transcriber().run(&jfk(), options, &mut Silent).unwrap();
    (segments, scripted.prompts().len())
}

fn texts(segments: &[Segment]) -> Vec<&str> {
    segments.iter().map(|segment| segment.text.as_str()).collect()
}

#[test]
fn a_text_that_breaks_off_early_goes_on_in_the_same_window() {
    // It would end after 2 s, is not let, and says "!", the first of all that are equally improbable.
    let (segments, n_windows) = transcribed(&[&[T0, HELLO, T0 + 100, T0 + 100, EOT, WORLD]], None);
    assert_eq!((texts(&segments), n_windows), (vec![" Hello", "! world"], 1));
    assert!(segments[1].start >= 2.0 && segments[1].end > 10.0, "{segments:?}");
}

#[test]
fn what_is_left_at_the_end_of_a_window_is_heard_again() {
    // Of 11 s a second is left: it may be speech, or a time that is not exact.
    let windows: [&[u32]; 2] = [&[T0, HELLO, T0 + 490, T0 + 490, EOT, WORLD], &[T0, WORLD, T0 + 30]];
    let (segments, n_windows) = transcribed(&windows, None);
    assert_eq!((texts(&segments), n_windows), (vec![" Hello", " world"], 2));
}

#[test]
fn a_segment_without_an_end_is_kept_where_there_was_room_for_one() {
    let windows: [&[u32]; 2] = [&[T0, HELLO, T0 + 100, T0 + 100, WORLD], &[T0, WORLD, T0 + 30]];
    let (segments, n_windows) = transcribed(&windows, Some(6));
    assert_eq!((texts(&segments), n_windows), (vec![" Hello", " world"], 1));
    // With room for five tokens nobody knows what else it would have said.
    let (segments, n_windows) = transcribed(&windows, Some(5));
    assert_eq!((texts(&segments), n_windows), (vec![" Hello", " world"], 2));
    assert!(segments[1].end < segments[1].start + 1.0);
}

#[test]
fn a_window_of_a_batch_is_heard_in_full_where_its_sound_alone_does_not_do() {
    let twice = [T0, HELLO, WORLD, HELLO, T0 + 100, T0 + 100, HELLO, WORLD, HELLO, T0 + 500];
    // Given up before its end: of two words and eight more, which say nothing new, no more is asked.
    let circles: Vec<u32> = [T0].into_iter().chain([HELLO, WORLD].repeat(60)).collect();
    for (bad, n_run) in [(&twice[..], twice.len()), (&circles, 10)] {
        let good = [T0, WORLD, T0 + 500];
        let scripted = Scripted::approximate(&[&[sure(bad)], &[sure(&good)]]);
        let options = TranscribeOptions {
            batch: Some(2),
            condition_on_previous_text: false,
            guards: false,
            ..TranscribeOptions::default()
        };
        let transcript = scripted.transcriber().run(&jfk(), options, &mut Silent).unwrap();
        assert_eq!((transcript.text.as_str(), scripted.heard()), (" world", vec![1344, 3000]));
        assert_eq!(scripted.n_run(), [n_run, good.len()]);
    }
}
