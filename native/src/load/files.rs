//! Which files make a model.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_whisper_core::weights::{Format, N_FIRST_BYTES};

use super::read;

/// The files of a model. Only the weights are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// One file of any format, or all the parts of safetensors.
    pub weights: Vec<PathBuf>,
    /// `config.json`: the sizes in Hugging Face's layout, the heads in faster-whisper's.
    pub config: Option<PathBuf>,
    /// `generation_config.json`, which names the heads that word times come from.
    pub generation_config: Option<PathBuf>,
    /// `tokenizer.json`
    pub tokenizer: Option<PathBuf>,
    /// `vocabulary.json` or `vocabulary.txt` of faster-whisper.
    pub vocabulary: Option<PathBuf>,
}

impl ModelFiles {
    /// Finds the files of the model that is a folder, or a file and what lies beside it.
    ///
    /// # Errors
    /// If there is nothing, or no weights or several in a folder; the message names it.
    pub fn find(path: &Path) -> Result<Self> {
        if path.is_file() {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            return Ok(Self::beside(folder.unwrap_or(Path::new(".")), vec![path.into()]));
        }
        Self::in_folder(path)
    }

    /// Finds the files of the model in `folder`.
    ///
    /// # Errors
    /// As [`ModelFiles::find`].
    pub fn in_folder(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            bail!("there is no model `{}`", folder.display());
        }
        Ok(Self::beside(folder, weight_files(folder)?))
    }

    fn beside(folder: &Path, weights: Vec<PathBuf>) -> Self {
        let there = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        Self {
            weights,
            config: there("config.json"),
            generation_config: there("generation_config.json"),
            tokenizer: there("tokenizer.json"),
            vocabulary: there("vocabulary.json").or_else(|| there("vocabulary.txt")),
        }
    }
}

/// Names of safetensors and of their indices, the ones to prefer first: those published as the model, then its 16 bits.
pub const SAFETENSORS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "model.fp16.safetensors",
    "model.safetensors.index.fp16.json",
];

fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    if let Some(path) = SAFETENSORS.map(|name| folder.join(name)).into_iter().find(|path| path.is_file()) {
        let is_index = path.extension().is_some_and(|extension| extension == "json");
        return if is_index { shards(&path) } else { Ok(vec![path]) };
    }
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("could not list `{}`", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file() && !is_text(path))
        .collect();
    files.sort();
    let mut complaint = None;
    files.retain(|path| match format(path) {
        Ok(_) => true,
        Err(error) => {
            complaint = Some(error);
            false
        }
    });
    match (files.as_slice(), complaint) {
        ([_], _) => Ok(files),
        ([], None) => bail!("`{}` has no weights, such as `model.safetensors`", folder.display()),
        ([], Some(complaint)) => Err(complaint.context(format!("`{}` has no weights", folder.display()))),
        ([first, second, ..], _) => bail!(
            "`{}` and `{}` lie in one folder; give `--model` the one to use",
            first.display(),
            second.display()
        ),
    }
}

/// Files beside the weights that have words in them.
fn is_text(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_none_or(|extension| ["json", "txt", "md"].contains(&extension))
}

fn format(path: &Path) -> Result<Format> {
    let named = || format!("`{}`", path.display());
    let mut first = Vec::new();
    File::open(path)
        .with_context(named)?
        .take(N_FIRST_BYTES as u64)
        .read_to_end(&mut first)
        .with_context(named)?;
    Format::of(&first).with_context(named)
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
