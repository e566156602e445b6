//! The kinds of words that flags take.

use std::convert::Infallible;
use std::str::FromStr;

use candle_whisper_core::Task;
use candle_whisper_core::options::AudioContext;
use candle_whisper_core::writers::OutputFormat;
use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};

pub(super) const BOOL: &str = "True|False";
pub(super) const PREPEND: &str = "\"'“¿([{-";
pub(super) const APPEND: &str = "\"'.。,，!！?？:：”)]}、";

/// A value, or the word None.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maybe<T>(pub Option<T>);

impl<T: FromStr> FromStr for Maybe<T> {
    type Err = T::Err;

    fn from_str(typed: &str) -> Result<Self, T::Err> {
        if typed.eq_ignore_ascii_case("none") {
            return Ok(Self(None));
        }
        typed.parse().map(|value| Self(Some(value)))
    }
}

/// How many windows are decoded at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// As many as the memory that is free has room for, within limits.
    Auto,
    /// So many.
    Of(usize),
}

impl Batch {
    /// What is certain before a device is known.
    pub fn at_least(self) -> usize {
        match self {
            Self::Auto => 1,
            Self::Of(n) => n,
        }
    }
}

impl FromStr for Batch {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        if typed.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        typed.parse().map(Self::Of).map_err(|_| "expected auto, None or how many windows".into())
    }
}

/// What is shown while a recording is transcribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Verbosity {
    /// Segments and the progress bar.
    #[value(name = "True")]
    Segments,
    /// The progress bar.
    #[value(name = "False")]
    Bar,
    /// Nothing.
    #[value(name = "None")]
    Nothing,
}

/// One item of `--output_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formats {
    /// The five of openai/whisper.
    All,
    /// One by name.
    One(OutputFormat),
}

pub(crate) fn formats() -> impl TypedValueParser<Value = Formats> {
    let names = OutputFormat::ALL.map(OutputFormat::name);
    PossibleValuesParser::new(names.into_iter().chain(["all"])).map(|name| match name.parse() {
        Ok(format) => Formats::One(format),
        Err(_) => Formats::All,
    })
}

pub(super) fn boolean() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new(["True", "False"]).map(|word| word.eq_ignore_ascii_case("true"))
}

pub(super) fn audio_context() -> impl TypedValueParser<Value = AudioContext> {
    PossibleValuesParser::new(["auto", "full", "heard"]).map(|word| {
        match word.to_ascii_lowercase().as_str() {
            "full" => AudioContext::Full,
            "heard" => AudioContext::Heard,
            _ => AudioContext::Auto,
        }
    })
}

pub(crate) fn task() -> impl TypedValueParser<Value = Task> {
    PossibleValuesParser::new(["transcribe", "translate"]).try_map(|word| {
        Ok::<_, Infallible>(match word.as_str() {
            "translate" => Task::Translate,
            _ => Task::Transcribe,
        })
    })
}
