//! Whisper on a GPU in 16 bits. The loop of decoding, its rules and everything else are those of the core: only the network
//! is computed in another way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::cuda_backend::cudarc::cublas::CudaBlas;
use candle_core::cuda_backend::cudarc::driver::CudaStream;
use candle_core::{CudaDevice, DType, Device, Result as CandleResult, Tensor, bail};
use candle_whisper_core::attention::CrossKeyValue;
use candle_whisper_core::decoding::choice::{Chosen, Question};
use candle_whisper_core::dims::{Head, ModelDimensions};
use candle_whisper_core::kv_cache::KvCache;
use candle_whisper_core::model::{AudioFeatures, Model};
use candle_whisper_core::weights::{Matrices, Weights};
use candle_whisper_core::{Error, Result};

use super::arguments::{Linear, Row};
use super::beside::Beside;
use super::choice::{self, Suppressed};
use super::decoder::{Decoder, HEAD, Shape, Wanted, product};
use super::encoder::Encoder;
use super::launch::{Kernels, address};
use super::state::State;
use super::weights::Network;

/// The kernels' products of matrices are in the machine from this compute capability on.
const OLDEST: (i32, i32) = (8, 0);
/// The widest network whose layer norm a warp has in its registers.
const WIDEST: usize = 1280;

/// A network in the memory of a GPU.
pub struct GpuWhisper {
    dims: ModelDimensions,
    alignment_heads: Vec<Head>,
    network: Network,
    kernels: Kernels,
    dtype: DType,
    device: Device,
    gpu: CudaDevice,
    state: Mutex<State>,
    suppressed: Mutex<Suppressed>,
    /// From the first window on that is encoded there.
    beside: Mutex<Option<Beside>>,
}

impl std::fmt::Debug for GpuWhisper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GpuWhisper").field("dims", &self.dims).finish_non_exhaustive()
    }
}

impl GpuWhisper {
    /// Whether the kernels can compute such a network; if not, candle's operations do.
    pub fn can(dims: &ModelDimensions, weights: &Weights) -> bool {
        let Ok(gpu) = weights.device().as_cuda_device() else { return false };
        let capability = gpu.cuda_stream().context().compute_capability();
        let n = dims.n_state;
        matches!(weights.dtype(), DType::F16 | DType::BF16)
            && weights.matrices() == Matrices::Floats
            && capability.is_ok_and(|capability| capability >= OLDEST)
            && n.is_multiple_of(128)
            && n <= WIDEST
            && n == HEAD * dims.n_text_head
            && n == HEAD * dims.n_audio_head
            && dims.n_mels.is_multiple_of(8)
    }

    /// Loads the network of these sizes.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape, or the device fails.
    pub fn load(dims: ModelDimensions, alignment_heads: Vec<Head>, weights: &Weights) -> Result<Self> {
        let (dtype, device) = (weights.dtype(), weights.device().clone());
        let gpu = device.as_cuda_device()?.clone();
        let kernels = Kernels::load(gpu.cuda_stream().context(), dtype)?;
        let network = Network::load(&dims, weights)?;
        let state = Mutex::new(State::new(&gpu, dims.n_state, dtype)?);
        Ok(Self {
            dims,
            alignment_heads,
            network,
            kernels,
            dtype,
            device,
            gpu,
            state,
            suppressed: Mutex::default(),
            beside: Mutex::default(),
        })
    }

    /// The encoder alone, without the decoder's keys and values of what it heard.
    /// mel: (n_audio, n_mels, frames) -> (n_audio, ⌈frames / 2⌉, n_state)
    ///
    /// # Errors
    /// If the shapes do not fit or the device fails.
    pub fn features(&self, mel: &Tensor) -> Result<Tensor> {
        self.hear(&self.encoder(&self.gpu.cuda_stream(), &self.gpu.cublas_handle()), mel)
    }

    fn hear(&self, encoder: &Encoder<'_>, mel: &Tensor) -> Result<Tensor> {
        let mel = mel.to_device(encoder.device)?.to_dtype(self.dtype)?.contiguous()?;
        let (_, n_mels, frames) = mel.dims3()?;
        let n_ctx = frames.div_ceil(2);
        if n_mels != self.dims.n_mels || n_ctx > self.dims.n_audio_ctx {
            let (most, mels) = (self.dims.n_audio_ctx, self.dims.n_mels);
            let wrong = format!("the encoder has {most} positions of {mels} mels, not {n_ctx} of {n_mels}");
            return Err(Error::Config(wrong));
        }
        Ok(encoder.forward(&mel)?)
    }

