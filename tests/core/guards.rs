//! What speaks against a text, and what follows from it. The network is scripted; speech is real.

use candle_whisper_core::guards::{Check, How, Why, is_phantom, longest_loop};
use candle_whisper_core::observer::Silent;
use candle_whisper_core::options::TranscribeOptions;
use candle_whisper_core::{Transcript, Waveform, media};

use crate::data::{Noise, tests};
use crate::scripted::{AGAIN, Attempt, HELLO, Scripted, T0, WORLD, audio, sure, unsure};

/// Eleven seconds of somebody speaking, then a second of nothing.
fn speech() -> Waveform {
    let path = tests().join("data/jfk.flac");
    let spoken = media::decode(std::fs::File::open(path).unwrap(), None).unwrap();
    Waveform::new([spoken.samples(), &[0.0; 16_000]].concat())
}

/// " Hello world" with a log-probability of -0.9, and silence of about `no_speech` times 0.75.
fn likely(no_speech: f32) -> Attempt {
    Attempt { margin: 10.5, no_speech, ..sure(&[T0, HELLO, WORLD, T0 + 500]) }
}

fn run(audio: &Waveform, windows: &[&[Attempt]], options: TranscribeOptions) -> (Transcript, usize) {
    let model = Scripted::new(windows);
    let transcript = model.transcriber().run(audio, options, &mut Silent).unwrap();
    (transcript, model.prompts().len())
}

#[test]
fn what_is_written_where_nobody_speaks_is_left_out_if_anything_else_is_against_it() {
    let doubtful = likely(0.53);
    let (transcript, _) = run(&audio(20), &[std::slice::from_ref(&doubtful)], TranscribeOptions::default());
    assert_eq!((transcript.text.as_str(), transcript.segments.len()), ("", 0));
    let [left_out] = &transcript.left_out[..] else { panic!("{:?}", transcript.left_out) };
    assert_eq!((left_out.start, left_out.end, left_out.text.as_str()), (0.0, 20.0, "Hello world"));
    assert_eq!(left_out.checks, [Check::NoSpeech, Check::VadSilence]);

    // Nothing else is: somebody may sing.
    let certain = likely(0.3);
    let (transcript, _) = run(&audio(20), &[&[certain]], TranscribeOptions::default());
    assert_eq!(transcript.text, " Hello world");
    assert!(transcript.left_out.is_empty() && transcript.segments[0].checks.is_empty());

    // Somebody does speak.
    let (transcript, _) = run(&speech(), &[std::slice::from_ref(&doubtful)], TranscribeOptions::default());
    assert_eq!(
        (transcript.text.as_str(), &transcript.segments[0].checks[..]),
        (" Hello world", &[Check::NoSpeech][..])
    );
}

#[test]
fn without_guards_or_without_a_ladder_it_is_the_reference() {
    let doubtful = likely(0.53);
    let off = TranscribeOptions { guards: false, ..Default::default() };
    let one = TranscribeOptions { temperatures: vec![0.0], ..Default::default() };
    for options in [off, one] {
        let (transcript, _) = run(&audio(20), &[std::slice::from_ref(&doubtful)], options);
        assert_eq!(transcript.text, " Hello world");
        assert!(transcript.left_out.is_empty() && transcript.segments[0].checks.is_empty());
    }
}

#[test]
fn no_temperature_is_tried_where_nobody_speaks() {
    let again = sure(&[&[T0][..], &[AGAIN; 60], &[T0 + 900]].concat());
    let (transcript, decodings) = run(&audio(20), &[&[again]], TranscribeOptions::default());
    assert_eq!((transcript.text.as_str(), decodings), ("", 1));
    assert_eq!(
        transcript.left_out[0].checks,
        [Check::CompressionRatio, Check::RepeatedNgrams, Check::VadSilence]
    );
}

