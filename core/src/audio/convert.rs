//! Interleaved PCM to the samples the network hears: clean, mono, 16 kHz, 16 bits.
//!
//! Works on blocks of any size; rate and channels may change from one block to the next.

use super::downmix::Layout;
use super::resample::Resampler;
use crate::error::Result;
use crate::kernels;

/// How a sample that is not resampled gets its 16 bits: ffmpeg does it by the type it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// Floats: to the nearest, ties to even.
    Even,
    /// Integers of up to 16 bits that are mixed: to the nearest, ties upwards.
    Up,
    /// Wider integers that are not mixed: the low bits are dropped.
    Down,
}

/// A decoded block: what a codec hands to the [`Converter`].
#[cfg(feature = "media")]
pub(crate) struct Pcm<'a> {
    /// (n_frames * layout.channels())
    pub(crate) interleaved: &'a [f32],
    pub(crate) layout: &'a Layout,
    pub(crate) sample_rate: u32,
    pub(crate) rounding: Rounding,
}

/// A running conversion.
pub(crate) struct Converter {
    layout: Layout,
    weights: Vec<f32>,
    resampler: Option<Resampler>,
    mono: Vec<f32>,
}

impl Converter {
    pub(crate) fn new() -> Self {
        Self { layout: Layout::of_count(0), weights: Vec::new(), resampler: None, mono: Vec::new() }
    }

    /// Converts one block and appends what it completes to `out`.
    pub(crate) fn push(
        &mut self,
        interleaved: &[f32],
        layout: &Layout,
        sample_rate: u32,
        rounding: Rounding,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        if self.resampler.as_ref().is_none_or(|r| r.rate() != sample_rate) {
            self.finish(out);
        }
        let resampler = match &mut self.resampler {
            Some(resampler) => resampler,
            none => none.insert(Resampler::new(sample_rate)?),
        };
        if self.layout != *layout {
            self.layout = layout.clone();
            self.weights = layout.weights();
        }
        let rounding = match rounding {
            Rounding::Down if self.weights.len() > 1 => Rounding::Even,
            _ if !resampler.is_identity() => Rounding::Even,
            rounding => rounding,
        };
        let start = out.len();
        self.mono.clear();
        if let [_] = self.weights[..] {
            self.mono.extend(interleaved.iter().map(|&x| clean(x)));
        } else if !self.weights.is_empty() {
            let frames = interleaved.chunks_exact(self.weights.len());
            self.mono.extend(frames.map(|frame| {
                let pairs = frame.iter().zip(&self.weights);
                pairs.map(|(&x, w)| clean(x) * w).sum::<f32>()
            }));
        }
        resampler.push(&self.mono, out);
        let samples = &mut out[start..];
        match rounding {
            Rounding::Even => quantise(samples, |x| nearest(clip(x))),
            Rounding::Up => quantise(samples, |x| below(clip(x + 0.5))),
            Rounding::Down => quantise(samples, |x| below(clip(x))),
        }
        Ok(())
    }

    /// Ends the stream, or the part of it at one rate.
    pub(crate) fn finish(&mut self, out: &mut Vec<f32>) {
        if let Some(resampler) = self.resampler.take() {
            let start = out.len();
            resampler.finish(out);
            quantise(&mut out[start..], |x| nearest(clip(x)));
        }
    }
}

/// A number is not; infinity is the loudest sample. Loud floats stay, as only the result is clipped.
fn clean(x: f32) -> f32 {
    if x.is_finite() {
        x.clamp(-1e3, 1e3)
    } else if x.is_nan() {
        0.0
    } else {
        x.signum()
    }
}

/// Zeros become positive, as there is but one in 16 bits.
fn quantise(samples: &mut [f32], round: impl Fn(f32) -> f32) {
    for x in samples {
        *x = round(*x * 32768.0) / 32768.0 + 0.0;
    }
}

/// Before it is rounded: both ends are integers, so that it makes no difference, and numbers are small enough for what follows.
fn clip(x: f32) -> f32 {
    x.clamp(-32768.0, 32767.0)
}

/// The integer nearest to a small number, of two the even one, by sums: every x86-64 has them in vectors, but not `round_ties_even`.
fn nearest(x: f32) -> f32 {
    (x + kernels::ROUND) - kernels::ROUND
}

/// The largest integer that is not above a small number.
fn below(x: f32) -> f32 {
    let nearest = nearest(x);
    if nearest > x { nearest - 1.0 } else { nearest }
}
