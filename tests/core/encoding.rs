//! How much of a window the encoder hears, and what becomes of a text that was written of less.

use std::sync::Arc;

use candle_whisper_core::observer::Silent;
use candle_whisper_core::options::{AudioContext, DecodingOptions, TranscribeOptions};

use crate::scripted::{AGAIN, Attempt, HELLO, Scripted, T0, WORLD, audio, sure, unsure};

/// No guards: what is heard is a tone.
fn options(audio_ctx: AudioContext) -> TranscribeOptions {
    TranscribeOptions { audio_ctx, guards: false, ..TranscribeOptions::default() }
}

/// Mel frames of the windows heard, and the text.
fn heard(model: &Arc<Scripted>, seconds: usize, options: TranscribeOptions) -> (Vec<usize>, String) {
    let transcript = model.transcriber().run(&audio(seconds), options, &mut Silent).unwrap();
    (model.heard(), transcript.text)
}

fn of(windows: &[&[Attempt]], seconds: usize) -> (Vec<usize>, String) {
    heard(&Scripted::approximate(windows), seconds, options(AudioContext::Auto))
}

#[test]
fn small_integers_hear_the_sound_and_two_seconds_but_ten_at_least_and_all_of_long_windows() {
    for (seconds, frames) in [(1, 1024), (5, 1024), (9, 1152), (11, 1344), (17, 1920), (19, 3000), (30, 3000)]
    {
        let (frames_heard, text) = of(&[&[sure(&[T0, HELLO, T0 + 50])]], seconds);
        assert_eq!((frames_heard, text.as_str()), (vec![frames], " Hello"), "{seconds} s");
    }
}

#[test]
fn all_is_heard_by_floats_in_large_networks_without_timestamps_and_where_it_is_asked_for() {
    let script: &[&[Attempt]] = &[&[sure(&[T0, HELLO, T0 + 50])]];
    let frames = |model: &Arc<Scripted>, options| heard(model, 11, options).0;
    assert_eq!(frames(&Scripted::new(script), options(AudioContext::Auto)), [3000]);
    assert_eq!(frames(&Scripted::new(script), options(AudioContext::Heard)), [1344]);
    assert_eq!(frames(&Scripted::approximate(script), options(AudioContext::Full)), [3000]);
    let decode = DecodingOptions { without_timestamps: true, ..DecodingOptions::default() };
    let plain = TranscribeOptions { decode, ..options(AudioContext::Auto) };
    assert_eq!(frames(&Scripted::approximate(&[&[sure(&[HELLO])]]), plain), [3000]);
}

#[test]
fn what_is_said_twice_too_late_or_improbably_is_heard_in_full() {
    let twice = [T0, HELLO, WORLD, AGAIN, T0 + 200, T0 + 200, HELLO, WORLD, AGAIN, T0 + 400];
    // 11 s are 550 timestamps; half a second more is taken for inexact.
    let late = [T0, HELLO, T0 + 576];
    let good = [sure(&[T0, AGAIN, T0 + 500])];
    for bad in [sure(&twice), sure(&late), unsure(&[T0, HELLO, WORLD, T0 + 500])] {
        let (frames, text) = of(&[&[bad], &good], 11);
        assert_eq!((frames, text.as_str()), (vec![1344, 3000], " again"));
    }
    let inexact = [T0, HELLO, T0 + 575];
    assert_eq!(of(&[&[sure(&inexact)]], 11).0, [1344]);
    // Two words twice are no sentence.
    let no = [T0, HELLO, WORLD, HELLO, WORLD, T0 + 400];
    assert_eq!(of(&[&[sure(&no)]], 11).0, [1344]);
}

#[test]
fn a_text_that_goes_round_in_circles_is_given_up_at_once_and_heard_in_full() {
    let circles: Vec<u32> = [T0].into_iter().chain([HELLO, WORLD].repeat(60)).collect();
    let good = [T0, AGAIN, T0 + 500];
    let model = Scripted::approximate(&[&[sure(&circles)], &[sure(&good)]]);
    let (frames, text) = heard(&model, 11, options(AudioContext::Auto));
    assert_eq!((frames, text.as_str()), (vec![1344, 3000], " again"));
    // Of two words and eight more, which say nothing new, no more is asked.
    assert_eq!(model.n_run(), [10, good.len()]);
}

#[test]
fn a_full_window_climbs_the_ladder_from_its_first_temperature() {
    let bad = [T0, HELLO, WORLD, T0 + 500];
    let model = Scripted::approximate(&[&[unsure(&bad)], &[unsure(&bad), sure(&[T0, WORLD, T0 + 500])]]);
    let transcript = model.transcriber().run(&audio(11), options(AudioContext::Auto), &mut Silent).unwrap();
    assert_eq!((transcript.text.as_str(), transcript.segments[0].temperature), (" world", 0.2));
    assert_eq!((model.heard(), model.prompts().len()), (vec![1344, 3000], 3));
}