#[test]
fn where_no_temperature_helps_the_reading_with_least_against_it_is_kept() {
    let again = sure(&[&[T0][..], &[AGAIN; 60], &[T0 + 550]].concat());
    let improbable = unsure(&[T0, HELLO, WORLD, T0 + 550]);
    let attempts = [again.clone(), again.clone(), improbable, again.clone(), again.clone(), again];
    let (transcript, _) = run(&speech(), &[&attempts], TranscribeOptions::default());
    assert_eq!(transcript.text, " Hello world");
    let segment = &transcript.segments[0];
    assert_eq!((segment.temperature, &segment.checks[..]), (0.4, &[Check::Logprob][..]));
    let readings = segment.readings.as_ref().unwrap();
    assert_eq!((readings.tried.len(), readings.kept, readings.why), (6, 2, Why::FewestChecks));
    assert_eq!(readings.tried[0].checks, [Check::CompressionRatio, Check::RepeatedNgrams]);
    assert!(readings.tried.iter().all(|reading| reading.how == How::Ladder));
}

#[test]
fn a_text_that_goes_round_in_circles_is_read_again_without_what_came_before() {
    // It compresses worse than the threshold, so the ladder takes it.
    let long: Vec<u32> = (2000..2040).collect();
    let round = sure(&[&[T0][..], &long, &[HELLO, WORLD, AGAIN].repeat(4), &[T0 + 550]].concat());
    let plain = sure(&[T0, HELLO, T0 + 550]);
    let twice = Waveform::new([&[0.1; 30 * 16_000][..], speech().samples()].concat());
    let first = sure(&[T0, WORLD, T0 + 1500, T0 + 1500]);
    let options = TranscribeOptions::default;
    let (transcript, decodings) = run(&twice, &[&[first], &[round.clone(), plain.clone()]], options());
    assert_eq!((transcript.text.as_str(), decodings), (" world Hello", 3));
    let readings = transcript.segments[1].readings.as_ref().unwrap();
    assert_eq!(readings.tried[0].checks, [Check::RepeatedNgrams]);
    assert_eq!(readings.tried[1].how, How::WithoutPrompt);
    assert_eq!((readings.kept, readings.why), (1, Why::FewestChecks));

    // Where nothing came before, hotter.
    let (transcript, _) = run(&speech(), &[&[round, plain]], options());
    let readings = transcript.segments[0].readings.as_ref().unwrap();
    assert_eq!((transcript.text.as_str(), readings.tried[1].how), (" Hello", How::HigherTemperature));
}

#[test]
fn a_window_that_is_taken_for_silence_while_somebody_speaks_is_read_once_more() {
    let silent = Attempt { no_speech: 0.9, ..unsure(&[T0, HELLO, WORLD, T0 + 550]) };
    let plain = sure(&[T0, AGAIN, T0 + 550]);
    let (transcript, _) = run(&speech(), &[&[silent.clone(), plain]], TranscribeOptions::default());
    assert_eq!(transcript.text, " again");
    let readings = transcript.segments[0].readings.as_ref().unwrap();
    assert_eq!((readings.kept, readings.tried[0].checks[..].contains(&Check::NoSpeech)), (1, true));

    // If no reading is better, it is silence as before.
    let (transcript, _) = run(&speech(), &[&[silent]], TranscribeOptions::default());
    assert_eq!((transcript.text.as_str(), transcript.left_out.len()), ("", 1));
}

#[test]
fn phrases_that_are_made_up_in_silence_are_known_by_their_language() {
    for (text, language, phantom) in [
        (" Thanks for watching!", "en", true),
        (" Thanks for watching!", "de", false),
        (" Untertitel der Amara.org-Community", "de", true),
        ("ご視聴ありがとうございました。", "ja", true),
        (" Спасибо за просмотр!", "ru", true),
        (" You are right.", "en", false),
        (" ...", "xx", true),
        (" 1, 2, 3", "en", false),
    ] {
        assert_eq!(is_phantom(text, language), phantom, "{text}");
    }
}

#[test]
fn loops_are_found_wherever_they_are_and_texts_without_one_have_none() {
    let mut noise = Noise(11);
    for _ in 0..300 {
        let mut tokens: Vec<u32> = (0..noise.below(60) as u32).map(|i| 1000 + i).collect();
        assert_eq!(longest_loop(&tokens, 8), None);
        let (length, times) = (1 + noise.below(12), 3 + noise.below(5));
        let phrase: Vec<u32> = (0..length as u32).collect();
        let at = noise.below(tokens.len() + 1);
        tokens.splice(at..at, phrase.repeat(times));
        let expected = (length * (times - 1) >= 8).then_some((length, times));
        assert_eq!(longest_loop(&tokens, 8), expected, "{tokens:?}");
    }
}
