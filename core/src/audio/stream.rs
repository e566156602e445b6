//! Interleaved PCM that comes bit by bit, made mono and 16 kHz as it comes.

use super::convert::{Converter, Rounding};
use super::downmix::{Layout, MAX_CHANNELS};
use super::resample::Resampler;
use crate::error::{Error, Result};

/// A running conversion to what [`super::Waveform`] holds; block by block it gives what [`super::Waveform::from_pcm`] gives at once.
pub struct PcmStream {
    converter: Converter,
    layout: Layout,
    sample_rate: u32,
    /// A frame that is not whole yet.
    rest: Vec<f32>,
}

impl std::fmt::Debug for PcmStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sample_rate, layout, .. } = self;
        f.debug_struct("PcmStream")
            .field("sample_rate", sample_rate)
            .field("layout", layout)
            .finish_non_exhaustive()
    }
}

impl PcmStream {
    /// For samples of so many channels, in ffmpeg's default order for their number.
    ///
    /// # Errors
    /// A number of channels or a sample rate that can't be used.
    pub fn new(channels: usize, sample_rate: u32) -> Result<Self> {
        if !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(Error::Audio(format!(
                "`{channels}` channels can't be mixed to mono (expected 1 to {MAX_CHANNELS})"
            )));
        }
        Resampler::new(sample_rate)?;
        let layout = Layout::of_count(channels);
        Ok(Self { converter: Converter::new(), layout, sample_rate, rest: Vec::new() })
    }

    /// Converts the next samples; the last ones wait for those after them. interleaved: (n) -> mono at 16 kHz
    ///
    /// # Errors
    /// None in practice: what could not be used was refused before.
    pub fn push(&mut self, interleaved: &[f32]) -> Result<Vec<f32>> {
        self.rest.extend_from_slice(interleaved);
        let whole = self.rest.len() - self.rest.len() % self.layout.channels();
        let mut out = Vec::new();
        self.converter.push(&self.rest[..whole], &self.layout, self.sample_rate, Rounding::Even, &mut out)?;
        self.rest.drain(..whole);
        Ok(out)
    }

    /// What was still waiting.
    pub fn finish(mut self) -> Vec<f32> {
        let mut out = Vec::new();
        self.converter.finish(&mut out);
        out
    }
}
