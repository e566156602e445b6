//! From a model's folder or file to a [`Transcriber`]. What a file is, its content says; what it lacks is looked for
//! beside it, derived from its tensors, or built in.

mod files;
mod mapped;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use candle_core::{DType, Device};
use candle_whisper_core::Transcriber;
use candle_whisper_core::dims::{Head, ModelDimensions, alignment_heads};
use candle_whisper_core::model::Model;
use candle_whisper_core::tokenizer::Tokenizer;
use candle_whisper_core::weights::{Checkpoint, Format, Matrices, Weights};

pub use files::{ModelFiles, SAFETENSORS};
use mapped::map;

use crate::device;

/// What weights become in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbers {
    /// What to compute in; f32 if not given.
    pub dtype: Option<DType>,
    /// What the large matrices are kept as.
    pub matrices: Matrices,
}

/// What a model's files say of it; its weights are read when they are asked for.
#[derive(Debug)]
pub struct Described {
    /// Its tensors.
    pub checkpoint: Checkpoint,
    /// Its sizes.
    pub dims: ModelDimensions,
    /// The heads that word times come from.
    pub alignment_heads: Vec<Head>,
}

/// A model whose files are understood, its words too.
#[derive(Debug)]
pub struct Opened {
    /// Its tensors.
    pub checkpoint: Arc<Checkpoint>,
    /// Its sizes.
    pub dims: ModelDimensions,
    /// The heads that word times come from.
    pub alignment_heads: Vec<Head>,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
}

/// Loads the model in a folder or file for `device`.
///
/// # Errors
/// If a file is missing or broken, or is not a Whisper's.
pub fn load(path: &Path, device: &Device, numbers: Numbers) -> Result<Transcriber> {
    let files = ModelFiles::find(path)?;
    load_files(&files, device, numbers).with_context(|| format!("could not load `{}`", path.display()))
}

/// As [`load`], from files found already.
///
/// # Errors
/// As [`load`].
pub fn load_files(files: &ModelFiles, device: &Device, numbers: Numbers) -> Result<Transcriber> {
    let (model, tokenizer) = load_parts(files, device, numbers)?;
    Ok(Transcriber::new(model, tokenizer)?)
}

/// The network and its tokenizer apart, for those who put something between them.
///
/// # Errors
/// As [`load`].
pub fn load_parts(
    files: &ModelFiles,
    device: &Device,
    numbers: Numbers,
) -> Result<(Arc<dyn Model>, Tokenizer)> {
    let Described { checkpoint, dims, alignment_heads } = describe(files)?;
    let checkpoint = Arc::new(checkpoint);
    let dtype = numbers.dtype.unwrap_or(DType::F32);
    let weights = Weights::from_checkpoint(checkpoint.clone(), dtype, device).with_matrices(numbers.matrices);
    let n_vocab = dims.n_vocab;
    let words = || tokenizer(files, &checkpoint, n_vocab);
    let network = || device::network(dims, alignment_heads, &weights);
    if !device.is_cpu() {
        // By this thread, to which a GPU's context belongs.
        let words = words()?;
        return Ok((network()?, words));
    }
    let (network, words) = rayon::join(network, words);
    Ok((network?, words?))
}

/// Reads what describes a model, its weights mapped into memory.
///
/// # Errors
/// As [`load`].
pub fn describe(files: &ModelFiles) -> Result<Described> {
    let parts = files.weights.iter().map(|path| map(path)).collect::<Result<_>>()?;
    let checkpoint = Checkpoint::open(parts).with_context(|| match files.weights.as_slice() {
        [only] => format!("`{}`", only.display()),
        [first, ..] => format!("`{}` and the parts after it", first.display()),
        [] => "no weights".into(),
    })?;
    let read_beside = |path: &Option<_>| path.as_deref().map(read).transpose();
    let config = read_beside(&files.config)?;
    let generation_config = read_beside(&files.generation_config)?;
    // faster-whisper's `config.json` has the heads and no sizes.
    let (config, heads) = match checkpoint.format() {
        Format::CTranslate2 => (None, config),
        _ => (config, generation_config),
    };
    let dims = match (checkpoint.dims(), config) {
        (Some(dims), _) => dims.clone(),
        (None, Some(config)) => ModelDimensions::from_json(&config)?,
        (None, None) => checkpoint.dims_of_tensors()?,
    };
    let alignment_heads = alignment_heads(&dims, heads.as_deref())?;
    Ok(Described { checkpoint, dims, alignment_heads })
}

/// Opens a model's files, all but the weights read.
///
/// # Errors
/// As [`load`].
pub fn open(files: &ModelFiles) -> Result<Opened> {
    let Described { checkpoint, dims, alignment_heads } = describe(files)?;
    let tokenizer = tokenizer(files, &checkpoint, dims.n_vocab)?;
    Ok(Opened { checkpoint: Arc::new(checkpoint), dims, alignment_heads, tokenizer })
}

fn tokenizer(files: &ModelFiles, checkpoint: &Checkpoint, n_vocab: usize) -> Result<Tokenizer> {
    Ok(match (checkpoint.vocabulary(), &files.tokenizer, &files.vocabulary) {
        (Some(tokens), _, _) => Tokenizer::from_tokens(tokens, n_vocab)?,
        (None, Some(path), _) => Tokenizer::from_json(&read(path)?, n_vocab)?,
        (None, None, Some(path)) => Tokenizer::from_vocabulary(&read(path)?, n_vocab)?,
        (None, None, None) => Tokenizer::built_in(n_vocab)?,
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("could not read `{}`", path.display()))
}
