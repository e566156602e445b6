//! A checkpoint's weights as the kernels take them: 16-bit matrices as they are, norms in f32, convolutions as matrices.

use candle_core::{DType, Result, Tensor};
use candle_whisper_core::Error;
use candle_whisper_core::dims::ModelDimensions;
use candle_whisper_core::weights::Weights;

type Loaded<T> = std::result::Result<T, Error>;

/// Weight (n_out, n_in) and bias (n_out).
#[derive(Debug)]
pub struct Layer {
    /// (n_out, n_in)
    pub weight: Tensor,
    /// (n_out)
    pub bias: Tensor,
}

/// Weight and bias of a layer norm, in f32, each (n_state).
pub type Norm = Layer;

/// Queries, keys and values in one matrix, and what follows.
#[derive(Debug)]
pub struct Attention {
    /// (3 · n_state, n_state); the keys have a bias of zeros.
    pub qkv: Layer,
    /// (n_state, n_state)
    pub out: Layer,
    /// Before them.
    pub norm: Norm,
}

/// The feed-forward part of a layer.
#[derive(Debug)]
pub struct Mlp {
    /// Before it.
    pub norm: Norm,
    /// (4 · n_state, n_state)
    pub fc1: Layer,
    /// (n_state, 4 · n_state)
    pub fc2: Layer,
}

/// A layer of the decoder's look at the audio.
#[derive(Debug)]
pub struct Cross {
    /// Before it.
    pub norm: Norm,
    /// (n_state, n_state)
    pub query: Layer,
    /// (n_state, n_state), without a bias
    pub key: Tensor,
    /// (n_state, n_state); its bias is added after the attention.
    pub value: Layer,
    /// (n_state, n_state)
    pub out: Layer,
}

/// A layer of the encoder, or with `cross` one of the decoder.
#[derive(Debug)]
pub struct Block {
    /// Attention among positions.
    pub attn: Attention,
    /// Attention to the audio.
    pub cross: Option<Cross>,
    /// What follows.
    pub mlp: Mlp,
}

/// All of a network.
#[derive(Debug)]
pub struct Network {
    /// (n_state, 3 · n_mels)
    pub conv1: Layer,
    /// (n_state, 3 · n_state)
    pub conv2: Layer,
    /// (n_audio_ctx, n_state)
    pub audio_positions: Tensor,
    /// Layers of the encoder.
    pub encoder: Vec<Block>,
    /// After them.
    pub encoder_norm: Norm,
    /// (n_vocab, n_state)
    pub tokens: Tensor,
    /// (n_text_ctx, n_state)
    pub text_positions: Tensor,
    /// Layers of the decoder.
    pub decoder: Vec<Block>,
    /// After them.
    pub decoder_norm: Norm,
}

impl Network {
    /// Loads a network of these sizes.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(dims: &ModelDimensions, weights: &Weights) -> Loaded<Self> {
        let root = if weights.contains("model.encoder.conv1.weight") {
            weights.pp("model")
        } else {
            weights.clone()
        };
        let (e, d, n) = (root.pp("encoder"), root.pp("decoder"), dims.n_state);
        let blocks = |w: &Weights, layers: usize, cross: bool| -> Loaded<Vec<Block>> {
            (0..layers).map(|i| Block::load(n, &w.pp("layers").pp(i), cross)).collect()
        };
        Ok(Self {
            conv1: convolution(n, dims.n_mels, &e.pp("conv1"))?,
            conv2: convolution(n, n, &e.pp("conv2"))?,
            audio_positions: candle_whisper_core::model::audio_positions(dims, &e)?,
            encoder: blocks(&e, dims.n_audio_layer, false)?,
            encoder_norm: norm(n, &e.pp("layer_norm"))?,
            tokens: d.tensor(&[dims.n_vocab, n], "embed_tokens.weight")?,
            text_positions: d.tensor(&[dims.n_text_ctx, n], "embed_positions.weight")?,
            decoder: blocks(&d, dims.n_text_layer, true)?,
            decoder_norm: norm(n, &d.pp("layer_norm"))?,
        })
    }
}

impl Block {
    fn load(n: usize, w: &Weights, cross: bool) -> Loaded<Self> {
        let own = w.pp("self_attn");
        let parts = ["q_proj", "k_proj", "v_proj"].map(|name| own.pp(name));
        let weights = parts.each_ref().map(|w| w.tensor(&[n, n], "weight"));
        let [q, k, v] = weights;
        let bias = |w: &Weights| w.tensor(&[n], "bias");
        let biases = [bias(&parts[0])?, Tensor::zeros(n, w.dtype(), w.device())?, bias(&parts[2])?];
        let qkv = Layer { weight: Tensor::cat(&[q?, k?, v?], 0)?, bias: Tensor::cat(&biases, 0)? };
        Ok(Self {
            attn: Attention {
                qkv,
                out: layer(n, n, &own.pp("out_proj"))?,
                norm: norm(n, &w.pp("self_attn_layer_norm"))?,
            },
            cross: cross.then(|| Cross::load(n, w)).transpose()?,
            mlp: Mlp {
                norm: norm(n, &w.pp("final_layer_norm"))?,
                fc1: layer(4 * n, n, &w.pp("fc1"))?,
                fc2: layer(n, 4 * n, &w.pp("fc2"))?,
            },
        })
    }
}

impl Cross {
    fn load(n: usize, w: &Weights) -> Loaded<Self> {
        let at = w.pp("encoder_attn");
        Ok(Self {
            norm: norm(n, &w.pp("encoder_attn_layer_norm"))?,
            query: layer(n, n, &at.pp("q_proj"))?,
            key: at.pp("k_proj").tensor(&[n, n], "weight")?,
            value: layer(n, n, &at.pp("v_proj"))?,
            out: layer(n, n, &at.pp("out_proj"))?,
        })
    }
}

fn layer(n_out: usize, n_in: usize, w: &Weights) -> Loaded<Layer> {
    Ok(Layer { weight: w.tensor(&[n_out, n_in], "weight")?, bias: w.tensor(&[n_out], "bias")? })
}

fn norm(n: usize, w: &Weights) -> Loaded<Norm> {
    let f32 = |name: &str| -> Loaded<Tensor> { Ok(w.tensor(&[n], name)?.to_dtype(DType::F32)?) };
    Ok(Norm { weight: f32("weight")?, bias: f32("bias")? })
}

/// (n_out, n_in, 3) -> (n_out, 3 · n_in), as the columns are
fn convolution(n_out: usize, n_in: usize, w: &Weights) -> Loaded<Layer> {
    let by_time = |weight: Tensor| -> Result<Tensor> {
        weight.permute((0, 2, 1))?.contiguous()?.reshape((n_out, 3 * n_in))
    };
    Ok(Layer { weight: by_time(w.tensor(&[n_out, n_in, 3], "weight")?)?, bias: w.tensor(&[n_out], "bias")? })
}
