//! For each recording: read, transcribe, write. One that fails is reported and skipped.

use std::panic::resume_unwind;
use std::thread;

use anyhow::Context;
use candle_whisper_core::options::AudioContext;
use candle_whisper_core::writers::format_timestamp;
use candle_whisper_core::{Error, Observer, Recording, TranscribeOptions, Transcript};

use crate::ahead::decoded_ahead;
use crate::engine::Loaded;
use crate::input::{Input, Opened};
use crate::interrupt::Stop;
use crate::job::Job;
use crate::journal::{Found, Journal};
use crate::kept::kept;
use crate::mark::{self, Mark};
use crate::messages;
use crate::options::for_model;
use crate::order::{Order, Row};
use crate::output::Delivery;
use crate::progress::Display;
use crate::together;
use rayon::ThreadPoolBuilder;

/// What the run asks of a loaded model.
pub trait Engine {
    /// Whether the model knows other languages than English.
    fn is_multilingual(&self) -> bool;
    /// What the model and its numbers are known by: names of its parts, and a mark of each.
    fn mark(&self) -> anyhow::Result<Vec<(String, String)>>;
    /// How many windows at once the memory has chosen, if results depend on it.
    fn bound_windows(&self) -> Option<usize> {
        None
    }
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
    let (readable, failed) = readable(job)?;
    if readable.is_empty() {
        return Ok(Outcome::SomeFailed);
    }
    let engine = load()?;
    let (row, order) = (Row::new(&readable, 1), Order::new(failed));
    Work { job, options: &options(job, &engine), stop, row: &row, order: &order }.by(&engine);
    Ok(order.outcome())
}

/// As [`run`], with several models of one kind at once; each takes the next recording when it has no other. `load` hears how many have
/// something to do.
pub fn run_on_several<E: Engine + Sync>(
    job: &Job,
    load: impl FnOnce(usize) -> anyhow::Result<Vec<E>>,
    stop: &Stop,
) -> anyhow::Result<Outcome> {
    let (readable, failed) = readable(job)?;
    if readable.is_empty() {
        return Ok(Outcome::SomeFailed);
    }
    let engines = load(readable.len())?;
    let options = options(job, engines.first().context("there is no model")?);
    let (row, order) = (Row::new(&readable, engines.len()), Order::new(failed));
    let work = Work { job, options: &options, stop, row: &row, order: &order };
    if let [engine] = engines.as_slice() {
        work.by(engine);
        return Ok(order.outcome());
    }
    let threads = (rayon::current_num_threads() / engines.len()).max(1);
    // Nobody works in this thread, so those threads can't share its pool.
    let worker = |engine| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).use_current_thread().build();
        pool.map(|_pool| work.by(engine))
    };
    thread::scope(|scope| {
        let workers: Vec<_> = engines.iter().map(|engine| scope.spawn(move || worker(engine))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
    .context("could not start threads")?;
    Ok(order.outcome())
}

/// The recordings that can be read, and whether others can't.
fn readable(job: &Job) -> anyhow::Result<(Vec<&Input>, bool)> {
    job.outputs.prepare(&job.inputs)?;
    let mut failed = false;
    let mut readable = Vec::new();
    for input in &job.inputs {
        match input.check() {
            Ok(()) => readable.push(input),
            Err(error) => {
                messages::error(&error);
                failed = true;
            }
        }
    }
    Ok((readable, failed))
}

fn options(job: &Job, engine: &impl Engine) -> TranscribeOptions {
    let (options, warnings) = for_model(job.options.clone(), engine.is_multilingual());
    warnings.iter().for_each(messages::warning);
    if options.audio_ctx == AudioContext::Heard && engine.is_on_gpu() {
        messages::warning("`--audio_ctx heard` has no effect on a GPU: it hears whole windows");
    }
    options
}

/// What comes after a recording.
pub(crate) enum Step {
    Next,
    ReaderGone,
    Interrupted,
}

/// What those who work on the same recordings share.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a, 'w> {
    pub job: &'a Job,
    pub options: &'w TranscribeOptions,
    pub stop: &'a Stop,
    pub row: &'w Row<'a>,
    pub order: &'w Order<'a>,
}

impl<'a> Work<'a, '_> {
    /// Takes recordings until there are none.
    fn by(self, engine: &'a (dyn Engine + 'a)) {
        if let (Some(n), Some(loaded)) = (self.options.batch, engine.loaded()) {
            return together::run(self, loaded, loaded.windows.unwrap_or(n));
        }
        while !self.order.is_reader_gone()
            && let Some((number, input)) = self.row.next()
        {
            if self.stop.asked() {
                self.order.interrupt();
                self.order.pass(number);
                return;
            }
            self.hear(engine, number, input);
        }
    }

    fn hear(self, engine: &dyn Engine, number: usize, input: &'a Input) {
        let Self { job, options, stop, order, .. } = self;
        let (recording, duration, mut journal) = match open(job, input, engine, options) {
            Ok(parts) => parts,
            Err(error) => return order.done(number, || Err(error)),
        };
        let working = stop.working();
        let mut display = Display::new(job.show, duration.unwrap_or(0.0), stop);
        display.hold_until(order.turn(), number);
        display.detecting(engine.is_multilingual(), options);
        let transcript = engine.transcribe(recording, options.clone(), &mut journal, &mut display);
        order.done(number, move || {
            Finished { input, transcript, duration, journal }.deliver(job, display, stop)
        });
        drop(working);
    }
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
    /// Shows what was held back, and writes what there is.
    pub fn deliver(self, job: &Job, mut display: Display<'_>, stop: &Stop) -> anyhow::Result<Step> {
        let Self { input, transcript, duration, journal } = self;
        display.release();
        // The second at which somebody stopped it.
        let (cut_short, duration) = (display.cut_short(), display.duration().or(duration));
        display.finish();
        let transcript = transcript.map_err(|error| {
            let what = match error.downcast_ref::<Error>() {
                Some(Error::Audio(_) | Error::Io(_)) => "decode",
                _ => "transcribe",
            };
            error.context(format!("could not {what} {input}"))
        })?;
        if cut_short.is_some() && transcript.segments.is_empty() {
            match job.resume {
                true => messages::warning(format_args!(
                    "interrupted; nothing of {input} was written yet, and the same command goes on with it"
                )),
                false => messages::warning(format_args!("interrupted; nothing of {input} was done yet")),
            }
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
    let recording = |journal: &Journal| {
        // Who knows what there is to be known beforehand reads it once more, and perhaps not all of it.
        let recording = match journal.plan().is_some() {
            true => opened.recording(),
            false => kept(opened.recording()),
        };
        if engine.is_on_gpu() { decoded_ahead(recording) } else { recording }
    };
    let Some(path) = job.resume.then(|| job.outputs.state_of(input)).flatten() else {
        let journal = Journal::passing();
        return Ok((recording(&journal), duration, journal));
    };
    let hash = mark::of_all(&mut **opened.bytes()).with_context(|| format!("could not read {input}"))?;
    let mark = Mark::new(hash, engine.mark()?, options)?;
    let mark = if job.batch_by_memory { mark.of_chosen_batch(engine.bound_windows()) } else { mark };
    let (journal, found) = Journal::open(&path, &mark)?;
    match found {
        Found::Nothing => {}
        Found::Windows(n) => messages::note(format_args!("{input} goes on after {n} windows that were done")),
        Found::Another(how) => messages::warning(format_args!(
            "`{}` is of another run: not the same are {how}; {input} begins at its start",
            path.display()
        )),
    }
    Ok((recording(&journal), duration, journal))
}
