//! Bytes of raw samples to mono at 16 kHz.

use candle_whisper_core::audio::PcmStream;
use clap::ValueEnum;

/// What raw samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SampleFormat {
    /// 16-bit integers, the low byte first.
    S16le,
    /// 32-bit floats, the low byte first.
    F32le,
}

impl SampleFormat {
    fn bytes(self) -> usize {
        match self {
            Self::S16le => 2,
            Self::F32le => 4,
        }
    }
}

/// A running conversion.
#[derive(Debug)]
pub(super) struct Samples {
    format: SampleFormat,
    stream: PcmStream,
    /// Bytes of a sample that is not whole.
    rest: Vec<u8>,
}

impl Samples {
    pub(super) fn new(format: SampleFormat, stream: PcmStream) -> Self {
        Self { format, stream, rest: Vec::new() }
    }

    /// What these bytes complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> candle_whisper_core::Result<Vec<f32>> {
        self.rest.extend_from_slice(bytes);
        let n = self.format.bytes();
        let whole = self.rest.len() - self.rest.len() % n;
        let samples: Vec<f32> = self.rest[..whole]
            .chunks_exact(n)
            .map(|bytes| match *bytes {
                [a, b] => f32::from(i16::from_le_bytes([a, b])) / 32768.0,
                [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
                _ => 0.0,
            })
            .collect();
        self.rest.drain(..whole);
        self.stream.push(&samples)
    }

    /// What was still waiting.
    pub(super) fn finish(self) -> Vec<f32> {
        self.stream.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_may_be_cut_between_any_two_bytes() {
        let values = [0i16, -32768, 16384, 32767, 5];
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let expected: Vec<f32> = values.iter().map(|&value| f32::from(value) / 32768.0).collect();
        for cut in 0..bytes.len() {
            let mut samples = Samples::new(SampleFormat::S16le, PcmStream::new(1, 16_000).unwrap());
            let mut out = samples.push(&bytes[..cut]).unwrap();
            out.extend(samples.push(&bytes[cut..]).unwrap());
            out.extend(samples.finish());
            assert_eq!(out, expected, "cut at {cut}");
        }
    }

    #[test]
    fn stereo_at_another_rate_comes_out_as_in_one_piece() {
        let stereo: Vec<f32> = (0..9600).map(|i| ((i / 2) as f32 / 30.0).sin() * 0.5).collect();
        let whole = candle_whisper_core::Waveform::from_pcm(&stereo, 2, 48_000).unwrap();
        let bytes: Vec<u8> = stereo.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut samples = Samples::new(SampleFormat::F32le, PcmStream::new(2, 48_000).unwrap());
        let mut out = Vec::new();
        for some in bytes.chunks(1001) {
            out.extend(samples.push(some).unwrap());
        }
        out.extend(samples.finish());
        assert_eq!(out, whole.samples());
    }
}
