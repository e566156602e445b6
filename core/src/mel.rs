//! Log-mel spectrograms as Whisper was trained on them (openai/whisper, `whisper/audio.py`): reflect-padded
//! STFT of 400 samples every 160, Slaney mel filters, log10, clamped to 8 below the whole recording's maximum.
//!
//! Samples in, [`Mel`] out, or a [`MelStream`] where the samples come bit by bit. The filters, the window and the transform
//! are planned once per [`LogMel`].

pub mod fourier;
mod stream;

use std::ops::Range;

use std::sync::Arc;

use rayon::prelude::*;
use realfft::{RealToComplex, num_complex::Complex32};

use crate::audio::{HOP_LENGTH, N_FFT, N_FRAMES, SAMPLE_RATE, Waveform};
use crate::error::{Error, Result};

pub use stream::{Extent, MelStream};

/// Bins of a real transform of [`N_FFT`] samples.
const N_BINS: usize = N_FFT / 2 + 1;
/// Frames that one thread takes at once.
const BLOCK: usize = 256;
/// Powers below this count as silence.
const FLOOR: f32 = 1e-10;

/// Log-mel spectrogram of a recording followed by 30 s of silence, one frame per 10 ms.
///
/// Frames that hear nothing but the silence are not stored: all their bins have one value.
#[derive(Debug, Clone)]
pub struct Mel {
    n_mels: usize,
    content_frames: usize,
    /// (n_stored, n_mels)
    frames: Vec<f32>,
    silence: f32,
}

impl Mel {
    /// Bins per frame: 80 or 128.
    pub fn n_mels(&self) -> usize {
        self.n_mels
    }

    /// Frames of the recording itself, without the silence after it.
    pub fn content_frames(&self) -> usize {
        self.content_frames
    }

    /// Frames `start..start + n_frames` with zeros after them, as the encoder takes them. `n_frames` is at
    /// most [`N_FRAMES`]. -> (n_mels, N_FRAMES), row-major
    pub fn window(&self, start: usize, n_frames: usize) -> Vec<f32> {
        let from = (start * self.n_mels).min(self.frames.len());
        let n = n_frames.min(N_FRAMES);
        bins_first(&self.frames[from..], self.n_mels, n, self.silence, |x| x)
    }
}

/// Up to `n` frames as the encoder takes them, those that are missing of `silence`, then zeros. frames: (_, n_mels)
/// -> (n_mels, N_FRAMES)
fn bins_first(frames: &[f32], n_mels: usize, n: usize, silence: f32, of: impl Fn(f32) -> f32) -> Vec<f32> {
    /// Frames that the cache holds while all their bins are taken.
    const NEAR: usize = 32;
    let mut out = vec![0.0; n_mels * N_FRAMES];
    let stored = (frames.len() / n_mels).min(n);
    for out in out.chunks_exact_mut(N_FRAMES) {
        out[stored..n].fill(of(silence));
    }
    for first in (0..stored).step_by(NEAR) {
        let frames = &frames[first * n_mels..stored.min(first + NEAR) * n_mels];
        for (m, out) in out.chunks_exact_mut(N_FRAMES).enumerate() {
            let bins = frames[m..].iter().step_by(n_mels);
            out[first..].iter_mut().zip(bins).for_each(|(out, &x)| *out = of(x));
        }
    }
    out
}

/// One triangular filter: its first bin and its weights.
struct Filter {
    first: usize,
    weights: Vec<f32>,
}

/// Turns samples into log-mel frames; built once, used for any number of recordings.
pub struct LogMel {
    filters: Vec<Filter>,
    window: [f32; N_FFT],
    fft: Arc<dyn RealToComplex<f32>>,
}

impl std::fmt::Debug for LogMel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogMel").field("n_mels", &self.n_mels()).finish_non_exhaustive()
    }
}