    /// The same with the decoder's keys and values.
    fn hear_all(&self, encoder: &Encoder<'_>, mel: &Tensor) -> Result<AudioFeatures> {
        let xa = self.hear(encoder, mel)?;
        let (n_audio, n_ctx, n_state) = xa.dims3()?;
        let mut layers = Vec::with_capacity(self.network.decoder.len());
        for cross in self.network.decoder.iter().filter_map(|block| block.cross.as_ref()) {
            let [k, v] = [&cross.key, &cross.value.weight].map(|weight| {
                let out = encoder.room((n_audio, n_ctx, n_state), self.dtype)?;
                encoder.product(&xa, weight, &out, n_audio * n_ctx)?;
                CandleResult::Ok(out)
            });
            let (k, v) = (k?, v?);
            let one = |i| CrossKeyValue::new(k.clone(), v.clone(), i);
            layers.push((0..n_audio).map(one).collect::<CandleResult<_>>()?);
        }
        AudioFeatures::of_batch(&xa, layers)
    }

    fn encoder<'a>(&'a self, stream: &'a Arc<CudaStream>, blas: &'a CudaBlas) -> Encoder<'a> {
        Encoder {
            kernels: &self.kernels,
            stream,
            blas,
            network: &self.network,
            dtype: self.dtype,
            device: &self.device,
            n_head: self.dims.n_audio_head,
        }
    }

    fn beside(&self) -> MutexGuard<'_, Option<Beside>> {
        self.beside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// tokens: (n_batch, n_new) -> (n_batch, n_new, n_state)
    fn step(
        &self,
        tokens: &Tensor,
        xa: &AudioFeatures,
        cache: &mut KvCache,
        wanted: &[Wanted],
    ) -> CandleResult<Tensor> {
        let (n_batch, n_new) = tokens.dims2()?;
        let n_audio = xa.n_audio();
        if n_audio == 0 || n_batch == 0 || n_batch % n_audio != 0 {
            bail!("{n_batch} rows can't look at {n_audio} pieces of audio");
        }
        let per = n_batch / n_audio;
        let rows = self.rows(tokens, cache, per)?;
        let mut caches = Vec::with_capacity(2 * self.dims.n_text_layer);
        for i in 0..self.dims.n_text_layer {
            caches.extend([address(cache.layer(i).k())?, address(cache.layer(i).v())?]);
        }
        if let Some(beside) = &mut *self.beside() {
            beside.before(&self.gpu.cuda_stream(), xa.pieces())?;
        }
        let keys = xa.pieces()[0].tensor().dim(1)?;
        let hidden = self.room((n_batch, n_new, self.dims.n_state), self.dtype)?;
        let shape = Shape { rows: rows.len(), per: per * n_new, new: n_new, keys };
        let mut state = self.state();
        let mut decoder = Decoder {
            kernels: &self.kernels,
            network: &self.network,
            dtype: self.dtype,
            gpu: &self.gpu,
            state: &mut state,
        };
        decoder.run(&rows, shape, caches, xa.pieces(), wanted, &hidden)?;
        cache.advance(n_new);
        Ok(hidden)
    }

    /// Where each token goes. tokens: (n_batch, n_new), `per` rows to a piece of audio
    fn rows(&self, tokens: &Tensor, cache: &KvCache, per: usize) -> CandleResult<Vec<Row>> {
        let (n_batch, n_new) = tokens.dims2()?;
        let (capacity, lens) = (cache.capacity(), cache.lens());
        if n_batch != lens.len() {
            bail!("the cache has {} rows, not {n_batch}", lens.len());
        }
        if n_new > 1 && cache.common_len().is_none() {
            bail!("rows of different lengths take one token each, not {n_new}");
        }
        if cache.len() + n_new > capacity.min(self.dims.n_text_ctx) {
            bail!("the cache has room for {capacity} tokens, not {}", cache.len() + n_new);
        }
        let tokens: Vec<u32> = tokens.flatten_all()?.to_vec1()?;
        let mut rows = Vec::with_capacity(tokens.len());
        for (i, token) in tokens.into_iter().enumerate() {
            let (row, new) = (i / n_new, i % n_new);
            if token as usize >= self.dims.n_vocab {
                bail!("there is no token {token}");
            }
            rows.push(Row {
                token: token as i32,
                cache: (row * capacity) as i32,
                position: (lens[row] + new) as i32,
                audio: (row / per) as i32,
            });
        }
        Ok(rows)
    }

    /// A tensor whose numbers are written before they are read.
    fn room<S: Into<candle_core::Shape>>(&self, shape: S, dtype: DType) -> CandleResult<Tensor> {
        // SAFETY: every caller has a kernel write all of it.
        unsafe { Tensor::empty(shape, dtype, &self.device) }
    }
}

