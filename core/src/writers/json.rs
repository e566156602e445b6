//! JSON as Python's `json.dump` lays it out: its separators, its spelling of floats, NaN as a bare word,
//! no line end. Text stays UTF-8 where Python writes `\u` escapes.

use std::fmt::Write as _;
use std::io;

use super::Writer;
use serde::Serialize;

use crate::guards::{LeftOut, Reading};
use crate::transcript::{Segment, Transcript, Word};

/// Writes `.json`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json {
    /// Whether it has what the reference's has not: what speaks against each segment, what else its window was taken for,
    /// and what was left out.
    pub full: bool,
}

impl Writer for Json {
    fn extension(&self) -> &'static str {
        "json"
    }

    fn write(&self, transcript: &Transcript, out: &mut dyn io::Write) -> io::Result<()> {
        let (text, language) = (quoted(&transcript.text), quoted(&transcript.language));
        write!(out, "{{\"text\": {text}, \"segments\": ")?;
        list(&transcript.segments, out, |s, out| segment(s, self.full, out))?;
        write!(out, ", \"language\": {language}")?;
        if self.full {
            write!(out, ", \"left_out\": ")?;
            list(&transcript.left_out, out, left_out)?;
        }
        write!(out, "}}")
    }
}

fn segment(segment: &Segment, full: bool, out: &mut dyn io::Write) -> io::Result<()> {
    write!(out, "{{\"id\": {}, \"seek\": {}", segment.id, segment.seek)?;
    write!(out, ", \"start\": {}", float(segment.start))?;
    write!(out, ", \"end\": {}", float(segment.end))?;
    write!(out, ", \"text\": {}, \"tokens\": ", quoted(&segment.text))?;
    list(&segment.tokens, out, |token, out| write!(out, "{token}"))?;
    write!(out, ", \"temperature\": {}", float(segment.temperature))?;
    write!(out, ", \"avg_logprob\": {}", float(segment.avg_logprob))?;
    let ratio = float(segment.compression_ratio);
    write!(out, ", \"compression_ratio\": {ratio}")?;
    let no_speech = float(segment.no_speech_prob);
    write!(out, ", \"no_speech_prob\": {no_speech}")?;
    if let Some(language) = &segment.language {
        write!(out, ", \"language\": {}", quoted(language))?;
    }
    if let Some(words) = &segment.words {
        write!(out, ", \"words\": ")?;
        list(words, out, word)?;
    }
    if full {
        write!(out, ", \"checks\": ")?;
        list(&segment.checks, out, name)?;
        if let Some(readings) = &segment.readings {
            write!(out, ", \"readings\": {{\"tried\": ")?;
            list(&readings.tried, out, reading)?;
            write!(out, ", \"kept\": {}, \"why\": ", readings.kept)?;
            name(&readings.why, out)?;
            write!(out, "}}")?;
        }
    }
    write!(out, "}}")
}

fn reading(reading: &Reading, out: &mut dyn io::Write) -> io::Result<()> {
    write!(out, "{{\"how\": ")?;
    name(&reading.how, out)?;
    write!(out, ", \"temperature\": {}", float(reading.temperature))?;
    write!(out, ", \"avg_logprob\": {}", float(reading.avg_logprob))?;
    write!(out, ", \"compression_ratio\": {}, \"checks\": ", float(reading.compression_ratio))?;
    list(&reading.checks, out, name)?;
    write!(out, ", \"text\": {}}}", quoted(&reading.text))
}

fn left_out(left_out: &LeftOut, out: &mut dyn io::Write) -> io::Result<()> {
    let (start, end) = (float(left_out.start), float(left_out.end));
    write!(out, "{{\"start\": {start}, \"end\": {end}, \"text\": {}", quoted(&left_out.text))?;
    write!(out, ", \"checks\": ")?;
    list(&left_out.checks, out, name)?;
    write!(out, "}}")
}

/// A word that stands for something, as everywhere.
fn name(of: &impl Serialize, out: &mut dyn io::Write) -> io::Result<()> {
    write!(out, "{}", serde_json::to_string(of)?)
}

fn word(word: &Word, out: &mut dyn io::Write) -> io::Result<()> {
    let (text, probability) = (quoted(&word.word), float(word.probability));
    let (start, end) = (float(word.start), float(word.end));
    write!(out, "{{\"word\": {text}, \"start\": {start}, \"end\": {end}, \"probability\": {probability}}}")
}

fn list<T>(
    items: &[T],
    out: &mut dyn io::Write,
    item: impl Fn(&T, &mut dyn io::Write) -> io::Result<()>,
) -> io::Result<()> {
    write!(out, "[")?;
    for (i, each) in items.iter().enumerate() {
        if i > 0 {
            write!(out, ", ")?;
        }
        item(each, out)?;
    }
    write!(out, "]")
}

/// Python's `float.__repr__`: the shortest digits that read back the same, with an exponent below 1e-4 and from 1e16.
fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    let shortest = format!("{value:e}");
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    match exponent.parse::<i32>() {
        Ok(-4..=15) => format!("{value:?}"),
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        Err(_) => shortest,
    }
}

/// A JSON string, escaped as Python's `json.dump(ensure_ascii=False)` does.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            c if c < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
