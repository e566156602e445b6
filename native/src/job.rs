//! Everything that was typed, checked and turned into what the work needs. No file is read and nothing is made
//! before this is whole.

use std::path::{Path, PathBuf};

use candle_whisper_core::TranscribeOptions;
use candle_whisper_core::writers::OutputFormat;

use crate::cli::{Args, Batch, Formats, Maybe, Verbosity};
use crate::device::{Devices, Precision};
use crate::input::Input;
use crate::locate::Location;
use crate::options::{BadUsage, subtitle_options, transcribe_options};
use crate::output::{Outputs, Place};
use crate::progress::{Lines, Show};

/// What to do.
#[derive(Debug, Clone)]
pub struct Job {
    /// Recordings, in the order in which to transcribe them.
    pub inputs: Vec<Input>,
    /// Where the model is.
    pub model: Location,
    /// Where models of the hub are kept, if not where the environment says.
    pub cache_dir: Option<PathBuf>,
    /// Where to compute.
    pub devices: Devices,
    /// In which number format.
    pub precision: Precision,
    /// Threads of the CPU; 0 for one per core.
    pub threads: usize,
    /// How to transcribe. Where the device says how many windows there are at once, its `batch` is 1.
    pub options: TranscribeOptions,
    /// Whether it does.
    pub batch_by_memory: bool,
    /// Where the transcripts go.
    pub outputs: Outputs,
    /// Whether to keep the state beside the outputs, and to go on from one that is there.
    pub resume: bool,
    /// Whether recordings are read only once.
    pub running_maximum: bool,
    /// What to show meanwhile.
    pub show: Show,
    /// What to say before the work begins.
    pub warnings: Vec<String>,
}

/// Which streams are terminals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terminals {
    /// Where transcripts go.
    pub stdout: bool,
    /// Where words and the progress bar go.
    pub stderr: bool,
}

impl Job {
    /// Checks the flags; the error names the one that can't be used.
    pub fn new(args: &Args, terminals: Terminals) -> Result<Self, BadUsage> {
        let options = transcribe_options(args)?;
        let (subtitles, mut warnings) = subtitle_options(args)?;
        let outputs = Outputs { place: place(args), formats: formats(args), subtitles };
        let no_effect = [
            (
                outputs.subtitles.json_full,
                OutputFormat::Json,
                "--json_full has no effect without --output_format json",
            ),
            (
                outputs.subtitles.timed_words,
                OutputFormat::Vtt,
                "--timed_words has no effect without --output_format vtt",
            ),
        ];
        for (given, format, what) in no_effect {
            if given && !outputs.formats.contains(&format) {
                warnings.push(what.into());
            }
        }
        let inputs: Vec<Input> = args.audio.iter().cloned().map(Input::from).collect();
        outputs.check(&inputs)?;
        check_reading(args, &outputs.place)?;
        Ok(Self {
            precision: args.network.precision()?,
            model: args.network.location()?,
            cache_dir: args.network.cache_dir.clone(),
            devices: args.network.device.clone(),
            threads: args.network.threads(),
            resume: args.resume,
            running_maximum: args.running_maximum,
            show: show(args.verbose, &outputs.place, terminals),
            inputs,
            batch_by_memory: args.batch.0 == Some(Batch::Auto),
            options,
            outputs,
            warnings,
        })
    }
}

/// What can't be kept, or not be known of a recording that is read only once.
fn check_reading(args: &Args, place: &Place) -> Result<(), BadUsage> {
    if args.resume && *place == Place::Stdout {
        let what = "`--resume` keeps its state beside the outputs, and these go to stdout";
        return Err(BadUsage::new(what).hint("choose a folder with `--output_dir`"));
    }
    if !args.running_maximum {
        return Ok(());
    }
    let together = |flag: &str| {
        let what = format!("`--running_maximum` and `{flag}` can't be given together");
        Err(BadUsage::new(what).hint("what is read only once is not known as a whole"))
    };
    match args {
        Args { resume: true, .. } => together("--resume"),
        Args { batch: Maybe(Some(_)), .. } => together("--batch"),
        args if args.vad.vad => together("--vad"),
        args if args.subtitles.snap_to_speech == Some(true) => together("--snap_to_speech"),
        _ => Ok(()),
    }
}

/// With neither flag, one wants to read the text, not to find five files.
fn place(args: &Args) -> Place {
    match args.output_dir.as_deref() {
        Some(folder) if folder == Path::new("-") => Place::Stdout,
        Some(folder) => Place::Folder(folder.into()),
        None if args.output_format.is_empty() => Place::Stdout,
        None => Place::Folder(".".into()),
    }
}

fn formats(args: &Args) -> Vec<OutputFormat> {
    if args.output_format.is_empty() {
        return match place(args) {
            Place::Stdout => vec![OutputFormat::Txt],
            Place::Folder(_) => OutputFormat::REFERENCE.into(),
        };
    }
    named_formats(&args.output_format)
}

/// Each format once.
pub(crate) fn named_formats(items: &[Formats]) -> Vec<OutputFormat> {
    let mut formats = Vec::new();
    for item in items {
        let named = match item {
            Formats::All => OutputFormat::REFERENCE.as_slice(),
            Formats::One(format) => std::slice::from_ref(format),
        };
        for format in named {
            if !formats.contains(format) {
                formats.push(*format);
            }
        }
    }
    formats
}

/// The reference prints segments to stdout, which is right as long as stdout carries nothing else.
fn show(verbose: Option<Verbosity>, place: &Place, terminals: Terminals) -> Show {
    let to_stdout = *place == Place::Stdout;
    let lines = if to_stdout { Lines::Stderr } else { Lines::Stdout };
    let (lines, segments) = match verbose {
        Some(Verbosity::Segments) => (lines, true),
        Some(Verbosity::Bar) => (lines, false),
        Some(Verbosity::Nothing) => (Lines::Nowhere, false),
        None if !to_stdout => (lines, true),
        // Where both are the same screen, the text would be on it twice.
        None if terminals.stderr && !terminals.stdout => (lines, true),
        None => (Lines::Nowhere, false),
    };
    let bar = terminals.stderr && verbose != Some(Verbosity::Nothing);
    Show { bar, lines, segments }
}
