//! The Fourier transform of a frame: 400 real numbers to 201 complex ones.
//!
//! A planner finds the fastest way for any size on any processor, and brings all of them along: a tenth of a module for browsers.
//! Without the feature `planner` there is one way for one size.

use std::f64::consts::TAU;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{FftError, RealFftPlanner, RealToComplex};
use rustfft::algorithm::butterflies::{Butterfly5, Butterfly8};
use rustfft::algorithm::{MixedRadix, MixedRadixSmall};
use rustfft::{Fft, FftDirection};

use crate::audio::N_FFT;

/// Neighbours are one complex number, so that half as many are transformed.
const HALF: usize = N_FFT / 2;

/// The fastest transform of [`N_FFT`] real numbers in this build.
pub(super) fn fastest() -> Arc<dyn RealToComplex<f32>> {
    if cfg!(feature = "planner") {
        RealFftPlanner::new().plan_fft_forward(N_FFT)
    } else {
        Arc::new(Plain::default())
    }
}

/// A transform of [`N_FFT`] real numbers, as 8 · 5 · 5 complex ones.
pub struct Plain {
    fft: MixedRadix<f32>,
    /// Half of `exp(-2πi k / N_FFT)`, turned by a quarter.
    twiddles: Vec<Complex32>,
}

impl Default for Plain {
    fn default() -> Self {
        let forward = FftDirection::Forward;
        let five: Arc<dyn Fft<f32>> = Arc::new(Butterfly5::new(forward));
        let many = Arc::new(MixedRadixSmall::new(five.clone(), five));
        let twiddle = |k: usize| {
            let (sin, cos) = (TAU * k as f64 / N_FFT as f64).sin_cos();
            Complex32::new(-0.5 * sin as f32, -0.5 * cos as f32)
        };
        Self {
            fft: MixedRadix::new(Arc::new(Butterfly8::new(forward)), many),
            twiddles: (0..=HALF / 2).map(twiddle).collect(),
        }
    }
}

impl RealToComplex<f32> for Plain {
    fn process(&self, input: &mut [f32], output: &mut [Complex32]) -> Result<(), FftError> {
        self.process_with_scratch(input, output, &mut self.make_scratch_vec())
    }

    fn process_with_scratch(
        &self,
        input: &mut [f32],
        output: &mut [Complex32],
        scratch: &mut [Complex32],
    ) -> Result<(), FftError> {
        let least = self.get_scratch_len();
        if input.len() != N_FFT {
            return Err(FftError::InputBuffer(N_FFT, input.len()));
        }
        if output.len() != HALF + 1 {
            return Err(FftError::OutputBuffer(HALF + 1, output.len()));
        }
        if scratch.len() < least {
            return Err(FftError::ScratchBuffer(least, scratch.len()));
        }
        for (pair, to) in input.as_chunks().0.iter().zip(&mut *output) {
            let [even, odd] = *pair;
            *to = Complex32::new(even, odd);
        }
        self.fft.process_with_scratch(&mut output[..HALF], scratch);
        // What even and odd numbers are apart: their transforms are symmetric in other ways.
        output[HALF] = output[0];
        for (k, twiddle) in self.twiddles.iter().enumerate() {
            let (low, high) = (output[k], output[HALF - k].conj());
            let even = (low + high) * 0.5;
            let odd = (low - high) * twiddle;
            output[k] = even + odd;
            output[HALF - k] = (even - odd).conj();
        }
        Ok(())
    }

    fn get_scratch_len(&self) -> usize {
        self.fft.get_inplace_scratch_len()
    }

    fn len(&self) -> usize {
        N_FFT
    }

    fn make_input_vec(&self) -> Vec<f32> {
        vec![0.0; N_FFT]
    }

    fn make_output_vec(&self) -> Vec<Complex32> {
        vec![Complex32::default(); HALF + 1]
    }

    fn make_scratch_vec(&self) -> Vec<Complex32> {
        vec![Complex32::default(); self.get_scratch_len()]
    }
}
