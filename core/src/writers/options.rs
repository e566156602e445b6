//! How words become subtitles. The first four options are openai/whisper's; any of those after them has the cues laid out
//! as an editor would (see `editor`), within the limits of all.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How words become cues; without word times, each segment is a cue and none of this matters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubtitleOptions {
    /// Most characters in a line; 0 counts as `None`.
    pub max_line_width: Option<usize>,
    /// Most lines in a cue, cues going across segments; needs `max_line_width`; 0 counts as `None`.
    pub max_line_count: Option<usize>,
    /// Most words in a cue where `max_line_count` and `max_line_width` are not both given; 0 counts as `None`. With
    /// `break_at_phrases`, or a limit of time, most words in a line.
    pub max_words_per_line: Option<usize>,
    /// A cue for each word, the word underlined. Not together with `timed_words`.
    pub highlight_words: bool,

    /// End lines and cues where the language lets a reader pause: after sentences, after clauses, before connectives,
    /// never behind an article if there is another place; lines of a cue about as long as each other. `max_line_width` is
    /// 42 unless given (Chinese and Korean 16, Japanese 13, Thai 35), `max_line_count` 2. Every limit below turns it on.
    pub break_at_phrases: bool,
    /// A cue stays long enough to be read at so many characters a second, where the speech leaves time for it.
    pub max_chars_per_second: Option<f64>,
    /// A cue stays at least so many seconds, where its neighbours leave room.
    pub min_cue_duration: Option<f64>,
    /// A cue stays at most so many seconds.
    pub max_cue_duration: Option<f64>,
    /// Seconds without a cue between two.
    pub min_cue_gap: Option<f64>,
    /// In vtt, the time of each word in the cue's text.
    pub timed_words: bool,
    /// In json, also what speaks against each segment, what else its window was taken for, and what was left out.
    pub json_full: bool,
}

impl SubtitleOptions {
    /// Whether cues are laid out as an editor would, not as openai/whisper does.
    pub fn is_editors(&self) -> bool {
        self.break_at_phrases || self.limits().iter().any(|(_, limit)| limit.is_some())
    }

    /// The limits of time, with their names.
    fn limits(&self) -> [(&'static str, Option<f64>); 4] {
        [
            ("max_chars_per_second", self.max_chars_per_second),
            ("min_cue_duration", self.min_cue_duration),
            ("max_cue_duration", self.max_cue_duration),
            ("min_cue_gap", self.min_cue_gap),
        ]
    }

    /// Checks the limits.
    ///
    /// # Errors
    /// If one is out of range, or two exclude each other; they are named.
    pub fn validate(&self) -> Result<()> {
        let bad = |what: String| Err(Error::Options(what));
        for (name, limit) in self.limits() {
            let least = if name == "min_cue_gap" { 0.0 } else { f64::MIN_POSITIVE };
            match limit {
                Some(limit) if !(limit >= least && limit.is_finite()) => {
                    let range = if least == 0.0 { "0 or more" } else { "above 0" };
                    return bad(format!("`{name}` must be {range}, not {limit}"));
                }
                _ => {}
            }
        }
        if let (Some(min), Some(max)) = (self.min_cue_duration, self.max_cue_duration)
            && min > max
        {
            return bad(format!("`min_cue_duration` ({min}) is above `max_cue_duration` ({max})"));
        }
        if self.highlight_words && self.timed_words {
            return bad("`highlight_words` and `timed_words` can't be given together".into());
        }
        Ok(())
    }
}
