//! One track's packets to interleaved samples, by whichever decoder knows its codec.

use std::sync::LazyLock;

use symphonia::core::audio::{Channels, GenericAudioBufferRef as Buffer, Position};
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_FLAC, CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3, CODEC_ID_OPUS,
};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::packet::Packet;
use symphonia::default::codecs;

use super::aac::Aac;
use super::opus::{self, Opus};
use super::sniff::codec_name;
use crate::audio::{Layout, MAX_CHANNELS, Pcm, Rounding, Speaker};
use crate::error::{Error, Result};

/// What a container leaves unsaid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Container {
    /// Where the channels stand: take ffmpeg's order for their number.
    pub(super) guess_layout: bool,
    /// Everything: a bare stream of frames can't speak of delays.
    pub(super) is_bare: bool,
}

/// Samples per channel in a packet; FLAC's longest have 65,535.
const MAX_FRAMES: u64 = 1 << 17;

/// All of symphonia's but AAC, which has a better decoder here.
static CODECS: LazyLock<CodecRegistry> = LazyLock::new(|| {
    let mut registry = CodecRegistry::new();
    registry.register_audio_decoder::<codecs::AdpcmDecoder>();
    registry.register_audio_decoder::<codecs::AlacDecoder>();
    registry.register_audio_decoder::<codecs::FlacDecoder>();
    registry.register_audio_decoder::<codecs::MpaDecoder>();
    registry.register_audio_decoder::<codecs::PcmDecoder>();
    registry.register_audio_decoder::<codecs::VorbisDecoder>();
    registry
});

enum Decoder {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(Opus),
    Aac(Box<Aac>),
}

/// Which packets one can't be decoded without.
#[derive(Debug, Clone, Copy)]
pub(super) enum Needs {
    /// None.
    Nothing,
    /// Some before it, of MPEG layer III.
    Before,
}

/// What a packet holds.
#[derive(Debug)]
pub(super) struct Decoded {
    interleaved: Vec<f32>,
    layout: Layout,
    sample_rate: u32,
    rounding: Rounding,
}

impl Decoded {
    pub(super) fn pcm(&self) -> Pcm<'_> {
        Pcm {
            interleaved: &self.interleaved,
            layout: &self.layout,
            sample_rate: self.sample_rate,
            rounding: self.rounding,
        }
    }
}

/// A track's decoder.
pub(super) struct Codec {
    decoder: Decoder,
    container: Container,
}

impl Codec {
    /// # Errors
    ///
    /// A codec nothing here can decode, by name.
    pub(super) fn new(params: &AudioCodecParameters, container: Container) -> Result<Self> {
        let extra = params.extra_data.as_deref();
        let channels = params.channels.as_ref().map_or(0, Channels::count);
        check_size(params, channels)?;
        let decoder = match params.codec {
            CODEC_ID_OPUS => Decoder::Opus(Opus::new(extra, channels)?),
            CODEC_ID_AAC => Decoder::Aac(Box::new(Aac::new(extra, params.sample_rate, channels)?)),
            other => {
                let options = AudioDecoderOptions::default();
                let made = CODECS.make_audio_decoder(params, &options);
                Decoder::Symphonia(made.map_err(|error| {
                    Error::Audio(format!(
                        "audio in the codec `{}` can't be decoded here ({error}): convert it first, \
                         for example with `ffmpeg -i IN OUT.flac`",
                        codec_name(other)
                    ))
                })?)
            }
        };
        Ok(Self { decoder, container })
    }

    /// Samples per channel in front that are not the recording's, where the container does not say.
    ///
    /// Opus counts them in its header. A frame of AAC and the two filter banks of MPEG layers I and
    /// II are late by as much as any encoder and decoder must be.
    pub(super) fn delay(&self) -> u64 {
        match &self.decoder {
            Decoder::Opus(opus) => opus.pre_skip.into(),
            Decoder::Aac(_) if self.container.is_bare => 1024,
            Decoder::Symphonia(decoder) if self.container.is_bare => match decoder.codec_params().codec {
                CODEC_ID_MP1 | CODEC_ID_MP2 => 481,
                _ => 0,
            },
            _ => 0,
        }
    }

