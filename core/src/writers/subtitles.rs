//! SubRip and WebVTT: segments, or words laid out in lines and cues by [`SubtitleOptions`],
//! cue for cue as openai/whisper does. Widths count code points.

use std::io;

use serde::{Deserialize, Serialize};

use super::{Writer, format_timestamp, is_space, strip};
use crate::transcript::{Segment, Transcript, Word};

/// How words become cues; without word times, each segment is a cue and none of this matters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubtitleOptions {
    /// Most characters in a line; 0 counts as `None`.
    pub max_line_width: Option<usize>,
    /// Most lines in a cue, cues going across segments; needs `max_line_width`; 0 counts as `None`.
    pub max_line_count: Option<usize>,
    /// Most words in a cue where `max_line_count` and `max_line_width` are not both given; 0 counts as `None`.
    pub max_words_per_line: Option<usize>,
    /// A cue for each word, the word underlined.
    pub highlight_words: bool,
}

/// Writes `.srt`.
#[derive(Debug, Clone, Default)]
pub struct Srt(pub SubtitleOptions);

/// Writes `.vtt`.
#[derive(Debug, Clone, Default)]
pub struct Vtt(pub SubtitleOptions);

impl Writer for Srt {
    fn extension(&self) -> &'static str {
        "srt"
    }

    fn write(&self, transcript: &Transcript, out: &mut dyn io::Write) -> io::Result<()> {
        let time = |seconds| format_timestamp(seconds, true, ',');
        let mut number = 0;
        cues(&transcript.segments, &self.0, &time, &mut |start, end, text| {
            number += 1;
            write!(out, "{number}\n{start} --> {end}\n{text}\n\n")
        })
    }
}

impl Writer for Vtt {
    fn extension(&self) -> &'static str {
        "vtt"
    }

    fn write(&self, transcript: &Transcript, out: &mut dyn io::Write) -> io::Result<()> {
        let time = |seconds| format_timestamp(seconds, false, '.');
        write!(out, "WEBVTT\n\n")?;
        cues(&transcript.segments, &self.0, &time, &mut |start, end, text| {
            write!(out, "{start} --> {end}\n{text}\n\n")
        })
    }
}

/// Calls `cue` with start, end and text of every cue, the times written by `time`.
fn cues(
    segments: &[Segment],
    options: &SubtitleOptions,
    time: &dyn Fn(f64) -> String,
    cue: &mut dyn FnMut(&str, &str, &str) -> io::Result<()>,
) -> io::Result<()> {
    let words: Option<Vec<&[Word]>> = segments.iter().map(|s| s.words.as_deref()).collect();
    let Some(words) = words else {
        for segment in segments {
            // `-->` would end the line of times for a player.
            let text = strip(&segment.text).replace("-->", "->");
            cue(&time(segment.start), &time(segment.end), &text)?;
        }
        return Ok(());
    };
    for subtitle in lay_out(&words, options) {
        let (Some(first), Some(last)) = (subtitle.first(), subtitle.last()) else {
            continue;
        };
        if options.highlight_words {
            highlighted(&subtitle, time, cue)?;
        } else {
            cue(&time(first.start), &time(last.end), &text(&subtitle, None))?;
        }
    }
    Ok(())
}

/// The words of all segments in cues, each word's text with the space or line break before it.
fn lay_out(segments: &[&[Word]], options: &SubtitleOptions) -> Vec<Vec<Word>> {
    let given = |limit: Option<usize>| limit.filter(|&limit| limit > 0);
    let max_line_count = given(options.max_line_count);
    let preserve_segments = max_line_count.is_none() || given(options.max_line_width).is_none();
    let max_line_width = given(options.max_line_width).unwrap_or(1000);
    let max_words = given(options.max_words_per_line).unwrap_or(1000);

    let mut done = Vec::new();
    let mut subtitle: Vec<Word> = Vec::new();
    let (mut line_len, mut line_count) = (0, 1);
    let mut last = segments.iter().flat_map(|words| words.iter()).next().map_or(0.0, |w| w.start);
    for chunk in segments.iter().flat_map(|words| words.chunks(max_words)) {
        for (i, original) in chunk.iter().enumerate() {
            let mut word = original.clone();
            let long_pause = !preserve_segments && word.start - last > 3.0;
            let has_room = line_len + len(&word.word) <= max_line_width;
            let segment_break = i == 0 && !subtitle.is_empty() && preserve_segments;
            if line_len > 0 && has_room && !long_pause && !segment_break {
                line_len += len(&word.word);
            } else {
                word.word = strip(&original.word).into();
                let full = max_line_count.is_some_and(|most| long_pause || line_count >= most);
                if !subtitle.is_empty() && full || segment_break {
                    done.push(std::mem::take(&mut subtitle));
                    line_count = 1;
                } else if line_len > 0 {
                    line_count += 1;
                    word.word.insert(0, '\n');
                }
                line_len = len(strip(&word.word));
            }
            last = word.start;
            subtitle.push(word);
        }
    }
    if !subtitle.is_empty() {
        done.push(subtitle);
    }
    done
}

/// A cue for each word, and one without a mark for each pause between words.
fn highlighted(
    subtitle: &[Word],
    time: &dyn Fn(f64) -> String,
    cue: &mut dyn FnMut(&str, &str, &str) -> io::Result<()>,
) -> io::Result<()> {
    let mut last = subtitle.first().map_or_else(String::new, |first| time(first.start));
    for (i, word) in subtitle.iter().enumerate() {
        let (start, end) = (time(word.start), time(word.end));
        if last != start {
            cue(&last, &start, &text(subtitle, None))?;
        }
        cue(&start, &end, &text(subtitle, Some(i)))?;
        last = end;
    }
    Ok(())
}

fn text(subtitle: &[Word], marked: Option<usize>) -> String {
    let words = subtitle.iter().enumerate();
    words
        .map(|(i, word)| match marked == Some(i) {
            true => underline(&word.word),
            false => word.word.clone(),
        })
        .collect()
}

/// The word underlined, the space before it not: Python's `re.sub(r"^(\s*)(.*)$", r"\1<u>\2</u>", word)`,
/// in which the dot stops at a line break and the dollar sign only lets the last one pass.
fn underline(word: &str) -> String {
    let rest = word.trim_start_matches(is_space);
    let space = &word[..word.len() - rest.len()];
    let (marked, line_end) = match rest.strip_suffix('\n') {
        Some(marked) => (marked, "\n"),
        None => (rest, ""),
    };
    if marked.contains('\n') {
        return word.into();
    }
    format!("{space}<u>{marked}</u>{line_end}")
}

/// Python's `len`: code points.
fn len(text: &str) -> usize {
    text.chars().count()
}
