//! Live transcription in simulated time with the network of `tests/models/tiny.en`: audio comes in tenths of a second, and a step
//! takes as long as the test says.

use std::sync::{Arc, OnceLock};

use candle_core::{DType, Device};
use candle_whisper_core::audio::PcmStream;
use candle_whisper_core::dims::{ModelDimensions, alignment_heads};
use candle_whisper_core::live::{Latency, Live, LiveEvent, LiveOptions};
use candle_whisper_core::model::Whisper;
use candle_whisper_core::observer::Silent;
use candle_whisper_core::vad::VadOptions;
use candle_whisper_core::weights::{Checkpoint, Weights};
use candle_whisper_core::{TranscribeOptions, Transcriber, Waveform, media};

use crate::data::{model_file, tests, tokenizer};

const BLOCK: usize = 1600;

fn tiny() -> &'static Transcriber {
    static TINY: OnceLock<Transcriber> = OnceLock::new();
    TINY.get_or_init(|| {
        let dims = ModelDimensions::from_json(&model_file("tiny.en/config.json")).unwrap();
        let heads = alignment_heads(&dims, Some(&model_file("tiny.en/generation_config.json"))).unwrap();
        let checkpoint = Checkpoint::open(vec![Box::new(model_file("tiny.en/model.safetensors"))]).unwrap();
        let weights = Weights::from_checkpoint(Arc::new(checkpoint), DType::F32, &Device::Cpu);
        let n_vocab = dims.n_vocab;
        Transcriber::new(Arc::new(Whisper::load(dims, heads, &weights).unwrap()), tokenizer(n_vocab)).unwrap()
    })
}

fn jfk() -> Waveform {
    let file = std::fs::File::open(tests().join("data/jfk.flac")).unwrap();
    media::decode(file, Some("flac")).unwrap()
}

/// Everything that is told of these samples where each decoding takes so many seconds.
fn told(samples: &[f32], options: LiveOptions, took: f64) -> (Live, Vec<LiveEvent>) {
    let mut live = Live::new(tiny(), options).unwrap();
    let (mut clock, mut given, mut events) = (0.0, 0, Vec::new());
    while given < samples.len() || live.is_ready() {
        let due = ((clock * 16_000.0) as usize).min(samples.len());
        live.push(&samples[given.min(due)..due]);
        given = given.max(due);
        if !live.is_ready() {
            clock += BLOCK as f64 / 16_000.0;
            continue;
        }
        let mut new = live.step(&mut Silent).unwrap();
        let decoded =
            new.iter().any(|e| matches!(e, LiveEvent::Tentative { .. } | LiveEvent::Silence { .. }));
        let took = if decoded { took } else { 0.0 };
        live.took(took, &mut new);
        clock += took;
        events.extend(new);
    }
    events.extend(live.finish(&mut Silent).unwrap());
    (live, events)
}

fn bare(text: &str) -> Vec<String> {
    let letters =
        |word: &str| word.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    text.split_whitespace().map(letters).filter(|word| !word.is_empty()).collect()
}

#[test]
fn spoken_words_are_those_of_the_file_and_come_in_time() {
    let audio = jfk();
    let (live, events) = told(audio.samples(), LiveOptions::default(), 0.3);
    let transcript = live.transcript();
    let file = tiny().run(&audio, TranscribeOptions::default(), &mut Silent).unwrap();
    assert_eq!(bare(&transcript.text), bare(&file.text));

    assert!(matches!(events[0], LiveEvent::Ready { sample_rate: 16_000 }));
    let mut confirmed = Vec::new();
    let mut text = String::new();
    for event in &events {
        if let LiveEvent::Confirmed { words, text: new, .. } = event {
            confirmed.extend(words.clone());
            text += new;
        }
    }
    assert_eq!(text, transcript.text);
    assert!(confirmed.windows(2).all(|pair| pair[0].end <= pair[1].start), "{confirmed:?}");
    // "fellow" begins at 1.4 s of the recording, "country" ends it.
    let fellow = confirmed.iter().find(|word| word.word == " fellow").unwrap();
    assert!((fellow.start - 1.4).abs() < 0.3, "{fellow:?}");
    let Some(LiveEvent::End { words, latency: Some(Latency { median, p90 }), .. }) = events.last() else {
        panic!("{:?}", events.last())
    };
    assert_eq!(*words, confirmed.len());
    assert!(*median < 3.0 && *p90 < 4.5, "{median} {p90}");

    // Segments are what writers take.
    let joined: String = transcript.segments.iter().map(|segment| segment.text.as_str()).collect();
    assert_eq!(joined, transcript.text);
    assert!(transcript.segments.len() >= 3 && transcript.segments.iter().enumerate().all(|(i, s)| s.id == i));
}

