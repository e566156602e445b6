//! Several recordings in one batch: where one has fewer windows left than there are places, the next one's take them. What is
//! said of each, and what becomes of it, comes in the order of the recordings.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

use candle_whisper_core::transcribe::Recordings;
use candle_whisper_core::{Event, Observer, Recording, Transcript, Transcription};

use rayon::Scope;

use crate::ahead::Look;
use crate::device::patience::{PATIENCE, Patience};
use crate::engine::{COMPILING, Loaded};
use crate::input::Input;
use crate::journal::Journal;
use crate::messages;
use crate::progress::Display;
use crate::run::{Engine, Finished, Work, open};

/// Recordings that are looked through at most before their turn.
const AHEAD: usize = 8;

/// A recording under way.
struct Begun<'a> {
    /// In the row.
    number: usize,
    input: &'a Input,
    journal: Journal,
    display: Display<'a>,
    duration: Option<f64>,
}

/// A recording that was opened, or could not be.
struct Opened<'a> {
    number: usize,
    input: &'a Input,
    parts: anyhow::Result<(Recording, Option<f64>, Journal)>,
    /// If a thread looks through it.
    look: Option<Look>,
}

/// Recordings, read as there is room for them.
struct Together<'a, 'w, 's> {
    work: Work<'a, 'w>,
    loaded: &'a Loaded,
    /// Where threads look through recordings, and through how many before their turn.
    ahead: Option<(&'s Scope<'a>, usize)>,
    opened: VecDeque<Opened<'a>>,
    /// How many were taken from the row.
    n_taken: usize,
    /// By their numbers in core.
    begun: BTreeMap<usize, Begun<'a>>,
    n_begun: usize,
    patience: Option<Patience>,
}

/// Transcribes recordings with up to `n` windows at once.
pub(crate) fn run<'a>(work: Work<'a, '_>, loaded: &'a Loaded, n: usize) {
    let threads = rayon::current_num_threads();
    // A processor that computes the network too has no time for anything meanwhile.
    let pool = loaded.is_on_gpu().then(|| rayon::ThreadPoolBuilder::new().num_threads(threads).build());
    // Who left others their share takes what they have not begun when there is nothing else to do.
    while !work.row.is_empty() && !work.order.is_reader_gone() && !work.stop.asked() {
        let went_on = match &pool {
            Some(Ok(pool)) => {
                pool.in_place_scope(|scope| in_scope(work, loaded, n, Some((scope, threads.min(AHEAD)))))
            }
            _ => in_scope(work, loaded, n, None),
        };
        if !went_on {
            return;
        }
    }
    if work.stop.asked() && !work.order.is_reader_gone() {
        work.order.interrupt();
    }
}

/// Whether the device did not fail.
fn in_scope<'a>(
    work: Work<'a, '_>,
    loaded: &'a Loaded,
    n: usize,
    ahead: Option<(&Scope<'a>, usize)>,
) -> bool {
    let working = work.stop.working();
    let mut together = Together {
        work,
        loaded,
        ahead,
        opened: VecDeque::new(),
        n_taken: 0,
        begun: BTreeMap::new(),
        n_begun: 0,
        patience: None,
    };
    let ran = loaded.transcriber.run_together(n, &mut together);
    drop(working);
    let Together { begun, opened, .. } = together;
    let under_way = begun.into_values().map(|begun| (begun.number, begun.input));
    let under_way = under_way.chain(opened.into_iter().map(|opened| (opened.number, opened.input)));
    let Err(error) = ran else {
        under_way.for_each(|(number, _)| work.order.pass(number));
        return true;
    };
    // With the device all that was under way is lost.
    let (numbers, names): (Vec<_>, Vec<_>) =
        under_way.map(|(number, input)| (number, input.to_string())).unzip();
    let error = anyhow::Error::from(error).context(format!("could not transcribe {}", names.join(", ")));
    let mut error = Some(error);
    for number in numbers {
        match error.take() {
            Some(error) => work.order.done(number, || Err(error)),
            None => work.order.pass(number),
        }
    }
    if let Some(error) = error {
        work.order.failed(&error);
    }
    false
}

impl<'a> Together<'a, '_, '_> {
    /// The next recording, and those after it that are looked through meanwhile.
    fn open_next(&mut self) -> Option<Opened<'a>> {
        let Work { job, options, stop, row, .. } = self.work;
        let n_ahead = self.ahead.map_or(0, |(_, n)| n);
        while self.opened.len() <= n_ahead {
            let idle = self.begun.is_empty() && self.opened.is_empty();
            let next = if idle { row.next() } else { row.next_besides(self.n_taken) };
            let Some((number, input)) = next else { break };
            self.n_taken += 1;
            let parts = open(job, input, self.loaded, options);
            let look = match (&parts, self.ahead) {
                (Ok((Recording::Again(open), _, journal)), Some((scope, _))) if journal.plan().is_none() => {
                    Some(Look::begin(
                        scope,
                        Arc::clone(open),
                        options.clone(),
                        &self.loaded.transcriber,
                        stop,
                    ))
                }
                _ => None,
            };
            self.opened.push_back(Opened { number, input, parts, look });
        }
        self.opened.pop_front()
    }

    /// Starts a recording; `None` if it has come to its end.
    fn begin(&mut self, opened: Opened<'a>) -> Option<Transcription> {
        let Opened { number, input, parts, look } = opened;
        let Work { job, options, stop, order, .. } = self.work;
        let (recording, duration, mut journal) = match parts {
            Ok(parts) => parts,
            Err(error) => {
                order.done(number, || Err(error));
                return None;
            }
        };
        let mut display = Display::new(job.show, duration.unwrap_or(0.0), stop);
        display.hold_until(order.turn(), number);
        display.detecting(self.loaded.transcriber.tokenizer().is_multilingual(), options);
        let plan = look.map(|look| look.wait(&mut display));
        // From now on something is asked of the GPU.
        if self.n_begun == 0 && self.loaded.is_on_gpu() {
            self.patience = Some(Patience::new(PATIENCE, || messages::note(COMPILING)));
        }
        let start = |plan, display: &mut Display<'_>| {
            self.loaded.start(recording, options.clone(), plan, &mut journal, display)
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
                Self::deliver(self.work, Begun { number, input, journal, display, duration }, Err(error));
                return None;
            }
        };
        self.begun.insert(self.n_begun, Begun { number, input, journal, display, duration });
        self.n_begun += 1;
        if run.is_none() {
            self.end(self.n_begun - 1, Ok(Transcript::default()));
        }
        run
    }

    fn end(&mut self, number: usize, transcript: anyhow::Result<Transcript>) {
        if let Some(begun) = self.begun.remove(&number) {
            Self::deliver(self.work, begun, transcript);
        }
    }

    fn deliver(work: Work<'a, '_>, begun: Begun<'a>, transcript: anyhow::Result<Transcript>) {
        let Begun { number, input, journal, display, duration } = begun;
        let (job, stop) = (work.job, work.stop);
        let finished = Finished { input, transcript, duration, journal };
        work.order.done(number, move || finished.deliver(job, display, stop));
    }

    fn flow(&self) -> ControlFlow<()> {
        match self.work.order.is_reader_gone() || self.work.stop.asked() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

impl Recordings for Together<'_, '_, '_> {
    fn next(&mut self) -> Option<Transcription> {
        while self.flow().is_continue() {
            let opened = self.open_next()?;
            if let Some(run) = self.begin(opened) {
                return Some(run);
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
