//! Exactly what was typed. Flags have the names and defaults of openai/whisper's command line; what they mean is
//! for [`crate::options`] and [`crate::job`].

mod model;
mod subtitles;
mod vad;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use candle_whisper_core::Task;
use candle_whisper_core::options::AudioContext;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use model::ModelArgs;
use subtitles::SubtitleArgs;
use vad::VadArgs;
use values::{APPEND, BOOL, PREPEND, audio_context, boolean};
pub use values::{Batch, Formats, Maybe, Verbosity};
pub(crate) use values::{formats, task};

const EXIT_CODES: &str = "\
Exit codes:
  0    every recording was transcribed
  1    some recording was not; the others were
  2    the command line can't be used
  130  interrupted; what was done until then is written

Where flags take True, False or None, these are words to type: `--word_timestamps True`.
Every flag may be spelt with - for _, and shortened while it stays unique.";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "candle-whisper",
    version,
    about = "Writes down what is said in recordings, with OpenAI's Whisper",
    after_help = EXIT_CODES,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    infer_long_args = true
)]
pub struct Cli {
    /// What to transcribe, and how.
    #[command(flatten)]
    pub args: Args,
    /// Something else to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program does besides transcribing; a recording of such a name is `./NAME`.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Find when each word of a given text is said in a recording; all flags are those of a transcription, with
    /// --word_timestamps True
    Align(Box<crate::align::AlignArgs>),
    /// Print a script that completes this program's flags in a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write down what is said while it is said: from the microphone, or a pipe of samples
    Live(Box<crate::live::LiveArgs>),
    /// Print the languages that --language takes: code, tab, name
    Languages,
    /// Print the manual page, for `man -l -`
    Man,
    /// Work on model files
    Models {
        /// What to do.
        #[command(subcommand)]
        command: crate::models::Command,
    },
}