    /// Whether trimming what a packet is marked with is left to the caller.
    pub(super) fn ignores_trim(&self) -> bool {
        matches!(self.decoder, Decoder::Opus(_))
    }

    /// What a packet needs others for, where that is known and few are enough.
    pub(super) fn needs(&self) -> Option<Needs> {
        match &self.decoder {
            Decoder::Symphonia(decoder) => match decoder.codec_params().codec {
                CODEC_ID_FLAC => Some(Needs::Nothing),
                CODEC_ID_MP3 => Some(Needs::Before),
                _ => None,
            },
            _ => None,
        }
    }

    /// Forgets the packets before, but for what kind they were.
    pub(super) fn restart(&mut self) {
        if let Decoder::Symphonia(decoder) = &mut self.decoder {
            decoder.reset();
        }
    }

    /// Decodes a packet; an error, in words, is that packet's, and the next may be tried.
    pub(super) fn decode(&mut self, packet: &Packet) -> Result<Decoded, String> {
        let mut interleaved = Vec::new();
        let (layout, sample_rate, rounding) = match &mut self.decoder {
            Decoder::Opus(opus) => {
                opus.decode(&packet.data, &mut interleaved)?;
                (opus.layout().clone(), opus::SAMPLE_RATE, Rounding::Even)
            }
            Decoder::Aac(aac) => {
                aac.decode(&packet.data, &mut interleaved)?;
                (aac.layout().clone(), aac.sample_rate(), Rounding::Even)
            }
            Decoder::Symphonia(decoder) => {
                let buffer = decoder.decode(packet).map_err(|error| error.to_string())?;
                let spec = buffer.spec();
                let channels = spec.channels().count();
                if channels == 0 || channels > MAX_CHANNELS {
                    return Err(format!("a frame of `{channels}` channels"));
                }
                let layout = match spec.channels() {
                    Channels::Positioned(set) if !self.container.guess_layout => positioned(*set),
                    _ => Layout::of_count(channels),
                };
                let rounding = match buffer {
                    Buffer::S24(_) | Buffer::S32(_) | Buffer::U24(_) | Buffer::U32(_) => Rounding::Down,
                    Buffer::F32(_) | Buffer::F64(_) => Rounding::Even,
                    _ => Rounding::Up,
                };
                let sample_rate = spec.rate();
                buffer.copy_to_vec_interleaved(&mut interleaved);
                (layout, sample_rate, rounding)
            }
        };
        Ok(Decoded { interleaved, layout, sample_rate, rounding })
    }
}

/// symphonia's decoders make room for a whole packet at once, as large as the header says.
fn check_size(params: &AudioCodecParameters, channels: usize) -> Result<()> {
    let frames = params.max_frames_per_packet.unwrap_or(0);
    if channels > MAX_CHANNELS || frames > MAX_FRAMES {
        return Err(Error::Audio(format!(
            "the header claims `{channels}` channels and packets of `{frames}` samples: the file is broken"
        )));
    }
    Ok(())
}

fn positioned(set: Position) -> Layout {
    if set.bits().count_ones() == 1 {
        return Layout::of_count(1);
    }
    let front = Position::FRONT_LEFT
        | Position::FRONT_RIGHT
        | Position::FRONT_LEFT_CENTER
        | Position::FRONT_RIGHT_CENTER;
    let surround = Position::REAR_LEFT
        | Position::REAR_RIGHT
        | Position::REAR_CENTER
        | Position::SIDE_LEFT
        | Position::SIDE_RIGHT;
    let speaker = |position: Position| match position {
        Position::FRONT_CENTER => Speaker::Centre,
        p if front.contains(p) => Speaker::Front,
        p if surround.contains(p) => Speaker::Surround,
        _ => Speaker::Silent,
    };
    Layout::new(set.iter().map(speaker).collect())
}
