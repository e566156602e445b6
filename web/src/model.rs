//! From a model's files to a network.

use std::sync::Arc;

use candle_core::{DType, Device};
use candle_whisper_core::dims::{ModelDimensions, alignment_heads};
use candle_whisper_core::model::Whisper;
use candle_whisper_core::tokenizer::Tokenizer;
use candle_whisper_core::weights::{Checkpoint, Format, Matrices, Weights};
use candle_whisper_core::{Error, Result, Transcriber};
use serde_json::{Value, json};

/// The files beside the weights, each empty if there is none, and what the package has beside the module.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// `config.json`
    pub config: &'a [u8],
    /// `generation_config.json`, which names the heads that word times come from.
    pub generation_config: &'a [u8],
    /// `tokenizer.json`
    pub tokenizer: &'a [u8],
    /// What [`vocabulary`] asks for.
    pub vocabulary: &'a [u8],
}

impl Files<'_> {
    /// faster-whisper's `config.json` has the heads and no sizes. -> config, and what has the heads
    fn described(&self, checkpoint: &Checkpoint) -> (Option<&[u8]>, Option<&[u8]>) {
        let (config, generation_config) = (given(self.config), given(self.generation_config));
        match checkpoint.format() {
            Format::CTranslate2 => (None, config),
            _ => (config, generation_config),
        }
    }

    fn dims(&self, checkpoint: &Checkpoint) -> Result<ModelDimensions> {
        match (checkpoint.dims(), self.described(checkpoint).0) {
            (Some(dims), _) => Ok(dims.clone()),
            (None, Some(config)) => ModelDimensions::from_json(config),
            (None, None) => checkpoint.dims_of_tensors(),
        }
    }
}

fn given(bytes: &[u8]) -> Option<&[u8]> {
    Some(bytes).filter(|bytes| !bytes.is_empty())
}

/// What the products are of: `f32`, or `quantised` for small integers.
///
/// # Errors
/// If it is neither.
pub fn matrices(dtype: &str) -> Result<Matrices> {
    match dtype {
        "f32" => Ok(Matrices::Floats),
        "quantised" => Ok(Matrices::Blocks),
        _ => Err(Error::Options(format!("`dtype` is f32 or quantised, not {dtype}"))),
    }
}

/// The file beside the module that a model needs which brings no tokens.
///
/// # Errors
/// If a file is broken, or its tokens are not known.
pub fn vocabulary(files: &Files<'_>, checkpoint: &Checkpoint) -> Result<Option<&'static str>> {
    if checkpoint.vocabulary().is_some() || !files.tokenizer.is_empty() {
        return Ok(None);
    }
    Tokenizer::packed_name(files.dims(checkpoint)?.n_vocab).map(Some)
}

/// Loads a model, to compute in f32 but for such products. What it lacks comes from its weights.
///
/// # Errors
/// If a file is broken, or they do not belong together.
pub fn load(files: &Files<'_>, checkpoint: Checkpoint, matrices: Matrices) -> Result<Transcriber> {
    let dims = files.dims(&checkpoint)?;
    let heads = alignment_heads(&dims, files.described(&checkpoint).1)?;
    let tokenizer = match (checkpoint.vocabulary(), given(files.tokenizer)) {
        (Some(tokens), _) => Tokenizer::from_tokens(tokens, dims.n_vocab)?,
        (None, Some(tokenizer)) => Tokenizer::from_json(tokenizer, dims.n_vocab)?,
        (None, None) => Tokenizer::from_packed(files.vocabulary, dims.n_vocab)?,
    };
    let weights =
        Weights::from_checkpoint(Arc::new(checkpoint), DType::F32, &Device::Cpu).with_matrices(matrices);
    Transcriber::new(Arc::new(Whisper::load(dims, heads, &weights)?), tokenizer)
}

/// What there is to say of a network.
pub fn info(dims: &ModelDimensions) -> Value {
    json!({"n_vocab": dims.n_vocab, "multilingual": dims.is_multilingual(), "dims": dims})
}
