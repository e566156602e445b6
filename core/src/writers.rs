//! A transcript in, the bytes of a file out: txt, vtt, srt, tsv and json as openai/whisper's command line writes
//! them (json in plain UTF-8), and lrc, csv and ass. Nothing here opens a file.

mod ass;
mod csv;
mod editor;
mod json;
mod lrc;
mod options;
mod subtitles;
mod tsv;
mod txt;

use std::io;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::transcript::Transcript;

pub use ass::Ass;
pub use csv::Csv;
pub use json::Json;
pub use lrc::Lrc;
pub use options::SubtitleOptions;
pub use subtitles::{Srt, Vtt};
pub use tsv::Tsv;
pub use txt::Txt;

/// Turns a transcript into the bytes of one file.
pub trait Writer {
    /// The file name's extension, without the dot.
    fn extension(&self) -> &'static str;
    /// Writes the whole file; fails only where `out` fails.
    fn write(&self, transcript: &Transcript, out: &mut dyn io::Write) -> io::Result<()>;
}

/// A format that transcripts can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// Plain text, one segment a line.
    Txt,
    /// WebVTT subtitles.
    Vtt,
    /// SubRip subtitles.
    Srt,
    /// Start and end in milliseconds and the text, between tabs.
    Tsv,
    /// Everything known about the transcript.
    Json,
    /// Synchronised lyrics.
    Lrc,
    /// Start and end in milliseconds and the text, between commas.
    Csv,
    /// Advanced SubStation Alpha, with karaoke where words have times.
    Ass,
}

impl OutputFormat {
    /// Every format.
    pub const ALL: [Self; 8] =
        [Self::Txt, Self::Vtt, Self::Srt, Self::Tsv, Self::Json, Self::Lrc, Self::Csv, Self::Ass];

    /// The formats that openai/whisper calls `all`, in its order.
    pub const REFERENCE: [Self; 5] = [Self::Txt, Self::Vtt, Self::Srt, Self::Tsv, Self::Json];

    /// The name, which is the file name's extension too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Vtt => "vtt",
            Self::Srt => "srt",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Lrc => "lrc",
            Self::Csv => "csv",
            Self::Ass => "ass",
        }
    }

    /// The writer of this format; only vtt, srt and ass heed `subtitles`.
    pub fn writer(self, subtitles: &SubtitleOptions) -> Box<dyn Writer> {
        match self {
            Self::Txt => Box::new(Txt),
            Self::Vtt => Box::new(Vtt(subtitles.clone())),
            Self::Srt => Box::new(Srt(subtitles.clone())),
            Self::Tsv => Box::new(Tsv),
            Self::Json => Box::new(Json { full: subtitles.json_full }),
            Self::Lrc => Box::new(Lrc),
            Self::Csv => Box::new(Csv),
            Self::Ass => Box::new(Ass(subtitles.clone())),
        }
    }
}

impl FromStr for OutputFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::Options(format!("unknown output format `{name}`; known are {known}"))
        })
    }
}

/// `[hours:]minutes:seconds` and the milliseconds after `decimal_marker`, rounded half to even as Python does.
/// Hours are left out below 1 unless `always_include_hours`. A negative time is written as 0.
pub fn format_timestamp(seconds: f64, always_include_hours: bool, decimal_marker: char) -> String {
    let total = milliseconds(seconds.max(0.0));
    let (hours, minutes) = (total / 3_600_000, total / 60_000 % 60);
    let (seconds, millis) = (total / 1_000 % 60, total % 1_000);
    let hours = if always_include_hours || hours > 0 { format!("{hours:02}:") } else { String::new() };
    format!("{hours}{minutes:02}:{seconds:02}{decimal_marker}{millis:03}")
}

/// Whole milliseconds, half to even.
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round_ties_even() as i64
}

/// Whether a sentence ends between `before` and `after`, both with the spaces around them.
pub(crate) fn ends_sentence(before: &str, after: &str, language: &str) -> bool {
    editor::ends_sentence(before, after, language)
}

/// What Python's `str.isspace` accepts: Unicode's white space and the four ASCII separators.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Python's `str.strip`.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `text` without the space around it and with none of the line breaks that would end a row.
fn one_line(text: &str) -> String {
    strip(text).replace("\r\n", " ").replace(['\r', '\n'], " ")
}
