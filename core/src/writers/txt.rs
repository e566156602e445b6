//! Plain text: one segment a line.

use std::io;

use super::{Writer, strip};
use crate::transcript::Transcript;

/// Writes `.txt`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Txt;

impl Writer for Txt {
    fn extension(&self) -> &'static str {
        "txt"
    }

    fn write(&self, transcript: &Transcript, out: &mut dyn io::Write) -> io::Result<()> {
        for segment in &transcript.segments {
            writeln!(out, "{}", strip(&segment.text))?;
        }
        Ok(())
    }
}
