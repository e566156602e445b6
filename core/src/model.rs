//! The network of "Robust Speech Recognition via Large-Scale Weak Supervision": an audio encoder and a text
//! decoder. Immutable after loading; what changes while decoding is the caller's.

use std::sync::Arc;

use candle_core::{D, DType, Device, Module, Tensor};
use candle_nn::LayerNorm;

use crate::attention::{CrossKeyValue, Keep};
use crate::decoding::choice::{Chosen, Question};
use crate::dims::{Head, ModelDimensions};
use crate::error::{Error, Result};
use crate::kernels::{self, on_device};
use crate::kv_cache::KvCache;
use crate::linear::Linear;
use crate::weights::{Matrices, Weights};

mod decoder;
mod encoder;

/// Of layer norms.
pub(crate) const EPSILON: f64 = 1e-5;

use decoder::TextDecoder;
pub use encoder::{AudioEncoder, audio_positions};

/// What decoding asks of a Whisper network.
pub trait Model: Send + Sync {
    /// The network's sizes.
    fn dims(&self) -> &ModelDimensions;

    /// Where the network computes.
    fn device(&self) -> &Device;

    /// The heads whose attention follows the audio.
    fn alignment_heads(&self) -> &[Head];

    /// mel: (n_audio, n_mels, N_FRAMES) -> (n_audio, n_audio_ctx, n_state), with what decoding derives from it. Fewer frames give
    /// as many fewer positions, in less time: for those who can't wait, as the network was trained on N_FRAMES
    ///
    /// # Errors
    /// If the shapes do not fit or the device fails.
    fn encode(&self, mel: &Tensor) -> Result<AudioFeatures>;

    /// Whether it computes with small integers instead of the numbers of its file. Then, unless told otherwise, the encoder hears of a
    /// window no more than its sound ([`AudioContext::Auto`](crate::options::AudioContext)).
    fn is_approximate(&self) -> bool {
        false
    }

    /// Whether windows can be encoded while others are decoded, in less time than one after the other.
    fn encodes_beside(&self) -> bool {
        false
    }

    /// As [`Self::encode`], but what is decoded until these windows are asked for does not wait for them.
    ///
    /// # Errors
    /// As there.
    fn encode_beside(&self, mel: &Tensor) -> Result<AudioFeatures> {
        self.encode(mel)
    }

    /// An empty cache for `n_batch` rows of up to `capacity` tokens.
    ///
    /// # Errors
    /// If the device has no memory for it.
    fn new_cache(&self, n_batch: usize, capacity: usize) -> Result<KvCache>;

    /// tokens: (n_batch, n_new), placed after what is in `cache`; n_batch a multiple of n_audio. Rows of different lengths are
    /// given one token each
    /// -> hidden states, (n_batch, n_new, n_state)
    ///
    /// # Errors
    /// If the shapes do not fit, the cache is full, rows of different lengths are given several tokens, or the device fails.
    fn decode(&self, tokens: &Tensor, xa: &AudioFeatures, cache: &mut KvCache) -> Result<Tensor>;

    /// hidden: (n_rows, n_state) -> f32 logits, (n_rows, n_vocab)
    ///
    /// # Errors
    /// If the shapes do not fit or the device fails.
    fn project(&self, hidden: &Tensor) -> Result<Tensor>;

    /// The numbers of [`Self::project`], row after row.
    ///
    /// # Errors
    /// As there.
    fn logits(&self, hidden: &Tensor) -> Result<Vec<f32>> {
        Ok(self.project(hidden)?.flatten_all()?.to_vec1()?)
    }

    /// The next tokens of some rows, for a model that chooses them where its logits are; `None` if it doesn't, or not by such
    /// rules. hidden: (n_rows, n_state)
    ///
    /// # Errors
    /// If the shapes do not fit or the device fails.
    fn choose(&self, _hidden: &Tensor, _question: &Question<'_>) -> Result<Option<Vec<Chosen>>> {
        Ok(None)
    }

    /// Runs whole sequences and gives, beside the hidden states, the cross-attention scores of `heads` before
    /// the softmax. tokens: (n_batch, n_tokens)
    /// -> (n_batch, n_tokens, n_state), and per head (n_batch, n_tokens, n_audio_ctx) in f32
    ///
    /// # Errors
    /// If the shapes do not fit or the device fails.
    fn cross_attention(
        &self,
        tokens: &Tensor,
        xa: &AudioFeatures,
        heads: &[Head],
    ) -> Result<(Tensor, Vec<Tensor>)>;
}

