//! The flags of voice activity detection.

use candle_whisper_core::vad::VadOptions;
use clap::ArgAction;

use super::values::Maybe;
use super::{BOOL, boolean};

/// What counts as speech.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Silence")]
pub struct VadArgs {
    /// Leave out what is not speech before anything else is done
    #[arg(long = "vad", default_value = "False", value_name = BOOL, action = ArgAction::Set, value_parser = boolean(), ignore_case = true)]
    pub vad: bool,
    /// From this probability on it is speech
    #[arg(long = "vad_threshold", default_value_t = VadOptions::default().threshold, value_name = "P", allow_negative_numbers = true)]
    pub vad_threshold: f64,
    /// Shorter speech is none
    #[arg(long = "vad_min_speech_duration_ms", default_value_t = VadOptions::default().min_speech_duration_ms, value_name = "MS", allow_negative_numbers = true)]
    pub vad_min_speech_duration_ms: f64,
    /// Longer speech is cut, at its longest silence
    #[arg(
        long = "vad_max_speech_duration_s",
        default_value = "None",
        value_name = "SECONDS",
        allow_negative_numbers = true
    )]
    pub vad_max_speech_duration_s: Maybe<f64>,
    /// Speech goes on over shorter silences
    #[arg(long = "vad_min_silence_duration_ms", default_value_t = VadOptions::default().min_silence_duration_ms, value_name = "MS", allow_negative_numbers = true)]
    pub vad_min_silence_duration_ms: f64,
    /// Kept before and after speech
    #[arg(long = "vad_speech_pad_ms", default_value_t = VadOptions::default().speech_pad_ms, value_name = "MS", allow_negative_numbers = true)]
    pub vad_speech_pad_ms: f64,
}

impl VadArgs {
    /// The same for core, whether or not it is asked for.
    pub fn options(&self) -> VadOptions {
        VadOptions {
            threshold: self.vad_threshold,
            min_speech_duration_ms: self.vad_min_speech_duration_ms,
            max_speech_duration_s: self.vad_max_speech_duration_s.0,
            min_silence_duration_ms: self.vad_min_silence_duration_ms,
            speech_pad_ms: self.vad_speech_pad_ms,
        }
    }
}
