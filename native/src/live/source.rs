//! Where the sound comes from: samples arrive by a channel, from a thread that reads or from the system's audio.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::{Context, bail};
use candle_whisper_core::audio::PcmStream;

use super::args::LiveArgs;
use super::microphone::{self, Recording};
use super::pcm::{SampleFormat, Samples};
use crate::input::Input;
use crate::options::BadUsage;

/// Pieces of sound that may wait; then a pipe waits too, and a microphone's are kept by the system or lost.
const MOST_WAITING: usize = 64;
/// Bytes read at once at most.
const BLOCK: usize = 1 << 14;

/// Where the sound is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The microphone whose name has this in it, or the system's choice.
    Microphone(Option<String>),
    /// Samples of a file or pipe.
    Samples {
        /// Where.
        input: Input,
        /// What they are.
        format: SampleFormat,
        /// Frames per second.
        sample_rate: u32,
        /// Interleaved channels.
        channels: usize,
    },
}

/// Samples as they come, mono at 16 kHz; an error is the last.
pub type Sound = Receiver<anyhow::Result<Vec<f32>>>;

impl Source {
    pub(super) fn new(args: &LiveArgs) -> Result<Self, BadUsage> {
        let Some(input) = args.input.clone() else {
            if args.format != SampleFormat::S16le || args.sample_rate != 16_000 || args.channels != 1 {
                let what = "`--format`, `--sample_rate` and `--channels` describe INPUT, and there is none";
                return Err(BadUsage::new(what).hint("`candle-whisper live -` reads samples from stdin"));
            }
            return Ok(Self::Microphone(args.microphone.clone()));
        };
        PcmStream::new(args.channels, args.sample_rate)
            .map_err(|error| BadUsage::new(error.to_string()).hint("see `--sample_rate` and `--channels`"))?;
        Ok(Self::Samples {
            input: Input::from(input),
            format: args.format,
            sample_rate: args.sample_rate,
            channels: args.channels,
        })
    }

    /// Begins to listen; what comes second ends it when it goes.
    pub(super) fn open(&self) -> anyhow::Result<(Sound, Option<Recording>)> {
        let (sender, sound) = sync_channel(MOST_WAITING);
        match self {
            Self::Microphone(name) => Ok((sound, Some(microphone::open(name.as_deref(), sender)?))),
            Self::Samples { input, format, sample_rate, channels } => {
                let samples = Samples::new(*format, PcmStream::new(*channels, *sample_rate)?);
                let bytes = open(input)?;
                let name = input.to_string();
                thread::spawn(move || read(bytes, samples, &name, &sender));
                Ok((sound, None))
            }
        }
    }
}

fn open(input: &Input) -> anyhow::Result<Box<dyn Read + Send>> {
    match input {
        Input::Stdin if io::stdin().is_terminal() => bail!("stdin is a terminal, not a pipe of samples"),
        Input::Stdin => Ok(Box::new(io::stdin())),
        Input::File(path) => {
            refuse_containers(path)?;
            Ok(Box::new(File::open(path).with_context(|| format!("could not read {input}"))?))
        }
    }
}

/// A recording is no raw samples, and would be heard as noise.
fn refuse_containers(path: &Path) -> anyhow::Result<()> {
    let known = ["wav", "flac", "mp3", "m4a", "mp4", "ogg", "opus", "webm", "mkv", "aac", "aiff", "caf"];
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    if extension.is_some_and(|extension| known.contains(&extension.as_str())) {
        let file = PathBuf::from(path);
        bail!("`{0}` is a recording, not raw samples: `candle-whisper {0}` transcribes it", file.display());
    }
    Ok(())
}

/// Reads until the end, or until nobody listens.
fn read(
    mut bytes: Box<dyn Read + Send>,
    mut samples: Samples,
    name: &str,
    sender: &SyncSender<anyhow::Result<Vec<f32>>>,
) {
    let mut block = vec![0; BLOCK];
    loop {
        let piece = match bytes.read(&mut block) {
            Ok(0) => break,
            Ok(n) => samples.push(&block[..n]).context("could not convert samples"),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error).with_context(|| format!("could not read {name}")),
        };
        let last = piece.is_err();
        if sender.send(piece).is_err() || last {
            return;
        }
    }
    let _ = sender.send(Ok(samples.finish()));
}