/// Encoded audio: pieces of it, each a window. To select, drop or add some copies none of them.
#[derive(Debug, Clone, Default)]
pub struct AudioFeatures {
    pieces: Vec<Arc<Piece>>,
}

/// One window as the encoder gives it, and each decoder layer's keys and values of it.
#[derive(Debug, Clone)]
pub struct Piece {
    xa: Tensor,
    layers: Vec<CrossKeyValue>,
}

impl Piece {
    /// xa: (1, n_audio_ctx, n_state); `layers` may be empty for a [`Model`] that needs none.
    pub fn new(xa: Tensor, layers: Vec<CrossKeyValue>) -> Self {
        Self { xa, layers }
    }

    /// The encoder's output. (1, n_audio_ctx, n_state)
    pub fn tensor(&self) -> &Tensor {
        &self.xa
    }

    /// By decoder layer.
    pub fn layers(&self) -> &[CrossKeyValue] {
        &self.layers
    }
}

impl AudioFeatures {
    /// Features without keys and values, for a [`Model`] that needs none. xa: (n_audio, n_audio_ctx, n_state)
    ///
    /// # Errors
    /// If it has no such shape.
    pub fn new(xa: &Tensor) -> Result<Self> {
        Self::of_batch(xa, Vec::new())
    }

    /// What was encoded at once, piece by piece. xa: (n_audio, n_audio_ctx, n_state); `layers` have `n_audio` each
    ///
    /// # Errors
    /// If it has no such shape.
    pub fn of_batch(xa: &Tensor, layers: Vec<Vec<CrossKeyValue>>) -> Result<Self> {
        let mut layers: Vec<_> = layers.into_iter().map(Vec::into_iter).collect();
        let piece = |i: usize| {
            let layers = layers.iter_mut().filter_map(Iterator::next).collect();
            Ok(Arc::new(Piece::new(xa.narrow(0, i, 1)?, layers)))
        };
        Ok(Self { pieces: (0..xa.dim(0)?).map(piece).collect::<Result<_>>()? })
    }

    /// The pieces, in this order.
    pub fn pieces(&self) -> &[Arc<Piece>] {
        &self.pieces
    }

    /// The encoder's output, copied if there are several pieces. -> (n_audio, n_audio_ctx, n_state)
    ///
    /// # Errors
    /// If there are no pieces, they are not of one size, or the device fails.
    pub fn tensor(&self) -> Result<Tensor> {
        let parts: Vec<&Tensor> = self.pieces.iter().map(|piece| &piece.xa).collect();
        Ok(Tensor::cat(&parts, 0)?)
    }

    /// Some pieces of audio, in this order, each as often as it is named.
    ///
    /// # Errors
    /// If there is no such piece.
    pub fn select(&self, which: &[usize]) -> Result<Self> {
        let piece = |&i: &usize| {
            let missing =
                || Error::Options(format!("{} pieces of audio, none is number {i}", self.n_audio()));
            self.pieces.get(i).cloned().ok_or_else(missing)
        };
        Ok(Self { pieces: which.iter().map(piece).collect::<Result<_>>()? })
    }

    /// Pieces of audio.
    pub fn n_audio(&self) -> usize {
        self.pieces.len()
    }

    /// Keys and values of a decoder layer, by piece.
    fn layer(&self, index: usize) -> Result<Vec<&CrossKeyValue>> {
        let missing = || Error::Options(format!("audio that was encoded without decoder layer {index}"));
        self.pieces.iter().map(|piece| piece.layers.get(index).ok_or_else(missing)).collect()
    }
}

impl From<Vec<Arc<Piece>>> for AudioFeatures {
    fn from(pieces: Vec<Arc<Piece>>) -> Self {
        Self { pieces }
    }
}

impl Extend<Arc<Piece>> for AudioFeatures {
    fn extend<T: IntoIterator<Item = Arc<Piece>>>(&mut self, pieces: T) {
        self.pieces.extend(pieces);
    }
}

/// A Whisper network.
#[derive(Debug)]
pub struct Whisper {
    dims: ModelDimensions,
    alignment_heads: Vec<Head>,
    encoder: AudioEncoder,
    decoder: TextDecoder,
    dtype: DType,
    /// What keys and values of audio are: every token reads all of them.
    kept: Keep,
    device: Device,
}

