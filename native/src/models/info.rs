//! What a model is and what it needs, from its files and without loading it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use candle_core::DType;
use candle_whisper_core::dims::{Head, ModelDimensions, alignment_heads};
use candle_whisper_core::memory::{PerNumber, Processor, Usage, dims_of, estimate, n_parameters};
use candle_whisper_core::weights::{Checkpoint, Matrices};
use serde::{Serialize, Serializer};

use crate::hub::Wish;
use crate::hub::settings::Settings;
use crate::load::{self, Described, ModelFiles};
use crate::locate;
use crate::memory::Bytes;

/// What was typed after `models info`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Name or folder of a model, as for --model
    #[arg(value_name = "NAME|FOLDER")]
    pub model: String,
    /// Folder in which named models are looked for, each in a folder of its name
    #[arg(long = "model_dir", alias = "model-dir", value_name = "FOLDER")]
    pub model_dir: Option<PathBuf>,
    /// Folder of the cache of the hub's models
    #[arg(long = "cache_dir", alias = "cache-dir", value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
    /// Print JSON, bytes in full
    #[arg(long)]
    pub json: bool,
}

/// What there is to know about a model.
#[derive(Debug, Clone, Serialize)]
pub struct Info {
    /// Where it is; `None` if it would have to be fetched.
    pub folder: Option<PathBuf>,
    /// Sizes by openai/whisper's names.
    pub dims: Dims,
    /// Numbers that were trained, and the encoder's sinusoids.
    pub parameters: u64,
    /// The files with the weights.
    pub files: Vec<PathBuf>,
    /// Their format.
    pub file_format: Option<String>,
    /// Their bytes.
    pub file_bytes: u64,
    /// Types of the tensors in them, the one with most bytes first.
    pub file_dtypes: Vec<String>,
    /// Languages it knows: 1, 99 or 100.
    pub languages: usize,
    /// Decoder layers and heads that word times come from.
    pub alignment_heads: Vec<Head>,
    /// What it needs, for each device and number format.
    pub memory: Vec<Row>,
    /// What an hour of recording adds to that, in the machine's memory.
    pub bytes_per_hour: u64,
}

/// [`ModelDimensions`] by openai/whisper's names, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dims([(&'static str, usize); 10]);

impl From<&ModelDimensions> for Dims {
    fn from(dims: &ModelDimensions) -> Self {
        Self([
            ("n_mels", dims.n_mels),
            ("n_audio_ctx", dims.n_audio_ctx),
            ("n_audio_state", dims.n_state),
            ("n_audio_head", dims.n_audio_head),
            ("n_audio_layer", dims.n_audio_layer),
            ("n_vocab", dims.n_vocab),
            ("n_text_ctx", dims.n_text_ctx),
            ("n_text_state", dims.n_state),
            ("n_text_head", dims.n_text_head),
            ("n_text_layer", dims.n_text_layer),
        ])
    }
}

impl Serialize for Dims {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0)
    }
}

/// Peaks in bytes while a recording of 30 s is transcribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `cpu`, for the machine's memory, or `cuda`, for the GPU's.
    pub device: &'static str,
    /// What it computes in, or `quantised`.
    pub dtype: &'static str,
    /// Greedy decoding.
    pub greedy: u64,
    /// Five beams.
    pub beam_5: u64,
    /// Five beams in each of eight windows at once.
    pub beam_5_batch_8: u64,
}

/// Does what was typed; gives what to print.
///
/// # Errors
/// If there is no such model, or its files are broken.
pub fn run(args: &Args) -> Result<String> {
    let info = match (here(args), dims_of(&args.model)) {
        (Ok(path), _) => {
            Info::of(&path).with_context(|| format!("could not describe `{}`", path.display()))?
        }
        (Err(_), Some(dims)) => Info::of_sizes(&dims)?,
        (Err(error), None) => return Err(error),
    };
    if args.json {
        return Ok(serde_json::to_string_pretty(&info)? + "\n");
    }
    Ok(info.to_string())
}

/// The model's folder; nothing is fetched.
fn here(args: &Args) -> Result<PathBuf> {
    let location = locate::locate(&args.model, args.model_dir.as_deref());
    let location = location.map_err(|complaint| anyhow::Error::msg(complaint.what))?;
    let settings = Settings { offline: true, ..Settings::from_env(args.cache_dir.as_deref()) };
    let fetched = location.fetch(&settings, Wish::default());
    fetched.map(|fetched| fetched.folder).with_context(|| {
        let name = &args.model;
        format!("`{name}` is not here; `candle-whisper models fetch {name}` brings it")
    })
}

impl Info {
    /// Reads everything but the weights.
    ///
    /// # Errors
    /// If a file is missing or broken, or is not a Whisper's.
    pub fn of(folder: &Path) -> Result<Self> {
        let files = ModelFiles::find(folder)?;
        let Described { checkpoint, dims, alignment_heads } = load::describe(&files)?;
        let sizes = files.weights.iter().map(|path| Ok(std::fs::metadata(path)?.len()));
        Ok(Self {
            folder: Some(folder.into()),
            file_bytes: sizes.sum::<Result<u64>>()?,
            file_format: Some(checkpoint.format().to_string()),
            file_dtypes: dtypes(&checkpoint),
            alignment_heads,
            files: files.weights,
            memory: rows(&dims, |matrices, processor, dtype| {
                PerNumber::of(&checkpoint, matrices, processor, dtype)
            }),
            ..Self::of_sizes(&dims)?
        })
    }

