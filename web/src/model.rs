//! From bytes to a network.

use std::sync::Arc;

use candle_core::{DType, Device};
use candle_whisper_core::dims::{ModelDimensions, alignment_heads};
use candle_whisper_core::model::Whisper;
use candle_whisper_core::tokenizer::Tokenizer;
use candle_whisper_core::weights::{Checkpoint, Weights};
use candle_whisper_core::{Result, Transcriber};

/// Loads a model from the bytes of its files, to compute in f32. `generation_config` may be empty.
///
/// # Errors
/// If one of them is broken or they do not belong together.
pub fn load(
    config: &[u8],
    generation_config: &[u8],
    tokenizer: &[u8],
    weights: Vec<u8>,
) -> Result<Transcriber> {
    let dims = ModelDimensions::from_json(config)?;
    let generation_config = (!generation_config.is_empty()).then_some(generation_config);
    let heads = alignment_heads(&dims, generation_config)?;
    let tokenizer = Tokenizer::from_json(tokenizer, dims.n_vocab)?;
    let checkpoint = Checkpoint::open(vec![Box::new(weights)])?;
    let weights = Weights::from_checkpoint(Arc::new(checkpoint), DType::F32, &Device::Cpu);
    Transcriber::new(Arc::new(Whisper::load(dims, heads, &weights)?), tokenizer)
}
