//! A model of any format that can be read, written as safetensors or GGUF: a folder in Hugging Face layout, or the weights
//! alone as one file.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::DType;
use candle_core::quantized::GgmlDType;
use candle_whisper_core::weights::{Encoding, Planned, Stored, write};
use clap::ValueEnum;
use serde_json::json;

use super::stage::Stage;
use crate::load::{self, ModelFiles, Opened};

/// What was typed after `models convert`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Folder or file of a model, in any format that can be read
    #[arg(value_name = "IN")]
    pub from: PathBuf,
    /// Folder to write, or a file that ends in .safetensors or .gguf for the weights alone
    #[arg(value_name = "OUT")]
    pub to: PathBuf,
    /// Format of the weights; safetensors unless OUT ends in .gguf
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<FileFormat>,
    /// Float format of every tensor; without it floats stay as they are, and blocks too where the format has them
    #[arg(long, value_name = "DTYPE")]
    pub dtype: Option<Float>,
}

/// The formats that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// Hugging Face's; floats only.
    Safetensors,
    /// ggml's; floats and blocks.
    Gguf,
}

/// Floats that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Float {
    /// 32 bits.
    F32,
    /// 16 bits of IEEE 754.
    F16,
    /// 16 bits with the range of 32.
    Bf16,
}

/// Does what was typed; gives what to print.
///
/// # Errors
/// If the model can't be read, or the copy can't be written; nothing is left of it then.
pub fn run(args: &Args) -> Result<String> {
    let files = ModelFiles::find(&args.from)?;
    let opened = load::open(&files).with_context(|| format!("could not read `{}`", args.from.display()))?;
    let format = format(&args.to, args.format)?;
    let plan: Vec<_> = opened
        .checkpoint
        .tensors()
        .map(|(name, stored)| Planned { name, stored, dtype: dtype(stored, format, args.dtype) })
        .collect();
    let bytes = write(&args.to, format, &files, &opened, &plan)?;
    let from = opened.checkpoint.format();
    Ok(format!("{}: {:.1} MB of weights, from {from}\n", args.to.display(), bytes as f64 / 1e6))
}

/// The format asked for, or that the name of a file says.
pub(super) fn format(to: &Path, asked: Option<FileFormat>) -> Result<FileFormat> {
    let named = named(to);
    match (named, asked) {
        (Some(named), Some(asked)) if named != asked => {
            bail!("`{}` is not a name for what `--format` asks for", to.display())
        }
        _ => Ok(asked.or(named).unwrap_or(FileFormat::Safetensors)),
    }
}

fn named(to: &Path) -> Option<FileFormat> {
    let extension = to.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "safetensors" => Some(FileFormat::Safetensors),
        "gguf" => Some(FileFormat::Gguf),
        _ => None,
    }
}

fn dtype(stored: &Stored, format: FileFormat, asked: Option<Float>) -> GgmlDType {
    match (asked, stored.encoding, format) {
        (Some(Float::F32), _, _) => GgmlDType::F32,
        (Some(Float::F16), _, _) | (None, Encoding::Float(DType::F16), _) => GgmlDType::F16,
        (Some(Float::Bf16), _, _) | (None, Encoding::Float(DType::BF16), _) => GgmlDType::BF16,
        (None, Encoding::Blocks(blocks), FileFormat::Gguf) => blocks,
        // Nothing shorter holds the value of a block or of a scaled integer.
        (None, _, _) => GgmlDType::F32,
    }
}

/// Writes a model of these tensors: a folder with all that belongs to it, or a file. Gives the bytes of its weights.
pub(super) fn write(
    to: &Path,
    format: FileFormat,
    files: &ModelFiles,
    opened: &Opened,
    plan: &[Planned<'_>],
) -> Result<u64> {
    let stage = Stage::new(to)?;
    let alone = named(to).is_some();
    if !alone {
        stage.make_folder()?;
        companions(&stage, files, opened)?;
    }
    let name = match format {
        FileFormat::Safetensors => "model.safetensors",
        FileFormat::Gguf => "model.gguf",
    };
    let bytes = stage.write((!alone).then_some(name), |out| match format {
        FileFormat::Safetensors => Ok(write::safetensors(out, &opened.checkpoint, plan)?),
        FileFormat::Gguf => Ok(write::gguf(out, &opened.checkpoint, plan)?),
    })?;
    stage.finish()?;
    Ok(bytes)
}

/// What lies beside the weights in Hugging Face's layout: copies without white space, or made from what is known.
fn companions(stage: &Stage, files: &ModelFiles, opened: &Opened) -> Result<()> {
    let copy = |path: &Option<PathBuf>| -> Result<Option<serde_json::Value>> {
        let Some(path) = path else { return Ok(None) };
        let bytes = std::fs::read(path).with_context(|| format!("could not read `{}`", path.display()))?;
        Ok(Some(serde_json::from_slice(&bytes).with_context(|| format!("`{}` is not JSON", path.display()))?))
    };
    let is_config = |config: &serde_json::Value| config.get("d_model").is_some();
    let config = copy(&files.config)?.filter(is_config).unwrap_or_else(|| opened.dims.to_json());
    let heads = json!({"alignment_heads": opened.alignment_heads});
    let generation_config = copy(&files.generation_config)?.unwrap_or(heads);
    let tokenizer = match copy(&files.tokenizer)? {
        Some(tokenizer) => tokenizer,
        None => serde_json::from_str(&opened.tokenizer.to_json()?)?,
    };
    for (name, json) in [
        ("config.json", config),
        ("generation_config.json", generation_config),
        ("tokenizer.json", tokenizer),
    ] {
        stage.write(Some(name), |out| Ok(out.write_all(json.to_string().as_bytes())?))?;
    }
    Ok(())
}
