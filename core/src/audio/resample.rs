//! Mono from any rate to 16 kHz, block by block, in step with the input.
//!
//! rubato's FFT resampler works on whole blocks and delays by half a block; here the delay is cut
//! off and the end is flushed, so that the output is `ceil(n * 16000 / rate)` samples long.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

use super::SAMPLE_RATE;
use crate::error::{Error, Result};

/// Rates that are accepted; outside them a header is wrong, and 16 kHz would be out of proportion.
pub(crate) const SAMPLE_RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// Output samples per block, about: 64 ms, for an anti-aliasing edge at 98 % of the band.
const BLOCK: usize = 1024;

/// A running conversion from one rate to [`SAMPLE_RATE`].
pub(crate) struct Resampler {
    rate: u32,
    fft: Option<Fft<f32>>,
    /// Input that does not fill a block yet.
    pending: Vec<f32>,
    /// One block of output.
    block: Vec<f32>,
    /// Output samples to drop before the first one that counts.
    delay: usize,
    n_in: u64,
    n_out: u64,
}

impl Resampler {
    pub(crate) fn new(rate: u32) -> Result<Self> {
        if !SAMPLE_RATES.contains(&rate) {
            return Err(Error::Audio(format!(
                "a sample rate of `{rate}` Hz can't be used (expected {} to {})",
                SAMPLE_RATES.start(),
                SAMPLE_RATES.end()
            )));
        }
        let mut resampler =
            Self { rate, fft: None, pending: Vec::new(), block: Vec::new(), delay: 0, n_in: 0, n_out: 0 };
        if rate as usize != SAMPLE_RATE {
            let rate = rate as usize;
            let gcd = gcd(rate, SAMPLE_RATE);
            // An even number of units: half a block, the delay, is then whole on both sides.
            let units = (BLOCK * gcd).div_ceil(SAMPLE_RATE).next_multiple_of(2);
            let fft = Fft::new_custom(
                rate,
                SAMPLE_RATE,
                units * (rate / gcd),
                1,
                1,
                WindowFunction::BlackmanHarris2,
                FixedSync::Both,
            )
            .map_err(failed)?;
            resampler.block = vec![0.0; fft.output_frames_max()];
            resampler.delay = fft.output_delay();
            resampler.fft = Some(fft);
        }
        Ok(resampler)
    }

    /// Whether samples go through unchanged.
    pub(crate) fn is_identity(&self) -> bool {
        self.fft.is_none()
    }

    pub(crate) fn rate(&self) -> u32 {
        self.rate
    }

    /// Appends to `out` what `samples` completes.
    pub(crate) fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<()> {
        self.n_in += samples.len() as u64;
        let Some(n_block) = self.fft.as_ref().map(|fft| fft.input_frames_max()) else {
            out.extend_from_slice(samples);
            return Ok(());
        };
        let mut rest = samples;
        if !self.pending.is_empty() {
            let n = rest.len().min(n_block - self.pending.len());
            self.pending.extend_from_slice(&rest[..n]);
            rest = &rest[n..];
            if self.pending.len() < n_block {
                return Ok(());
            }
            let block = std::mem::take(&mut self.pending);
            self.process(&block, out)?;
            self.pending = block;
            self.pending.clear();
        }
        let mut blocks = rest.chunks_exact(n_block);
        for block in &mut blocks {
            self.process(block, out)?;
        }
        self.pending.extend_from_slice(blocks.remainder());
        Ok(())
    }

    /// Appends what is still inside, so that the whole output has its right length.
    pub(crate) fn finish(&mut self, out: &mut Vec<f32>) -> Result<()> {
        let Some(n_block) = self.fft.as_ref().map(|fft| fft.input_frames_max()) else {
            return Ok(());
        };
        let n_total = (u128::from(self.n_in) * SAMPLE_RATE as u128).div_ceil(self.rate.into()) as u64;
        let mut block = std::mem::take(&mut self.pending);
        while self.n_out < n_total {
            block.resize(n_block, 0.0);
            let before = out.len();
            let n_out = self.n_out;
            self.process(&block, out)?;
            let wanted = (n_total - n_out).min((out.len() - before) as u64);
            out.truncate(before + wanted as usize);
            block.clear();
        }
        Ok(())
    }

    fn process(&mut self, input: &[f32], out: &mut Vec<f32>) -> Result<()> {
        let Some(fft) = &mut self.fft else {
            return Ok(());
        };
        let n_block = self.block.len();
        let source = InterleavedSlice::new(input, 1, input.len()).map_err(failed)?;
        let mut sink = InterleavedSlice::new_mut(&mut self.block, 1, n_block).map_err(failed)?;
        let (_, n) = fft.process_into_buffer(&source, &mut sink, None).map_err(failed)?;
        let dropped = self.delay.min(n);
        self.delay -= dropped;
        self.n_out += (n - dropped) as u64;
        out.extend_from_slice(&self.block[dropped..n]);
        Ok(())
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Audio(format!("resampling failed: {error}"))
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
