//! Files in, events and files out.

use std::path::Path;

use candle_whisper_core::observer::{FallbackReason, Silent};
use candle_whisper_core::weights::{Checkpoint, Matrices};
use candle_whisper_core::{Event, Segment, TranscribeOptions, Transcript, media};
use candle_whisper_web::events::to_json;
use candle_whisper_web::{model, transcript};
use serde_json::json;

fn file(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn bundled(name: &str) -> Vec<u8> {
    file(&format!("native/models/tiny.en/{name}"))
}

#[test]
fn files_of_the_bundled_model_become_the_sentence_of_a_file() {
    let (config, generation_config) = (bundled("config.json"), bundled("generation_config.json"));
    let tokenizer = bundled("tokenizer.json");
    let files = model::Files {
        config: &config,
        generation_config: &generation_config,
        tokenizer: &tokenizer,
        vocabulary: &[],
    };
    let weights = Checkpoint::open(vec![Box::new(bundled("model.gguf"))]).unwrap();
    let transcriber = model::load(&files, weights, model::matrices("f32").unwrap()).unwrap();
    let audio = media::decode(std::io::Cursor::new(file("tests/data/jfk.flac")), None).unwrap();
    let transcript = transcriber.run(&audio, TranscribeOptions::default(), &mut Silent).unwrap();
    assert!(transcript.text.contains("ask not what your country can do for you"), "{}", transcript.text);
}

#[test]
fn products_are_of_floats_or_of_integers() {
    assert_eq!(model::matrices("quantised").unwrap(), Matrices::Blocks);
    let complaint = model::matrices("f16").unwrap_err().to_string();
    assert!(complaint.contains("f32 or quantised, not f16"), "{complaint}");
}

#[test]
fn weights_alone_say_their_sizes_and_which_vocabulary_they_need() {
    let files = model::Files { config: &[], generation_config: &[], tokenizer: &[], vocabulary: &[] };
    let weights = || Checkpoint::open(vec![Box::new(bundled("model.gguf"))]).unwrap();
    assert_eq!(model::vocabulary(&files, &weights()).unwrap(), Some("gpt2.deflate"));
    assert_eq!(model::vocabulary(&model::Files { tokenizer: b"{}", ..files }, &weights()).unwrap(), None);
    let load = |name| {
        let vocabulary = file(&format!("core/assets/{name}.deflate"));
        model::load(&model::Files { vocabulary: &vocabulary, ..files }, weights(), Matrices::Floats)
    };
    let error = load("multilingual").unwrap_err().to_string();
    assert!(error.contains("`gpt2.deflate` is damaged"), "{error}");
    let transcriber = load("gpt2").unwrap();
    assert_eq!(model::info(transcriber.model().dims())["n_vocab"], 51864);
    assert_eq!(model::info(transcriber.model().dims())["multilingual"], false);
}

#[test]
fn events_are_objects_with_a_type() {
    let of = |event| to_json(&event).unwrap();
    assert_eq!(of(Event::Text { so_far: "hi" }), json!({"type": "text", "text": "hi"}));
    assert_eq!(
        of(Event::Window { seek: 3050, content_frames: 3000 }),
        json!({"type": "progress", "seconds": 30.0, "duration": 30.0})
    );
    let reason = FallbackReason::Repetition;
    assert_eq!(
        of(Event::Fallback { temperature: 0.2, reason }),
        json!({"type": "fallback", "temperature": 0.2, "reason": "compression_ratio"})
    );
    let segment = Segment { text: " hi".into(), end: 1.5, ..Segment::default() };
    assert_eq!(of(Event::Segment(&segment))["segment"]["text"], " hi");
}

#[test]
fn a_transcript_in_json_becomes_a_file_and_options_are_for_subtitles_only() {
    let segments = vec![Segment { text: " Hello".into(), end: 1.5, ..Segment::default() }];
    let transcript =
        Transcript { text: " Hello".into(), segments, language: "en".into(), ..Transcript::default() };
    let json = serde_json::to_string(&transcript).unwrap();
    let write = |format, options| transcript::write(&json, format, options).map_err(|e| e.to_string());
    assert_eq!(write("srt", "").unwrap(), "1\n00:00:00,000 --> 00:00:01,500\nHello\n\n");
    assert_eq!(write("txt", "{}").unwrap(), "Hello\n");
    assert!(write("vtt", r#"{"max_line_width": 20}"#).is_ok());
    assert!(write("vtt", r#"{"maxLineWidth": 20}"#).unwrap_err().contains("unknown field `maxLineWidth`"));
    assert!(write("txt", r#"{"max_line_width": 20}"#).unwrap_err().contains("`txt` has no options"));
    assert!(write("docx", "").is_err());
    assert!(transcript::write("{}", "srt", "").unwrap_err().to_string().contains("not a transcript"));
}
