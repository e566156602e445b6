//! Tests of the web crate that need no browser: what crosses the bridge.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::Path;

use candle_whisper_core::observer::Silent;
use candle_whisper_core::{TranscribeOptions, media};
use candle_whisper_web::{model, parse_options};

fn file(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn bytes_of_the_bundled_model_and_of_a_file_become_its_sentence() {
    let part = |name: &str| file(&format!("native/models/tiny.en/{name}"));
    let transcriber = model::load(
        &part("config.json"),
        &part("generation_config.json"),
        &part("tokenizer.json"),
        part("model.gguf"),
    )
    .unwrap();
    let audio = media::decode(std::io::Cursor::new(file("tests/data/jfk.flac")), None).unwrap();
    let transcript = transcriber.run(&audio, TranscribeOptions::default(), &mut Silent).unwrap();
    assert!(transcript.text.contains("ask not what your country can do for you"), "{}", transcript.text);
}

#[test]
fn options_have_the_cores_names_and_an_unknown_one_is_an_error() {
    let options = parse_options(r#"{"word_timestamps": true, "decode": {"beam_size": 5}}"#).unwrap();
    assert!(options.word_timestamps);
    assert_eq!(options.decode.beam_size, Some(5));
    assert_eq!(parse_options("").unwrap(), TranscribeOptions::default());
    assert!(parse_options(r#"{"wordTimestamps": true}"#).unwrap_err().to_string().contains("unknown field"));
}
