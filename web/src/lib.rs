//! The core behind wasm-bindgen: bytes that the page fetched go in, a transcript comes out.
//!
//! Thin on purpose: what is fetched, kept and shown is the page's; how speech becomes text is the core's.

use wasm_bindgen::prelude::*;

pub mod model;

use candle_whisper_core::observer::Silent;
use candle_whisper_core::{Transcriber, TranscribeOptions, Waveform, media};

/// A loaded network, ready to transcribe.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Whisper {
    transcriber: Transcriber,
}

#[wasm_bindgen]
impl Whisper {
    /// Loads a model from the bytes of its files: `config.json`, `generation_config.json` (may be empty),
    /// `tokenizer.json`, and weights as safetensors or GGUF.
    ///
    /// # Errors
    /// If one of them is broken or they do not belong together.
    #[wasm_bindgen(constructor)]
    pub fn new(
        config: &[u8],
        generation_config: &[u8],
        tokenizer: &[u8],
        weights: Vec<u8>,
    ) -> Result<Whisper, JsError> {
        let transcriber = model::load(config, generation_config, tokenizer, weights)?;
        Ok(Self { transcriber })
    }

    /// Transcribes mono samples at 16 kHz. `options` is JSON with the fields of `TranscribeOptions`, or empty; the
    /// result is JSON as openai/whisper writes it.
    ///
    /// # Errors
    /// If an option is unknown or can't be used.
    pub fn transcribe(&self, samples: Vec<f32>, options: &str) -> Result<String, JsError> {
        let options = parse_options(options)?;
        let transcript = self.transcriber.run(&Waveform::new(samples), options, &mut Silent)?;
        Ok(serde_json::to_string(&transcript)?)
    }
}

/// Decodes the bytes of an audio or video file to mono samples at 16 kHz.
///
/// # Errors
/// If the file can't be decoded; the message says why.
#[wasm_bindgen(js_name = decodeAudio)]
pub fn decode_audio(bytes: Vec<u8>) -> Result<Vec<f32>, JsError> {
    Ok(media::decode(std::io::Cursor::new(bytes), None)?.samples().to_vec())
}

/// Options from JSON; none for an empty string.
///
/// # Errors
/// If it is not JSON, or a field is unknown.
pub fn parse_options(json: &str) -> serde_json::Result<TranscribeOptions> {
    if json.is_empty() { Ok(TranscribeOptions::default()) } else { serde_json::from_str(json) }
}