impl LogMel {
    /// Plans the transform for `n_mels` bins per frame.
    ///
    /// # Errors
    /// If `n_mels` is not 80 or 128, the only numbers Whisper networks have been trained with.
    pub fn new(n_mels: usize) -> Result<Self> {
        if !matches!(n_mels, 80 | 128) {
            return Err(Error::Config(format!("`num_mel_bins` is {n_mels}; Whisper has 80 or 128")));
        }
        let filters = mel_filters(n_mels)
            .chunks(N_BINS)
            .map(|row| {
                let first = row.iter().position(|&w| w != 0.0).unwrap_or(0);
                let end = row.iter().rposition(|&w| w != 0.0).map_or(first, |i| i + 1);
                Filter { first, weights: row[first..end].to_vec() }
            })
            .collect();
        let window = std::array::from_fn(|i| {
            let phase = 2.0 * std::f64::consts::PI * i as f64 / N_FFT as f64;
            (0.5 - 0.5 * phase.cos()) as f32
        });
        Ok(Self { filters, window, fft: fourier::fastest() })
    }

    /// Bins per frame.
    pub fn n_mels(&self) -> usize {
        self.filters.len()
    }

    /// The spectrogram of `audio` followed by 30 s of silence.
    ///
    /// # Errors
    /// None in practice: the transform is given buffers of the length it was planned for.
    pub fn compute(&self, audio: &Waveform) -> Result<Mel> {
        let n_mels = self.n_mels();
        let content_frames = audio.samples().len() / HOP_LENGTH;
        let mut frames = vec![0.0; stored(content_frames) * n_mels];
        let max = self.frames(Stretch { samples: audio.samples(), first: 0 }, 0, &mut frames)?;
        frames.iter_mut().for_each(|x| *x = scale(*x, max));
        Ok(Mel { n_mels, content_frames, frames, silence: scale(FLOOR.log10(), max) })
    }

    /// log10 of the mel powers of the frames from `start` on, and their maximum. out: (n_frames, n_mels)
    fn frames(&self, heard: Stretch<'_>, start: usize, out: &mut [f32]) -> Result<f32> {
        let n_mels = self.n_mels();
        self.largest(out.par_chunks_mut(BLOCK * n_mels).enumerate(), |scratch, (block, frames)| {
            let first = start + block * BLOCK;
            frames.chunks_exact_mut(n_mels).enumerate().try_fold(FLOOR, |largest, (t, frame)| {
                let power = self.frame(heard, first + t, scratch, frame)?;
                frame.iter_mut().for_each(|x| *x = x.log10());
                Ok(largest.max(power))
            })
        })
    }

    /// The maximum alone: of all powers one logarithm.
    fn maximum(&self, heard: Stretch<'_>, frames: Range<usize>) -> Result<f32> {
        let blocks = (0..frames.len().div_ceil(BLOCK)).into_par_iter();
        self.largest(blocks, |scratch, block| {
            let (first, mut frame) = (frames.start + block * BLOCK, vec![0.0; self.n_mels()]);
            (first..frames.end.min(first + BLOCK))
                .try_fold(FLOOR, |largest, t| Ok(largest.max(self.frame(heard, t, scratch, &mut frame)?)))
        })
    }

    /// log10 of the largest power of blocks of frames.
    fn largest<T: Send>(
        &self,
        blocks: impl ParallelIterator<Item = T>,
        of: impl Fn(&mut Scratch, T) -> Result<f32> + Sync + Send,
    ) -> Result<f32> {
        let largest = blocks.map_init(|| Scratch::new(&*self.fft), of);
        Ok(largest.try_reduce(|| FLOOR, |a, b| Ok(a.max(b)))?.log10())
    }

    /// The mel powers around sample `t * HOP_LENGTH`, none below the floor, and the largest of them. out: (n_mels)
    fn frame(&self, heard: Stretch<'_>, t: usize, scratch: &mut Scratch, out: &mut [f32]) -> Result<f32> {
        let start = (t * HOP_LENGTH) as isize - (N_FFT / 2) as isize;
        let within = usize::try_from(start).ok().and_then(|start| start.checked_sub(heard.first));
        let windowed = scratch.input.iter_mut().zip(&self.window);
        match within.and_then(|from| heard.samples.get(from..from + N_FFT)) {
            Some(samples) => windowed.zip(samples).for_each(|((to, w), x)| *to = x * w),
            // Reflected before the start; after the end there is silence.
            None => windowed.enumerate().for_each(|(i, (to, w))| {
                let at = (start + i as isize).unsigned_abs();
                *to = heard.samples.get(at.wrapping_sub(heard.first)).copied().unwrap_or(0.0) * w;
            }),
        }
        self.fft
            .process_with_scratch(&mut scratch.input, &mut scratch.output, &mut scratch.fft)
            .map_err(|e| Error::Audio(format!("Fourier transform: {e}")))?;
        for (power, c) in scratch.power.iter_mut().zip(&scratch.output) {
            *power = c.norm_sqr();
        }
        let mut largest = FLOOR;
        for (out, filter) in out.iter_mut().zip(&self.filters) {
            let powers = &scratch.power[filter.first..];
            let sum: f32 = filter.weights.iter().zip(powers).map(|(w, p)| w * p).sum();
            *out = sum.max(FLOOR);
            largest = largest.max(*out);
        }
        Ok(largest)
    }
}

