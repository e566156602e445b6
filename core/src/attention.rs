//! Multi-head attention: over the sequence itself, and from text to audio.

use std::sync::Arc;

use candle_core::{D, DType, Result, Tensor};

use crate::error::Result as WhisperResult;
use crate::kernels::{self, IntegerHeads, Panels, Part, Products, Seen, on_device};
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
        let y = match self.out.is_of_integers() {
            true => kernels::rounded_attention(&q, &k, &v, self.n_head)?,
            false => kernels::attention(&q, &k, &v, self.n_head, false)?,
        };
        self.out.forward_add(&y, residual)
    }

    /// Every position sees those of its row in the cache, itself and those before it; keys and values are put in the cache
    /// after the `lens[i]` tokens of each row `i`. What they see is added to `residual`.
    /// x, residual: (n_batch, n_new, n_state) -> the same
    ///
    /// # Errors
    /// If the cache is full, rows of different lengths are given several tokens, or the device fails.
    pub fn forward_causal(
        &self,
        x: &Tensor,
        residual: Tensor,
        cache: &LayerCache,
        lens: &[usize],
    ) -> Result<Tensor> {
        let (q, k, v) = self.project(x)?;
        cache.append(&k, &v, lens)?;
        let seen = cache.seen(lens, x.dim(1)?);
        self.out.forward_add(&kernels::attention_of(&q, &seen, self.n_head, true)?, residual)
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

/// What keys and values of audio are kept as: every token reads all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Numbers of this type.
    Floats(DType),
    /// On a CPU integers of eight bits, 32 with a scale; in heads that are no whole blocks f16.
    Integers,
}

/// A layer's keys and values of one piece of encoded audio.
#[derive(Debug, Clone)]
pub struct CrossKeyValue(Audio);

#[derive(Debug, Clone)]
enum Audio {
    /// Number `index` of those that were encoded at once, heads side by side or, on a CPU, one behind the other: there each is read
    /// by itself.
    Floats {
        k: Tensor,
        v: Tensor,
        index: usize,
    },
    Integers(Arc<IntegerHeads>),
}

impl CrossKeyValue {
    /// Those of number `index`. k, v: (n_audio, n_audio_ctx, n_state)
    ///
    /// # Errors
    /// If the shapes differ, or there is no such number.
    pub fn new(k: Tensor, v: Tensor, index: usize) -> Result<Self> {
        let n_audio = k.dims3()?.0;
        if k.dims() != v.dims() || index >= n_audio {
            candle_core::bail!("keys {:?} and values {:?} of audio number {index}", k.shape(), v.shape());
        }
        Ok(Self(Audio::Floats { k, v, index }))
    }

    /// Keys: as they lie there, or the numbers that integers stand for. -> (1, n_audio_ctx, n_state)
    ///
    /// # Errors
    /// If the device fails.
    pub fn k(&self) -> Result<Tensor> {
        match &self.0 {
            Audio::Floats { k, index, .. } => side_by_side(&k.narrow(0, *index, 1)?),
            Audio::Integers(heads) => heads.k(),
        }
    }

    /// Values, as [`CrossKeyValue::k`]. -> (1, n_audio_ctx, n_state)
    ///
    /// # Errors
    /// If the device fails.
    pub fn v(&self) -> Result<Tensor> {
        match &self.0 {
            Audio::Floats { v, index, .. } => side_by_side(&v.narrow(0, *index, 1)?),
            Audio::Integers(heads) => heads.v(),
        }
    }

    /// Keys of one head. -> (1, n_audio_ctx, d)
    fn keys_of(&self, head: usize, d: usize) -> Result<Tensor> {
        match &self.0 {
            Audio::Floats { k, index, .. } => match k.narrow(0, *index, 1)? {
                heads if heads.rank() == 4 => heads.narrow(1, head, 1)?.squeeze(1),
                all => all.narrow(2, head * d, d),
            },
            Audio::Integers(heads) => heads.keys_of(head),
        }
    }

    fn integers(&self) -> Option<&IntegerHeads> {
        match &self.0 {
            Audio::Integers(heads) => Some(heads),
            Audio::Floats { .. } => None,
        }
    }

    fn seen(&self) -> Result<Seen<'_>> {
        match &self.0 {
            Audio::Floats { k, v, index } => Ok(Seen { k, v, batch: *index, len: k.dim(D::Minus2)? }),
            Audio::Integers(_) => candle_core::bail!("keys as integers beside others as floats"),
        }
    }
}

