//! The audio encoder: two convolutions, then layers of self-attention.

use candle_core::Tensor;
use candle_nn::{Conv1d, Conv1dConfig, LayerNorm, Module};

use super::{Mlp, norm};
use crate::attention::SelfAttention;
use crate::dims::ModelDimensions;
use crate::error::{Error, Result};
use crate::kernels::{self, on_device};
use crate::weights::Weights;

/// From mel spectrogram to audio features.
#[derive(Debug)]
pub struct AudioEncoder {
    conv1: Convolution,
    conv2: Convolution,
    positional_embedding: Tensor,
    layers: Vec<EncoderLayer>,
    ln_post: LayerNorm,
}

/// A convolution over time.
#[derive(Debug)]
enum Convolution {
    /// On a CPU.
    Kernel(kernels::Convolution),
    /// Of candle.
    Device(Conv1d),
}

impl Convolution {
    /// x: (n_audio, t, n_in) -> (n_audio, ⌈t / stride⌉, n_out)
    fn forward_gelu(&self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Kernel(kernel) => kernel.forward_gelu(x)?,
            Self::Device(conv) => {
                on_device(|| conv.forward(&x.transpose(1, 2)?.contiguous()?)?.gelu_erf()?.transpose(1, 2))?
            }
        })
    }
}

#[derive(Debug)]
struct EncoderLayer {
    attn: SelfAttention,
    attn_ln: LayerNorm,
    mlp: Mlp,
}

impl AudioEncoder {
    /// Loads an encoder of these sizes.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(dims: &ModelDimensions, w: &Weights) -> Result<Self> {
        let (n, w) = (dims.n_state, &w.of_many_rows());
        let conv = |n_in: usize, stride: usize, name: &str| -> Result<Convolution> {
            let weight = w.pp(name).tensor(&[n, n_in, 3], "weight")?;
            let bias = w.pp(name).tensor(&[n], "bias")?;
            if let Some(kernel) = kernels::Convolution::new(&weight, &bias, stride)? {
                return Ok(Convolution::Kernel(kernel));
            }
            let config = Conv1dConfig { padding: 1, stride, ..Default::default() };
            Ok(Convolution::Device(Conv1d::new(weight, Some(bias), config)))
        };
        let (conv1, conv2) = (conv(dims.n_mels, 1, "conv1")?, conv(n, 2, "conv2")?);
        let layers = (0..dims.n_audio_layer)
            .map(|i| {
                let w = w.pp("layers").pp(i);
                Ok(EncoderLayer {
                    attn: SelfAttention::load(n, dims.n_audio_head, &w.pp("self_attn"))?,
                    attn_ln: w.layer_norm(n, "self_attn_layer_norm")?,
                    mlp: Mlp::load(n, &w)?,
                })
            })
            .collect::<Result<_>>()?;
        let positional_embedding = audio_positions(dims, w)?;
        Ok(Self { conv1, conv2, positional_embedding, layers, ln_post: w.layer_norm(n, "layer_norm")? })
    }

    /// mel: (n_audio, n_mels, n_frames), at most N_FRAMES -> (n_audio, ⌈n_frames / 2⌉, n_state); of N_FRAMES, n_audio_ctx
    ///
    /// # Errors
    /// If the shape does not fit or the device fails.
    pub fn forward(&self, mel: &Tensor) -> Result<Tensor> {
        let mut x = self.stem(mel)?;
        for layer in &self.layers {
            x = layer.attn.forward(&norm(&layer.attn_ln, &x)?, x)?;
            x = layer.mlp.forward(x)?;
        }
        norm(&self.ln_post, &x)
    }

    /// What comes before the layers; apart, so that its steps are freed before them. mel, result: as in `forward`
    fn stem(&self, mel: &Tensor) -> Result<Tensor> {
        let x = mel.transpose(1, 2)?; // (n_audio, N_FRAMES, n_mels)
        let x = self.conv2.forward_gelu(&self.conv1.forward_gelu(&x)?)?.contiguous()?;
        let (_, n_ctx, n_state) = x.dims3()?;
        let (most, states) = self.positional_embedding.dims2()?;
        if n_ctx > most || n_state != states {
            return Err(Error::Config(format!(
                "the encoder has {most} positions of {states} states, the audio gave {n_ctx} of {n_state}"
            )));
        }
        Ok(kernels::add(&x, &self.positional_embedding.narrow(0, 0, n_ctx)?)?)
    }
}

/// The encoder's positions. w: the encoder's weights -> (n_audio_ctx, n_state)
///
/// # Errors
/// If the tensor has another shape.
pub fn audio_positions(dims: &ModelDimensions, w: &Weights) -> Result<Tensor> {
    // The table is always sinusoids, so files may leave it out.
    if w.contains("embed_positions.weight") {
        return w.tensor(&[dims.n_audio_ctx, dims.n_state], "embed_positions.weight");
    }
    Ok(kernels::cast(&sinusoids(dims.n_audio_ctx, dims.n_state)?, w.dtype())?.to_device(w.device())?)
}

/// Sines, then cosines, of positions over wavelengths from 2π to 10000 · 2π. -> (length, channels)
fn sinusoids(length: usize, channels: usize) -> Result<Tensor> {
    let half = channels / 2;
    let step = 10_000f64.ln() / (half - 1) as f64;
    let rates: Vec<f64> = (0..half).map(|i| (-step * i as f64).exp()).collect();
    let values: Vec<f32> = (0..length)
        .flat_map(|t| {
            let angles = rates.iter().map(move |rate| t as f64 * rate);
            angles.clone().map(f64::sin).chain(angles.map(f64::cos)).map(|x| x as f32)
        })
        .collect();
    Ok(Tensor::from_vec(values, (length, channels), &candle_core::Device::Cpu)?)
}
