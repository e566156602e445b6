//! Advanced SubStation Alpha: karaoke where words have times, each word lit as it is said; otherwise plain cues.

use std::io;

use super::subtitles::{Cue, cues};
use super::{SubtitleOptions, Writer};
use crate::transcript::Transcript;

/// Writes `.ass`.
#[derive(Debug, Clone, Default)]
pub struct Ass(pub SubtitleOptions);

/// White letters, amber until they are said; a thin outline, at the bottom.
const HEADER: &str = "\
[Script Info]
ScriptType: v4.00+
WrapStyle: 2
ScaledBorderAndShadow: yes
PlayResX: 1920
PlayResY: 1080

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,64,&H00FFFFFF,&H0000C0FF,&H00000000,&H80000000,0,0,0,0,100,100,0,0,1,3,1,2,60,60,54,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
";

impl Writer for Ass {
    fn extension(&self) -> &'static str {
        "ass"
    }

    fn write(&self, transcript: &Transcript, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(HEADER.as_bytes())?;
        let (cues, timed) = cues(transcript, &self.0);
        for cue in &cues {
            let text = match timed {
                true => karaoke(cue),
                false => cue.words.iter().map(|word| escaped(&word.word)).collect(),
            };
            let (start, end) = (time(hundredths(cue.start)), time(hundredths(cue.end)));
            writeln!(out, "Dialogue: 0,{start},{end},Default,,0,0,0,,{text}")?;
        }
        Ok(())
    }
}

/// The words, each behind the hundredths of a second that it takes; together as long as the cue.
fn karaoke(cue: &Cue) -> String {
    let mut text = String::new();
    let (mut at, end) = (hundredths(cue.start), hundredths(cue.end));
    for word in &cue.words {
        let begins = hundredths(word.start).clamp(at, end.max(at));
        if begins > at {
            text.push_str(&format!("{{\\k{}}}", begins - at));
        }
        at = hundredths(word.end).clamp(begins, end.max(begins));
        text.push_str(&format!("{{\\k{}}}{}", at - begins, escaped(&word.word)));
    }
    text
}

/// Braces begin tags, and backslashes line breaks: libass reads `\{` as a brace, and a word joiner parts a backslash from
/// the letter behind it.
fn escaped(text: &str) -> String {
    let escaped = text.replace('\\', "\\\u{2060}").replace('{', "\\{").replace('}', "\\}");
    escaped.replace("\r\n", "\n").replace(['\r', '\n'], "\\N")
}

fn hundredths(seconds: f64) -> i64 {
    (seconds.max(0.0) * 100.0).round_ties_even() as i64
}

fn time(total: i64) -> String {
    let (hours, minutes, seconds) = (total / 360_000, total / 6_000 % 60, total / 100 % 60);
    format!("{hours}:{minutes:02}:{seconds:02}.{:02}", total % 100)
}
