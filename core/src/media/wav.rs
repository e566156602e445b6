//! The header of a WAV file, read before symphonia does.
//!
//! Sizes that lie (0, `u32::MAX`, more than there is) are shown as unknown, so that what is there is
//! read to the end, as ffmpeg does; RF64 and BW64 are shown as the RIFF they extend. µ-law and A-law whose format is
//! not as long as symphonia wants it are shown with a header of our own.

use std::io::{Read, Seek};

use super::source::{Patch, Source};
use crate::error::{Error, Result};

const UNKNOWN: [u8; 4] = u32::MAX.to_le_bytes();
/// More chunks than this before the samples are not a WAV file's.
const MAX_CHUNKS: usize = 1000;

const EXTENSIBLE: u16 = 0xfffe;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
/// The bytes of a format that symphonia reads these two of.
const LAW_BYTES: u64 = 18;
/// Codec tags that are met in WAV files and can't be decoded.
const UNSUPPORTED: [(u16, &str); 14] = [
    (0x0014, "G.723"),
    (0x0020, "Yamaha ADPCM"),
    (0x0031, "GSM 6.10"),
    (0x0042, "G.723.1"),
    (0x0045, "G.726"),
    (0x0050, "MPEG layer II"),
    (0x0055, "MP3"),
    (0x0064, "G.726"),
    (0x0065, "G.722"),
    (0x00ff, "AAC"),
    (0x0160, "WMA 1"),
    (0x0161, "WMA 2"),
    (0x028f, "G.722"),
    (0x2000, "AC-3"),
];

/// What the header says, beyond what symphonia makes of it.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) patches: Vec<Patch>,
    /// Where the samples end, if a 64-bit size says so.
    pub(super) end: Option<u64>,
    /// A header to show in place of this many bytes; patches and end are of no use with it.
    pub(super) front: Option<(Vec<u8>, u64)>,
    /// The channels stand where the header says, not where their number suggests.
    pub(super) has_channel_mask: bool,
    tag: u16,
    channels: u16,
    sample_rate: u32,
}

impl Header {
    /// `None` if it is no WAV file.
    pub(super) fn read<S: Read + Seek>(source: &mut Source<S>) -> Result<Option<Self>> {
        let mut riff = [0; 12];
        if source.read_at(0, &mut riff)? < 12 || &riff[8..] != b"WAVE" {
            return Ok(None);
        }
        let is_64 = matches!(&riff[..4], b"RF64" | b"BW64");
        if !is_64 && &riff[..4] != b"RIFF" {
            return Ok(None);
        }
        let mut header = Self::default();
        header.patches.push((0, *b"RIFF"));
        header.patches.push((4, UNKNOWN));
        let mut data_len = None;
        let mut format_len = LAW_BYTES;
        let mut at = 12;
        for _ in 0..MAX_CHUNKS {
            let mut head = [0; 8];
            if source.read_at(at, &mut head)? < 8 {
                break;
            }
            let size = u64::from(le32(&head[4..]));
            let body = at + 8;
            match &head[..4] {
                b"ds64" if is_64 => {
                    let mut sizes = [0; 16];
                    if source.read_at(body, &mut sizes)? == 16 {
                        let len = u64::from(le32(&sizes[8..])) | u64::from(le32(&sizes[12..])) << 32;
                        data_len = Some(len);
                    }
                }
                b"fmt " => {
                    let mut format = [0; 40];
                    let n = source.read_at(body, &mut format)?.min(size.min(40) as usize);
                    header.format(&format[..n]);
                    format_len = size;
                }
                b"data" => {
                    let there = source.len().saturating_sub(body);
                    let is_unknown = size == u64::from(u32::MAX);
                    if is_unknown || (size == 0 && there > 0) || size > there {
                        header.patches.push((at + 4, UNKNOWN));
                    }
                    if let Some(len) = data_len.filter(|_| is_unknown) {
                        header.end = Some(body.saturating_add(len));
                    }
                    if matches!(header.tag, A_LAW | MU_LAW) && format_len != LAW_BYTES {
                        let is_whole = size > 0 && size <= there;
                        header.front =
                            Some((header.of_law(if is_whole { le32(&head[4..]) } else { u32::MAX }), body));
                    }
                    break;
                }
                _ => {}
            }
            at = body.saturating_add(size).saturating_add(size % 2);
        }
        Ok(Some(header))
    }

    fn format(&mut self, format: &[u8]) {
        if format.len() >= 8 {
            self.tag = u16::from_le_bytes([format[0], format[1]]);
            self.channels = u16::from_le_bytes([format[2], format[3]]);
            self.sample_rate = le32(&format[4..]);
        }
        if self.tag == EXTENSIBLE && format.len() >= 26 {
            self.has_channel_mask = le32(&format[20..]) != 0;
            self.tag = u16::from_le_bytes([format[24], format[25]]);
        }
    }

    /// The header of µ-law or A-law with so many bytes of samples, or all that come.
    fn of_law(&self, n_bytes: u32) -> Vec<u8> {
        let mut header = [*b"RIFF", UNKNOWN, *b"WAVE", *b"fmt ", (LAW_BYTES as u32).to_le_bytes()].concat();
        header.extend([self.tag, self.channels].map(u16::to_le_bytes).concat());
        let rate = self.sample_rate.saturating_mul(u32::from(self.channels));
        header.extend([self.sample_rate, rate].map(u32::to_le_bytes).concat());
        header.extend([self.channels, 8, 0].map(u16::to_le_bytes).concat());
        header.extend([*b"data", n_bytes.to_le_bytes()].concat());
        header
    }

    /// An error in words for what symphonia would only call malformed or unsupported.
    pub(super) fn check(&self) -> Result<()> {
        if let Some((_, name)) = UNSUPPORTED.iter().find(|(tag, _)| *tag == self.tag) {
            return Err(Error::Audio(format!(
                "{name} in a WAV file can't be decoded here: convert it first, for example with \
                 `ffmpeg -i IN OUT.flac`"
            )));
        }
        let what = match (self.channels, self.sample_rate) {
            (0, _) => "`0` channels",
            (_, 0) => "a sample rate of `0` Hz",
            _ => return Ok(()),
        };
        Err(Error::Audio(format!(
            "the header of this WAV file claims {what}: the file is broken, export it again"
        )))
    }
}

fn le32(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
