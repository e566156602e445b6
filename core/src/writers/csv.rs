//! Comma-separated values with the columns of whisper.cpp, the text quoted as RFC 4180 says.
//! Lines end in LF like those of every other format here.

use std::io;

use super::{Writer, milliseconds, strip};
use crate::transcript::Transcript;

/// Writes `.csv`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Csv;

impl Writer for Csv {
    fn extension(&self) -> &'static str {
        "csv"
    }

    fn write(&self, transcript: &Transcript, out: &mut dyn io::Write) -> io::Result<()> {
        writeln!(out, "start,end,text")?;
        for segment in &transcript.segments {
            let (start, end) = (milliseconds(segment.start), milliseconds(segment.end));
            let text = strip(&segment.text).replace('"', "\"\"");
            writeln!(out, "{start},{end},\"{text}\"")?;
        }
        Ok(())
    }
}
