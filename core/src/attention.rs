//! Multi-head attention: over the sequence itself, and from text to audio.

use candle_core::{DType, Device, Result, Tensor};

use crate::error::Result as WhisperResult;
use crate::kernels;
use crate::kv_cache::LayerCache;
use crate::linear::Linear;
use crate::weights::Weights;

/// Self-attention, its three inputs projected at once.
#[derive(Debug, Clone)]
pub struct SelfAttention {
    qkv: Linear,
    out: Linear,
    n_head: usize,
}

impl SelfAttention {
    /// Loads a layer of width `n_state`.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(n_state: usize, n_head: usize, w: &Weights) -> WhisperResult<Self> {
        let n = n_state;
        let qkv = w.linears(n, &[("q_proj", n, true), ("k_proj", n, false), ("v_proj", n, true)])?;
        Ok(Self { qkv, out: w.linear(n, n, true, "out_proj")?, n_head })
    }

    /// Every position sees every other. What they see is added to `residual`.
    ///
    /// x, residual: (n_batch, n_ctx, n_state) -> the same
    ///
    /// # Errors
    /// If the device fails.
    pub fn forward(&self, x: &Tensor, residual: Tensor) -> Result<Tensor> {
        let (q, k, v) = self.project(x)?;
        self.out.forward_add(&kernels::attention(&q, &k, &v, self.n_head, false)?, residual)
    }

    /// Every position sees those in the cache, itself and those before it; keys and values are put in the cache
    /// at `position`. What they see is added to `residual`. x, residual: (n_batch, n_new, n_state) -> the same
    ///
    /// # Errors
    /// If the cache is full or the device fails.
    pub fn forward_causal(
        &self,
        x: &Tensor,
        residual: Tensor,
        cache: &LayerCache,
        position: usize,
    ) -> Result<Tensor> {
        let (q, k, v) = self.project(x)?;
        let (k, v) = cache.append(&k, &v, position)?;
        self.out.forward_add(&kernels::attention(&q, &k, &v, self.n_head, true)?, residual)
    }

    fn project(&self, x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        let qkv = self.qkv.forward(x)?;
        let n = qkv.dim(2)? / 3;
        Ok((qkv.narrow(2, 0, n)?, qkv.narrow(2, n, n)?, qkv.narrow(2, 2 * n, n)?))
    }
}

/// Attention from text to audio.
#[derive(Debug, Clone)]
pub struct CrossAttention {
    query: Linear,
    key_value: Linear,
    out: Linear,
    n_head: usize,
}

/// A layer's keys and values of encoded audio, each (n_audio, n_audio_ctx, n_state).
#[derive(Debug, Clone)]
pub struct CrossKeyValue {
    k: Tensor,
    v: Tensor,
}

impl CrossKeyValue {
    /// k, v: (n_audio, n_audio_ctx, n_state)
    pub fn new(k: Tensor, v: Tensor) -> Self {
        Self { k, v }
    }

    /// Keys and values.
    pub fn tensors(&self) -> (&Tensor, &Tensor) {
        (&self.k, &self.v)
    }

    /// Room for those of `n_audio` pieces of audio, in the memory of a CPU.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn zeros(n_audio: usize, n_audio_ctx: usize, n_state: usize, dtype: DType) -> Result<Self> {
        let zeros = || Tensor::zeros((n_audio, n_audio_ctx, n_state), dtype, &Device::Cpu);
        Ok(Self { k: zeros()?, v: zeros()? })
    }

    /// Puts those of one piece of audio where number `i` belongs.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn put(&self, one: &Self, i: usize) -> Result<()> {
        self.k.slice_set(&one.k, 0, i)?;
        self.v.slice_set(&one.v, 0, i)
    }

    /// The same numbers in another type.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn to_dtype(&self, dtype: DType) -> Result<Self> {
        Ok(Self { k: self.k.to_dtype(dtype)?, v: self.v.to_dtype(dtype)? })
    }

    /// Those of some pieces of audio, copied. audios: (n)
    ///
    /// # Errors
    /// If there is no such piece, or the device fails.
    pub fn select(&self, audios: &Tensor) -> Result<Self> {
        Ok(Self { k: self.k.index_select(audios, 0)?, v: self.v.index_select(audios, 0)? })
    }
}

