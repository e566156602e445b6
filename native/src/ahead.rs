//! What the processor does ahead of a GPU, which would otherwise wait for it: recordings are looked through before their turn
//! comes, and decoded before somebody hears them.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use candle_whisper_core::audio::SAMPLE_RATE;
use candle_whisper_core::recording::{Blocks, Open};
use candle_whisper_core::transcribe::Plan;
use candle_whisper_core::{
    Event, Observer, Recording, Result as WhisperResult, TranscribeOptions, Transcriber,
};
use rayon::Scope;

use crate::interrupt::Stop;

/// Blocks of a second that wait for who hears them.
const SECONDS: usize = 60;

/// A recording that is being looked through.
#[derive(Debug)]
pub struct Look(Receiver<Said>);

enum Said {
    Frames(usize),
    Done(WhisperResult<Option<Plan>>),
}

impl Look {
    /// Begins, in a thread of `scope`.
    pub fn begin<'s>(
        scope: &Scope<'s>,
        open: Open,
        options: TranscribeOptions,
        transcriber: &'s Transcriber,
        stop: &'s Stop,
    ) -> Self {
        let (say, said) = channel();
        scope.spawn(move |_| {
            let plan = transcriber.look_through(&open, &options, &mut Reader { say: &say, stop });
            // Who does not listen any more wants no plan.
            let _ = say.send(Said::Done(plan));
        });
        Self(said)
    }

    /// What was found out, once all of it is; `None` if somebody stopped it. The observer hears how far it is.
    ///
    /// # Errors
    /// If the recording can't be read.
    pub fn wait(self, observer: &mut dyn Observer) -> Result<Option<Plan>> {
        loop {
            match self.0.recv().context("the thread that read it is gone")? {
                // Who stops here stops the thread too.
                Said::Frames(frames) => drop(observer.event(Event::Reading { frames })),
                Said::Done(plan) => return Ok(plan?),
            }
        }
    }
}

struct Reader<'a> {
    say: &'a Sender<Said>,
    stop: &'a Stop,
}

impl Observer for Reader<'_> {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        let listened_to = match event {
            Event::Reading { frames } => self.say.send(Said::Frames(frames)).is_ok(),
            _ => true,
        };
        match listened_to && !self.stop.asked() {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }
}

/// The same recording, decoded by a thread of its own each time that it is read.
pub fn decoded_ahead(recording: Recording) -> Recording {
    match recording {
        Recording::Again(open) => Recording::again(move || Decoded::new(open()?)),
        once @ Recording::Once(_) => once,
    }
}

/// Blocks of a second, from the thread that decodes them.
struct Decoded {
    blocks: Option<Receiver<WhisperResult<Vec<f32>>>>,
    thread: Option<JoinHandle<()>>,
    block: Vec<f32>,
}

impl Decoded {
    fn new(mut from: Box<dyn Blocks>) -> WhisperResult<Self> {
        let (give, blocks) = sync_channel(SECONDS);
        let decode = move || {
            if let Err(error) = decode(&mut *from, &give) {
                let _ = give.send(Err(error));
            }
        };
        let thread = thread::Builder::new().name("decoder".into()).spawn(decode)?;
        Ok(Self { blocks: Some(blocks), thread: Some(thread), block: Vec::new() })
    }
}

/// Until the end or an error, or until nobody wants more.
fn decode(from: &mut dyn Blocks, give: &SyncSender<WhisperResult<Vec<f32>>>) -> WhisperResult<()> {
    let mut block = Vec::with_capacity(2 * SAMPLE_RATE);
    loop {
        let ended = match from.next_block() {
            Ok(Some(samples)) => {
                block.extend_from_slice(samples);
                None
            }
            Ok(None) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        };
        if block.len() >= SAMPLE_RATE || ended.is_some() && !block.is_empty() {
            let whole = std::mem::replace(&mut block, Vec::with_capacity(2 * SAMPLE_RATE));
            if give.send(Ok(whole)).is_err() {
                return Ok(());
            }
        }
        if let Some(ended) = ended {
            return ended;
        }
    }
}

impl Blocks for Decoded {
    fn next_block(&mut self) -> WhisperResult<Option<&[f32]>> {
        // A thread that is gone has come to the end, or said why not; one that panicked did neither.
        let Some(Ok(block)) = self.blocks.as_ref().map(Receiver::recv) else {
            if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
                std::panic::resume_unwind(panic);
            }
            return Ok(None);
        };
        self.block = block?;
        Ok(Some(&self.block))
    }
}

impl Drop for Decoded {
    fn drop(&mut self) {
        // It must not read on when the next reader of the same file begins.
        self.blocks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
