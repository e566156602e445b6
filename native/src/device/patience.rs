//! What is said while a GPU is silent for long: at the first start of a program its driver makes machine code of the kernels,
//! which takes up to half a minute, and keeps it.

use std::ops::ControlFlow;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use candle_whisper_core::{Event, Observer};

/// Longer than any window takes until its first word, once the kernels are there.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Has something said if there is no text for long.
#[derive(Debug)]
pub struct Patience {
    /// Told that the wait begins anew; gone once the GPU has answered.
    waiting: Option<Sender<()>>,
}

impl Patience {
    /// Begins to wait.
    pub fn new(patience: Duration, say: impl FnOnce() + Send + 'static) -> Self {
        let (waiting, text) = channel();
        // Ends by itself, at the latest when nobody waits any more.
        thread::spawn(move || {
            loop {
                match text.recv_timeout(patience) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => return say(),
                }
            }
        });
        Self { waiting: Some(waiting) }
    }

    /// Something happened.
    pub fn hear(&mut self, event: &Event<'_>) {
        match (event, &self.waiting) {
            // The recording is read before the GPU has anything to do.
            (Event::Reading { .. }, Some(waiting)) => drop(waiting.send(())),
            _ => self.waiting = None,
        }
    }
}

/// Passes on what happens, and has `say` called if there is no text for so long.
#[derive(Debug)]
pub struct Patient<'a, O: ?Sized> {
    observer: &'a mut O,
    patience: Patience,
}

impl<'a, O: Observer + ?Sized> Patient<'a, O> {
    /// Begins to wait.
    pub fn new(observer: &'a mut O, patience: Duration, say: impl FnOnce() + Send + 'static) -> Self {
        Self { observer, patience: Patience::new(patience, say) }
    }
}

impl<O: Observer + ?Sized> Observer for Patient<'_, O> {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        self.patience.hear(&event);
        self.observer.event(event)
    }
}
