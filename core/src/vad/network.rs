//! Silero VAD for 16 kHz: a short Fourier transform as a convolution, four convolutions over its magnitudes, an LSTM
//! that remembers what came before, and a probability for each chunk of 32 ms.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};

use crate::error::{Error, Result};
use crate::kernels::{Dots, Panels, Part, Products, lstm, sigmoid};

/// Samples that one probability is for: 32 ms.
pub const CHUNK: usize = 512;
/// Samples before a chunk that are heard with it.
const CONTEXT: usize = 64;
/// Samples after it, mirrored.
const MIRRORED: usize = 64;
/// Samples that are heard for one probability.
const HEARD: usize = CONTEXT + CHUNK + MIRRORED;
const N_FFT: usize = 256;
const STRIDE: usize = 128;
const N_MAGNITUDES: usize = N_FFT / 2 + 1;
/// Transforms of a chunk.
const N_FRAMES: usize = (HEARD - N_FFT) / STRIDE + 1;
/// Width of the convolutions.
const KERNEL: usize = 3;
/// Numbers that the LSTM remembers.
const N_STATE: usize = 128;
/// Chunks that go through the convolutions at once.
pub(super) const AT_ONCE: usize = 256;
/// So many times that at most are heard before the LSTM goes on: it takes as long as two threads need for them.
pub(super) const MOST_PARTS: usize = 4;

/// Made by `tests/golden/make_vad.py`.
#[cfg(feature = "vad")]
const WEIGHTS: &[u8] = include_bytes!("../../assets/silero_vad.safetensors");

/// Three neighbours in time to one; silence beyond the ends.
#[derive(Debug)]
struct Convolution {
    /// (n_out, 3 · n_in)
    panels: Panels,
    stride: usize,
}

/// The network, and what it remembers of the samples so far.
#[derive(Debug, Clone)]
pub struct Vad {
    ears: Arc<Ears>,
    context: Vec<f32>,
    memory: Memory,
}

/// What says of the audio alone.
#[derive(Debug)]
struct Ears {
    /// Cosines, then sines. (2 · n_magnitudes, n_fft)
    stft: Panels,
    convolutions: Vec<Convolution>,
    /// From a chunk's features to the four gates. (4 · n_state, n_state)
    input: Panels,
}

/// The LSTM.
#[derive(Debug, Clone)]
struct Memory {
    /// From the state to the four gates. (4 · n_state, n_state)
    recurrent: Arc<Dots>,
    /// (n_state) and one
    last: (Vec<f32>, f32),
    hidden: Vec<f32>,
    cell: Vec<f32>,
    /// (4 · n_state)
    sums: Vec<f32>,
}

/// What the audio alone says to the gates, for some chunks one after the other. (n, 4 · n_state)
pub(super) type Gates = Vec<f32>;

impl Vad {
    /// With the weights of the crate.
    ///
    /// # Errors
    /// If it was built without the feature `vad`.
    pub fn bundled() -> Result<Self> {
        #[cfg(feature = "vad")]
        return Self::new(WEIGHTS);
        #[cfg(not(feature = "vad"))]
        Err(Error::Options(
            "`vad`: this build has no weights of Silero VAD: give some by `Transcriber::with_vad`".into(),
        ))
    }

    /// With these weights, safetensors with the names that `tests/golden/make_vad.py` gives them.
    ///
    /// # Errors
    /// If they are none, or do not fit.
    pub fn new(weights: &[u8]) -> Result<Self> {
        Self::load(weights)
            .map_err(|error| Error::Weights(format!("these are no weights of Silero VAD ({error})")))
    }

