//! For each recording: read, transcribe, write. One that fails is reported and skipped.

use anyhow::Context;
use candle_whisper_core::writers::format_timestamp;
use candle_whisper_core::{Observer, Result, TranscribeOptions, Transcriber, Transcript, Waveform, media};

use crate::input::Input;
use crate::interrupt::Stop;
use crate::job::Job;
use crate::messages;
use crate::options::for_model;
use crate::output::Delivery;
use crate::progress::Display;

/// What the run asks of a loaded model.
pub trait Engine {
    /// Whether the model knows other languages than English.
    fn is_multilingual(&self) -> bool;
    /// The transcript, or what there is of it when the observer breaks.
    fn transcribe(
        &self,
        audio: &Waveform,
        options: TranscribeOptions,
        observer: &mut dyn Observer,
    ) -> Result<Transcript>;
}

impl Engine for Transcriber {
    fn is_multilingual(&self) -> bool {
        self.tokenizer().is_multilingual()
    }

    fn transcribe(
        &self,
        audio: &Waveform,
        options: TranscribeOptions,
        observer: &mut dyn Observer,
    ) -> Result<Transcript> {
        self.run(audio, options, observer)
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every recording was transcribed, or nobody wants to read more.
    Done,
    /// Some recording was not transcribed.
    SomeFailed,
    /// Someone asked to stop.
    Interrupted,
}

/// Transcribes everything; `load` is called once, and only if there is something to read.
pub fn run<E: Engine>(
    job: &Job,
    load: impl FnOnce() -> anyhow::Result<E>,
    stop: &Stop,
) -> anyhow::Result<Outcome> {
    job.outputs.prepare(&job.inputs)?;
    let mut outcome = Outcome::Done;
    let mut failed = |error: &anyhow::Error| {
        messages::error(error);
        outcome = Outcome::SomeFailed;
    };
    let mut readable = Vec::new();
    for input in &job.inputs {
        match input.check() {
            Ok(()) => readable.push(input),
            Err(error) => failed(&error),
        }
    }
    if readable.is_empty() {
        return Ok(Outcome::SomeFailed);
    }
    let engine = load()?;
    let (options, warnings) = for_model(job.options.clone(), engine.is_multilingual());
    warnings.iter().for_each(messages::warning);
    for input in readable {
        match one(job, input, &engine, options.clone(), stop) {
            Ok(Step::Next) => {}
            Ok(Step::ReaderGone) => break,
            Ok(Step::Interrupted) => return Ok(Outcome::Interrupted),
            Err(error) => failed(&error),
        }
    }
    Ok(outcome)
}

/// What openai/whisper says before it detects the language.
const DETECTING: &str = "Detecting language using up to the first 30 seconds. \
                         Use `--language` to specify the language";

enum Step {
    Next,
    ReaderGone,
    Interrupted,
}

fn one(
    job: &Job,
    input: &Input,
    engine: &dyn Engine,
    options: TranscribeOptions,
    stop: &Stop,
) -> anyhow::Result<Step> {
    if stop.asked() {
        return Ok(Step::Interrupted);
    }
    let source = input.open()?;
    let audio =
        media::decode(source, input.extension()).with_context(|| format!("could not decode {input}"))?;
    let working = stop.working();
    let mut display = Display::new(job.show, audio.duration(), stop);
    if job.show.segments && engine.is_multilingual() && options.decode.language.is_none() {
        display.line(DETECTING);
    }
    let transcript = engine.transcribe(&audio, options, &mut display);
    let cut_short = display.finish();
    let transcript = transcript.with_context(|| format!("could not transcribe {input}"))?;
    if cut_short.is_some() && transcript.segments.is_empty() {
        messages::warning(format_args!("interrupted; nothing of {input} was done yet"));
        return Ok(Step::Interrupted);
    }
    let delivery = job.outputs.write(input, &transcript, stop)?;
    drop(working);
    if let Some(seconds) = cut_short {
        let time = |seconds| format_timestamp(seconds, false, '.');
        let (at, of) = (time(seconds), time(audio.duration()));
        messages::warning(format_args!(
            "interrupted; the transcript of {input} is incomplete: it ends at {at} of {of}"
        ));
        return Ok(Step::Interrupted);
    }
    Ok(match delivery {
        Delivery::Whole => Step::Next,
        Delivery::ReaderGone => Step::ReaderGone,
    })
}
