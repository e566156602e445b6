//! Several recordings whose windows share a batch. JavaScript reads them one by one and has the core decode as many windows as
//! there are places; in between it hears who else comes, and who goes.

use std::ops::ControlFlow;

use candle_whisper_core::transcribe::Recordings;
use candle_whisper_core::{Error, Event, Result, TranscribeOptions, Transcriber, Transcription};
use js_sys::Function;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

use crate::audio::Audio;
use crate::error::{code, thrown};
use crate::{Whisper, events, options, told};

/// Recordings under way, each by the number that JavaScript knows it by. `on_event` is called with every event, which has that
/// number as `recording`; `done` and `failed` are a recording's last. It ends the call by returning false.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Together {
    options: TranscribeOptions,
    batch: usize,
    /// In the order in which they came.
    runs: Vec<(u32, Transcription)>,
}

#[wasm_bindgen]
impl Together {
    /// None yet; `options`, for all of them, is JSON, see [`options::parse`].
    ///
    /// # Errors
    /// If an option is unknown or can't be used, or `batch` is not among them.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &str) -> std::result::Result<Together, JsValue> {
        let parsed = options::parse(options).and_then(|options| {
            let missing = || Error::Options("recordings in one batch need the option `batch`".into());
            Ok((options.batch.ok_or_else(missing)?, options))
        });
        let (batch, options) = parsed.map_err(|error| thrown(&error))?;
        Ok(Self { options, batch, runs: Vec::new() })
    }

    /// Takes a recording in. What can't be heard has `failed`, and the others go on.
    pub fn join(&mut self, whisper: &Whisper, number: u32, audio: Audio, on_event: &Function) {
        let transcriber = &whisper.transcriber;
        let mut observer = |event: Event<'_>| tell(on_event, number, events::to_json(&event));
        match transcriber.start_observed(&audio.into(), self.options.clone(), &mut observer) {
            // Nobody speaks: it need not wait for its turn.
            Ok(run) if run.is_done() => drop(tell(on_event, number, Some(done(transcriber, run)))),
            Ok(run) => self.runs.push((number, run)),
            Err(error) => drop(tell(on_event, number, Some(failed(&error)))),
        }
    }

    /// Gives a recording up, if it is still under way.
    pub fn leave(&mut self, number: u32) {
        self.runs.retain(|(other, _)| *other != number);
    }

    /// Whether those under way have fewer windows left than there are places.
    #[wasm_bindgen(js_name = hasRoom)]
    pub fn has_room(&self) -> bool {
        self.runs.iter().map(|(_, run)| run.windows_left()).sum::<usize>() < self.batch
    }

    /// Whether none is under way.
    #[wasm_bindgen(js_name = isEmpty)]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Decodes as many windows as there are places, the first recordings' first.
    ///
    /// # Errors
    /// If the network fails, and with it all that is under way.
    pub fn step(&mut self, whisper: &Whisper, on_event: &Function) -> std::result::Result<(), JsValue> {
        let transcriber = &whisper.transcriber;
        let waiting = std::mem::take(&mut self.runs).into_iter();
        let mut step = Step { transcriber, on_event, waiting, numbers: Vec::new(), left: Vec::new() };
        let ran = transcriber.run_some_together(self.batch, self.batch, &mut step);
        ran.map_err(|error| thrown(&error))?;
        self.runs = step.left;
        self.runs.extend(step.waiting);
        Ok(())
    }
}

/// What the core is given of them for one step, and what it gives back.
struct Step<'a> {
    transcriber: &'a Transcriber,
    on_event: &'a Function,
    waiting: std::vec::IntoIter<(u32, Transcription)>,
    /// Of those that were given, by the core's numbers.
    numbers: Vec<u32>,
    left: Vec<(u32, Transcription)>,
}

impl Recordings for Step<'_> {
    fn next(&mut self) -> Option<Transcription> {
        let (number, run) = self.waiting.next()?;
        self.numbers.push(number);
        Some(run)
    }

    fn event(&mut self, number: usize, event: Event<'_>) -> ControlFlow<()> {
        tell(self.on_event, self.numbers[number], events::to_json(&event))
    }

    fn windows_done(&mut self, _number: usize, _run: &mut Transcription) -> bool {
        true
    }

    fn ended(&mut self, number: usize, run: Result<Transcription>) -> ControlFlow<()> {
        let number = self.numbers[number];
        let last = match run {
            Ok(run) if run.is_done() => done(self.transcriber, run),
            Ok(run) => {
                self.left.push((number, run));
                return ControlFlow::Continue(());
            }
            Err(error) => failed(&error),
        };
        tell(self.on_event, number, Some(last))
    }
}

fn done(transcriber: &Transcriber, run: Transcription) -> Value {
    json!({"type": "done", "transcript": transcriber.finish(run)})
}

fn failed(error: &Error) -> Value {
    json!({"type": "failed", "error": {"code": code(error), "message": error.to_string()}})
}

fn tell(on_event: &Function, number: u32, event: Option<Value>) -> ControlFlow<()> {
    let Some(mut event) = event else { return ControlFlow::Continue(()) };
    event["recording"] = number.into();
    told(on_event, &event)
}
