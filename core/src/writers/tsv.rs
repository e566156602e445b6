//! Tab-separated values: whole milliseconds, so that no locale's decimal comma gets in the way.

use std::io;

use super::{Writer, milliseconds, strip};
use crate::transcript::Transcript;

/// Writes `.tsv`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tsv;

impl Writer for Tsv {
    fn extension(&self) -> &'static str {
        "tsv"
    }

    fn write(&self, transcript: &Transcript, out: &mut dyn io::Write) -> io::Result<()> {
        writeln!(out, "start\tend\ttext")?;
        for segment in &transcript.segments {
            let (start, end) = (milliseconds(segment.start), milliseconds(segment.end));
            let text = strip(&segment.text).replace('\t', " ");
            writeln!(out, "{start}\t{end}\t{text}")?;
        }
        Ok(())
    }
}
