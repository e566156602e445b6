//! What a Matroska or WebM file says of its end: how much of a track's last packet an encoder added (`DiscardPadding`).
//!
//! symphonia reads it but does not apply it. Clusters are stepped over, only the last one is looked into.

use std::io::{Read, Result, Seek};

use super::source::Source;

const EBML: u32 = 0x1a45_dfa3;
const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1f43_b675;
const SIMPLE_BLOCK: u32 = 0xa3;
const BLOCK_GROUP: u32 = 0xa0;
const BLOCK: u32 = 0xa1;
const DISCARD_PADDING: u32 = 0x75a2;

/// More elements than this in one place are not a real file's.
const MAX_ELEMENTS: usize = 1_000_000;

/// Of each track by its number, nanoseconds that its last packet has too much.
#[derive(Debug, Default)]
pub(super) struct Ends(Vec<(u64, i64)>);

impl Ends {
    /// Nothing for any other container, for a file that breaks off, and where sizes are unknown, as in a stream.
    pub(super) fn read<S: Read + Seek>(source: &mut Source<S>) -> Result<Self> {
        let mut walk = Walk { source, left: MAX_ELEMENTS };
        let len = walk.source.len();
        let mut at = 0;
        let Some((EBML, _)) = walk.next(&mut at, len)? else { return Ok(Self::default()) };
        let Some((SEGMENT, segment)) = walk.next(&mut at, len)? else { return Ok(Self::default()) };
        let (mut at, mut last) = (segment.0, None);
        while let Some((id, span)) = walk.next(&mut at, segment.1)? {
            last = if id == CLUSTER { Some(span) } else { last };
        }
        // What did not come to its end has no last packet.
        let Some((mut at, end)) = last.filter(|_| at == segment.1) else { return Ok(Self::default()) };
        let mut ends = Self::default();
        while let Some((id, span)) = walk.next(&mut at, end)? {
            let found = match id {
                SIMPLE_BLOCK => walk.number(span.0)?.map(|(track, _)| (track, 0)),
                BLOCK_GROUP => walk.group(span)?,
                _ => None,
            };
            if let Some((track, padding)) = found {
                ends.0.retain(|(other, _)| *other != track);
                ends.0.push((track, padding));
            }
        }
        Ok(ends)
    }

    /// Samples that the last packet of a track has too much.
    pub(super) fn of(&self, track: u32, sample_rate: u32) -> u64 {
        let nanoseconds =
            self.0.iter().find(|(number, _)| *number == u64::from(track)).map_or(0, |(_, n)| *n);
        (nanoseconds.max(0) as f64 * f64::from(sample_rate) / 1e9).round() as u64
    }
}

/// First and one past the last byte of an element's content.
type Span = (u64, u64);

struct Walk<'a, S> {
    source: &'a mut Source<S>,
    left: usize,
}

impl<S: Read + Seek> Walk<'_, S> {
    /// The element at `at`, which is moved behind it; `None` at `end`, and where nothing fits before it.
    fn next(&mut self, at: &mut u64, end: u64) -> Result<Option<(u32, Span)>> {
        let mut head = [0; 12];
        let n = self.source.read_at(*at, &mut head)?;
        if *at >= end || self.left == 0 || n < 2 {
            return Ok(None);
        }
        self.left -= 1;
        // The identifier keeps the bit that tells its length.
        let id_len = head[0].leading_zeros() as usize + 1;
        let Some((size, size_len)) = head.get(id_len..n).and_then(number) else { return Ok(None) };
        if id_len > 4 || size == u64::MAX {
            return Ok(None);
        }
        let id = head[..id_len].iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
        let body = *at + (id_len + size_len) as u64;
        let Some(next) = body.checked_add(size).filter(|next| *next <= end) else { return Ok(None) };
        *at = next;
        Ok(Some((id, (body, next))))
    }

    /// Track and padding of a group, which is one packet.
    fn group(&mut self, span: Span) -> Result<Option<(u64, i64)>> {
        let (mut at, mut track, mut padding) = (span.0, None, 0);
        while let Some((id, span)) = self.next(&mut at, span.1)? {
            match id {
                BLOCK => track = self.number(span.0)?.map(|(track, _)| track),
                DISCARD_PADDING if (1..=8).contains(&(span.1 - span.0)) => {
                    let mut bytes = [0; 8];
                    let n = (span.1 - span.0) as usize;
                    self.source.read_at(span.0, &mut bytes[..n])?;
                    padding = i64::from_be_bytes(bytes) >> (64 - 8 * n);
                }
                _ => {}
            }
        }
        Ok(track.map(|track| (track, padding)))
    }

    fn number(&mut self, at: u64) -> Result<Option<(u64, usize)>> {
        let mut bytes = [0; 8];
        let n = self.source.read_at(at, &mut bytes)?;
        Ok(number(&bytes[..n]))
    }
}

/// A number of one to eight bytes whose first bit set tells how many, and their number; `u64::MAX` if it is unknown.
fn number(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let n = first.leading_zeros() as usize + 1;
    let rest = bytes.get(1..n).filter(|_| n <= 8)?;
    let mask = (0x80_u16 >> (n - 1)) - 1;
    let value =
        rest.iter().fold(u64::from(u16::from(first) & mask), |value, byte| value << 8 | u64::from(*byte));
    let unknown = (1_u64 << (7 * n)) - 1;
    Some((if value == unknown { u64::MAX } else { value }, n))
}