/// Of one piece of audio, as it is or (1, n_head, t, d). -> (1, t, n_state)
fn side_by_side(x: &Tensor) -> Result<Tensor> {
    match x.rank() {
        4 => x.transpose(1, 2)?.flatten_from(2),
        _ => Ok(x.clone()),
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
            key_value: w.of_many_rows().linears(n, &[("k_proj", n, false), ("v_proj", n, true)])?,
            out: w.linear(n, n, true, "out_proj")?,
            n_head,
        })
    }

    /// Projects encoded audio once, for every token that will look at it. xa: (n_audio, n_audio_ctx, n_state)
    ///
    /// # Errors
    /// If the device fails.
    pub fn key_value(&self, xa: &Tensor, keep: Keep) -> Result<Vec<CrossKeyValue>> {
        let both = self.key_value.forward(xa)?;
        let n = both.dim(2)? / 2;
        let dtype = match keep {
            Keep::Floats(dtype) => dtype,
            Keep::Integers if IntegerHeads::fit(n / self.n_head) => {
                let one = |i| {
                    let part = |first| both.narrow(0, i, 1)?.narrow(2, first, n);
                    let heads = IntegerHeads::new(&part(0)?, &part(n)?, self.n_head)?;
                    Ok(CrossKeyValue(Audio::Integers(Arc::new(heads))))
                };
                return (0..both.dim(0)?).map(one).collect();
            }
            Keep::Integers => DType::F16,
        };
        let part = |first: usize| {
            if both.device().is_cpu() && both.dtype() == DType::F32 {
                let (n_audio, t, _) = both.dims3()?;
                let heads = both.reshape((n_audio, t, 2 * self.n_head, n / self.n_head))?;
                let heads = heads.narrow(2, first / n * self.n_head, self.n_head)?.transpose(1, 2)?;
                return kernels::cast(&kernels::laid_out(&heads)?, dtype);
            }
            kernels::cast(&both.narrow(2, first, n)?, dtype)?.contiguous()
        };
        let (k, v) = (part(0)?, part(n)?);
        Ok((0..both.dim(0)?)
            .map(|index| CrossKeyValue(Audio::Floats { k: k.clone(), v: v.clone(), index }))
            .collect())
    }

    /// Rows are given piece by piece; those of one piece of audio share its keys and values as if they were more queries.
    ///
    /// What they see is added to `residual`. x, residual: (n_batch, n_new, n_state), n_batch a multiple of the pieces
    /// -> the same
    ///
    /// # Errors
    /// If the shapes do not fit or the device fails.
    pub fn forward(&self, x: &Tensor, residual: Tensor, audios: &[&CrossKeyValue]) -> Result<Tensor> {
        let dims = x.dims3()?;
        let q = group(self.query.forward(x)?, audios.len())?;
        let y = match audios.iter().map(|audio| audio.integers()).collect::<Option<Vec<_>>>() {
            Some(audios) => kernels::attention_to_integers(&q, &audios)?,
            None => {
                let seen = audios.iter().map(|audio| audio.seen()).collect::<Result<Vec<_>>>()?;
                kernels::attention_of(&q, &seen, self.n_head, false)?
            }
        };
        self.out.forward_add(&y.reshape(dims)?, residual)
    }

    /// Scaled scores of one head before the softmax, in f32.
    ///
    /// x: (n_batch, n_new, n_state) -> (n_batch, n_new, n_audio_ctx)
    ///
    /// # Errors
    /// If the shapes do not fit or the device fails.
    pub fn scores(&self, x: &Tensor, audios: &[&CrossKeyValue], head: usize) -> Result<Tensor> {
        let (n_batch, n_new, n_state) = x.dims3()?;
        let d = n_state / self.n_head;
        let q = group(self.query.forward(x)?, audios.len())?;
        let part = |part: Tensor| kernels::cast(&part.contiguous()?, x.dtype());
        let (q, scale) = (part(q.narrow(2, head * d, d)?)?, (d as f64).powf(-0.5));
        let keys = audios.iter().map(|audio| part(audio.keys_of(head, d)?)).collect::<Result<Vec<_>>>()?;
        if x.device().is_cpu() && x.dtype() == DType::F32 {
            let scaled: Vec<f32> =
                q.flatten_all()?.to_vec1()?.iter().map(|q: &f32| q * scale as f32).collect();
            let q = Tensor::from_vec(scaled, q.dims(), q.device())?;
            let scores = keys.iter().enumerate().map(|(i, keys)| {
                let keys = Part::of(&keys.squeeze(0)?)?;
                Panels::new(d, &[keys], &[], Products::Floats)?.forward(&q.narrow(0, i, 1)?)
            });
            return Tensor::cat(&scores.collect::<Result<Vec<_>>>()?, 0)?.reshape((n_batch, n_new, ()));
        }
        on_device(|| {
            let scores = (q * scale)?.matmul(&Tensor::cat(&keys, 0)?.transpose(1, 2)?)?;
            scores.to_dtype(DType::F32)?.reshape((n_batch, n_new, ()))
        })
    }
}

/// (n_batch, n_new, n_state) -> (n_audio, n_batch / n_audio * n_new, n_state)
fn group(q: Tensor, n_audio: usize) -> Result<Tensor> {
    let (_, _, n_state) = q.dims3()?;
    q.reshape((n_audio, (), n_state))
}
