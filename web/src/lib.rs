//! The core behind wasm-bindgen: bytes of files go in, events and a transcript come out.
//!
//! Thin on purpose: what is fetched, kept and shown is JavaScript's; how speech becomes text is the core's.
//! Everything here runs on the thread that calls it, which is a worker's; `js/` is what people import.

use std::ops::ControlFlow;

use js_sys::{Function, JSON};
use wasm_bindgen::prelude::*;

pub mod arriving;
pub mod audio;
pub mod crew;
pub mod error;
pub mod estimate;
pub mod events;
pub mod hash;
pub mod helpers;
pub mod live;
pub mod model;
pub mod options;
pub mod source;
pub mod together;
pub mod transcript;
pub mod windows;

use audio::Audio;
use candle_whisper_core::languages::LANGUAGES;
use candle_whisper_core::vad::Vad;
use candle_whisper_core::weights::Checkpoint;
use candle_whisper_core::{Error, Event, TranscribeOptions, Transcriber, Transcription};
use error::thrown;
use live::LiveRun;

/// A loaded network, and the transcription under way.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Whisper {
    transcriber: Transcriber,
    run: Option<Transcription>,
    windows: windows::Windows,
}

/// A model's files, opened: what they lack can be fetched before it is loaded.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Opened {
    config: Vec<u8>,
    generation_config: Vec<u8>,
    tokenizer: Vec<u8>,
    checkpoint: Checkpoint,
}

#[wasm_bindgen]
impl Opened {
    /// Opens `config.json`, `generation_config.json` and `tokenizer.json`, each empty if there is none, and weights of `size`
    /// bytes in any format the core knows. `read(offset, length)` gives some of them as a `Uint8Array`, at once.
    ///
    /// # Errors
    /// If the weights are broken.
    #[wasm_bindgen(constructor)]
    pub fn new(
        config: Vec<u8>,
        generation_config: Vec<u8>,
        tokenizer: Vec<u8>,
        size: f64,
        read: Function,
    ) -> Result<Opened, JsValue> {
        let checkpoint = source::checkpoint(size, &read).map_err(|error| thrown(&error))?;
        Ok(Self { config, generation_config, tokenizer, checkpoint })
    }

    fn files<'a>(&'a self, vocabulary: &'a [u8]) -> model::Files<'a> {
        let Self { config, generation_config, tokenizer, .. } = self;
        model::Files { config, generation_config, tokenizer, vocabulary }
    }

    /// The file beside the module that has the model's tokens, if it brings none.
    ///
    /// # Errors
    /// If a file is broken, or its tokens are not known.
    pub fn vocabulary(&self) -> Result<Option<String>, JsValue> {
        let name = model::vocabulary(&self.files(&[]), &self.checkpoint);
        Ok(name.map_err(|error| thrown(&error))?.map(String::from))
    }

    /// Loads the model, with that file, or nothing if it is not needed. `dtype` says what is multiplied, see
    /// [`model::matrices`].
    ///
    /// # Errors
    /// If a file is broken or they do not belong together.
    pub fn load(self, vocabulary: &[u8], dtype: &str) -> Result<Whisper, JsValue> {
        let Self { config, generation_config, tokenizer, checkpoint } = self;
        let files = model::Files {
            config: &config,
            generation_config: &generation_config,
            tokenizer: &tokenizer,
            vocabulary,
        };
        let load = || model::load(&files, checkpoint, model::matrices(dtype)?);
        let transcriber = load().map_err(|error| thrown(&error))?;
        Ok(Whisper { transcriber, run: None, windows: windows::Windows::default() })
    }
}

#[wasm_bindgen]
impl Whisper {
    /// The network's sizes by Hugging Face's names, and whether it knows many languages.
    ///
    /// # Errors
    /// Never.
    pub fn info(&self) -> Result<JsValue, JsValue> {
        object(&model::info(self.transcriber.model().dims()))
    }

    /// Takes the weights of Silero VAD, which the options `vad`, `batch` and `snap_to_speech` need: the bytes of `silero_vad.safetensors`.
    ///
    /// # Errors
    /// If they are no such weights.
    #[wasm_bindgen(js_name = setVad)]
    pub fn set_vad(&mut self, weights: &[u8]) -> Result<(), JsValue> {
        let vad = Vad::new(weights).map_err(|error| thrown(&error))?;
        self.transcriber = self.transcriber.clone().with_vad(vad);
        Ok(())
    }

    /// Begins a transcription; `options` is JSON, see [`options::parse`]. `on_event` is called with every event, and
    /// ends the run by returning false.
    ///
    /// # Errors
    /// If an option is unknown or can't be used.
    pub fn start(&mut self, audio: Audio, options: &str, on_event: &Function) -> Result<(), JsValue> {
        self.run = None;
        let options = options::parse(options).map_err(|error| thrown(&error))?;
        let run = self.transcriber.start_observed(&audio.into(), options, &mut tell(on_event));
        self.run = Some(run.map_err(|error| thrown(&error))?);
        Ok(())
    }

    /// Decodes one window of 30 s; false when nothing is left or `on_event` ended the run.
    ///
    /// # Errors
    /// If nothing was begun, or the network fails.
    #[wasm_bindgen(js_name = nextWindow)]
    pub fn next_window(&mut self, on_event: &Function) -> Result<bool, JsValue> {
        let run = self.run.as_mut().ok_or_else(|| thrown(&nothing_begun()))?;
        let flow = self.transcriber.next_window(run, &mut tell(on_event));
        Ok(flow.map_err(|error| thrown(&error))?.is_continue())
    }