#[test]
fn a_machine_that_is_too_slow_says_so_and_loses_no_word() {
    let audio = jfk();
    let (live, events) = told(audio.samples(), LiveOptions::default(), 6.0);
    let lag = events
        .iter()
        .any(|e| matches!(e, LiveEvent::Lag { behind, dropped, .. } if *behind > 5.0 && *dropped == 0.0));
    assert!(lag, "{events:?}");
    assert!(bare(&live.transcript().text).ends_with(&bare("what you can do for your country")));
}

#[test]
fn silence_is_not_decoded_and_what_waits_is_bounded() {
    let mut live = Live::new(tiny(), LiveOptions::default()).unwrap();
    // Five minutes at once: the first four are dropped, and that is told when something is said.
    live.push(&vec![0.0; 300 * 16_000]);
    assert_eq!(live.behind(), 60.0);
    let events = live.finish(&mut Silent).unwrap();
    assert!(
        matches!(events[..], [LiveEvent::Ready { .. }, LiveEvent::Lag { dropped, .. }, LiveEvent::End { words: 0, latency: None, .. }] if dropped == 240.0),
        "{events:?}"
    );
    assert_eq!(live.transcript().text, "");
}

#[test]
fn options_that_cannot_be_used_are_named() {
    let refused = |options| Live::new(tiny(), options).unwrap_err().to_string();
    let default = LiveOptions::default;
    assert!(
        refused(LiveOptions { min_chunk_s: 0.0, ..default() })
            .contains("`min_chunk_s` must be 0.1 to 10, not 0")
    );
    let vad = VadOptions { max_speech_duration_s: Some(9.0), ..VadOptions::default() };
    assert!(refused(LiveOptions { vad, ..default() }).contains("`vad max_speech_duration_s` has no meaning"));
    let german = Some("german".to_owned());
    assert!(refused(LiveOptions { language: german, ..default() }).contains("this model knows only English"));
    assert!(refused(LiveOptions { beam_size: Some(0), ..default() }).contains("`beam_size`"));
}

#[test]
fn events_are_lines_of_json_with_a_version() {
    let (_, events) = told(&jfk().samples()[..4 * 16_000], LiveOptions::default(), 0.2);
    for event in &events {
        let json: serde_json::Value = serde_json::from_str(&event.to_json()).unwrap();
        assert_eq!(json["version"], 1);
        let kinds = ["ready", "language", "tentative", "confirmed", "silence", "lag", "end"];
        assert!(kinds.contains(&json["type"].as_str().unwrap()), "{json}");
        if json["type"] == "confirmed" {
            let word = &json["words"][0];
            assert!(
                ["word", "start", "end", "probability"].iter().all(|field| !word[field].is_null()),
                "{json}"
            );
            assert!(json["latency"].as_f64().unwrap() > 0.0);
        }
    }
}

#[test]
fn a_stream_in_pieces_is_the_waveform_in_one() {
    let stereo: Vec<f32> = (0..44_100).map(|i| ((i / 2) as f32 * 0.05).sin() * 0.4).collect();
    let mut stream = PcmStream::new(2, 44_100).unwrap();
    let mut pieces = Vec::new();
    for piece in stereo.chunks(777) {
        pieces.extend(stream.push(piece).unwrap());
    }
    pieces.extend(stream.finish());
    assert_eq!(pieces, Waveform::from_pcm(&stereo, 2, 44_100).unwrap().samples());
    assert!(PcmStream::new(0, 16_000).is_err() && PcmStream::new(1, 1).is_err());
}
