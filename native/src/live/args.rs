//! The flags of `candle-whisper live`. Those of the main command mean the same.

use std::path::{Path, PathBuf};

use candle_whisper_core::live::LiveOptions;
use candle_whisper_core::vad::VadOptions;
use candle_whisper_core::writers::{OutputFormat, SubtitleOptions};
use candle_whisper_core::{Task, TranscribeOptions};

use super::{LiveJob, SampleFormat, Show, Source, complaint, named};
use crate::cli::{Formats, Maybe, ModelArgs, formats, task};
use crate::job::{Job, Terminals};
use crate::options::{BadUsage, language};
use crate::output::{Outputs, Place};
use crate::progress::{Lines, Show as Progress};

/// What was typed after `live`.
#[derive(Debug, Clone, clap::Args)]
pub struct LiveArgs {
    /// `-` for samples from stdin, or a file or named pipe of samples; the microphone if left out
    #[arg(value_name = "INPUT")]
    pub input: Option<PathBuf>,
    /// What samples of INPUT are: s16le or f32le
    #[arg(long, default_value = "s16le", value_name = "FORMAT", help_heading = "Sound")]
    pub format: SampleFormat,
    /// Frames per second of INPUT
    #[arg(long = "sample_rate", default_value_t = 16_000, value_name = "HZ", help_heading = "Sound")]
    pub sample_rate: u32,
    /// Channels of INPUT, interleaved; they are mixed
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Sound")]
    pub channels: usize,
    /// The microphone to listen to, by a part of its name; the system's choice unless given
    #[arg(long, value_name = "NAME", conflicts_with = "input", help_heading = "Sound")]
    pub microphone: Option<String>,
    /// Print the names of all microphones, and end
    #[arg(long = "list_devices", help_heading = "Sound")]
    pub list_devices: bool,

    /// The model, and what computes.
    #[command(flatten)]
    pub network: ModelArgs,

    /// Print each event as a line of JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Folder for the transcript, which is written at the end as `live` in each format
    #[arg(long = "output_dir", short = 'o', value_name = "FOLDER", help_heading = "Output")]
    pub output_dir: Option<PathBuf>,
    /// Formats of the transcript, as for the main command; without -o it is written into `.`
    #[arg(long = "output_format", short = 'f', value_name = "FORMAT", value_delimiter = ',', value_parser = formats(), help_heading = "Output")]
    pub output_format: Vec<Formats>,

    /// Transcribe in the language spoken, or translate to English
    #[arg(long, default_value = "transcribe", value_name = "TASK", value_parser = task(), help_heading = "Speech")]
    pub task: Task,
    /// Language spoken, as code or English name; None detects it in the first two seconds of speech
    #[arg(long, default_value = "None", value_name = "LANGUAGE", help_heading = "Speech")]
    pub language: Maybe<String>,
    /// Text to prompt the first words with, such as names and their spelling
    #[arg(long = "initial_prompt", value_name = "TEXT", help_heading = "Speech")]
    pub initial_prompt: Option<String>,
    /// Beams; None decodes greedily
    #[arg(long = "beam_size", default_value = "None", value_name = "N", help_heading = "Speech")]
    pub beam_size: Maybe<usize>,
    /// Seconds of new sound between two decodings; more where decoding takes long
    #[arg(long = "min_chunk", default_value_t = LiveOptions::default().min_chunk_s, value_name = "SECONDS", help_heading = "Speech")]
    pub min_chunk: f64,

    /// From this probability on it is speech
    #[arg(long = "vad_threshold", default_value_t = LiveOptions::default().vad.threshold, value_name = "P", help_heading = "Silence")]
    pub vad_threshold: f64,
    /// Shorter speech is none
    #[arg(long = "vad_min_speech_duration_ms", default_value_t = LiveOptions::default().vad.min_speech_duration_ms, value_name = "MS", help_heading = "Silence")]
    pub vad_min_speech_duration_ms: f64,
    /// After so long a silence all that was said is confirmed
    #[arg(long = "vad_min_silence_duration_ms", default_value_t = LiveOptions::default().vad.min_silence_duration_ms, value_name = "MS", help_heading = "Silence")]
    pub vad_min_silence_duration_ms: f64,
    /// Kept before and after speech
    #[arg(long = "vad_speech_pad_ms", default_value_t = LiveOptions::default().vad.speech_pad_ms, value_name = "MS", help_heading = "Silence")]
    pub vad_speech_pad_ms: f64,
}

impl LiveJob {
    /// Checks the flags; the error names the one that can't be used.
    ///
    /// # Errors
    /// If one can't be used.
    pub fn new(args: &LiveArgs, terminals: Terminals) -> Result<Self, BadUsage> {
        let options = LiveOptions {
            task: args.task,
            language: language(args.language.0.as_deref())?,
            initial_prompt: args.initial_prompt.clone(),
            beam_size: args.beam_size.0,
            min_chunk_s: args.min_chunk,
            vad: VadOptions {
                threshold: args.vad_threshold,
                min_speech_duration_ms: args.vad_min_speech_duration_ms,
                max_speech_duration_s: None,
                min_silence_duration_ms: args.vad_min_silence_duration_ms,
                speech_pad_ms: args.vad_speech_pad_ms,
            },
            ..LiveOptions::default()
        };
        options.validate().map_err(|error| complaint(&error))?;
        if args.beam_size.0 == Some(0) {
            return Err(BadUsage::new("`--beam_size` must be None or at least 1"));
        }
        let wanted = args.output_dir.is_some() || !args.output_format.is_empty();
        if args.output_dir.as_deref() == Some(Path::new("-")) {
            let what = "`--output_dir -`: stdout has the captions while they come";
            return Err(BadUsage::new(what).hint("`--output_dir FOLDER` has the transcript at the end"));
        }
        let all = OutputFormat::REFERENCE.to_vec();
        let formats =
            if args.output_format.is_empty() { all } else { crate::job::named_formats(&args.output_format) };
        let place = Place::Folder(args.output_dir.clone().unwrap_or_else(|| ".".into()));
        let outputs = Outputs { place, formats, subtitles: SubtitleOptions::default() };
        let inputs = vec![named()];
        outputs.check(&inputs)?;
        Ok(Self {
            source: Source::new(args)?,
            show: match (args.json, terminals.stdout) {
                (true, _) => Show::Json,
                (false, true) => Show::Screen,
                (false, false) => Show::Lines,
            },
            outputs: wanted,
            job: Job {
                resume: false,
                running_maximum: false,
                inputs,
                model: args.network.location()?,
                cache_dir: args.network.cache_dir.clone(),
                devices: args.network.only_device("live")?.into(),
                precision: args.network.precision()?,
                threads: args.network.threads(),
                // What memory is estimated by.
                options: TranscribeOptions { word_timestamps: true, ..TranscribeOptions::default() },
                batch_by_memory: false,
                outputs,
                show: Progress { bar: terminals.stderr, lines: Lines::Nowhere, segments: false },
                warnings: Vec::new(),
            },
            options,
        })
    }
}

/// The options for a model that knows only English. Also what to warn of.
pub(super) fn for_english(options: LiveOptions) -> (LiveOptions, Vec<String>) {
    let mut both = TranscribeOptions::default();
    (both.decode.language, both.decode.task) = (options.language.clone(), options.task);
    let (both, warnings) = crate::options::for_model(both, false);
    (LiveOptions { language: both.decode.language, task: both.decode.task, ..options }, warnings)
}
