//! A recording that is read block by block says what it says as a whole, to the last bit; and a run that was broken off says
//! what it would have said.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use candle_whisper_core::audio::SAMPLE_RATE;
use candle_whisper_core::observer::{Event, Silent};
use candle_whisper_core::options::TranscribeOptions;
use candle_whisper_core::transcribe::Checkpoint;
use candle_whisper_core::{Recording, Transcriber, Transcript, Waveform, media};

use crate::data::{bundled, tests};

static BUNDLED: LazyLock<Transcriber> = LazyLock::new(bundled);

/// The sentence twice, with silence around it.
fn recording() -> Waveform {
    let jfk = media::decode(std::fs::File::open(tests().join("data/jfk.flac")).unwrap(), None).unwrap();
    let silence = |seconds: f64| vec![0f32; (seconds * SAMPLE_RATE as f64) as usize];
    Waveform::new([&silence(3.01), jfk.samples(), &silence(9.0), jfk.samples(), &silence(0.5)].concat())
}

type Change = fn(&mut TranscribeOptions);

fn modes() -> [(&'static str, Change); 4] {
    [
        ("words and silences", |o| {
            (o.word_timestamps, o.hallucination_silence_threshold) = (true, Some(2.0));
        }),
        ("clips that go back, sampled", |o| {
            (o.clip_timestamps, o.temperatures) = (vec![22.0, 35.0, 2.0, 9.0], vec![0.6]);
        }),
        ("voice activity", |o| o.vad = Some(candle_whisper_core::vad::VadOptions::default())),
        ("batches", |o| {
            (o.batch, o.condition_on_previous_text, o.word_timestamps) = (Some(2), false, true);
        }),
    ]
}

/// The same, started anew after each window.
fn in_pieces(options: &TranscribeOptions) -> Transcript {
    let start = |plan| {
        let recording = Recording::from(recording());
        BUNDLED.start_recording(recording, options.clone(), plan, &mut Silent).unwrap().unwrap()
    };
    let mut done: Vec<String> = Vec::new();
    let plan = serde_json::to_string(start(None).plan().unwrap()).unwrap();
    loop {
        let mut run = start(Some(serde_json::from_str(&plan).unwrap()));
        let mut segments = Vec::new();
        for line in &done {
            let checkpoint: Checkpoint = serde_json::from_str(line).unwrap();
            segments.extend(checkpoint.segments.clone());
            run.restore(checkpoint);
        }
        if BUNDLED.next_window(&mut run, &mut Silent).unwrap().is_break() {
            let transcript = BUNDLED.finish(run);
            segments.extend(transcript.segments);
            return Transcript { segments, ..transcript };
        }
        done.push(serde_json::to_string(&run.checkpoint()).unwrap());
    }
}

#[test]
fn the_transcript_is_that_of_the_whole_recording_and_of_one_that_is_begun_anew_at_each_window() {
    for (name, change) in modes() {
        let mut options = TranscribeOptions { temperatures: vec![0.0], ..TranscribeOptions::default() };
        change(&mut options);
        let whole = BUNDLED.run(&recording(), options.clone(), &mut Silent).unwrap();
        assert!(whole.text.contains("country"), "{name}: {}", whole.text);
        assert_eq!(in_pieces(&options), whole, "{name}");
        if std::env::var_os("CANDLE_WHISPER_LONG").is_none() {
            continue;
        }
        let read = BUNDLED.run_recording(recording().into(), options.clone(), &mut Silent).unwrap();
        assert_eq!(read, whole, "{name}");
    }
}

#[test]
fn what_needs_all_of_a_recording_is_refused_where_it_is_read_once() {
    let once = |change: Change| {
        let mut options = TranscribeOptions::default();
        change(&mut options);
        let wav = std::fs::File::open(tests().join("data/jfk.flac")).unwrap();
        let recording = Recording::once(media::MediaReader::open_passing(wav, None).unwrap());
        BUNDLED.run_recording(recording, options, &mut Silent).map_err(|error| error.to_string())
    };
    let said = once(|_| {}).unwrap().text;
    assert!(said.trim_end().ends_with("ask what you can do for your country"), "{said}");
    let refused = once(|o| o.vad = Some(Default::default())).unwrap_err();
    assert_eq!(refused, "`vad` needs the whole recording, and this one is read only once");
    let refused = once(|o| (o.batch, o.condition_on_previous_text) = (Some(2), false)).unwrap_err();
    assert!(refused.starts_with("`batch` needs"), "{refused}");
    assert!(once(|o| o.clip_timestamps = vec![5.0, 6.0, 1.0, 2.0]).unwrap_err().contains("go back in time"));
}

#[test]
fn whoever_stops_while_it_is_read_has_nothing() {
    let mut n_told = 0;
    let mut stop = |event: Event<'_>| {
        assert!(matches!(event, Event::Reading { .. }));
        n_told += 1;
        ControlFlow::Break(())
    };
    let run =
        BUNDLED.start_recording(recording().into(), TranscribeOptions::default(), None, &mut stop).unwrap();
    assert!(run.is_none());
    assert_eq!(n_told, 1);
}