/// Every flag.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Recordings to transcribe, audio or video; `-` reads one from stdin
    #[arg(required = true, value_name = "AUDIO")]
    pub audio: Vec<PathBuf>,

    /// The model, and what computes.
    #[command(flatten)]
    pub network: ModelArgs,

    /// Folder for the outputs, each named after its recording; `-` writes to stdout. With neither -o nor -f the
    /// plain text goes to stdout
    #[arg(long = "output_dir", short = 'o', value_name = "FOLDER", help_heading = "Output")]
    pub output_dir: Option<PathBuf>,
    /// Formats of the outputs, a list between commas or the flag given again: txt, vtt, srt, tsv, json, lrc, csv, ass;
    /// `all` is the first five, and what -o alone means
    #[arg(long = "output_format", short = 'f', value_name = "FORMAT", value_delimiter = ',', value_parser = formats(), help_heading = "Output")]
    pub output_format: Vec<Formats>,
    /// Go on where a run of the same recording, model and options broke off: each window is kept in
    /// NAME.candle-whisper.resume beside the outputs until they are written
    #[arg(long, help_heading = "Output")]
    pub resume: bool,
    /// In json also tell what speaks against each segment, what else its window was taken for, and what was left out
    #[arg(long = "json_full", help_heading = "Output")]
    pub json_full: bool,
    /// True prints each segment once it is done, False shows only the progress bar, None nothing; True where the
    /// outputs are files
    #[arg(
        long,
        value_name = "True|False|None",
        ignore_case = true,
        hide_possible_values = true,
        help_heading = "Output"
    )]
    pub verbose: Option<Verbosity>,

    /// Read the recording only once, as it comes: each window's loudness is measured by what was heard until its end, not by the
    /// whole recording, and text comes before a pipe ends
    #[arg(long = "running_maximum", default_value = "False", value_name = BOOL, action = ArgAction::Set, value_parser = boolean(), ignore_case = true, help_heading = "Speech")]
    pub running_maximum: bool,
    /// Transcribe in the language spoken, or translate to English
    #[arg(long, default_value = "transcribe", value_name = "TASK", value_parser = task(), help_heading = "Speech")]
    pub task: Task,
    /// Language spoken, as code or English name; None detects it, auto-each that of every window
    #[arg(long, default_value = "None", value_name = "LANGUAGE", help_heading = "Speech")]
    pub language: Maybe<String>,
    /// Text to prompt the first window with, such as names and their spelling
    #[arg(long = "initial_prompt", value_name = "TEXT", help_heading = "Speech")]
    pub initial_prompt: Option<String>,
    /// Prompt every window with --initial_prompt
    #[arg(long = "carry_initial_prompt", default_value = "False", value_name = BOOL, action = ArgAction::Set, value_parser = boolean(), ignore_case = true, help_heading = "Speech")]
    pub carry_initial_prompt: bool,
    /// Words to expect, such as names and their spelling; they are put before the prompt of every window
    #[arg(long, value_name = "TEXT", help_heading = "Speech")]
    pub hotwords: Option<String>,
    /// Prompt each window with the text before it [default: True, with --batch False]
    #[arg(long = "condition_on_previous_text", value_name = BOOL, action = ArgAction::Set, value_parser = boolean(), ignore_case = true, help_heading = "Speech")]
    pub condition_on_previous_text: Option<bool>,
    /// Decode so many windows at once, cut where speech pauses; auto for as many as the free memory has room for, up to 64 on a
    /// GPU and 8 on the CPU; None for one after the other, as the reference does
    #[arg(
        long = "batch",
        default_value = "None",
        value_name = "N|auto",
        allow_negative_numbers = true,
        help_heading = "Speech"
    )]
    pub batch: Maybe<Batch>,
    /// How much of a window's 30 s the encoder hears on a CPU: all, as the reference (full), or, with up to 18 s of sound, that and two
    /// seconds, at least ten, in as much less time (heard); auto is heard with --dtype quantised, a model up to base and timestamps
    #[arg(long = "audio_ctx", default_value = "auto", value_name = "auto|full|heard", value_parser = audio_context(), ignore_case = true, hide_possible_values = true, help_heading = "Speech")]
    pub audio_ctx: AudioContext,
    /// start,end,start,end,… in seconds of the stretches to transcribe; the last end may be left out
    #[arg(
        long = "clip_timestamps",
        default_value = "0",
        value_name = "SECONDS",
        allow_hyphen_values = true,
        help_heading = "Speech"
    )]
    pub clip_timestamps: String,

    /// Temperature to sample at; 0 takes the most probable
    #[arg(
        long,
        default_value_t = 0.0,
        value_name = "T",
        allow_negative_numbers = true,
        help_heading = "Decoding"
    )]
    pub temperature: f64,
    /// Candidates at temperatures above 0
    #[arg(
        long = "best_of",
        default_value = "5",
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Decoding"
    )]
    pub best_of: Maybe<usize>,
    /// Beams at temperature 0; None decodes greedily
    #[arg(
        long = "beam_size",
        default_value = "5",
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Decoding"
    )]
    pub beam_size: Maybe<usize>,
    /// Beam search ends after beam_size × patience candidates (arXiv 2204.05424); None is 1
    #[arg(
        long,
        default_value = "None",
        value_name = "P",
        allow_negative_numbers = true,
        help_heading = "Decoding"
    )]
    pub patience: Maybe<f64>,
    /// Alpha, 0 to 1, of Google NMT's length penalty (arXiv 1609.08144); None divides by the length
    #[arg(
        long = "length_penalty",
        default_value = "None",
        value_name = "ALPHA",
        allow_negative_numbers = true,
        help_heading = "Decoding"
    )]
    pub length_penalty: Maybe<f64>,
    /// Token ids never to sample, between commas; -1 stands for most special characters, None for no id
    #[arg(
        long = "suppress_tokens",
        default_value = "-1",
        value_name = "IDS",
        allow_hyphen_values = true,
        help_heading = "Decoding"
    )]
    pub suppress_tokens: Maybe<String>,
    /// Text that a window has already becomes less probable by this factor; 1 changes nothing
    #[arg(
        long = "repetition_penalty",
        default_value_t = 1.0,
        value_name = "FACTOR",
        allow_negative_numbers = true,
        help_heading = "Decoding"
    )]
    pub repetition_penalty: f64,
    /// No row of so many text tokens comes twice in a window; 0 for no limit
    #[arg(
        long = "no_repeat_ngram_size",
        default_value_t = 0,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Decoding"
    )]
    pub no_repeat_ngram_size: usize,
    /// Step from one temperature to the next when a decoding fails; None tries only one
    #[arg(
        long = "temperature_increment_on_fallback",
        default_value = "0.2",
        value_name = "STEP",
        allow_negative_numbers = true,
        help_heading = "Decoding"
    )]
    pub temperature_increment_on_fallback: Maybe<f64>,
    /// A decoding whose text compresses better has failed; None turns this off
    #[arg(
        long = "compression_ratio_threshold",
        default_value = "2.4",
        value_name = "RATIO",
        allow_negative_numbers = true,
        help_heading = "Decoding"
    )]
    pub compression_ratio_threshold: Maybe<f64>,
    /// A decoding with a lower mean log-probability has failed; None turns this off
    #[arg(
        long = "logprob_threshold",
        default_value = "-1.0",
        value_name = "LOGPROB",
        allow_negative_numbers = true,
        help_heading = "Decoding"
    )]
    pub logprob_threshold: Maybe<f64>,
    /// A failed decoding more probably silent than this is silence; None turns this off
    #[arg(
        long = "no_speech_threshold",
        default_value = "0.6",
        value_name = "P",
        allow_negative_numbers = true,
        help_heading = "Decoding"
    )]
    pub no_speech_threshold: Maybe<f64>,
    /// Hear again what speaks against itself, keep the better reading, and leave out what was written where nobody speaks;
    /// without --temperature_increment_on_fallback there are no guards
    #[arg(long, default_value = "True", value_name = BOOL, action = ArgAction::Set, value_parser = boolean(), ignore_case = true, help_heading = "Decoding")]
    pub guards: bool,
    /// Where the random numbers of sampling start
    #[arg(
        long,
        default_value_t = 0,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Decoding"
    )]
    pub seed: u64,

    /// Voice activity detection.
    #[command(flatten)]
    pub vad: VadArgs,

    /// Find the times of words
    #[arg(long = "word_timestamps", default_value = "False", value_name = BOOL, action = ArgAction::Set, value_parser = boolean(), ignore_case = true, help_heading = "Words")]
    pub word_timestamps: bool,
    /// Punctuation that belongs to the next word
    #[arg(long = "prepend_punctuations", default_value = PREPEND, value_name = "CHARS", allow_hyphen_values = true, help_heading = "Words")]
    pub prepend_punctuations: String,
    /// Punctuation that belongs to the word before
    #[arg(long = "append_punctuations", default_value = APPEND, value_name = "CHARS", allow_hyphen_values = true, help_heading = "Words")]
    pub append_punctuations: String,
    /// Skip silences longer than this (seconds) around what looks made up; needs --word_timestamps True
    #[arg(
        long = "hallucination_silence_threshold",
        default_value = "None",
        value_name = "SECONDS",
        allow_negative_numbers = true,
        help_heading = "Words"
    )]
    pub hallucination_silence_threshold: Maybe<f64>,
    /// Underline each word as it is spoken, in srt and vtt; needs --word_timestamps True
    #[arg(long = "highlight_words", default_value = "False", value_name = BOOL, action = ArgAction::Set, value_parser = boolean(), ignore_case = true, help_heading = "Words")]
    pub highlight_words: bool,
    /// Most characters in a line of srt and vtt; needs --word_timestamps True
    #[arg(
        long = "max_line_width",
        default_value = "None",
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Words"
    )]
    pub max_line_width: Maybe<usize>,
    /// Most lines in a cue of srt and vtt; needs --max_line_width
    #[arg(
        long = "max_line_count",
        default_value = "None",
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Words"
    )]
    pub max_line_count: Maybe<usize>,
    /// Most words in a line of srt and vtt, where --max_line_width is not given; needs --word_timestamps True
    #[arg(
        long = "max_words_per_line",
        default_value = "None",
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Words"
    )]
    pub max_words_per_line: Maybe<usize>,

    /// Subtitles as an editor makes them.
    #[command(flatten)]
    pub subtitles: SubtitleArgs,
}

/// The definition of the command line, with `-` accepted for each `_`.
pub fn command() -> clap::Command {
    dashed(Cli::command())
        .mut_subcommand("align", |command| dashed(command).infer_long_args(true))
        .mut_subcommand("live", dashed)
}

fn dashed(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| {
        let dashed = arg.get_long().filter(|long| long.contains('_')).map(|long| long.replace('_', "-"));
        match dashed {
            Some(dashed) => arg.alias(dashed),
            None => arg,
        }
    })
}

/// Reads the command line; the error also stands for `--help` and `--version`.
pub fn parse(typed: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&command().try_get_matches_from(typed)?)
}