    /// Ends the transcription: what was transcribed so far.
    ///
    /// # Errors
    /// If nothing was begun.
    pub fn finish(&mut self) -> Result<JsValue, JsValue> {
        let run = self.run.take().ok_or_else(|| thrown(&nothing_begun()))?;
        object(&serde_json::json!(self.transcriber.finish(run)))
    }

    /// Encodes a stretch of a recording of at most 30 s, and gives the number by which [`Whisper::align`] knows it. To
    /// `snap` words to speech, it needs [`Whisper::set_vad`].
    ///
    /// # Errors
    /// If the stretch is not in the recording or too long, or the network fails.
    #[wasm_bindgen(js_name = keepWindow)]
    pub fn keep_window(&mut self, audio: Audio, start: f64, end: f64, snap: bool) -> Result<u32, JsValue> {
        let options = TranscribeOptions { snap_to_speech: snap, ..TranscribeOptions::default() };
        let window = self.transcriber.encode_window(&audio.into(), (start, end), &options);
        Ok(self.windows.keep(window.map_err(|error| thrown(&error))?))
    }

    /// The words of a text with the times at which they are said in a window that is kept; `options` is JSON, see
    /// [`options::parse`].
    ///
    /// # Errors
    /// If the window is kept no longer, or the text can't be aligned.
    pub fn align(&mut self, text: &str, window: u32, options: &str) -> Result<JsValue, JsValue> {
        let aligned = options::parse(options).and_then(|options| {
            let window = self.windows.get(window)?;
            self.transcriber.align_window(window, text, &options)
        });
        object(&serde_json::json!(aligned.map_err(|error| thrown(&error))?))
    }

    /// Begins a live transcription; `options` is JSON, see [`live::parse`]. It needs [`Whisper::set_vad`].
    ///
    /// # Errors
    /// If an option is unknown or can't be used.
    pub fn live(&self, options: &str) -> Result<LiveRun, JsValue> {
        LiveRun::new(&self.transcriber, options).map_err(|error| thrown(&error))
    }

    /// `{language, probabilities}` of the first 30 s.
    ///
    /// # Errors
    /// If the network knows only English.
    #[wasm_bindgen(js_name = detectLanguage)]
    pub fn detect_language(&self, audio: Audio) -> Result<JsValue, JsValue> {
        let heard = self.transcriber.detect_language(&audio.into()).map_err(|error| thrown(&error))?;
        object(&events::languages_to_json(&heard))
    }
}

/// Checks options before there is a recording to use them on; true if they need [`Whisper::set_vad`].
///
/// # Errors
/// If an option is unknown or has a value of another type.
#[wasm_bindgen(js_name = checkOptions)]
pub fn check_options(options: &str) -> Result<bool, JsValue> {
    let options = options::parse(options).map_err(|error| thrown(&error))?;
    options.validate().map_err(|error| thrown(&error))?;
    Ok(options.voice_activity().is_some() || options.snap_to_speech)
}

/// Checks options of a live transcription.
///
/// # Errors
/// If an option is unknown or can't be used.
#[wasm_bindgen(js_name = checkLiveOptions)]
pub fn check_live_options(options: &str) -> Result<(), JsValue> {
    live::parse(options).map(drop).map_err(|error| thrown(&error))
}

/// What a transcription of a model takes in bytes: `{bytes, terms}`; see [`estimate::of_json`].
///
/// # Errors
/// If the request names no model, or has an unknown field.
#[wasm_bindgen]
pub fn estimate(request: &str) -> Result<JsValue, JsValue> {
    object(&estimate::of_json(request).map_err(|error| thrown(&error))?)
}

/// The file of a transcript, given as JSON, in a format named by its extension; `options` is JSON too, or empty.
///
/// # Errors
/// If the format or an option is unknown, or the transcript is not one.
#[wasm_bindgen]
pub fn write(transcript: &str, format: &str, options: &str) -> Result<String, JsValue> {
    transcript::write(transcript, format, options).map_err(|error| thrown(&error))
}

/// `[code, English name]` of every language Whisper knows.
///
/// # Errors
/// Never.
#[wasm_bindgen]
pub fn languages() -> Result<JsValue, JsValue> {
    object(&serde_json::json!(LANGUAGES.as_slice()))
}

/// Why the last call ended in a trap, if it was a panic; a trap without one is memory that was not to be had.
#[wasm_bindgen(js_name = lastPanic)]
pub fn last_panic() -> Option<String> {
    error::last_panic()
}

/// Called once, when the module is instantiated.
#[wasm_bindgen(start)]
pub fn initialise() {
    error::keep_panics();
}

fn nothing_begun() -> Error {
    Error::Options("no transcription is under way; call `start` first".into())
}

/// An observer that hands every event to JavaScript as an object.
fn tell(on_event: &Function) -> impl FnMut(Event<'_>) -> ControlFlow<()> {
    move |event| match events::to_json(&event) {
        Some(event) => told(on_event, &event),
        None => ControlFlow::Continue(()),
    }
}

/// Hands an event to JavaScript; a receiver that throws has lost interest.
fn told(on_event: &Function, event: &serde_json::Value) -> ControlFlow<()> {
    let answer = object(event).and_then(|event| on_event.call1(&JsValue::NULL, &event));
    match answer {
        Ok(answer) if answer != JsValue::FALSE => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}

fn object(value: &serde_json::Value) -> Result<JsValue, JsValue> {
    JSON::parse(&value.to_string())
}
