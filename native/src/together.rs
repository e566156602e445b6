//! Several recordings in one batch: where one has fewer windows left than there are places, the next one's take them. What is
//! said of each, and what becomes of it, comes in the order of the recordings.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::slice;

use candle_whisper_core::transcribe::Recordings;
use candle_whisper_core::{Event, Observer, TranscribeOptions, Transcript, Transcription};

use crate::device::patience::{PATIENCE, Patience};
use crate::engine::{COMPILING, Loaded};
use crate::input::Input;
use crate::interrupt::Stop;
use crate::job::Job;
use crate::journal::Journal;
use crate::messages;
use crate::progress::Display;
use crate::run::{Finished, Outcome, Step, open};

/// A recording whose turn to be delivered has not come.
struct Begun<'a> {
    input: &'a Input,
    journal: Journal,
    display: Display<'a>,
    duration: Option<f64>,
    /// What became of it, once that is known.
    transcript: Option<anyhow::Result<Transcript>>,
}

/// Recordings, read as there is room for them.
struct Together<'a> {
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
    let patience = || Patience::new(PATIENCE, || messages::note(COMPILING));
    let working = stop.working();
    let mut together = Together {
        job,
        loaded,
        options,
        stop,
        inputs: inputs.iter(),
        begun: BTreeMap::new(),
        n_begun: 0,
        patience: (!loaded.transcriber.model().device().is_cpu()).then(patience),
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

impl<'a> Together<'a> {
    fn failed(&mut self, error: &anyhow::Error) {
        messages::error(error);
        self.outcome = Outcome::SomeFailed;
    }

    /// Opens a recording; `None` if somebody stopped it meanwhile.
    fn begin(&mut self, input: &'a Input) -> anyhow::Result<Option<Transcription>> {
        let (recording, duration, mut journal) = open(self.job, input, self.loaded, &self.options)?;
        let mut display = Display::new(self.job.show, duration.unwrap_or(0.0), self.stop);
        if !self.begun.is_empty() {
            display.hold();
        }
        display.detecting(self.loaded.transcriber.tokenizer().is_multilingual(), &self.options);
        let options = self.options.clone();
        let started = self.loaded.start(recording, options, &mut journal, &mut display);
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

impl Recordings for Together<'_> {
    fn next(&mut self) -> Option<Transcription> {
        while self.flow().is_continue() {
            let input = *self.inputs.next()?;
            match self.begin(input) {
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