impl Whisper {
    /// Loads the network of these sizes from a checkpoint with Hugging Face's names.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(dims: ModelDimensions, alignment_heads: Vec<Head>, weights: &Weights) -> Result<Self> {
        let root = if weights.contains("model.encoder.conv1.weight") {
            weights.pp("model")
        } else {
            weights.clone()
        };
        Ok(Self {
            encoder: AudioEncoder::load(&dims, &root.pp("encoder"))?,
            decoder: TextDecoder::load(&dims, &root.pp("decoder"))?,
            dims,
            alignment_heads,
            dtype: weights.dtype(),
            // As coarse as the matrices of eight bits that they are beside.
            kept: match weights.matrices() {
                Matrices::Blocks if weights.device().is_cpu() => Keep::Integers,
                _ => Keep::Floats(weights.dtype()),
            },
            device: weights.device().clone(),
        })
    }
}

impl Model for Whisper {
    fn dims(&self) -> &ModelDimensions {
        &self.dims
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn alignment_heads(&self) -> &[Head] {
        &self.alignment_heads
    }

    fn is_approximate(&self) -> bool {
        self.kept == Keep::Integers
    }

    fn encode(&self, mel: &Tensor) -> Result<AudioFeatures> {
        let mel = kernels::cast(&mel.to_device(&self.device)?, self.dtype)?;
        let encode = |mel: &Tensor| {
            let xa = self.encoder.forward(mel)?;
            let layers = self.decoder.layers.iter().map(|layer| layer.cross_attn.key_value(&xa, self.kept));
            AudioFeatures::of_batch(&xa, layers.collect::<candle_core::Result<_>>()?)
        };
        if !self.device.is_cpu() {
            return encode(&mel);
        }
        // One window after the other: on a CPU as fast as all at once, with the memory of one.
        let mut all = AudioFeatures::default();
        for i in 0..mel.dim(0)? {
            all.extend(encode(&mel.narrow(0, i, 1)?)?.pieces);
        }
        Ok(all)
    }

    fn new_cache(&self, n_batch: usize, capacity: usize) -> Result<KvCache> {
        Ok(KvCache::new(&self.dims, n_batch, capacity, self.dtype, &self.device)?)
    }

    fn decode(&self, tokens: &Tensor, xa: &AudioFeatures, cache: &mut KvCache) -> Result<Tensor> {
        self.decoder.forward(tokens, xa, cache, &mut |_, _, _| Ok(()))
    }

    fn project(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(kernels::cast(&self.decoder.token_embedding.forward(hidden)?, DType::F32)?)
    }

    fn logits(&self, hidden: &Tensor) -> Result<Vec<f32>> {
        Ok(self.decoder.token_embedding.of_rows(hidden)?)
    }

    fn cross_attention(
        &self,
        tokens: &Tensor,
        xa: &AudioFeatures,
        heads: &[Head],
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let (n_batch, n_tokens) = tokens.dims2()?;
        let mut cache = self.new_cache(n_batch, n_tokens)?;
        let mut scores: Vec<Option<Tensor>> = vec![None; heads.len()];
        let hidden = self.decoder.forward(tokens, xa, &mut cache, &mut |index, attention, x| {
            for (score, &(_, head)) in scores.iter_mut().zip(heads).filter(|(_, (l, _))| *l == index) {
                *score = Some(attention.scores(x, &xa.layer(index)?, head)?);
            }
            Ok(())
        })?;
        Ok((hidden, scores.into_iter().flatten().collect()))
    }
}

/// The feed-forward part of a layer, four times as wide inside.
#[derive(Debug)]
struct Mlp {
    ln: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

impl Mlp {
    fn load(n_state: usize, w: &Weights) -> Result<Self> {
        Ok(Self {
            ln: w.layer_norm(n_state, "final_layer_norm")?,
            fc1: w.linear(n_state, 4 * n_state, true, "fc1")?,
            fc2: w.linear(4 * n_state, n_state, true, "fc2")?,
        })
    }

    /// x: (n_batch, n_ctx, n_state) -> the same
    fn forward(&self, x: Tensor) -> Result<Tensor> {
        let y = self.fc1.forward_gelu(&norm(&self.ln, &x)?)?;
        Ok(self.fc2.forward_add(&y, x)?)
    }
}

/// Layer norm in f32, whatever the network computes in. x: (…, n_state) -> the same
fn norm(ln: &LayerNorm, x: &Tensor) -> Result<Tensor> {
    debug_assert_eq!(x.dim(D::Minus1).ok(), ln.weight().dims().first().copied());
    match ln.bias() {
        Some(bias) if x.device().is_cpu() && x.dtype() == DType::F32 => {
            Ok(kernels::layer_norm(x, ln.weight(), bias, EPSILON as f32)?)
        }
        _ => Ok(on_device(|| ln.forward(&x.to_dtype(DType::F32)?)?.to_dtype(x.dtype()))?),
    }
}
