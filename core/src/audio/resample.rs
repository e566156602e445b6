//! Mono from any rate to 16 kHz, block by block, in step with the input.
//!
//! A polyphase filter with the very taps that ffmpeg's resampler has by default: what the reference hears went through
//! that, and its gentle edge (6 dB down at 97 % of the band) is what Whisper was trained on.
//! The output is `ceil(n * 16000 / rate)` samples long, and its first sample lies on the input's first.

use std::f64::consts::PI;

use super::SAMPLE_RATE;
use crate::error::{Error, Result};
use crate::kernels;

/// Rates that are accepted; outside them a header is wrong, and 16 kHz would be out of proportion.
pub(crate) const SAMPLE_RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// ffmpeg's `filter_size`: taps per phase at the lower of the two rates.
const FILTER_SIZE: f64 = 32.0;
/// ffmpeg's `cutoff`, as a part of the lower Nyquist frequency.
const CUTOFF: f64 = 0.97;
/// ffmpeg's `kaiser_beta`.
const KAISER_BETA: f64 = 9.0;
/// ffmpeg's 1 << `phase_shift`: with more phases than this the nearest below is taken.
const MOST_PHASES: usize = 1024;

/// A running conversion from one rate to [`SAMPLE_RATE`].
pub(crate) struct Resampler {
    rate: u32,
    /// `None` where samples go through unchanged.
    filter: Option<Filter>,
    /// Input from `start` on, as far as it is still needed.
    input: Vec<f32>,
    /// Input sample that `input` begins with; negative in the part mirrored at the beginning.
    start: i64,
    n_in: u64,
    n_out: u64,
}

/// Taps for every place that an output sample can have between two input samples.
struct Filter {
    /// (n_phases, n_taps)
    taps: Vec<f32>,
    n_taps: usize,
    n_phases: usize,
}

impl Filter {
    fn new(rate: u32) -> Self {
        let rate_in = rate as usize;
        let n_phases = (SAMPLE_RATE / gcd(rate_in, SAMPLE_RATE)).min(MOST_PHASES);
        let factor = (SAMPLE_RATE as f64 * CUTOFF / rate_in as f64).min(1.0);
        let n_taps = ((FILTER_SIZE / factor).ceil() as usize).next_multiple_of(2);
        let mut taps = Vec::with_capacity(n_phases * n_taps);
        for phase in 0..n_phases {
            let centre = centre(n_taps) as f64 + phase as f64 / n_phases as f64;
            let row = (0..n_taps).map(|i| {
                let x = PI * (i as f64 - centre) * factor;
                let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
                let w = 2.0 * x / (factor * n_taps as f64 * PI);
                sinc * bessel_i0(KAISER_BETA * (1.0 - w * w).max(0.0).sqrt())
            });
            let sum: f64 = row.clone().sum();
            taps.extend(row.map(|tap| (tap / sum) as f32));
        }
        Self { taps, n_taps, n_phases }
    }
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
        let filter = (rate as usize != SAMPLE_RATE).then(|| Filter::new(rate));
        Ok(Self { rate, filter, input: Vec::new(), start: 0, n_in: 0, n_out: 0 })
    }

    /// Whether samples go through unchanged.
    pub(crate) fn is_identity(&self) -> bool {
        self.filter.is_none()
    }

    pub(crate) fn rate(&self) -> u32 {
        self.rate
    }

    /// Appends to `out` what `samples` completes.
    pub(crate) fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let Some(filter) = &self.filter else {
            out.extend_from_slice(samples);
            return;
        };
        let before = centre(filter.n_taps);
        self.input.extend_from_slice(samples);
        self.n_in += samples.len() as u64;
        if self.start == 0 && self.n_out == 0 {
            // The beginning is mirrored, as soon as there is enough of it.
            if self.input.len() <= before {
                return;
            }
            self.mirror_beginning(before);
        }
        self.run(u64::MAX, out);
    }

    /// Appends what is still inside, so that the whole output has its right length.
    pub(crate) fn finish(mut self, out: &mut Vec<f32>) {
        let Some(filter) = &self.filter else { return };
        let n_total = (u128::from(self.n_in) * SAMPLE_RATE as u128).div_ceil(self.rate.into()) as u64;
        if n_total == 0 {
            return;
        }
        let (before, n_taps) = (centre(filter.n_taps), filter.n_taps);
        if self.start == 0 && self.n_out == 0 {
            self.mirror_beginning(before.min(self.input.len() - 1));
        }
        // The end is mirrored too, the last sample given twice.
        let n_real = self.input.len();
        for i in 0..n_taps {
            let mirrored = n_real.checked_sub(i + 1).map_or(0.0, |at| self.input[at]);
            self.input.push(mirrored);
        }
        self.run(n_total, out);
    }

    fn mirror_beginning(&mut self, n: usize) {
        let mirrored: Vec<f32> = self.input[1..=n].iter().rev().copied().collect();
        self.input.splice(0..0, mirrored);
        self.start = -(n as i64);
    }

    /// Computes every output sample before `n_total` whose input is there.
    fn run(&mut self, n_total: u64, out: &mut Vec<f32>) {
        let Some(filter) = &self.filter else { return };
        let before = centre(filter.n_taps) as i64;
        while self.n_out < n_total {
            let position = u128::from(self.n_out) * u128::from(self.rate);
            let whole = (position / SAMPLE_RATE as u128) as i64;
            let phase = (position % SAMPLE_RATE as u128) as usize * filter.n_phases / SAMPLE_RATE;
            let first = whole - before - self.start;
            // Recordings shorter than half the filter have silence before what could be mirrored.
            let missing = usize::try_from(-first).unwrap_or(0).min(filter.n_taps);
            let from = usize::try_from(first).unwrap_or(0);
            let taps = &filter.taps[phase * filter.n_taps..][missing..filter.n_taps];
            let Some(input) = self.input.get(from..from + taps.len()) else { break };
            out.push(kernels::dot(input, taps));
            self.n_out += 1;
        }
        let position = u128::from(self.n_out) * u128::from(self.rate) / SAMPLE_RATE as u128;
        let used = usize::try_from(position as i64 - before - self.start).unwrap_or(0).min(self.input.len());
        self.input.drain(..used);
        self.start += used as i64;
    }
}

/// The tap that lies on the input sample at or before an output sample.
fn centre(n_taps: usize) -> usize {
    (n_taps - 1) / 2
}

/// The modified Bessel function of the first kind and order 0, by its series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1.. {
        term *= quarter / f64::from(k * k);
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    sum
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
