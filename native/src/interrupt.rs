//! Ctrl-C and its kin. The first one lets the work in hand come to a clean end, a second one ends the program at
//! once, though never in the middle of writing a file.

use std::process;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::messages;

/// Exit code of an interrupted run.
pub const EXIT_CODE: u8 = 130;

/// Whether someone asked to stop; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<State>);

#[derive(Debug, Default)]
struct State {
    asked: AtomicBool,
    /// How many are at work.
    working: AtomicUsize,
    writing: Mutex<()>,
}

impl Stop {
    /// Whether to stop soon.
    pub fn asked(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// Asks to stop soon.
    pub fn ask(&self) {
        self.0.asked.store(true, Ordering::SeqCst);
    }

    /// From now until the guard goes, there is work worth keeping: a first signal does not end the program.
    pub fn working(&self) -> Working<'_> {
        self.0.working.fetch_add(1, Ordering::SeqCst);
        Working(&self.0)
    }

    /// Until the guard goes, no signal ends the program.
    pub fn writing(&self) -> MutexGuard<'_, ()> {
        // The lock guards no data that a panic could have spoilt.
        self.0.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens to the signals that end programs.
    pub fn listen(&self) -> Result<(), ctrlc::Error> {
        let stop = self.clone();
        ctrlc::set_handler(move || {
            let again = stop.0.asked.swap(true, Ordering::SeqCst);
            if again || stop.0.working.load(Ordering::SeqCst) == 0 {
                let _whole_files = stop.writing();
                messages::warning("interrupted");
                process::exit(EXIT_CODE.into());
            }
        })
    }
}

/// While this lives, work is in hand.
#[derive(Debug)]
pub struct Working<'a>(&'a State);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::SeqCst);
    }
}
