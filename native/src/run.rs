//! For each recording: read, transcribe, write. One that fails is reported and skipped.

use anyhow::Context;
use candle_whisper_core::writers::format_timestamp;
use candle_whisper_core::{Error, Observer, Recording, TranscribeOptions, Transcript};

use crate::ahead::decoded_ahead;
use crate::engine::Loaded;
use crate::input::{Input, Opened};
use crate::interrupt::Stop;
use crate::job::Job;
use crate::journal::{Found, Journal};
use crate::mark::{self, Mark};
use crate::messages;
use crate::options::for_model;
use crate::output::Delivery;
use crate::progress::Display;
use crate::together;

/// What the run asks of a loaded model.
pub trait Engine {
    /// Whether the model knows other languages than English.
    fn is_multilingual(&self) -> bool;
    /// What the model and its numbers are known by: names of its parts, and a mark of each.
    fn mark(&self) -> anyhow::Result<Vec<(String, String)>>;
    /// The model itself, if it can take several recordings at once.
    fn loaded(&self) -> Option<&Loaded> {
        None
    }
    /// Whether a processor of its own computes the network.
    fn is_on_gpu(&self) -> bool {
        false
    }
    /// The transcript, or what there is of it when the observer breaks. Windows go into the journal, and the run goes on
    /// from those that are in it.
    fn transcribe(
        &self,
        recording: Recording,
        options: TranscribeOptions,
        journal: &mut Journal,
        observer: &mut dyn Observer,
    ) -> anyhow::Result<Transcript>;
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
    if let (Some(n), Some(loaded)) = (options.batch, engine.loaded()) {
        let ended = together::run(job, &readable, loaded, (n, options), stop);
        return Ok(if ended == Outcome::Done { outcome } else { ended });
    }
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

/// What comes after a recording.
pub(crate) enum Step {
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
    let (recording, duration, mut journal) = open(job, input, engine, &options)?;
    let working = stop.working();
    let mut display = Display::new(job.show, duration.unwrap_or(0.0), stop);
    display.detecting(engine.is_multilingual(), &options);
    let transcript = engine.transcribe(recording, options, &mut journal, &mut display);
    let (cut_short, duration) = (display.cut_short(), display.duration().or(duration));
    display.finish();
    let step = Finished { input, transcript, duration, journal }.deliver(job, cut_short, stop);
    drop(working);
    step
}

/// A recording after its last window.
pub(crate) struct Finished<'a> {
    pub input: &'a Input,
    pub transcript: anyhow::Result<Transcript>,
    /// In seconds, if it is known.
    pub duration: Option<f64>,
    pub journal: Journal,
}

impl Finished<'_> {
    /// Writes what there is; `cut_short` is the second at which somebody stopped it.
    pub fn deliver(self, job: &Job, cut_short: Option<f64>, stop: &Stop) -> anyhow::Result<Step> {
        let Self { input, transcript, duration, journal } = self;
        let transcript = transcript.map_err(|error| {
            let what = match error.downcast_ref::<Error>() {
                Some(Error::Audio(_) | Error::Io(_)) => "decode",
                _ => "transcribe",
            };
            error.context(format!("could not {what} {input}"))
        })?;
        if cut_short.is_some() && transcript.segments.is_empty() {
            messages::warning(format_args!("interrupted; nothing of {input} was done yet"));
            return Ok(Step::Interrupted);
        }
        let delivery = job.outputs.write(input, &transcript, stop)?;
        if let Some(seconds) = cut_short {
            let time = |seconds| format_timestamp(seconds, false, '.');
            let (at, of) = (time(seconds), time(duration.unwrap_or(0.0)));
            messages::warning(format_args!(
                "interrupted; the transcript of {input} is incomplete: it ends at {at} of {of}"
            ));
            return Ok(Step::Interrupted);
        }
        journal.remove()?;
        Ok(match delivery {
            Delivery::Whole => Step::Next,
            Delivery::ReaderGone => Step::ReaderGone,
        })
    }
}

/// The recording to hear, how long it says it is, and the journal of what was done of it.
pub(crate) fn open(
    job: &Job,
    input: &Input,
    engine: &dyn Engine,
    options: &TranscribeOptions,
) -> anyhow::Result<(Recording, Option<f64>, Journal)> {
    let decoding = || format!("could not decode {input}");
    if job.running_maximum {
        let decoder = input.passing()?.with_context(decoding)?;
        let duration = decoder.duration();
        return Ok((Recording::once(decoder), duration, Journal::passing()));
    }
    let opened = Opened::new(input)?;
    let duration = opened.decoder().with_context(decoding)?.duration();
    let recording = match engine.is_on_gpu() {
        true => decoded_ahead(opened.recording()),
        false => opened.recording(),
    };
    let Some(path) = job.resume.then(|| job.outputs.state_of(input)).flatten() else {
        return Ok((recording, duration, Journal::passing()));
    };
    let hash = mark::of_all(&mut **opened.bytes()).with_context(|| format!("could not read {input}"))?;
    let (journal, found) = Journal::open(&path, &Mark::new(hash, engine.mark()?, options)?)?;
    match found {
        Found::Nothing => {}
        Found::Windows(n) => messages::note(format_args!("{input} goes on after {n} windows that were done")),
        Found::Another(how) => messages::warning(format_args!(
            "`{}` is of another run: not the same are {how}; {input} begins at its start",
            path.display()
        )),
    }
    Ok((recording, duration, journal))
}
