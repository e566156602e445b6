//! Captions on stdout: on a terminal the text with what is tentative dimmed behind it, elsewhere lines.

use std::io;

use candle_whisper_core::live::LiveEvent;
use candle_whisper_core::{Segment, Transcript};
use console::{Term, measure_text_width, truncate_str};

use super::Show;
use crate::output::{Delivery, to_stdout};

/// Width where the terminal does not tell its own.
const WIDTH: usize = 80;

/// What is shown, and what was.
#[derive(Debug)]
pub(super) struct Screen {
    show: Show,
    /// Confirmed text of the line that the cursor is in.
    line: String,
    tentative: String,
    /// Segments that were printed.
    printed: usize,
}

impl Screen {
    pub(super) fn new(show: Show) -> Self {
        Self { show, line: String::new(), tentative: String::new(), printed: 0 }
    }

    /// Shows what happened. segments: all that are complete.
    pub(super) fn show(&mut self, events: &[LiveEvent], segments: &[Segment]) -> io::Result<Delivery> {
        let mut out = String::new();
        match self.show {
            Show::Json => events.iter().for_each(|event| out += &(event.to_json() + "\n")),
            Show::Lines => out = self.lines(segments),
            Show::Screen => {
                let width = Term::stdout().size_checked().map_or(WIDTH, |(_, columns)| usize::from(columns));
                events.iter().for_each(|event| out += &self.event(event, width));
            }
        }
        if out.is_empty() { Ok(Delivery::Whole) } else { to_stdout(out.as_bytes()) }
    }

    /// Leaves the line as it is, for something else to be printed below.
    pub(super) fn rest(&mut self) {
        if self.show == Show::Screen && !self.line.is_empty() {
            self.line.clear();
            let _ = to_stdout(b"\n");
        }
    }

    /// The rest, when nothing follows.
    pub(super) fn end(&mut self, transcript: &Transcript) -> io::Result<Delivery> {
        let out = match self.show {
            Show::Json => return Ok(Delivery::Whole),
            Show::Lines => self.lines(&transcript.segments),
            Show::Screen if self.line.is_empty() => String::from("\r\x1b[K"),
            Show::Screen => String::from("\n"),
        };
        if out.is_empty() { Ok(Delivery::Whole) } else { to_stdout(out.as_bytes()) }
    }

    fn lines(&mut self, segments: &[Segment]) -> String {
        let new = segments.get(self.printed..).unwrap_or_default();
        self.printed += new.len();
        new.iter().map(|segment| format!("{}\n", segment.text.trim())).collect()
    }

    fn event(&mut self, event: &LiveEvent, width: usize) -> String {
        match event {
            LiveEvent::Confirmed { text, .. } => {
                self.line += if self.line.is_empty() { text.trim_start() } else { text };
                self.tentative.clear();
            }
            LiveEvent::Tentative { text, .. } => self.tentative.clone_from(text),
            LiveEvent::Silence { .. } if !self.line.is_empty() => {
                let line = std::mem::take(&mut self.line);
                self.tentative.clear();
                return format!("\r\x1b[K{line}\n");
            }
            _ => return String::new(),
        }
        let mut out = String::from("\r\x1b[K");
        while measure_text_width(&self.line) >= width {
            let fits = truncate_str(&self.line, width - 1, "").len();
            let at = self.line[..fits].rfind(' ').map_or(fits, |at| at + 1).max(1);
            let rest = self.line.split_off(at);
            out += &format!("{}\n", self.line.trim_end());
            self.line = rest;
        }
        let room = (width - 1).saturating_sub(measure_text_width(&self.line));
        let text = if self.line.is_empty() { self.tentative.trim_start() } else { &self.tentative };
        out + &self.line + "\x1b[2m" + &truncate_str(text, room, "…") + "\x1b[0m"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confirmed(text: &str) -> LiveEvent {
        LiveEvent::Confirmed { time: 1.0, latency: 1.0, text: text.into(), words: Vec::new() }
    }

    fn tentative(text: &str) -> LiveEvent {
        LiveEvent::Tentative { time: 1.0, text: text.into(), words: Vec::new() }
    }

    #[test]
    fn tentative_text_is_dimmed_and_never_wraps() {
        let mut screen = Screen::new(Show::Screen);
        assert_eq!(screen.event(&tentative(" And so my"), 20), "\r\x1b[K\x1b[2mAnd so my\x1b[0m");
        assert_eq!(screen.event(&confirmed(" And so"), 20), "\r\x1b[KAnd so\x1b[2m\x1b[0m");
        let shown = screen.event(&tentative(" my fellow Americans"), 20);
        assert_eq!(shown, "\r\x1b[KAnd so\x1b[2m my fellow A…\x1b[0m");
        let shown = screen.event(&confirmed(" my fellow Americans"), 20);
        assert_eq!(shown, "\r\x1b[KAnd so my fellow\nAmericans\x1b[2m\x1b[0m");
        assert_eq!(screen.event(&LiveEvent::Silence { time: 2.0, start: 1.0 }, 20), "\r\x1b[KAmericans\n");
    }

    #[test]
    fn text_without_spaces_wraps_between_characters() {
        let mut screen = Screen::new(Show::Screen);
        assert_eq!(screen.event(&confirmed("今日は天気"), 8), "\r\x1b[K今日は\n天気\x1b[2m\x1b[0m");
    }
}