/// Samples of a recording from one of them on: all that the frames hear that are asked for, but for silence after the end.
#[derive(Clone, Copy)]
struct Stretch<'a> {
    samples: &'a [f32],
    first: usize,
}

impl Stretch<'_> {
    /// The samples that these frames hear. Those before the recording are mirrored.
    fn of(frames: Range<usize>) -> Range<usize> {
        let first = (frames.start * HOP_LENGTH).saturating_sub(N_FFT / 2);
        first..frames.end * HOP_LENGTH + N_FFT / 2
    }

    /// Frames that hear nothing but the first `n_samples`.
    fn heard_by(n_samples: usize) -> usize {
        n_samples.saturating_sub(N_FFT / 2) / HOP_LENGTH
    }
}

/// Frames that hear something of a recording of `content_frames`: one reaches 200 samples to both sides, so the first frames
/// of the silence still hear the end.
fn stored(content_frames: usize) -> usize {
    content_frames + N_FFT / 2 / HOP_LENGTH + 2
}

/// As the network was trained, by the maximum of all of the recording.
fn scale(x: f32, max: f32) -> f32 {
    (x.max(max - 8.0) + 4.0) / 4.0
}

struct Scratch {
    input: Vec<f32>,
    output: Vec<Complex32>,
    fft: Vec<Complex32>,
    power: [f32; N_BINS],
}

impl Scratch {
    fn new(fft: &dyn RealToComplex<f32>) -> Self {
        Self {
            input: fft.make_input_vec(),
            output: fft.make_output_vec(),
            fft: fft.make_scratch_vec(),
            power: [0.0; N_BINS],
        }
    }
}

/// Slaney's mel filters, area-normalised, from 0 to 8 kHz. -> (n_mels, 201), row-major
///
/// The recipe of librosa's `filters.mel(sr=16000, n_fft=400)`, which made openai/whisper's `mel_filters.npz`.
pub fn mel_filters(n_mels: usize) -> Vec<f32> {
    let top = hz_to_mel(SAMPLE_RATE as f64 / 2.0);
    let points: Vec<f64> = (0..n_mels + 2).map(|i| mel_to_hz(top * i as f64 / (n_mels + 1) as f64)).collect();
    let mut filters = Vec::with_capacity(n_mels * N_BINS);
    for p in points.windows(3) {
        let area = 2.0 / (p[2] - p[0]);
        for bin in 0..N_BINS {
            let hz = bin as f64 * SAMPLE_RATE as f64 / N_FFT as f64;
            let up = (hz - p[0]) / (p[1] - p[0]);
            let down = (p[2] - hz) / (p[2] - p[1]);
            let height = up.min(down).max(0.0) as f32;
            filters.push((f64::from(height) * area) as f32);
        }
    }
    filters
}

/// Linear below 1 kHz (mel 15), logarithmic above.
const KNEE_MEL: f64 = 15.0;
const HZ_PER_MEL: f64 = 200.0 / 3.0;

fn log_step() -> f64 {
    6.4_f64.ln() / 27.0
}

fn hz_to_mel(hz: f64) -> f64 {
    let knee = KNEE_MEL * HZ_PER_MEL;
    if hz < knee { hz / HZ_PER_MEL } else { KNEE_MEL + (hz / knee).ln() / log_step() }
}

fn mel_to_hz(mel: f64) -> f64 {
    if mel < KNEE_MEL {
        mel * HZ_PER_MEL
    } else {
        KNEE_MEL * HZ_PER_MEL * (log_step() * (mel - KNEE_MEL)).exp()
    }
}
