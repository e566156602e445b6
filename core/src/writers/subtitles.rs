//! SubRip and WebVTT: segments, or words laid out in lines and cues by [`SubtitleOptions`], cue for cue as
//! openai/whisper does unless an option that it lacks is given. Widths count code points.

use std::io;

use super::{SubtitleOptions, Writer, editor, format_timestamp, is_space, milliseconds, strip};
use crate::transcript::{Segment, Transcript, Word};

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
        // Word tags are WebVTT's.
        let options = SubtitleOptions { timed_words: false, ..self.0.clone() };
        write_cues(transcript, &options, &time, &mut |start, end, text| {
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
        write_cues(transcript, &self.0, &time, &mut |start, end, text| {
            write!(out, "{start} --> {end}\n{text}\n\n")
        })
    }
}

/// What is on the screen from one time to another.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cue {
    /// Seconds.
    pub start: f64,
    /// Seconds.
    pub end: f64,
    /// Each with the space or the line break before it; of a segment without word times all text is one.
    pub words: Vec<Word>,
}

/// Every cue, and whether its words have times.
pub(super) fn cues(transcript: &Transcript, options: &SubtitleOptions) -> (Vec<Cue>, bool) {
    let words: Option<Vec<&[Word]>> = transcript.segments.iter().map(|s| s.words.as_deref()).collect();
    let Some(words) = words else {
        return (transcript.segments.iter().map(whole).collect(), false);
    };
    if options.is_editors() {
        return (editor::cues(&words, &transcript.language, options), true);
    }
    let cues = lay_out(&words, options).into_iter().filter_map(|words| {
        let (start, end) = (words.first()?.start, words.last()?.end);
        Some(Cue { start, end, words })
    });
    (cues.collect(), true)
}

fn whole(segment: &Segment) -> Cue {
    let (start, end) = (segment.start, segment.end);
    // `-->` would end the line of times for a player.
    let word = strip(&segment.text).replace("-->", "->");
    Cue { start, end, words: vec![Word { word, start, end, probability: 0.0 }] }
}

/// Calls `write` with start, end and text of every cue, the times written by `time`.
fn write_cues(
    transcript: &Transcript,
    options: &SubtitleOptions,
    time: &dyn Fn(f64) -> String,
    write: &mut dyn FnMut(&str, &str, &str) -> io::Result<()>,
) -> io::Result<()> {
    let (cues, timed) = cues(transcript, options);
    for cue in &cues {
        if timed && options.highlight_words {
            highlighted(cue, time, write)?;
        } else {
            let text = if timed && options.timed_words { tagged(cue) } else { text(&cue.words, None) };
            write(&time(cue.start), &time(cue.end), &text)?;
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
    cue: &Cue,
    time: &dyn Fn(f64) -> String,
    write: &mut dyn FnMut(&str, &str, &str) -> io::Result<()>,
) -> io::Result<()> {
    // Without limits of time a cue begins and ends with its words.
    let within = |seconds: f64| time(seconds.min(cue.end).max(cue.start));
    let mut last = time(cue.start);
    for (i, word) in cue.words.iter().enumerate() {
        let (start, end) = (within(word.start), within(word.end));
        if last != start {
            write(&last, &start, &text(&cue.words, None))?;
        }
        write(&start, &end, &text(&cue.words, Some(i)))?;
        last = end;
    }
    if last != time(cue.end) {
        write(&last, &time(cue.end), &text(&cue.words, None))?;
    }
    Ok(())
}

/// The cue's text, each word that begins after the cue does in a `<c>` behind its time. WebVTT wants these times to rise.
fn tagged(cue: &Cue) -> String {
    let mut tagged = String::new();
    let mut last = milliseconds(cue.start);
    for word in &cue.words {
        let text = word.word.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let at = milliseconds(word.start);
        if at <= last || at >= milliseconds(cue.end) {
            tagged.push_str(&text);
            continue;
        }
        last = at;
        let (line_break, text) = match text.strip_prefix('\n') {
            Some(text) => ("\n", text),
            None => ("", text.as_str()),
        };
        let time = format_timestamp(word.start, true, '.');
        tagged.push_str(&format!("{line_break}<{time}><c>{text}</c>"));
    }
    tagged
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
