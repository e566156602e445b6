//! `candle-whisper live`: from the microphone or a pipe of samples to captions while somebody speaks. [`core`](candle_whisper_core::live)
//! decides what is confirmed; here are the clock, the sound, the terminal and the files.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use anyhow::Context;
use candle_whisper_core::live::{Live, LiveEvent};
use candle_whisper_core::observer::Silent;
use candle_whisper_core::{Event, Transcriber};

use crate::input::Input;
use crate::interrupt::Stop;
use crate::messages;
use crate::options::BadUsage;
use crate::output::Delivery;

mod args;
mod microphone;
mod pcm;
mod screen;
mod source;

pub use args::LiveArgs;
pub use pcm::SampleFormat;
pub use source::Source;

use screen::Screen;

/// Longest wait for samples, after which is looked whether somebody wants to stop.
const WAIT: Duration = Duration::from_millis(100);

/// What to do, checked.
#[derive(Debug)]
pub struct LiveJob {
    /// The model, the device and where a transcript goes at the end.
    pub job: crate::job::Job,
    /// How to listen.
    pub options: candle_whisper_core::live::LiveOptions,
    /// Where the sound is.
    pub source: Source,
    /// What is shown.
    pub show: Show,
    /// Whether outputs are written at the end.
    pub outputs: bool,
}

/// What goes to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Confirmed text, and tentative text that is replaced.
    Screen,
    /// Each confirmed segment, a line.
    Lines,
    /// Each event, a line of JSON.
    Json,
}

/// Prints the microphones there are, one a line.
///
/// # Errors
/// If this build has none.
pub fn list_devices() -> anyhow::Result<String> {
    Ok(microphone::list()?.into_iter().map(|name| name + "\n").collect())
}

/// Listens until the sound ends, somebody stops it, or nobody reads any more.
///
/// # Errors
/// If there is no sound to be had, the device fails or an output can't be written.
pub fn run(
    job: &LiveJob,
    load: impl FnOnce() -> anyhow::Result<Transcriber>,
    stop: &Stop,
) -> anyhow::Result<()> {
    if job.outputs {
        job.job.outputs.prepare(&job.job.inputs)?;
    }
    let transcriber = load()?;
    let mut options = job.options.clone();
    if !transcriber.tokenizer().is_multilingual() {
        let (english, warnings) = args::for_english(options);
        warnings.iter().for_each(messages::warning);
        options = english;
    }
    let mut live = Live::new(&transcriber, options)?;
    let working = stop.working();
    let (sound, _open) = job.source.open()?;
    let mut screen = Screen::new(job.show);
    let mut reader = Delivery::Whole;
    let mut over = false;
    if std::io::stderr().is_terminal() && matches!(job.source, Source::Microphone(_)) {
        messages::note("listening; Ctrl-C ends");
    }
    let mut observer =
        |_: Event<'_>| if stop.asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    while !over && reader == Delivery::Whole && !stop.asked() {
        if !live.is_ready() {
            match sound.recv_timeout(WAIT) {
                Ok(samples) => live.push(&samples?),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => over = true,
            }
        }
        while let Ok(samples) = sound.try_recv() {
            live.push(&samples?);
        }
        let start = Instant::now();
        let mut events = live.step(&mut observer).context("could not transcribe")?;
        live.took(start.elapsed().as_secs_f64(), &mut events);
        reader = tell(&mut screen, &live, &events)?;
    }
    if reader == Delivery::ReaderGone {
        return Ok(());
    }
    // What is left is decoded whole, a stop or not; a second one ends the program.
    let events = live.finish(&mut Silent).context("could not transcribe")?;
    tell(&mut screen, &live, &events)?;
    screen.end(&live.transcript()).context("could not write to stdout")?;
    if job.outputs {
        job.job.outputs.write(&job.job.inputs[0], &live.transcript(), stop)?;
    }
    drop(working);
    Ok(())
}

fn tell(screen: &mut Screen, live: &Live, events: &[LiveEvent]) -> anyhow::Result<Delivery> {
    for event in events {
        if let LiveEvent::Lag { behind, dropped, .. } = event {
            screen.rest();
            let lost = if *dropped > 0.0 { format!("; {dropped:.1} s were dropped") } else { String::new() };
            messages::warning(format_args!("decoding is slower than the sound, {behind:.1} s behind{lost}"));
        }
    }
    screen.show(events, live.segments()).context("could not write to stdout")
}

/// What outputs are named after.
pub(crate) fn named() -> Input {
    Input::File("live".into())
}

/// A complaint about a flag, from what core says of an option.
fn complaint(error: &candle_whisper_core::Error) -> BadUsage {
    BadUsage::new(error.to_string().replace("`vad ", "`--vad_").replace("`min_chunk_s`", "`--min_chunk`"))
}