    fn load(weights: &[u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(weights).map_err(candle_core::Error::wrap)?;
        let get = |shape: &[usize], name: &str| -> Result<Tensor> {
            let found = file.tensor(name).map_err(candle_core::Error::wrap)?;
            if found.dtype() != Dtype::F32 || found.shape() != shape {
                return Err(Error::Weights(format!(
                    "`{name}` is {:?} of {:?}",
                    found.shape(),
                    found.dtype()
                )));
            }
            Ok(Tensor::from_raw_buffer(found.data(), DType::F32, shape, &Device::Cpu)?)
        };
        let floats = |shape: &[usize], name: &str| -> Result<Vec<f32>> {
            Ok(get(shape, name)?.flatten_all()?.to_vec1()?)
        };
        let panels = |weight: &Tensor, bias: &[f32]| -> Result<Panels> {
            let (_, k) = weight.dims2()?;
            Ok(Panels::new(k, &[Part::of(weight)?], bias, Products::Floats)?)
        };
        let convolution = |name: &str, n_in, n_out, stride| -> Result<Convolution> {
            let weight = get(&[n_out, n_in, KERNEL], &format!("{name}.weight"))?.transpose(1, 2)?;
            let weight = weight.contiguous()?.reshape((n_out, KERNEL * n_in))?;
            Ok(Convolution { panels: panels(&weight, &floats(&[n_out], &format!("{name}.bias"))?)?, stride })
        };
        let n_gates = 4 * N_STATE;
        let mut bias = floats(&[n_gates], "lstm_cell.bias_ih")?;
        bias.iter_mut().zip(floats(&[n_gates], "lstm_cell.bias_hh")?).for_each(|(a, b)| *a += b);
        let stft = get(&[2 * N_MAGNITUDES, 1, N_FFT], "stft_conv.weight")?.squeeze(1)?;
        let ears = Ears {
            stft: panels(&stft, &[])?,
            convolutions: vec![
                convolution("conv1", N_MAGNITUDES, 128, 1)?,
                convolution("conv2", 128, 64, 2)?,
                convolution("conv3", 64, 64, 2)?,
                convolution("conv4", 64, N_STATE, 1)?,
            ],
            input: panels(&get(&[n_gates, N_STATE], "lstm_cell.weight_ih")?, &bias)?,
        };
        let recurrent = floats(&[n_gates, N_STATE], "lstm_cell.weight_hh")?;
        let memory = Memory {
            recurrent: Arc::new(Dots::new(&recurrent, N_STATE)),
            last: (floats(&[1, N_STATE, 1], "final_conv.weight")?, floats(&[1], "final_conv.bias")?[0]),
            hidden: vec![0.0; N_STATE],
            cell: vec![0.0; N_STATE],
            sums: vec![0.0; n_gates],
        };
        Ok(Self { ears: Arc::new(ears), context: vec![0.0; CONTEXT], memory })
    }

    /// The probability of speech in each of the next chunks; a last one that is not whole is filled with silence, and
    /// ends the recording. (n) -> (⌈n / 512⌉)
    ///
    /// # Errors
    /// None in practice.
    pub fn probabilities(&mut self, samples: &[f32]) -> Result<Vec<f32>> {
        let mut all = Vec::with_capacity(samples.len().div_ceil(CHUNK));
        let mut before = Vec::new();
        for some in samples.chunks(rayon::current_num_threads() * AT_ONCE * CHUNK) {
            before = self.go_on(before, some, &mut |probability| all.push(probability));
        }
        self.go_on(before, &[], &mut |probability| all.push(probability));
        Ok(all)
    }

    /// Tells the probabilities that follow from `gates`, while other threads hear the samples after them: those of whole chunks, but
    /// for the recording's last. -> the gates of these
    pub(super) fn go_on(
        &mut self,
        gates: Vec<Gates>,
        samples: &[f32],
        told: &mut (dyn FnMut(f32) + Send),
    ) -> Vec<Gates> {
        let Self { ears, context, memory } = self;
        // What the audio alone says needs nothing of what came before but a few samples, so threads share it.
        let parts: Vec<_> = samples.chunks(AT_ONCE * CHUNK).map(|part| with_context(context, part)).collect();
        let remember = || gates.iter().for_each(|gates| memory.steps(gates, told));
        let hear = || parts.par_iter().map(|part| ears.gates(part)).collect();
        rayon::join(remember, hear).1
    }
}

impl Ears {
    /// What the audio alone says to the gates. chunks: (n) of `HEARD` samples -> (n, 4 · n_state)
    fn gates(&self, chunks: &[f32]) -> Gates {
        let n_rows = chunks.len() / HEARD * N_FRAMES;
        let mut rows = Vec::with_capacity(n_rows * N_FFT);
        for chunk in chunks.chunks_exact(HEARD) {
            chunk.windows(N_FFT).step_by(STRIDE).for_each(|frame| rows.extend_from_slice(frame));
        }
        let both = self.stft.of_rows(&rows);
        let (mut x, mut t) = (vec![0.0; n_rows * N_MAGNITUDES], N_FRAMES);
        for (row, both) in x.chunks_exact_mut(N_MAGNITUDES).zip(both.chunks_exact(2 * N_MAGNITUDES)) {
            let (cosines, sines) = both.split_at(N_MAGNITUDES);
            for ((x, c), s) in row.iter_mut().zip(cosines).zip(sines) {
                *x = (c * c + s * s).sqrt();
            }
        }
        for convolution in &self.convolutions {
            x = convolution.forward_relu(&x, t);
            t = t.div_ceil(convolution.stride);
        }
        self.input.of_rows(&x)
    }
}

impl Memory {
    /// Tells the probability of each chunk.
    fn steps(&mut self, gates: &[f32], told: &mut dyn FnMut(f32)) {
        gates.chunks_exact(4 * N_STATE).for_each(|gates| told(self.step(gates)));
    }

