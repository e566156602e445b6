//! Synchronised lyrics: `[minutes:seconds.hundredths]text`. The format has no hours, so minutes go on past 59,
//! and no end times, so a line without text takes the words off the screen where the next segment is not at once.

use std::io;

use super::{Writer, one_line};
use crate::transcript::Transcript;

/// Writes `.lrc`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lrc;

impl Writer for Lrc {
    fn extension(&self) -> &'static str {
        "lrc"
    }

    fn write(&self, transcript: &Transcript, out: &mut dyn io::Write) -> io::Result<()> {
        let mut spoken = transcript
            .segments
            .iter()
            .map(|segment| (segment, one_line(&segment.text)))
            .filter(|(_, text)| !text.is_empty())
            .peekable();
        while let Some((segment, text)) = spoken.next() {
            writeln!(out, "[{}]{text}", tag(segment.start))?;
            let next = spoken.peek().map(|(next, _)| next.start);
            if next.is_none_or(|next| hundredths(next) > hundredths(segment.end)) {
                writeln!(out, "[{}]", tag(segment.end))?;
            }
        }
        Ok(())
    }
}

fn hundredths(seconds: f64) -> i64 {
    (seconds.max(0.0) * 100.0).round_ties_even() as i64
}

fn tag(seconds: f64) -> String {
    let total = hundredths(seconds);
    let (minutes, seconds) = (total / 6_000, total / 100 % 60);
    format!("{minutes:02}:{seconds:02}.{:02}", total % 100)
}
