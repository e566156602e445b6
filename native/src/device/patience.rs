//! What is said while a GPU is silent for long: at the first start of a program its driver makes machine code of the kernels,
//! which takes up to half a minute, and keeps it.

use std::ops::ControlFlow;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use candle_whisper_core::{Event, Observer};

/// Longer than any window takes until its first word, once the kernels are there.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Passes on what happens, and has `say` called if there is no text for so long.
#[derive(Debug)]
pub struct Patient<'a, O: ?Sized> {
    observer: &'a mut O,
    /// Told that the wait begins anew; gone once the GPU has answered.
    waiting: Option<Sender<()>>,
}

impl<'a, O: Observer + ?Sized> Patient<'a, O> {
    /// Begins to wait.
    pub fn new(observer: &'a mut O, patience: Duration, say: impl FnOnce() + Send + 'static) -> Self {
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
        Self { observer, waiting: Some(waiting) }
    }
}

impl<O: Observer + ?Sized> Observer for Patient<'_, O> {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match (&event, &self.waiting) {
            // The recording is read before the GPU has anything to do.
            (Event::Reading { .. }, Some(waiting)) => drop(waiting.send(())),
            _ => self.waiting = None,
        }
        self.observer.event(event)
    }
}
