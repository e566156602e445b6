//! Several recordings in one batch: where one has fewer windows left than there are places, the next one's take them. What is
//! said of each, and what becomes of it, comes in the order of the recordings.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::slice;
use std::sync::Arc;

use candle_whisper_core::transcribe::Recordings;
use candle_whisper_core::{Event, Observer, Recording, TranscribeOptions, Transcript, Transcription};

use rayon::Scope;

use crate::ahead::Look;
use crate::device::patience::{PATIENCE, Patience};
use crate::engine::{COMPILING, Loaded};
use crate::input::Input;
use crate::interrupt::Stop;
use crate::job::Job;
use crate::journal::Journal;
use crate::messages;
use crate::progress::Display;
use crate::run::{Engine, Finished, Outcome, Step, open};

/// Recordings that are looked through at most before their turn.
const AHEAD: usize = 8;

/// A recording whose turn to be delivered has not come.
struct Begun<'a> {
    input: &'a Input,
    journal: Journal,
    display: Display<'a>,
    duration: Option<f64>,
    /// What became of it, once that is known.
    transcript: Option<anyhow::Result<Transcript>>,
}

/// A recording that was opened, or could not be.
struct Opened<'a> {
    input: &'a Input,
    parts: anyhow::Result<(Recording, Option<f64>, Journal)>,
    /// If a thread looks through it.
    look: Option<Look>,
}

/// Recordings, read as there is room for them.
struct Together<'a, 's> {
    /// Where threads look through recordings, and through how many before their turn.
    ahead: Option<(&'s Scope<'a>, usize)>,
    opened: VecDeque<Opened<'a>>,
    job: &'a Job,
    loaded: &'a Loaded,
    options: TranscribeOptions,
    stop: &'a Stop,
    inputs: slice::Iter<'a, &'a Input>,
    /// By their numbers in core.
    begun: BTreeMap<usize, Begun<'a>>,
    n_begun: usize,
    patience: Option<Patience>,
    outcome: Outcome,
    reader_gone: bool,
}

/// Transcribes recordings with up to `n` windows at once.
pub fn run(
    job: &Job,
    inputs: &[&Input],
    loaded: &Loaded,
    (n, options): (usize, TranscribeOptions),
    stop: &Stop,
) -> Outcome {
    let threads = rayon::current_num_threads();
    // A processor that computes the network too has no time for anything meanwhile.
    let pool = loaded.is_on_gpu().then(|| rayon::ThreadPoolBuilder::new().num_threads(threads).build());
    match pool {
        Some(Ok(pool)) => pool.in_place_scope(|scope| {
            in_scope(job, inputs, loaded, (n, options), stop, Some((scope, threads.min(AHEAD))))
        }),
        _ => in_scope(job, inputs, loaded, (n, options), stop, None),
    }
}

fn in_scope<'a>(
    job: &'a Job,
    inputs: &'a [&'a Input],
    loaded: &'a Loaded,
    (n, options): (usize, TranscribeOptions),
    stop: &'a Stop,
    ahead: Option<(&Scope<'a>, usize)>,
) -> Outcome {
    let working = stop.working();
    let mut together = Together {
        ahead,
        opened: VecDeque::new(),
        job,
        loaded,
        options,
        stop,
        inputs: inputs.iter(),
        begun: BTreeMap::new(),
        n_begun: 0,
        patience: None,
        outcome: Outcome::Done,
        reader_gone: false,
    };
    let ran = loaded.transcriber.run_together(n, &mut together);
    drop(working);
    if let Err(error) = ran {
        // With the device all that was under way is lost.
        let error = anyhow::Error::from(error);
        let under_way = together.begun.values().filter(|begun| begun.transcript.is_none());
        let names: Vec<String> = under_way.map(|begun| begun.input.to_string()).collect();
        messages::error(&error.context(format!("could not transcribe {}", names.join(", "))));
        return Outcome::SomeFailed;
    }
    if stop.asked() && !together.reader_gone { Outcome::Interrupted } else { together.outcome }
}

