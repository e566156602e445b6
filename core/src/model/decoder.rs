//! The text decoder: layers of attention to the text so far and to the audio.

use candle_core::{DType, Tensor};
use candle_nn::LayerNorm;

use super::{AudioFeatures, Mlp, norm};
use crate::attention::{CrossAttention, SelfAttention};
use crate::dims::ModelDimensions;
use crate::error::Result;
use crate::kernels::{self, on_device};
use crate::kv_cache::KvCache;
use crate::linear::Linear;
use crate::weights::Weights;

/// Told each layer's number, its cross-attention and that attention's input.
pub(super) type CrossVisitor<'a> = dyn FnMut(usize, &CrossAttention, &Tensor) -> Result<()> + 'a;

#[derive(Debug)]
pub(super) struct TextDecoder {
    /// From tokens to states, and from states to logits.
    pub(super) token_embedding: Linear,
    positional_embedding: Tensor,
    pub(super) layers: Vec<DecoderLayer>,
    ln: LayerNorm,
    dtype: DType,
}

impl TextDecoder {
    pub(super) fn load(dims: &ModelDimensions, w: &Weights) -> Result<Self> {
        let n = dims.n_state;
        Ok(Self {
            token_embedding: w.embedding(dims.n_vocab, n, "embed_tokens")?,
            positional_embedding: w.tensor(&[dims.n_text_ctx, n], "embed_positions.weight")?,
            layers: (0..dims.n_text_layer)
                .map(|i| DecoderLayer::load(dims, &w.pp("layers").pp(i)))
                .collect::<Result<_>>()?,
            ln: w.layer_norm(n, "layer_norm")?,
            dtype: w.dtype(),
        })
    }

    /// The embedding of the next `n_new` positions of each row. -> (n_new, n_state), or (n_batch, 1, n_state)
    fn positions(&self, cache: &KvCache, n_new: usize) -> Result<Tensor> {
        if let Some(position) = cache.common_len() {
            return Ok(self.positional_embedding.narrow(0, position, n_new)?);
        }
        let row = |&len: &usize| self.positional_embedding.narrow(0, len, 1);
        if self.positional_embedding.device().is_cpu() {
            let rows = cache.lens().iter().map(row).collect::<candle_core::Result<Vec<_>>>()?;
            return Ok(Tensor::cat(&rows, 0)?.unsqueeze(1)?);
        }
        // All rows at once: each copy of its own is a kernel to be started.
        let at: Vec<u32> = cache.lens().iter().map(|&len| len as u32).collect();
        let at = Tensor::new(at, self.positional_embedding.device())?;
        Ok(on_device(|| self.positional_embedding.index_select(&at, 0)?.unsqueeze(1))?)
    }

    /// tokens: (n_batch, n_new) -> (n_batch, n_new, n_state)
    pub(super) fn forward(
        &self,
        tokens: &Tensor,
        xa: &AudioFeatures,
        cache: &mut KvCache,
        visit: &mut CrossVisitor<'_>,
    ) -> Result<Tensor> {
        let (n_batch, n_new) = tokens.dims2()?;
        let tokens = tokens.flatten_all()?.to_device(self.positional_embedding.device())?;
        let embedded = kernels::cast(&self.token_embedding.rows(&tokens)?, self.dtype)?;
        let mut x = kernels::add(&embedded.reshape((n_batch, n_new, ()))?, &self.positions(cache, n_new)?)?;
        for (i, layer) in self.layers.iter().enumerate() {
            let y = norm(&layer.attn_ln, &x)?;
            x = layer.attn.forward_causal(&y, x, cache.layer(i), cache.lens())?;
            let y = norm(&layer.cross_attn_ln, &x)?;
            visit(i, &layer.cross_attn, &y)?;
            x = layer.cross_attn.forward(&y, x, &xa.layer(i)?)?;
            x = layer.mlp.forward(x)?;
        }
        cache.advance(n_new);
        Ok(kernels::cast(&norm(&self.ln, &x)?, self.dtype)?)
    }
}

#[derive(Debug)]
pub(super) struct DecoderLayer {
    attn: SelfAttention,
    attn_ln: LayerNorm,
    pub(super) cross_attn: CrossAttention,
    cross_attn_ln: LayerNorm,
    mlp: Mlp,
}

impl DecoderLayer {
    fn load(dims: &ModelDimensions, w: &Weights) -> Result<Self> {
        let (n, n_head) = (dims.n_state, dims.n_text_head);
        Ok(Self {
            attn: SelfAttention::load(n, n_head, &w.pp("self_attn"))?,
            attn_ln: w.layer_norm(n, "self_attn_layer_norm")?,
            cross_attn: CrossAttention::load(n, n_head, &w.pp("encoder_attn"))?,
            cross_attn_ln: w.layer_norm(n, "encoder_attn_layer_norm")?,
            mlp: Mlp::load(n, w)?,
        })
    }
}
