//! From a folder to a [`Transcriber`]: a Whisper in Hugging Face layout, its weights memory-mapped safetensors (one
//! file or several with an index) or GGUF.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device};
use candle_transformers::quantized_var_builder::VarBuilder as QuantisedVarBuilder;
use candle_whisper_core::Transcriber;
use candle_whisper_core::dims::{ModelDimensions, alignment_heads};
use candle_whisper_core::model::Whisper;
use candle_whisper_core::tokenizer::Tokenizer;
use candle_whisper_core::weights::Weights;

use crate::mapped;

/// The files of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// `config.json`
    pub config: PathBuf,
    /// `generation_config.json`, which names the heads that word times come from.
    pub generation_config: Option<PathBuf>,
    /// `tokenizer.json`
    pub tokenizer: PathBuf,
    /// One safetensors file or all its parts, or one GGUF file.
    pub weights: WeightFiles,
}

/// The files that hold tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WeightFiles {
    /// Safetensors, in one or several files.
    Safetensors(Vec<PathBuf>),
    /// GGUF, usually quantised.
    Gguf(PathBuf),
}

impl ModelFiles {
    /// Finds the files of the model in `folder`.
    ///
    /// # Errors
    /// If one that is needed is missing; the message names it.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            bail!("there is no model folder `{}`", folder.display());
        }
        let needed = |name: &str| {
            let path = folder.join(name);
            if path.is_file() { Ok(path) } else { bail!("`{}` has no `{name}`", folder.display()) }
        };
        let generation_config = folder.join("generation_config.json");
        Ok(Self {
            config: needed("config.json")?,
            generation_config: generation_config.is_file().then_some(generation_config),
            tokenizer: needed("tokenizer.json")?,
            weights: weight_files(folder)?,
        })
    }
}

/// Names of safetensors and of their indices, the ones to prefer first: those published as the model, then its 16 bits.
pub const SAFETENSORS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "model.fp16.safetensors",
    "model.safetensors.index.fp16.json",
];

fn weight_files(folder: &Path) -> Result<WeightFiles> {
    if let Some(path) = SAFETENSORS.map(|name| folder.join(name)).into_iter().find(|path| path.is_file()) {
        let is_index = path.extension().is_some_and(|extension| extension == "json");
        return Ok(WeightFiles::Safetensors(if is_index { shards(&path)? } else { vec![path] }));
    }
    let mut gguf: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("could not list `{}`", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf")))
        .collect();
    gguf.sort();
    match gguf.as_slice() {
        [one] => Ok(WeightFiles::Gguf(one.clone())),
        [] => bail!("`{}` has neither `model.safetensors` nor a GGUF file", folder.display()),
        [first, second, ..] => {
            bail!("`{}` and `{}` lie in one folder; keep the one to use", first.display(), second.display())
        }
    }
}

/// The files that an index names, each once.
fn shards(index: &Path) -> Result<Vec<PathBuf>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let Index { weight_map } = serde_json::from_slice(&read(index)?)
        .with_context(|| format!("`{}` is not an index of safetensors", index.display()))?;
    let mut names: Vec<String> = weight_map.into_values().collect();
    names.sort();
    names.dedup();
    let folder = index.parent().unwrap_or(Path::new("."));
    names
        .into_iter()
        .map(|name| {
            if Path::new(&name).file_name() != Some(name.as_ref()) {
                bail!("`{}` names `{name}`, which is not a file beside it", index.display());
            }
            let path = folder.join(&name);
            if path.is_file() { Ok(path) } else { bail!("`{}` is missing", path.display()) }
        })
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("could not read `{}`", path.display()))
}

/// Loads the model in `folder` for `device`. `dtype` is what it computes in; f32 if not given.
///
/// # Errors
/// If a file is missing or broken, or is not a Whisper's.
pub fn load(folder: &Path, device: &Device, dtype: Option<DType>) -> Result<Transcriber> {
    let files = ModelFiles::in_folder(folder)?;
    load_files(&files, device, dtype).with_context(|| format!("could not load `{}`", folder.display()))
}

/// As [`load`], from files found already.
///
/// # Errors
/// As [`load`].
pub fn load_files(files: &ModelFiles, device: &Device, dtype: Option<DType>) -> Result<Transcriber> {
    let (model, tokenizer) = load_parts(files, device, dtype)?;
    Ok(Transcriber::new(Arc::new(model), tokenizer)?)
}

/// The network and its tokenizer apart, for those who put something between them.
///
/// # Errors
/// As [`load`].
pub fn load_parts(files: &ModelFiles, device: &Device, dtype: Option<DType>) -> Result<(Whisper, Tokenizer)> {
    let dims = ModelDimensions::from_json(&read(&files.config)?)?;
    let generation_config = files.generation_config.as_deref().map(read).transpose()?;
    let heads = alignment_heads(&dims, generation_config.as_deref())?;
    let tokenizer = Tokenizer::from_json(&read(&files.tokenizer)?, dims.n_vocab)?;
    let dtype = dtype.unwrap_or(DType::F32);
    let weights = match &files.weights {
        WeightFiles::Safetensors(paths) => {
            // SAFETY: the files are read only; changing one while it is mapped is the user's to avoid.
            let vb = unsafe { mapped::var_builder(paths, dtype, device) };
            Weights::from_var_builder(vb.context("the safetensors file is broken or incomplete")?)
        }
        WeightFiles::Gguf(path) => {
            let vb = QuantisedVarBuilder::from_gguf(path, &Device::Cpu)
                .with_context(|| format!("`{}` is not a whole GGUF file", path.display()))?;
            Weights::from_quantised(vb, dtype, device)
        }
    };
    Ok((Whisper::load(dims, heads, &weights)?, tokenizer))
}
