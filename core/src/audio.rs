//! Mono samples at Whisper's sample rate, and the constants every conversion of time derives from.

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

/// Mono audio at [`SAMPLE_RATE`], each sample in -1.0..=1.0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Waveform(Vec<f32>);

impl Waveform {
    /// Wraps samples that are mono and at [`SAMPLE_RATE`] already.
    pub fn new(samples: Vec<f32>) -> Self {
        Self(samples)
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
