//! AAC access units to samples: LC, HE and HE v2, up to 7.1.
//!
//! symphonia's own AAC decoder stops at stereo LC, so its packets go to `syom`.

use syom::{Channel, DecodeOptions, Decoder};

use crate::audio::{Layout, Speaker};
use crate::error::{Error, Result};

const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// A decoder for one track.
pub(super) struct Aac {
    decoder: Decoder,
    config: Vec<u8>,
    layout: Layout,
    sample_rate: u32,
}

impl Aac {
    /// From an AudioSpecificConfig; ADTS has none, its header's rate and channels say the same.
    pub(super) fn new(config: Option<&[u8]>, rate: Option<u32>, channels: usize) -> Result<Self> {
        let config = match config {
            Some(config) if config.len() >= 2 => config.to_vec(),
            _ => {
                let index = RATES.iter().position(|&r| Some(r) == rate).unwrap_or(4) as u16;
                let layout = if channels == 8 { 7 } else { channels.min(6) as u16 };
                (2 << 11 | index << 7 | layout << 3).to_be_bytes().to_vec()
            }
        };
        let decoder = Decoder::from_asc(&config, DecodeOptions::unbounded()).map_err(|error| {
            Error::Audio(format!(
                "this kind of AAC can't be decoded here ({error}): convert it first, for example \
                 with `ffmpeg -i IN OUT.flac`"
            ))
        })?;
        Ok(Self {
            decoder,
            config,
            layout: Layout::of_count(channels.max(1)),
            sample_rate: rate.unwrap_or(0),
        })
    }

    /// Of the last packet.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Of the last packet: HE-AAC doubles what its header says.
    pub(super) fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Replaces `out` by the packet's samples, interleaved; says what was wrong otherwise.
    pub(super) fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<(), String> {
        out.clear();
        let (layout, sample_rate) = (&mut self.layout, &mut self.sample_rate);
        let decoded = self.decoder.decode_au(packet, |frame| {
            *sample_rate = frame.sample_rate;
            let mut speakers: Vec<Speaker> = frame.meta.labels().map(speaker).collect();
            if speakers.len() == 1 {
                speakers = vec![Speaker::Centre];
            }
            speakers.resize(frame.planar.len(), Speaker::Silent);
            *layout = Layout::new(speakers);
            for i in 0..frame.samples {
                let at = |plane: &&[f32]| plane.get(i).copied().unwrap_or(0.0);
                out.extend(frame.planar.iter().map(at));
            }
            Ok(())
        });
        decoded.map_err(|error| {
            // A decoder that failed stays failed until it starts anew.
            self.decoder.reset();
            let restarted = self.decoder.set_asc(&self.config);
            restarted.err().unwrap_or(error).to_string()
        })
    }
}

fn speaker(channel: Channel) -> Speaker {
    match channel {
        Channel::FrontCenter => Speaker::Centre,
        Channel::FrontLeft | Channel::FrontRight => Speaker::Front,
        Channel::BackLeft | Channel::BackRight | Channel::BackCenter => Speaker::Surround,
        Channel::SideLeft | Channel::SideRight => Speaker::Surround,
        _ => Speaker::Silent,
    }
}
