//! The edit list of an MP4 track: which samples of an encoder's delay and padding to leave out.
//!
//! symphonia reads it but does not apply it. Only the few boxes on the way are looked at.

use std::io::{Read, Result, Seek};

use super::source::Source;

/// More boxes than this in one place are not a real file's.
const MAX_BOXES: usize = 10_000;

/// The part of a track's media that is presented, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edit {
    pub(super) track_id: u32,
    pub(super) start: f64,
    /// `None`: to the end.
    pub(super) duration: Option<f64>,
}

/// What a file says about its tracks; nothing for any other container.
#[derive(Debug, Default)]
pub(super) struct Movie {
    /// Of the tracks that have exactly one edit.
    pub(super) edits: Vec<Edit>,
    /// The last box is longer than what is there.
    pub(super) is_cut: bool,
}

impl Movie {
    pub(super) fn read<S: Read + Seek>(source: &mut Source<S>) -> Result<Self> {
        let mut movie = Self::default();
        let mut magic = [0; 8];
        if source.read_at(0, &mut magic)? < 8 || &magic[4..] != b"ftyp" {
            return Ok(movie);
        }
        let len = source.len();
        let mut walk = Walk { source, boxes: 0 };
        let (mut at, mut moov) = (0, None);
        while let Some((name, body)) = walk.next(&mut at, u64::MAX)? {
            moov = moov.or(Some(body).filter(|_| &name == b"moov"));
            movie.is_cut = at > len && at != u64::MAX;
        }
        let Some(moov) = moov else {
            return Ok(movie);
        };
        let (mut at, mut movie_scale) = (moov.0, 0);
        while let Some((name, body)) = walk.next(&mut at, moov.1)? {
            match &name {
                b"mvhd" => movie_scale = walk.timescale(body)?,
                b"trak" => movie.edits.extend(walk.edit(body, movie_scale)?),
                _ => {}
            }
        }
        Ok(movie)
    }
}

/// First and one past the last byte of a box's content.
type Span = (u64, u64);

struct Walk<'a, S> {
    source: &'a mut Source<S>,
    boxes: usize,
}

impl<S: Read + Seek> Walk<'_, S> {
    /// The box at `at`, which moves on behind it.
    fn next(&mut self, at: &mut u64, end: u64) -> Result<Option<([u8; 4], Span)>> {
        self.boxes += 1;
        let mut head = [0; 16];
        let n = self.source.read_at(*at, &mut head)?;
        if self.boxes > MAX_BOXES || n < 8 || end - *at < 8 {
            return Ok(None);
        }
        let (header, size) = match be32(&head) {
            0 => (8, end - *at),
            1 if n == 16 => (16, be64(&head[8..])),
            size => (8, u64::from(size)),
        };
        if size < header {
            return Ok(None);
        }
        let body = *at + header;
        let stop = at.saturating_add(size).min(end);
        *at = stop;
        Ok(Some(([head[4], head[5], head[6], head[7]], (body, stop))))
    }

    fn find(&mut self, span: Span, wanted: &[u8; 4]) -> Result<Option<Span>> {
        let mut at = span.0;
        while let Some((name, body)) = self.next(&mut at, span.1)? {
            if name == *wanted {
                return Ok(Some(body));
            }
        }
        Ok(None)
    }

    /// The beginning of a box's content, zero where there is none.
    fn bytes<const N: usize>(&mut self, span: Span) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        let n = N.min(usize::try_from(span.1.saturating_sub(span.0)).unwrap_or(N));
        self.source.read_at(span.0, &mut bytes[..n])?;
        Ok(bytes)
    }

    /// Ticks per second, of `mvhd` or `mdhd`.
    fn timescale(&mut self, span: Span) -> Result<u32> {
        let bytes: [u8; 24] = self.bytes(span)?;
        Ok(be32(&bytes[if bytes[0] == 1 { 20 } else { 12 }..]))
    }

    fn edit(&mut self, trak: Span, movie_scale: u32) -> Result<Option<Edit>> {
        let Some(tkhd) = self.find(trak, b"tkhd")? else {
            return Ok(None);
        };
        let bytes: [u8; 24] = self.bytes(tkhd)?;
        let track_id = be32(&bytes[if bytes[0] == 1 { 20 } else { 12 }..]);
        let Some(edts) = self.find(trak, b"edts")? else {
            return Ok(None);
        };
        let (Some(elst), Some(mdia)) = (self.find(edts, b"elst")?, self.find(trak, b"mdia")?) else {
            return Ok(None);
        };
        let Some(mdhd) = self.find(mdia, b"mdhd")? else {
            return Ok(None);
        };
        let media_scale = self.timescale(mdhd)?;
        let bytes: [u8; 48] = self.bytes(elst)?;
        let is_long = bytes[0] == 1;
        let mut used = None;
        // An empty edit only says when the track starts; two that are not empty are a montage.
        for i in 0..be32(&bytes[4..]).min(2) as usize {
            let (duration, start) = if is_long {
                let entry = &bytes[8 + 20 * i..];
                (be64(entry), be64(&entry[8..]) as i64)
            } else {
                let entry = &bytes[8 + 12 * i..];
                (u64::from(be32(entry)), i64::from(be32(&entry[4..]) as i32))
            };
            if start >= 0 && used.replace((duration, start)).is_some() {
                return Ok(None);
            }
        }
        Ok(match used {
            Some((duration, start)) if be32(&bytes[4..]) <= 2 && movie_scale > 0 && media_scale > 0 => {
                Some(Edit {
                    track_id,
                    start: start as f64 / f64::from(media_scale),
                    duration: (duration > 0).then(|| duration as f64 / f64::from(movie_scale)),
                })
            }
            _ => None,
        })
    }
}

fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn be64(bytes: &[u8]) -> u64 {
    u64::from(be32(bytes)) << 32 | u64::from(be32(&bytes[4..]))
}
