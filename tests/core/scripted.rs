//! A network that says what a script tells it to: what is around it is tested without weights.

use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor};
use candle_whisper_core::dims::{Head, ModelDimensions};
use candle_whisper_core::kv_cache::KvCache;
use candle_whisper_core::model::{AudioFeatures, Model};
use candle_whisper_core::observer::Silent;
use candle_whisper_core::options::TranscribeOptions;
use candle_whisper_core::{Result, Transcriber, Transcript, Waveform};

use crate::data::tokenizer;

const N_VOCAB: usize = 51864;
pub(crate) const T0: u32 = 50363;
pub(crate) const EOT: u32 = 50256;
const NO_SPEECH: u32 = 50361;
pub(crate) const SOT_PREV: u32 = 50360;

/// One decoding of a window: its tokens, how far each stands above all others, and the silence it hears.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub(crate) tokens: Vec<u32>,
    pub(crate) margin: f32,
    pub(crate) no_speech: f32,
}

pub(crate) fn sure(tokens: &[u32]) -> Attempt {
    Attempt { tokens: tokens.to_vec(), margin: 40.0, no_speech: 0.0 }
}

/// The margin over 51863 others at which a token's log-probability is about -2.3.
pub(crate) fn unsure(tokens: &[u32]) -> Attempt {
    Attempt { margin: 8.6, ..sure(tokens) }
}

pub(crate) struct Scripted {
    dims: ModelDimensions,
    windows: Vec<Vec<Attempt>>,
    is_approximate: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    window: usize,
    attempt: usize,
    begin: usize,
    /// Mel frames of each window that the encoder heard.
    heard: Vec<usize>,
    /// What each decoding was given before its first token.
    prompts: Vec<Vec<u32>>,
    /// Tokens that each of them went on to run.
    n_run: Vec<usize>,
}

impl Scripted {
    pub(crate) fn new(windows: &[&[Attempt]]) -> Arc<Self> {
        Arc::new(Self::of(windows, false))
    }

    /// One that counts as of small integers, as which less than a window may be heard.
    pub(crate) fn approximate(windows: &[&[Attempt]]) -> Arc<Self> {
        Arc::new(Self::of(windows, true))
    }

    fn of(windows: &[&[Attempt]], is_approximate: bool) -> Self {
        let dims = ModelDimensions {
            n_mels: 80,
            n_audio_ctx: 1500,
            n_state: 4,
            n_audio_head: 1,
            n_audio_layer: 0,
            n_vocab: N_VOCAB,
            n_text_ctx: 448,
            n_text_head: 1,
            n_text_layer: 1,
        };
        let windows = windows.iter().map(|w| w.to_vec()).collect();
        Self { dims, windows, is_approximate, state: Mutex::default() }
    }

    pub(crate) fn transcriber(self: &Arc<Self>) -> Transcriber {
        Transcriber::new(self.clone(), tokenizer(N_VOCAB)).unwrap()
    }

    pub(crate) fn run(self: &Arc<Self>, seconds: usize, options: TranscribeOptions) -> Transcript {
        self.transcriber().run(&audio(seconds), options, &mut Silent).unwrap()
    }

    pub(crate) fn heard(&self) -> Vec<usize> {
        self.state.lock().unwrap().heard.clone()
    }

    pub(crate) fn n_run(&self) -> Vec<usize> {
        self.state.lock().unwrap().n_run.clone()
    }

    pub(crate) fn prompts(&self) -> Vec<Vec<u32>> {
        self.state.lock().unwrap().prompts.clone()
    }
}

impl Model for Scripted {
    fn dims(&self) -> &ModelDimensions {
        &self.dims
    }

    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn alignment_heads(&self) -> &[Head] {
        &[(0, 0)]
    }

    fn is_approximate(&self) -> bool {
        self.is_approximate
    }

