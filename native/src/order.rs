//! Recordings that several models take from one row, and what becomes of them, in the order in which they were given.

use std::collections::BTreeMap;
use std::iter::Enumerate;
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::input::Input;
use crate::messages;
use crate::run::{Outcome, Step};

/// Recordings that nobody has begun, with their numbers.
pub(crate) struct Row<'a> {
    rest: Mutex<Enumerate<slice::Iter<'a, &'a Input>>>,
    /// What each taker has of it if all have the same.
    share: usize,
}

impl<'a> Row<'a> {
    pub fn new(inputs: &'a [&'a Input], takers: usize) -> Self {
        Self { rest: Mutex::new(inputs.iter().enumerate()), share: inputs.len().div_ceil(takers) }
    }

    /// The next one.
    pub fn next(&self) -> Option<(usize, &'a Input)> {
        lock(&self.rest).next().map(|(number, &input)| (number, input))
    }

    /// The next one for somebody who took `taken` and is not done with all of them: no more than a fair share, as the others want
    /// something to do too.
    pub fn next_besides(&self, taken: usize) -> Option<(usize, &'a Input)> {
        if taken < self.share { self.next() } else { None }
    }

    pub fn is_empty(&self) -> bool {
        lock(&self.rest).len() == 0
    }
}

/// Brings a recording to its end: shows what was held back, writes the transcript.
type Deliver<'a> = Box<dyn FnOnce() -> anyhow::Result<Step> + Send + 'a>;

/// Delivers each recording after all those before it, and remembers how that went.
pub(crate) struct Order<'a> {
    turn: Arc<AtomicUsize>,
    reader_gone: AtomicBool,
    state: Mutex<State<'a>>,
}

struct State<'a> {
    /// What is done and has something undone before it.
    waiting: BTreeMap<usize, Deliver<'a>>,
    failed: bool,
    interrupted: bool,
}

impl<'a> Order<'a> {
    /// `failed`: whether some recording could not even be begun.
    pub fn new(failed: bool) -> Self {
        let state = State { waiting: BTreeMap::new(), failed, interrupted: false };
        Self { turn: Arc::default(), reader_gone: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// The number of the recording before which all are delivered.
    pub fn turn(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.turn)
    }

    /// Has a recording delivered when its turn comes. An error is said then.
    pub fn done(&self, number: usize, deliver: impl FnOnce() -> anyhow::Result<Step> + Send + 'a) {
        let mut state = lock(&self.state);
        state.waiting.insert(number, Box::new(deliver));
        while let Some(deliver) = state.waiting.remove(&self.turn.load(Ordering::SeqCst)) {
            if !self.is_reader_gone() {
                match deliver() {
                    Ok(Step::Next) => {}
                    Ok(Step::ReaderGone) => self.reader_gone.store(true, Ordering::SeqCst),
                    Ok(Step::Interrupted) => state.interrupted = true,
                    Err(error) => {
                        messages::error(&error);
                        state.failed = true;
                    }
                }
            }
            self.turn.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Nothing will come of this recording, and nothing is to be said about it.
    pub fn pass(&self, number: usize) {
        self.done(number, || Ok(Step::Next));
    }

    /// Says at once what went wrong, if it was with no recording alone.
    pub fn failed(&self, error: &anyhow::Error) {
        messages::error(error);
        lock(&self.state).failed = true;
    }

    /// Somebody stopped the run before its end.
    pub fn interrupt(&self) {
        lock(&self.state).interrupted = true;
    }

    /// Whether nobody wants to read more.
    pub fn is_reader_gone(&self) -> bool {
        self.reader_gone.load(Ordering::SeqCst)
    }

    pub fn outcome(&self) -> Outcome {
        match &*lock(&self.state) {
            State { interrupted: true, .. } => Outcome::Interrupted,
            State { failed: true, .. } => Outcome::SomeFailed,
            _ => Outcome::Done,
        }
    }
}

/// Everything here is whole after each step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