impl CrossAttention {
    /// Loads a layer of width `n_state`.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(n_state: usize, n_head: usize, w: &Weights) -> WhisperResult<Self> {
        let n = n_state;
        Ok(Self {
            query: w.linear(n, n, true, "q_proj")?,
            key_value: w.linears(n, &[("k_proj", n, false), ("v_proj", n, true)])?,
            out: w.linear(n, n, true, "out_proj")?,
            n_head,
        })
    }

    /// Projects encoded audio once, for every token that will look at it. xa: (n_audio, n_audio_ctx, n_state)
    ///
    /// # Errors
    /// If the device fails.
    pub fn key_value(&self, xa: &Tensor) -> Result<CrossKeyValue> {
        let both = self.key_value.forward(xa)?;
        let n = both.dim(2)? / 2;
        Ok(CrossKeyValue { k: both.narrow(2, 0, n)?.contiguous()?, v: both.narrow(2, n, n)?.contiguous()? })
    }

    /// Rows are given audio by audio; those of one audio share its keys and values as if they were more queries.
    /// `audios` are the numbers of the pieces of audio, all of them if not given.
    ///
    /// What they see is added to `residual`. x, residual: (n_batch, n_new, n_state), n_batch a multiple of n_audio
    /// -> the same
    ///
    /// # Errors
    /// If the shapes do not fit or the device fails.
    pub fn forward(
        &self,
        x: &Tensor,
        residual: Tensor,
        audio: &CrossKeyValue,
        audios: Option<&[usize]>,
    ) -> Result<Tensor> {
        let dims = x.dims3()?;
        let q = group(self.query.forward(x)?, audios.map_or(audio.k.dim(0)?, <[usize]>::len))?;
        let y = kernels::attention_of(&q, &audio.k, &audio.v, self.n_head, false, audios)?;
        self.out.forward_add(&y.reshape(dims)?, residual)
    }

    /// Scaled scores of one head before the softmax, in f32.
    ///
    /// x: (n_batch, n_new, n_state) -> (n_batch, n_new, n_audio_ctx)
    ///
    /// # Errors
    /// If the shapes do not fit or the device fails.
    pub fn scores(
        &self,
        x: &Tensor,
        audio: &CrossKeyValue,
        audios: Option<&[usize]>,
        head: usize,
    ) -> Result<Tensor> {
        let (n_batch, n_new, n_state) = x.dims3()?;
        let d = n_state / self.n_head;
        let q = group(self.query.forward(x)?, audios.map_or(audio.k.dim(0)?, <[usize]>::len))?;
        let part = |t: &Tensor| t.narrow(2, head * d, d)?.contiguous()?.to_dtype(x.dtype());
        let q = (part(&q)? * (d as f64).powf(-0.5))?;
        let k = match audios {
            Some(audios) => {
                let of = |&i: &usize| part(&audio.k.narrow(0, i, 1)?);
                Tensor::cat(&audios.iter().map(of).collect::<Result<Vec<_>>>()?, 0)?
            }
            None => part(&audio.k)?,
        };
        let scores = q.matmul(&k.transpose(1, 2)?)?;
        scores.to_dtype(DType::F32)?.reshape((n_batch, n_new, ()))
    }
}

/// (n_batch, n_new, n_state) -> (n_audio, n_batch / n_audio * n_new, n_state)
fn group(q: Tensor, n_audio: usize) -> Result<Tensor> {
    let (_, _, n_state) = q.dims3()?;
    q.reshape((n_audio, (), n_state))
}