    fn encode(&self, mel: &Tensor) -> Result<AudioFeatures> {
        assert_eq!(mel.dims()[..2], [1, 80]);
        let mut state = self.state.lock().unwrap();
        state.heard.push(mel.dim(2)?);
        let xa = AudioFeatures::new(&Tensor::full(state.window as f32, (1, 1, 1), &Device::Cpu)?)?;
        (state.window, state.attempt) = (state.window + 1, 0);
        Ok(xa)
    }

    fn new_cache(&self, n_batch: usize, capacity: usize) -> Result<KvCache> {
        Ok(KvCache::new(&self.dims, n_batch, capacity, DType::F32, &Device::Cpu)?)
    }

    /// Hidden states are (window, attempt, position after the prompt or -1 before it).
    fn decode(&self, tokens: &Tensor, xa: &AudioFeatures, cache: &mut KvCache) -> Result<Tensor> {
        let mut state = self.state.lock().unwrap();
        let (n_batch, n_new) = tokens.dims2()?;
        if cache.is_empty() {
            (state.begin, state.attempt) = (n_new, state.attempt + 1);
            state.prompts.push(tokens.to_vec2()?.swap_remove(0));
            state.n_run.push(0);
        } else if let Some(n_run) = state.n_run.last_mut() {
            *n_run += n_new;
        }
        let window = xa.tensor()?.flatten_all()?.to_vec1::<f32>()?[0];
        let first = cache.len();
        let hidden: Vec<f32> = (0..n_batch * n_new)
            .flat_map(|i| {
                let position = (first + i % n_new + 1) as f32 - state.begin as f32;
                [window, state.attempt as f32 - 1.0, position.max(-1.0), 0.0]
            })
            .collect();
        cache.advance(n_new);
        Ok(Tensor::from_vec(hidden, (n_batch, n_new, 4), &Device::Cpu)?)
    }

    fn project(&self, hidden: &Tensor) -> Result<Tensor> {
        let rows: Vec<Vec<f32>> = hidden.to_vec2()?;
        let mut logits = vec![0f32; rows.len() * N_VOCAB];
        for (row, logits) in rows.iter().zip(logits.chunks_exact_mut(N_VOCAB)) {
            let attempts = &self.windows[row[0] as usize];
            let attempt = &attempts[(row[1] as usize).min(attempts.len() - 1)];
            if attempt.no_speech > 0.0 {
                logits[NO_SPEECH as usize] =
                    (attempt.no_speech / (1.0 - attempt.no_speech) * N_VOCAB as f32).ln();
            }
            if row[2] >= 0.0 {
                let next = attempt.tokens.get(row[2] as usize).copied().unwrap_or(EOT);
                logits[next as usize] = attempt.margin;
            }
        }
        Ok(Tensor::from_vec(logits, (rows.len(), N_VOCAB), &Device::Cpu)?)
    }

    fn cross_attention(
        &self,
        tokens: &Tensor,
        _xa: &AudioFeatures,
        heads: &[Head],
    ) -> Result<(Tensor, Vec<Tensor>)> {
        // Each token looks 20 audio tokens (0.4 s) further than the one before.
        let n = tokens.dim(1)?;
        let look = |i: usize| if i / 1500 * 20 / 20 == i % 1500 / 20 { 10f32 } else { 0.0 };
        let scores: Vec<f32> = (0..n * 1500).map(look).collect();
        let scores = Tensor::from_vec(scores, (1, n, 1500), &Device::Cpu)?;
        let hidden =
            Tensor::new(&[0f32, 0.0, 0.0, 0.0], &Device::Cpu)?.reshape((1, 1, 4))?.repeat((1, n, 1))?;
        Ok((hidden, vec![scores; heads.len()]))
    }
}

pub(crate) fn audio(seconds: usize) -> Waveform {
    Waveform::new((0..seconds * 16_000).map(|i| (i as f32 / 20.0).sin() * 0.3).collect())
}

/// " Hello", " world", " again": tokens of the English vocabulary.
pub(crate) const HELLO: u32 = 18435;
pub(crate) const WORLD: u32 = 995;
pub(crate) const AGAIN: u32 = 757;