    /// One step. gates: (4 · n_state), those of input, forgetting, the new value and output
    fn step(&mut self, gates: &[f32]) -> f32 {
        self.recurrent.of(&self.hidden, &mut self.sums);
        self.sums.iter_mut().zip(gates).for_each(|(sum, gate)| *sum += gate);
        lstm(&self.sums, &mut self.cell, &mut self.hidden);
        let last = self.hidden.iter().zip(&self.last.0).map(|(h, w)| h.max(0.0) * w).sum::<f32>();
        sigmoid(last + self.last.1)
    }
}

impl Convolution {
    /// x: (n, t, n_in) -> (n, ⌈t / stride⌉, n_out)
    fn forward_relu(&self, x: &[f32], t: usize) -> Vec<f32> {
        let n_in = self.panels.dims().1 / KERNEL;
        let mut rows = Vec::with_capacity(x.len().div_ceil(self.stride) * KERNEL);
        for chunk in x.chunks_exact(t * n_in) {
            for at in (0..t).step_by(self.stride) {
                for frame in (at..at + KERNEL).map(|neighbour| neighbour.checked_sub(1)) {
                    match frame.and_then(|frame| chunk.get(frame * n_in..(frame + 1) * n_in)) {
                        Some(frame) => rows.extend_from_slice(frame),
                        None => rows.resize(rows.len() + n_in, 0.0),
                    }
                }
            }
        }
        let mut y = self.panels.of_rows(&rows);
        y.iter_mut().for_each(|y| *y = y.max(0.0));
        y
    }
}

/// Each chunk with the samples that are heard with it; `before` are those before the first, then those before what comes next.
/// (n) -> (⌈n / 512⌉) of `HEARD` samples
fn with_context(before: &mut [f32], samples: &[f32]) -> Vec<f32> {
    let mut heard = Vec::with_capacity(samples.len().div_ceil(CHUNK) * HEARD);
    for chunk in samples.chunks(CHUNK) {
        let start = heard.len();
        heard.extend_from_slice(before);
        heard.extend_from_slice(chunk);
        heard.resize(start + CONTEXT + CHUNK, 0.0);
        before.copy_from_slice(&heard[start + CHUNK..]);
        let end = heard.len() - 1;
        heard.extend_from_within(end - MIRRORED..end);
        heard[end + 1..].reverse();
    }
    heard
}