    /// What there is to know without files.
    ///
    /// # Errors
    /// If no Whisper has these sizes.
    pub fn of_sizes(dims: &ModelDimensions) -> Result<Self> {
        let recording = |seconds| estimate(dims, &Usage { seconds, ..Usage::default() }).recording;
        Ok(Self {
            folder: None,
            dims: Dims::from(dims),
            parameters: n_parameters(dims),
            files: Vec::new(),
            file_format: None,
            file_bytes: 0,
            file_dtypes: Vec::new(),
            languages: if dims.is_multilingual() { dims.num_languages() } else { 1 },
            alignment_heads: alignment_heads(dims, None)?,
            memory: rows(dims, |matrices, processor, _| match matrices {
                Matrices::Floats => None,
                Matrices::Blocks => Some(PerNumber::made(processor)),
            }),
            bytes_per_hour: recording(3600.0),
        })
    }
}

fn rows(
    dims: &ModelDimensions,
    matrices: impl Fn(Matrices, Processor, DType) -> Option<PerNumber>,
) -> Vec<Row> {
    let kinds = [
        (Processor::Cpu, DType::F32, Matrices::Floats),
        (Processor::Cpu, DType::F32, Matrices::Blocks),
        (Processor::Gpu, DType::F32, Matrices::Floats),
        (Processor::Gpu, DType::F16, Matrices::Floats),
        (Processor::Gpu, DType::BF16, Matrices::Floats),
        (Processor::Gpu, DType::F16, Matrices::Blocks),
    ];
    let row = |(processor, dtype, kind): (Processor, DType, Matrices)| {
        let integers = kind == Matrices::Blocks;
        let matrices = matrices(kind, processor, dtype);
        let usage = Usage { processor, dtype, matrices, integers, ..Usage::default() };
        let peak = |n_group, n_audio| estimate(dims, &Usage { n_group, n_audio, ..usage }).peak();
        Row {
            device: if processor == Processor::Cpu { "cpu" } else { "cuda" },
            dtype: if kind == Matrices::Blocks { "quantised" } else { dtype.as_str() },
            greedy: peak(1, 1),
            beam_5: peak(5, 1),
            beam_5_batch_8: peak(5, 8),
        }
    };
    kinds.into_iter().map(row).collect()
}

/// How numbers are written in the files, what takes most bytes first.
fn dtypes(checkpoint: &Checkpoint) -> Vec<String> {
    let mut bytes = BTreeMap::<String, usize>::new();
    for (_, stored) in checkpoint.tensors() {
        let pieces = if stored.pieces().is_empty() { std::slice::from_ref(stored) } else { stored.pieces() };
        for piece in pieces {
            *bytes.entry(piece.encoding.to_string()).or_default() += piece.size_in_bytes();
        }
    }
    let mut dtypes: Vec<(String, usize)> = bytes.into_iter().collect();
    dtypes.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    dtypes.into_iter().map(|(name, _)| name).collect()
}

impl std::fmt::Display for Info {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut lines = String::new();
        let mut line = |name: &str, value: String| writeln!(lines, "{name:<16}{value}");
        let folder = self.folder.as_deref().map(|folder| folder.display().to_string());
        line("folder", folder.unwrap_or_else(|| "not here; `candle-whisper models fetch` brings it".into()))?;
        for (name, size) in self.dims.0 {
            line(name, size.to_string())?;
        }
        line("parameters", grouped(self.parameters))?;
        for file in &self.files {
            line("weights", file.file_name().unwrap_or_default().to_string_lossy().into_owned())?;
        }
        if let Some(format) = &self.file_format {
            let (bytes, dtypes) = (Bytes(self.file_bytes), self.file_dtypes.join(", "));
            line("stored as", format!("{format}, {bytes} in {dtypes}"))?;
        }
        line("languages", self.languages.to_string())?;
        let heads: Vec<_> = self.alignment_heads.iter().map(|(l, h)| format!("{l}.{h}")).collect();
        line("alignment heads", heads.join(" "))?;
        writeln!(f, "{lines}")?;
        writeln!(f, "{:<16}{:>10}{:>10}{:>16}", "memory", "greedy", "beam 5", "beam 5 batch 8")?;
        for row in &self.memory {
            let name = format!("{} {}", row.device, row.dtype);
            let [a, b, c] = [row.greedy, row.beam_5, row.beam_5_batch_8].map(|n| Bytes(n).to_string());
            writeln!(f, "{name:<16}{a:>10}{b:>10}{c:>16}")?;
        }
        writeln!(f, "{:<16}{:>10}", "hour of audio", Bytes(self.bytes_per_hour).to_string())
    }
}

/// Digits in threes.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
