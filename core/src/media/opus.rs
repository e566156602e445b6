//! Opus packets to samples at 48 kHz: symphonia's containers know Opus, its decoders do not.
//!
//! RFC 7845: the identification header says channels, gain and how streams map to channels.

use ropus::{OpusDecoder, OpusMSDecoder};

use crate::audio::{Layout, Speaker};
use crate::error::{Error, Result};

pub(super) const SAMPLE_RATE: u32 = 48_000;
/// Samples per channel in the longest packet: 120 ms.
const MAX_FRAMES: usize = 5760;
/// Samples by which the decoder plays SILK, the speech mode, too early; measured against the
/// source, as ffmpeg's own decoder has it. CELT, the music mode, is in time.
const SILK_LEAD: usize = 2;

enum Streams {
    One(Box<OpusDecoder>),
    Many(Box<OpusMSDecoder>),
}

/// A decoder for one track.
pub(super) struct Opus {
    streams: Streams,
    layout: Layout,
    gain: f32,
    /// Of many streams, which decode to integers only.
    pcm: Vec<i16>,
    /// The last packet was in a mode that leads.
    was_silk: bool,
    /// Samples per channel that the encoder put in front.
    pub(super) pre_skip: u16,
}

impl Opus {
    /// From an `OpusHead`; without one, `channels` of mono or stereo.
    pub(super) fn new(head: Option<&[u8]>, channels: usize) -> Result<Self> {
        let plain = [1, channels.clamp(1, 2) as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let head = match head.map(|h| h.strip_prefix(b"OpusHead").unwrap_or(h)) {
            Some(head) if head.len() >= 11 => head,
            Some(_) => return Err(broken()),
            None => &plain,
        };
        let (channels, family) = (usize::from(head[1]), head[10]);
        let pre_skip = u16::from_le_bytes([head[2], head[3]]);
        // Q7.8 decibels.
        let decibels = f32::from(i16::from_le_bytes([head[8], head[9]])) / 256.0;
        let streams = match (family, head.get(11..13)) {
            (0, _) if matches!(channels, 1 | 2) => {
                let decoder = OpusDecoder::new(SAMPLE_RATE as i32, channels as i32);
                Streams::One(Box::new(decoder.map_err(failed)?))
            }
            (1 | 255, Some(&[n, coupled])) if channels > 0 && n > 0 => {
                let mapping = head.get(13..13 + channels).ok_or_else(broken)?;
                let (channels, n, coupled) = (channels as i32, i32::from(n), i32::from(coupled));
                let decoder = OpusMSDecoder::new(SAMPLE_RATE as i32, channels, n, coupled, mapping);
                Streams::Many(Box::new(decoder.map_err(failed)?))
            }
            (0 | 1 | 255, _) => return Err(broken()),
            (other, _) => {
                return Err(Error::Audio(format!(
                    "Opus with channel mapping family `{other}` can't be decoded here: convert it \
                     first, for example with `ffmpeg -i IN OUT.flac`"
                )));
            }
        };
        Ok(Self {
            streams,
            layout: layout(family, channels),
            gain: 10f32.powf(decibels / 20.0),
            pcm: Vec::new(),
            was_silk: false,
            pre_skip,
        })
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Replaces `out` by the packet's samples, interleaved; says what was wrong otherwise.
    pub(super) fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<(), String> {
        let channels = self.layout.channels();
        out.clear();
        if packet.is_empty() {
            return Err("empty Opus packet".to_owned());
        }
        out.resize(MAX_FRAMES * channels, 0.0);
        let (len, max) = (packet.len() as i32, MAX_FRAMES as i32);
        let decoded = match &mut self.streams {
            Streams::One(decoder) => decoder.decode_float(Some(packet), out, max, false),
            Streams::Many(decoder) => {
                self.pcm.resize(MAX_FRAMES * channels, 0);
                let decoded = decoder.decode(Some(packet), len, &mut self.pcm, max, false);
                let samples = self.pcm.iter().map(|&x| f32::from(x) / 32768.0);
                out.iter_mut().zip(samples).for_each(|(to, x)| *to = x);
                decoded
            }
        };
        let n = decoded.unwrap_or(0).clamp(0, max) as usize;
        out.truncate(n * channels);
        if self.gain != 1.0 {
            out.iter_mut().for_each(|x| *x *= self.gain);
        }
        if decoded.is_ok() {
            self.shift(packet[0] >> 3 < 16, out);
        }
        decoded.map(|_| ()).map_err(|code| format!("invalid Opus packet (code {code})"))
    }
}

impl Opus {
    /// Holds SILK back by its lead, where the mode changes.
    fn shift(&mut self, is_silk: bool, out: &mut Vec<f32>) {
        let n = SILK_LEAD * self.layout.channels();
        match (std::mem::replace(&mut self.was_silk, is_silk), is_silk) {
            (false, true) => {
                let first = out[..n.min(out.len())].to_vec();
                out.splice(..0, first);
            }
            (true, false) => drop(out.drain(..n.min(out.len()))),
            _ => {}
        }
    }
}

/// The channel order of Vorbis, which family 1 shares.
fn layout(family: u8, channels: usize) -> Layout {
    use Speaker::{Centre as C, Front as F, Silent as L, Surround as S};
    match (family, channels) {
        (1, 3) => Layout::new(vec![F, C, F]),
        (1, 4) => Layout::new(vec![F, F, S, S]),
        (1, 5) => Layout::new(vec![F, C, F, S, S]),
        (1, 6) => Layout::new(vec![F, C, F, S, S, L]),
        (1, 7) => Layout::new(vec![F, C, F, S, S, S, L]),
        (1, 8) => Layout::new(vec![F, C, F, S, S, S, S, L]),
        (255, n) => Layout::new(vec![C; n]),
        (_, n) => Layout::of_count(n),
    }
}

fn broken() -> Error {
    Error::Audio("the Opus identification header is broken".to_owned())
}

fn failed(code: i32) -> Error {
    Error::Audio(format!("the Opus identification header can't be used (code {code})"))
}
