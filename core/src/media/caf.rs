//! The chunks of a CAF file, looked at before symphonia does.
//!
//! Samples whose size is unknown, or more than there is, are shown to end where the file does, after their last whole packet:
//! symphonia looks for the next chunk behind them.

use std::io::{Read, Seek};

use super::source::{Patch, Source};
use crate::error::{Error, Result};

/// More chunks than this are not a real file's.
const MAX_CHUNKS: usize = 1000;
/// Type and size of a chunk.
const HEAD: u64 = 12;
/// What stands before the samples in their chunk: how often they were edited.
const EDIT_COUNT: u64 = 4;

/// What to show in place of a header that promises too much.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) patches: Vec<Patch>,
    pub(super) end: Option<u64>,
}

/// Nothing for any other container, and for a file that is as long as it says.
pub(super) fn read<S: Read + Seek>(source: &mut Source<S>) -> Result<Shown> {
    let mut magic = [0; 8];
    if source.read_at(0, &mut magic)? < 8 || &magic[..4] != b"caff" {
        return Ok(Shown::default());
    }
    let len = source.len();
    let (mut at, mut packet_bytes, mut has_packets) = (magic.len() as u64, 1, true);
    for _ in 0..MAX_CHUNKS {
        let mut head = [0; HEAD as usize];
        if source.read_at(at, &mut head)? < head.len() {
            break;
        }
        let body = at + HEAD;
        let size = i64::from_be_bytes([4, 5, 6, 7, 8, 9, 10, 11].map(|i| head[i]));
        let end = u64::try_from(size).ok().and_then(|size| body.checked_add(size));
        match &head[..4] {
            b"desc" => {
                let mut bytes = [0; 8];
                source.read_at(body + 16, &mut bytes)?;
                let number = |i: usize| u32::from_be_bytes([0, 1, 2, 3].map(|k| bytes[i + k]));
                // Packets of other sizes, or with other numbers of frames, are in a table.
                has_packets = number(0) > 0 && number(4) > 0;
                packet_bytes = u64::from(number(0)).max(1);
            }
            b"pakt" => has_packets = true,
            b"data" if end.is_none_or(|end| end > len) => {
                if !has_packets {
                    let why = "this CAF has no table of its packets (`pakt`): the recording was cut off before it was finished";
                    return Err(Error::Audio(why.to_owned()));
                }
                let samples = body + EDIT_COUNT;
                let end = len.max(samples) - len.saturating_sub(samples) % packet_bytes;
                let shown = (end - body).to_be_bytes();
                let half = |i: usize| [0, 1, 2, 3].map(|k| shown[i + k]);
                return Ok(Shown { patches: vec![(at + 4, half(0)), (at + 8, half(4))], end: Some(end) });
            }
            _ => {}
        }
        let Some(next) = end.filter(|end| *end <= len) else { break };
        at = next;
    }
    Ok(Shown::default())
}
