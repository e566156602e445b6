//! Mono samples at Whisper's sample rate, and the constants every conversion of time derives from.
//!
//! PCM of any rate and channel count goes in through [`Waveform::from_pcm`]; what comes out is what
//! ffmpeg's `-ac 1 -ar 16000 -f s16le` gives, as the reference hears it.

mod convert;
mod downmix;
mod resample;
mod stream;

use std::sync::Arc;

use crate::error::{Error, Result};

#[cfg(feature = "media")]
pub(crate) use convert::Pcm;
pub(crate) use convert::{Converter, Rounding};
#[cfg(feature = "media")]
pub(crate) use downmix::Speaker;
pub(crate) use downmix::{Layout, MAX_CHANNELS};
pub use stream::PcmStream;

/// Samples per second of every waveform in this crate.
pub const SAMPLE_RATE: usize = 16_000;
/// Samples in one Fourier transform.
pub const N_FFT: usize = 400;
/// Samples from one mel frame to the next.
pub const HOP_LENGTH: usize = 160;
/// Seconds of audio the network hears at once.
pub const CHUNK_LENGTH: usize = 30;
/// Samples in a 30-second window: 480,000.
pub const N_SAMPLES: usize = CHUNK_LENGTH * SAMPLE_RATE;
/// Mel frames in a 30-second window: 3,000.
pub const N_FRAMES: usize = N_SAMPLES / HOP_LENGTH;
/// Mel frames per second, 10 ms each: 100.
pub const FRAMES_PER_SECOND: usize = SAMPLE_RATE / HOP_LENGTH;
/// Audio tokens per second, 20 ms each: 50. The stem's second convolution has stride 2.
pub const TOKENS_PER_SECOND: usize = SAMPLE_RATE / (HOP_LENGTH * 2);

/// Mono audio at [`SAMPLE_RATE`], each sample in -1.0..=1.0. Copies share the samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Waveform(Arc<Vec<f32>>);

impl Waveform {
    /// Wraps samples that are mono and at [`SAMPLE_RATE`] already.
    pub fn new(samples: Vec<f32>) -> Self {
        Self(Arc::new(samples))
    }

    /// Mixes interleaved samples to mono and resamples them to [`SAMPLE_RATE`].
    ///
    /// Channels are taken in ffmpeg's default order for their number: 2 left and right, 3 is 2.1, 4
    /// is 4.0, 6 is 5.1, 8 is 7.1; nine and more are averaged. The result is rounded to 16 bits.
    ///
    /// interleaved: (n_frames * channels) -> (ceil(n_frames * 16000 / sample_rate))
    ///
    /// # Errors
    ///
    /// A number of channels or a sample rate that can't be used, or a last frame that is not whole.
    pub fn from_pcm(interleaved: &[f32], channels: usize, sample_rate: u32) -> Result<Self> {
        if channels == 0 || channels > MAX_CHANNELS {
            return Err(Error::Audio(format!(
                "`{channels}` channels can't be mixed to mono (expected 1 to {MAX_CHANNELS})"
            )));
        }
        if !interleaved.len().is_multiple_of(channels) {
            return Err(Error::Audio(format!(
                "{} samples are not a whole number of frames of {channels} channels",
                interleaved.len()
            )));
        }
        let mut converter = Converter::new();
        let mut samples = Vec::new();
        let layout = Layout::of_count(channels);
        converter.push(interleaved, &layout, sample_rate, Rounding::Even, &mut samples)?;
        converter.finish(&mut samples);
        Ok(Self::new(samples))
    }

    /// The samples. (n_samples)
    pub fn samples(&self) -> &[f32] {
        &self.0
    }

    /// Length in seconds.
    pub fn duration(&self) -> f64 {
        self.0.len() as f64 / SAMPLE_RATE as f64
    }
}