impl Model for GpuWhisper {
    fn dims(&self) -> &ModelDimensions {
        &self.dims
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn alignment_heads(&self) -> &[Head] {
        &self.alignment_heads
    }

    fn encode(&self, mel: &Tensor) -> Result<AudioFeatures> {
        self.hear_all(&self.encoder(&self.gpu.cuda_stream(), &self.gpu.cublas_handle()), mel)
    }

    fn encodes_beside(&self) -> bool {
        true
    }

    fn encode_beside(&self, mel: &Tensor) -> Result<AudioFeatures> {
        let mut beside = self.beside();
        let beside = match &mut *beside {
            Some(beside) => beside,
            none => none.insert(Beside::new(&self.gpu, &self.kernels)?),
        };
        let (stream, blas) = (beside.stream.clone(), beside.blas.clone());
        beside.begin(&self.gpu.cuda_stream())?;
        let encoder =
            Encoder { kernels: &beside.kernels, device: &beside.device, ..self.encoder(&stream, &blas) };
        let features = self.hear_all(&encoder, mel)?;
        beside.begun(&features)?;
        Ok(features)
    }

    fn new_cache(&self, n_batch: usize, capacity: usize) -> Result<KvCache> {
        Ok(KvCache::new(&self.dims, n_batch, capacity, self.dtype, &self.device)?)
    }

    fn decode(&self, tokens: &Tensor, xa: &AudioFeatures, cache: &mut KvCache) -> Result<Tensor> {
        Ok(self.step(tokens, xa, cache, &[])?)
    }

    fn project(&self, hidden: &Tensor) -> Result<Tensor> {
        let hidden = hidden.contiguous()?;
        let (rows, n) = hidden.dims2()?;
        let logits = self.room((rows, self.dims.n_vocab), DType::F32)?;
        let args = Linear {
            weight: address(&self.network.tokens)?,
            x: address(&hidden)?,
            out: address(&logits)?,
            n_in: n as i32,
            n_out: self.dims.n_vocab as i32,
            rows: rows as i32,
            ..Linear::default()
        };
        product(&self.kernels, &self.gpu.cuda_stream(), "floats", &args)?;
        Ok(logits)
    }

    fn choose(&self, hidden: &Tensor, question: &Question<'_>) -> Result<Option<Vec<Chosen>>> {
        let logits = self.project(hidden)?;
        let mut suppressed = self.suppressed.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(choice::choose(&self.kernels, &self.gpu, &mut suppressed, &logits, question)?)
    }

    fn cross_attention(
        &self,
        tokens: &Tensor,
        xa: &AudioFeatures,
        heads: &[Head],
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let (n_batch, n_tokens) = tokens.dims2()?;
        let keys = xa.pieces().first().map_or(Ok(0), |piece| piece.tensor().dim(1))?;
        let mut wanted: Vec<Wanted> = Vec::with_capacity(heads.len());
        for &(layer, head) in heads {
            if layer >= self.dims.n_text_layer || head >= self.dims.n_text_head {
                return Err(Error::Config(format!("there is no head {head} of layer {layer}")));
            }
            wanted.push((layer, head, self.room((n_batch, n_tokens, keys), DType::F32)?));
        }
        let mut cache = self.new_cache(n_batch, n_tokens)?;
        let hidden = self.step(tokens, xa, &mut cache, &wanted)?;
        Ok((hidden, wanted.into_iter().map(|(.., scores)| scores).collect()))
    }
}
