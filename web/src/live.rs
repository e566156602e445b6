//! Live transcription: samples in as they come, events out. The clock is JavaScript's.

use std::ops::ControlFlow;

use candle_whisper_core::audio::PcmStream;
use candle_whisper_core::live::{Live, LiveEvent, LiveOptions};
use candle_whisper_core::observer::Silent;
use candle_whisper_core::{Error, Event, Result, Transcriber};
use js_sys::Function;
use wasm_bindgen::prelude::*;

use crate::error::thrown;
use crate::object;

/// Live options from JSON, [`LiveOptions`] by its names; the defaults for an empty string.
///
/// # Errors
/// If a field is unknown or has a value that can't be used; the message names it.
pub fn parse(options: &str) -> Result<LiveOptions> {
    let options = match options {
        "" => LiveOptions::default(),
        options => {
            serde_json::from_str(options).map_err(|error| Error::Options(format!("options: {error}")))?
        }
    };
    options.validate()?;
    Ok(options)
}

/// A live transcription under way.
#[wasm_bindgen]
#[derive(Debug)]
pub struct LiveRun {
    live: Live,
    /// The conversion to 16 kHz, and the rate that it is from.
    pcm: Option<(PcmStream, u32)>,
}

impl LiveRun {
    pub(crate) fn new(transcriber: &Transcriber, options: &str) -> Result<Self> {
        Ok(Self { live: Live::new(transcriber, parse(options)?)?, pcm: None })
    }
}

#[wasm_bindgen]
impl LiveRun {
    /// Takes mono samples at this rate. -> seconds that were pushed and are not heard yet
    ///
    /// # Errors
    /// If the rate can't be used.
    pub fn push(&mut self, samples: &[f32], sample_rate: u32) -> std::result::Result<f64, JsValue> {
        let pushed = self.converted(samples, sample_rate).map(|samples| self.live.push(&samples));
        pushed.map_err(|error| thrown(&error))?;
        Ok(self.live.behind())
    }

    fn converted(&mut self, samples: &[f32], sample_rate: u32) -> Result<Vec<f32>> {
        let mut out = Vec::new();
        if let Some((last, _)) = self.pcm.take_if(|(_, rate)| *rate != sample_rate) {
            out = last.finish();
        }
        let (pcm, _) = match &mut self.pcm {
            Some(pcm) => pcm,
            none => none.insert((PcmStream::new(1, sample_rate)?, sample_rate)),
        };
        out.extend(pcm.push(samples)?);
        Ok(out)
    }

    /// Whether [`LiveRun::step`] has something to do.
    #[wasm_bindgen(js_name = isReady)]
    pub fn is_ready(&self) -> bool {
        self.live.is_ready()
    }

    /// Hears what was pushed, and decodes at most once; an array of events. `go_on` is asked with every token, `now` gives
    /// milliseconds.
    ///
    /// # Errors
    /// If the network fails.
    pub fn step(&mut self, go_on: &Function, now: &Function) -> std::result::Result<JsValue, JsValue> {
        let clock = || now.call0(&JsValue::NULL).ok().and_then(|now| now.as_f64()).unwrap_or(0.0);
        let start = clock();
        let mut observer = |_: Event<'_>| match go_on.call0(&JsValue::NULL) {
            Ok(answer) if answer != JsValue::FALSE => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        };
        let mut events = self.live.step(&mut observer).map_err(|error| thrown(&error))?;
        self.live.took((clock() - start) / 1e3, &mut events);
        to_js(&events)
    }

    /// Hears the rest, and confirms all of it; an array of events.
    ///
    /// # Errors
    /// If the network fails.
    pub fn finish(&mut self) -> std::result::Result<JsValue, JsValue> {
        if let Some((pcm, _)) = self.pcm.take() {
            self.live.push(&pcm.finish());
        }
        to_js(&self.live.finish(&mut Silent).map_err(|error| thrown(&error))?)
    }

    /// What is confirmed.
    ///
    /// # Errors
    /// Never.
    pub fn transcript(&self) -> std::result::Result<JsValue, JsValue> {
        object(&serde_json::json!(self.live.transcript()))
    }
}

fn to_js(events: &[LiveEvent]) -> std::result::Result<JsValue, JsValue> {
    let events: Vec<_> = events.iter().map(LiveEvent::versioned).collect();
    object(&serde_json::json!(events))
}
