//! A network around another one, of which only what differs is written.

use candle_core::{Device, Tensor};
use candle_whisper_core::Result;
use candle_whisper_core::decoding::choice::{Chosen, Question};
use candle_whisper_core::dims::{Head, ModelDimensions};
use candle_whisper_core::kv_cache::KvCache;
use candle_whisper_core::model::{AudioFeatures, Model};

/// What it does otherwise than the one inside; [`Around`] does the rest.
pub trait Differs: Send + Sync {
    /// The one inside.
    fn inner(&self) -> &dyn Model;

    /// As the network's, like all below.
    fn encode(&self, mel: &Tensor) -> Result<AudioFeatures> {
        self.inner().encode(mel)
    }

    fn encodes_beside(&self) -> bool {
        self.inner().encodes_beside()
    }

    fn encode_beside(&self, mel: &Tensor) -> Result<AudioFeatures> {
        self.inner().encode_beside(mel)
    }

    fn decode(&self, tokens: &Tensor, xa: &AudioFeatures, cache: &mut KvCache) -> Result<Tensor> {
        self.inner().decode(tokens, xa, cache)
    }

    fn choose(&self, hidden: &Tensor, question: &Question<'_>) -> Result<Option<Vec<Chosen>>> {
        self.inner().choose(hidden, question)
    }
}

/// The network.
pub struct Around<T>(pub T);

impl<T: Differs> Model for Around<T> {
    fn dims(&self) -> &ModelDimensions {
        self.0.inner().dims()
    }

    fn device(&self) -> &Device {
        self.0.inner().device()
    }

    fn alignment_heads(&self) -> &[Head] {
        self.0.inner().alignment_heads()
    }

    fn encode(&self, mel: &Tensor) -> Result<AudioFeatures> {
        self.0.encode(mel)
    }

    fn encodes_beside(&self) -> bool {
        self.0.encodes_beside()
    }

    fn encode_beside(&self, mel: &Tensor) -> Result<AudioFeatures> {
        self.0.encode_beside(mel)
    }

    fn is_approximate(&self) -> bool {
        self.0.inner().is_approximate()
    }

    fn new_cache(&self, n_batch: usize, capacity: usize) -> Result<KvCache> {
        self.0.inner().new_cache(n_batch, capacity)
    }

    fn decode(&self, tokens: &Tensor, xa: &AudioFeatures, cache: &mut KvCache) -> Result<Tensor> {
        self.0.decode(tokens, xa, cache)
    }

    fn project(&self, hidden: &Tensor) -> Result<Tensor> {
        self.0.inner().project(hidden)
    }

    fn choose(&self, hidden: &Tensor, question: &Question<'_>) -> Result<Option<Vec<Chosen>>> {
        self.0.choose(hidden, question)
    }

    fn cross_attention(
        &self,
        tokens: &Tensor,
        xa: &AudioFeatures,
        heads: &[Head],
    ) -> Result<(Tensor, Vec<Tensor>)> {
        self.0.inner().cross_attention(tokens, xa, heads)
    }
}
