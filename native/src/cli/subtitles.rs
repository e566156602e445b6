//! The flags of subtitles that openai/whisper lacks.

use candle_whisper_core::writers::SubtitleOptions;
use clap::ArgAction;

use super::values::Maybe;
use super::{BOOL, boolean};

/// How an editor would lay out cues.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Subtitles (srt, vtt, ass; all need --word_timestamps True)")]
pub struct SubtitleArgs {
    /// End lines and cues after sentences and clauses and before connectives, with lines of even length: 2 lines of 42
    /// characters (Chinese and Korean 16, Japanese 13, Thai 35) unless --max_line_count and --max_line_width say
    /// otherwise. Each of the next four turns this on
    #[arg(long = "break_at_phrases", default_value = "False", value_name = BOOL, action = ArgAction::Set, value_parser = boolean(), ignore_case = true)]
    pub break_at_phrases: bool,
    /// Keep a cue long enough to be read at so many characters a second, where the speech leaves time
    #[arg(
        long = "max_chars_per_second",
        default_value = "None",
        value_name = "N",
        allow_negative_numbers = true
    )]
    pub max_chars_per_second: Maybe<f64>,
    /// Keep a cue at least so long, where its neighbours leave room
    #[arg(
        long = "min_cue_duration",
        default_value = "None",
        value_name = "SECONDS",
        allow_negative_numbers = true
    )]
    pub min_cue_duration: Maybe<f64>,
    /// Keep a cue at most so long
    #[arg(
        long = "max_cue_duration",
        default_value = "None",
        value_name = "SECONDS",
        allow_negative_numbers = true
    )]
    pub max_cue_duration: Maybe<f64>,
    /// Leave so much time without a cue between two
    #[arg(
        long = "min_cue_gap",
        default_value = "None",
        value_name = "SECONDS",
        allow_negative_numbers = true
    )]
    pub min_cue_gap: Maybe<f64>,
    /// In vtt, put the time of each word into the text
    #[arg(long = "timed_words", default_value = "False", value_name = BOOL, action = ArgAction::Set, value_parser = boolean(), ignore_case = true)]
    pub timed_words: bool,
    /// Fit words, and so cues, to the speech that voice activity detection hears, in all formats [default: False, for
    /// `align` True]
    #[arg(long = "snap_to_speech", value_name = BOOL, action = ArgAction::Set, value_parser = boolean(), ignore_case = true)]
    pub snap_to_speech: Option<bool>,
}

impl SubtitleArgs {
    /// The same for core.
    pub fn options(&self) -> SubtitleOptions {
        SubtitleOptions {
            break_at_phrases: self.break_at_phrases,
            max_chars_per_second: self.max_chars_per_second.0,
            min_cue_duration: self.min_cue_duration.0,
            max_cue_duration: self.max_cue_duration.0,
            min_cue_gap: self.min_cue_gap.0,
            timed_words: self.timed_words,
            ..SubtitleOptions::default()
        }
    }

    /// Flags by name, and whether they are given.
    pub fn given(&self) -> [(&'static str, bool); 7] {
        [
            ("break_at_phrases", self.break_at_phrases),
            ("max_chars_per_second", self.max_chars_per_second.0.is_some()),
            ("min_cue_duration", self.min_cue_duration.0.is_some()),
            ("max_cue_duration", self.max_cue_duration.0.is_some()),
            ("min_cue_gap", self.min_cue_gap.0.is_some()),
            ("timed_words", self.timed_words),
            ("snap_to_speech", self.snap_to_speech == Some(true)),
        ]
    }
}
