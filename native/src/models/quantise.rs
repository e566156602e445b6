//! Smaller copies of a model: a folder in Hugging Face layout in, the same layout with quantised GGUF weights out.

use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device};

use super::rounding;
use crate::load::{ModelFiles, WeightFiles};

/// What was typed after `models quantise`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Folder of a model with safetensors
    pub from: PathBuf,
    /// Folder to write to
    pub to: PathBuf,
}

/// Does what was typed; gives what to print.
///
/// # Errors
/// As [`quantise`].
pub fn run(args: &Args) -> Result<String> {
    let bytes = quantise(&args.from, &args.to, Recipe::default())?;
    Ok(format!("{}: {:.1} MB of weights\n", args.to.display(), bytes as f64 / 1e6))
}

/// What each tensor becomes: small integers where most of the bytes are, and floats where precision decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// Matrices of linear layers.
    pub linear: GgmlDType,
    /// The token embedding, which is the last layer too: half of a small model's bytes.
    pub embedding: GgmlDType,
}

impl Default for Recipe {
    fn default() -> Self {
        Self { linear: GgmlDType::Q8_0, embedding: GgmlDType::Q5_1 }
    }
}

impl Recipe {
    /// The type of one tensor.
    pub fn dtype(&self, name: &str, shape: &[usize]) -> GgmlDType {
        let wanted = match (name, shape.len()) {
            (_, 0 | 1) => GgmlDType::F32,
            (name, _) if name.ends_with("embed_positions.weight") => GgmlDType::F16,
            (name, 2) if name.ends_with("embed_tokens.weight") => self.embedding,
            (_, 2) => self.linear,
            _ => GgmlDType::F16,
        };
        let fits = shape.last().is_some_and(|n| n.is_multiple_of(wanted.block_size()));
        if fits { wanted } else { GgmlDType::F16 }
    }
}

/// Writes a quantised copy of the model in folder `from` to folder `to`; gives the bytes of its weights.
///
/// The encoder's positions are left out: they are sinusoids, which loading computes. Files appear whole or not at all.
///
/// # Errors
/// If `from` is not a model with safetensors, or `to` can't be written.
pub fn quantise(from: &Path, to: &Path, recipe: Recipe) -> Result<u64> {
    let files = ModelFiles::in_folder(from)?;
    let WeightFiles::Safetensors(paths) = &files.weights else {
        bail!("`{}` is quantised already; start from its safetensors", from.display());
    };
    // SAFETY: the files are read only; changing one while it is mapped is the user's to avoid.
    let tensors = unsafe { MmapedSafetensors::multi(paths) }
        .with_context(|| format!("the weights in `{}` are broken or incomplete", from.display()))?;
    let mut quantised = Vec::new();
    for (name, view) in tensors.tensors() {
        if name.ends_with("encoder.embed_positions.weight") || name == "proj_out.weight" {
            continue;
        }
        let dtype = recipe.dtype(&name, view.shape());
        let tensor = tensors.load(&name, &Device::Cpu)?.to_dtype(DType::F32)?;
        let tensor = match dtype {
            GgmlDType::Q5_1 => rounding::q5_1(&tensor),
            _ => QTensor::quantize(&tensor, dtype),
        };
        let tensor = tensor.with_context(|| format!("tensor `{name}`"))?;
        quantised.push((name, tensor));
    }
    quantised.sort_by(|a, b| a.0.cmp(&b.0));

    fs::create_dir_all(to).with_context(|| format!("could not create `{}`", to.display()))?;
    let weights = to.join("model.gguf");
    let mut out = tempfile::NamedTempFile::new_in(to)?;
    let tensors: Vec<(&str, &QTensor)> = quantised.iter().map(|(name, t)| (name.as_str(), t)).collect();
    let architecture = gguf_file::Value::String("whisper".into());
    let metadata = [("general.architecture", &architecture)];
    gguf_file::write(&mut BufWriter::new(&mut out), &metadata, &tensors)
        .with_context(|| format!("could not write `{}`", weights.display()))?;
    out.as_file().sync_all()?;
    out.persist(&weights)?;
    for path in
        [Some(&files.config), files.generation_config.as_ref(), Some(&files.tokenizer)].into_iter().flatten()
    {
        copy_json(path, to)?;
    }
    Ok(fs::metadata(&weights)?.len())
}

/// Copies a JSON file without its white space.
fn copy_json(from: &Path, to: &Path) -> Result<()> {
    let json: serde_json::Value = serde_json::from_slice(&fs::read(from)?)
        .with_context(|| format!("`{}` is not JSON", from.display()))?;
    let name = from.file_name().context("a file without a name")?;
    let out = tempfile::NamedTempFile::new_in(to)?;
    serde_json::to_writer(BufWriter::new(&out), &json)?;
    out.as_file().sync_all()?;
    out.persist(to.join(name))?;
    Ok(())
}
