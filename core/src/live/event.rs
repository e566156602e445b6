//! What a live transcription tells: one schema for the terminal (`--json`, one object a line), the npm package and the page.
//!
//! Every object has `version` (1) and `type`. A reader skips types and fields that it does not know; the version rises when a
//! field changes its meaning or goes. Times are seconds from the first sample that was pushed.
//!
//! | `type` | Fields | Meaning |
//! |---|---|---|
//! | `ready` | `sample_rate` | it listens, to samples at this rate |
//! | `language` | `code`, `probability` | the language was detected; told once |
//! | `tentative` | `time`, `text`, `words` | what follows the confirmed text so far; replaces the `tentative` before, may be empty |
//! | `confirmed` | `time`, `latency`, `text`, `words` | follows what was confirmed before, and stays; no `tentative` holds any more |
//! | `silence` | `time`, `start` | nobody speaks since `start`: all that was said before is confirmed |
//! | `lag` | `time`, `behind`, `dropped` | audio comes faster than it is decoded: `behind` seconds wait, `dropped` were lost |
//! | `end` | `time`, `words`, `latency` | nothing follows; `latency` has the `median` and the `p90` of all words, null without words |
//!
//! A word is `word` (with the space and the punctuation that belong to it), `start`, `end` and `probability`. `time` is how much
//! had been pushed when it was told; the `latency` of a word is `time` less its `end`, that of `confirmed` is its words' mean. Both
//! contain the time of decoding where the caller measures it ([`super::Live::took`]).

use serde::Serialize;

use crate::transcript::Word;

/// Version of the schema.
pub const VERSION: u32 = 1;

/// Something that a live transcription tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum LiveEvent {
    /// It listens.
    Ready {
        /// Of the samples that are pushed.
        sample_rate: usize,
    },
    /// The language was detected.
    Language {
        /// Code, such as `en`.
        code: String,
        /// Its probability among all languages.
        probability: f32,
    },
    /// What may be said after the confirmed text; replaces what was tentative before.
    Tentative {
        /// Seconds of audio so far.
        time: f64,
        /// The words together.
        text: String,
        /// In their order.
        words: Vec<Word>,
    },
    /// Words that stay as they are.
    Confirmed {
        /// Seconds of audio so far.
        time: f64,
        /// Mean of `time` less the words' ends.
        latency: f64,
        /// The words together.
        text: String,
        /// In their order, at least one.
        words: Vec<Word>,
    },
    /// Nobody speaks any more.
    Silence {
        /// Seconds of audio so far.
        time: f64,
        /// Where speech ended, in seconds.
        start: f64,
    },
    /// Audio comes faster than it is decoded.
    Lag {
        /// Seconds of audio so far.
        time: f64,
        /// Seconds that wait to be heard.
        behind: f64,
        /// Seconds that were dropped since the last such event.
        dropped: f64,
    },
    /// Nothing follows.
    End {
        /// Seconds of audio.
        time: f64,
        /// Words confirmed.
        words: usize,
        /// How late they were; `None` without words.
        latency: Option<Latency>,
    },
}

/// Seconds from the end of a word to its confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// Half of the words were confirmed within this.
    pub median: f64,
    /// Nine tenths of them.
    pub p90: f64,
}

impl Latency {
    /// Of these words' latencies; `None` without any.
    pub fn of(mut latencies: Vec<f64>) -> Option<Self> {
        latencies.sort_by(f64::total_cmp);
        let at = |part: f64| latencies.get(((latencies.len().max(1) - 1) as f64 * part).round() as usize);
        Some(Self { median: *at(0.5)?, p90: *at(0.9)? })
    }
}

/// An event with the schema's version before it.
#[derive(Serialize)]
struct Versioned<'a> {
    version: u32,
    #[serde(flatten)]
    event: &'a LiveEvent,
}

impl LiveEvent {
    /// The event as the schema has it.
    pub fn versioned(&self) -> impl Serialize + '_ {
        Versioned { version: VERSION, event: self }
    }

    /// One line of JSON, without its end.
    ///
    /// ```
    /// # use candle_whisper_core::live::LiveEvent;
    /// let json = LiveEvent::Ready { sample_rate: 16_000 }.to_json();
    /// assert_eq!(json, r#"{"version":1,"type":"ready","sample_rate":16000}"#);
    /// ```
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.versioned()).unwrap_or_default()
    }

    /// The same, told so many seconds later.
    pub(super) fn delay(&mut self, seconds: f64) {
        match self {
            Self::Ready { .. } | Self::Language { .. } => {}
            Self::Confirmed { time, latency, .. } => {
                *time += seconds;
                *latency += seconds;
            }
            Self::Tentative { time, .. }
            | Self::Silence { time, .. }
            | Self::Lag { time, .. }
            | Self::End { time, .. } => *time += seconds,
        }
    }
}
