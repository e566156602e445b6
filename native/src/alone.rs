//! One recording in batches, each window in the journal once it is done, for who has something to do with its transcript.

use std::ops::ControlFlow;

use anyhow::{Context, Result};
use candle_whisper_core::transcribe::Recordings;
use candle_whisper_core::{Event, Observer, Transcriber, Transcription};

use crate::journal::Journal;

struct Alone<'a> {
    begins: Option<Transcription>,
    journal: &'a mut Journal,
    observer: &'a mut dyn Observer,
    ended: Option<Result<Transcription>>,
}

/// Transcribes a recording that was just started, with up to `n` windows at once, as far as nobody ends it.
pub(crate) fn run(
    transcriber: &Transcriber,
    n: usize,
    run: Transcription,
    journal: &mut Journal,
    observer: &mut dyn Observer,
) -> Result<Transcription> {
    let mut alone = Alone { begins: Some(run), journal, observer, ended: None };
    transcriber.run_together(n, &mut alone)?;
    alone.ended.context("the recording has no end")?
}

impl Recordings for Alone<'_> {
    fn next(&mut self) -> Option<Transcription> {
        self.begins.take()
    }

    fn event(&mut self, _number: usize, event: Event<'_>) -> ControlFlow<()> {
        self.observer.event(event)
    }

    fn windows_done(&mut self, _number: usize, run: &mut Transcription) -> bool {
        let kept = self.journal.push(&run.checkpoint());
        let is_kept = kept.is_ok();
        self.ended = kept.err().map(Err);
        is_kept
    }

    fn ended(&mut self, _number: usize, run: candle_whisper_core::Result<Transcription>) -> ControlFlow<()> {
        self.ended.get_or_insert_with(|| run.map_err(Into::into));
        ControlFlow::Continue(())
    }
}