impl<'a> Together<'a, '_> {
    fn failed(&mut self, error: &anyhow::Error) {
        messages::error(error);
        self.outcome = Outcome::SomeFailed;
    }

    /// The next recording, and those after it that are looked through meanwhile.
    fn open_next(&mut self) -> Option<Opened<'a>> {
        let n_ahead = self.ahead.map_or(0, |(_, n)| n);
        while self.opened.len() <= n_ahead
            && let Some(&input) = self.inputs.next()
        {
            let parts = open(self.job, input, self.loaded, &self.options);
            let look = match (&parts, self.ahead) {
                (Ok((Recording::Again(open), _, journal)), Some((scope, _))) if journal.plan().is_none() => {
                    let (open, options) = (Arc::clone(open), self.options.clone());
                    Some(Look::begin(scope, open, options, &self.loaded.transcriber, self.stop))
                }
                _ => None,
            };
            self.opened.push_back(Opened { input, parts, look });
        }
        self.opened.pop_front()
    }

    /// Starts a recording; `None` if somebody stopped it meanwhile.
    fn begin(&mut self, opened: Opened<'a>) -> anyhow::Result<Option<Transcription>> {
        let Opened { input, parts, look } = opened;
        let (recording, duration, mut journal) = parts?;
        let mut display = Display::new(self.job.show, duration.unwrap_or(0.0), self.stop);
        if !self.begun.is_empty() {
            display.hold();
        }
        display.detecting(self.loaded.transcriber.tokenizer().is_multilingual(), &self.options);
        let options = self.options.clone();
        let plan = look.map(|look| look.wait(&mut display));
        // From now on something is asked of the GPU.
        if self.n_begun == 0 && self.loaded.is_on_gpu() {
            self.patience = Some(Patience::new(PATIENCE, || messages::note(COMPILING)));
        }
        let start = |plan, display: &mut Display<'_>| {
            self.loaded.start(recording, options, plan, &mut journal, display)
        };
        let started = match plan {
            None => start(None, &mut display),
            Some(Ok(Some(plan))) => start(Some(plan), &mut display),
            Some(Ok(None)) => Ok(None),
            Some(Err(error)) => Err(error),
        };
        let run = match started {
            Ok(run) => run,
            Err(error) => {
                display.finish();
                let finished = Finished { input, transcript: Err(error), duration, journal };
                return finished.deliver(self.job, None, self.stop).map(|_| None);
            }
        };
        self.begun.insert(self.n_begun, Begun { input, journal, display, duration, transcript: None });
        self.n_begun += 1;
        if run.is_none() {
            self.end(self.n_begun - 1, Ok(Transcript::default()));
        }
        Ok(run)
    }

    /// Delivers what has nothing undone before it.
    fn end(&mut self, number: usize, transcript: anyhow::Result<Transcript>) {
        if let Some(begun) = self.begun.get_mut(&number) {
            begun.transcript = Some(transcript);
        }
        while let Some(mut first) = self.begun.first_entry() {
            let Some(transcript) = first.get_mut().transcript.take() else {
                first.get_mut().display.release();
                return;
            };
            let Begun { input, journal, mut display, duration, .. } = first.remove();
            display.release();
            let (cut_short, duration) = (display.cut_short(), display.duration().or(duration));
            display.finish();
            let finished = Finished { input, transcript, duration, journal };
            match finished.deliver(self.job, cut_short, self.stop) {
                Ok(Step::ReaderGone) => self.reader_gone = true,
                Ok(_) => {}
                Err(error) => self.failed(&error),
            }
        }
    }

    fn flow(&self) -> ControlFlow<()> {
        match self.reader_gone || self.stop.asked() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

impl Recordings for Together<'_, '_> {
    fn next(&mut self) -> Option<Transcription> {
        while self.flow().is_continue() {
            let opened = self.open_next()?;
            match self.begin(opened) {
                Ok(Some(run)) => return Some(run),
                Ok(None) => {}
                Err(error) => self.failed(&error),
            }
        }
        None
    }

    fn event(&mut self, number: usize, event: Event<'_>) -> ControlFlow<()> {
        if let Some(patience) = &mut self.patience {
            patience.hear(&event);
        }
        match self.begun.get_mut(&number) {
            Some(begun) => begun.display.event(event),
            None => self.flow(),
        }
    }

    fn windows_done(&mut self, number: usize, run: &mut Transcription) -> bool {
        let Some(begun) = self.begun.get_mut(&number) else { return true };
        match begun.journal.push(&run.checkpoint()) {
            Ok(()) => true,
            Err(error) => {
                self.end(number, Err(error));
                false
            }
        }
    }

    fn ended(&mut self, number: usize, run: candle_whisper_core::Result<Transcription>) -> ControlFlow<()> {
        let transcript = match (run, self.begun.get_mut(&number)) {
            (Ok(run), Some(begun)) => {
                begun.display.set_cut_short(!run.is_done());
                self.loaded.finish(run, &mut begun.journal)
            }
            (Ok(_), None) => return self.flow(),
            (Err(error), _) => Err(error.into()),
        };
        self.end(number, transcript);
        self.flow()
    }
}
