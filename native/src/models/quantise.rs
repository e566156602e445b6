//! Smaller copies of a model: its weights as GGUF, each tensor in a type that fits it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::quantized::GgmlDType;
use candle_whisper_core::weights::{Encoding, Planned, Recipe, Stored, is_computed};
use clap::ValueEnum;

use super::convert::{self, FileFormat};
use crate::load::{self, ModelFiles};

/// What was typed after `models quantise`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Folder or file of a model whose weights are floats, in any format that can be read
    #[arg(value_name = "IN")]
    pub from: PathBuf,
    /// Folder to write, or a file that ends in .gguf for the weights alone
    #[arg(value_name = "OUT")]
    pub to: PathBuf,
    /// Type of the large matrices
    #[arg(long = "type", value_name = "TYPE", default_value = "mixed")]
    pub kind: Kind,
    /// List every tensor with what it becomes
    #[arg(long)]
    pub verbose: bool,
}

/// What the large matrices may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Kind {
    /// Q8_0, rare words of the token embedding Q5_0: nearly as good as the original at less than half its size.
    Mixed,
    /// 8 bits.
    #[value(name = "q8_0")]
    Q8_0,
    /// 6 bits, in blocks of 256.
    #[value(name = "q6k")]
    Q6K,
    /// 5 bits, in blocks of 256.
    #[value(name = "q5k")]
    Q5K,
    /// 5 bits with a least value.
    #[value(name = "q5_1")]
    Q5_1,
    /// 5 bits.
    #[value(name = "q5_0")]
    Q5_0,
    /// 4 bits, in blocks of 256.
    #[value(name = "q4k")]
    Q4K,
    /// 4 bits.
    #[value(name = "q4_0")]
    Q4_0,
}

impl From<Kind> for Recipe {
    fn from(kind: Kind) -> Self {
        let all = match kind {
            Kind::Mixed => return Self::default(),
            Kind::Q8_0 => GgmlDType::Q8_0,
            Kind::Q6K => GgmlDType::Q6K,
            Kind::Q5K => GgmlDType::Q5K,
            Kind::Q5_1 => GgmlDType::Q5_1,
            Kind::Q5_0 => GgmlDType::Q5_0,
            Kind::Q4K => GgmlDType::Q4K,
            Kind::Q4_0 => GgmlDType::Q4_0,
        };
        Self::of(all)
    }
}

/// The tensors that one becomes, each with its name and type: the token embedding's rows may be parted.
fn parts(recipe: Recipe, name: &str, stored: &Stored, n_text: usize) -> Vec<(String, Stored, GgmlDType)> {
    let whole = || vec![(name.to_owned(), stored.clone(), recipe.dtype(name, &stored.shape))];
    let Some((n, frequent)) = recipe.frequent.filter(|_| name.ends_with("embed_tokens.weight")) else {
        return whole();
    };
    let n = n.min(n_text);
    let alike = Recipe { embedding: frequent, ..recipe }.dtype(name, &stored.shape);
    let pieces =
        [(0..n, alike), (n..n_text, recipe.dtype(name, &stored.shape)), (n_text..stored.n_rows(), alike)];
    let parted = pieces.into_iter().filter(|(rows, _)| !rows.is_empty()).enumerate();
    let parted: Option<Vec<_>> =
        parted.map(|(i, (rows, dtype))| Some((format!("{name}.{i}"), stored.rows(rows)?, dtype))).collect();
    parted.unwrap_or_else(whole)
}

/// Does what was typed; gives what to print.
///
/// # Errors
/// As [`quantise`].
pub fn run(args: &Args) -> Result<String> {
    quantise(&args.from, &args.to, args.kind.into(), args.verbose)
}

/// Writes a quantised copy of the model `from` to `to`; gives what became of its tensors, each by name if `verbose`.
///
/// The encoder's positions are left out: they are sinusoids, which loading computes. The copy appears whole or not at all.
///
/// # Errors
/// If `from` is not a model of floats, or `to` is there already or can't be written.
pub fn quantise(from: &Path, to: &Path, recipe: Recipe, verbose: bool) -> Result<String> {
    let files = ModelFiles::find(from)?;
    let opened = load::open(&files).with_context(|| format!("could not read `{}`", from.display()))?;
    if opened.checkpoint.tensors().any(|(_, stored)| !matches!(stored.encoding, Encoding::Float(_))) {
        bail!("`{}` is quantised already; start from its original", from.display());
    }
    let parts: Vec<_> = opened
        .checkpoint
        .tensors()
        .filter(|(name, _)| !is_computed(name))
        .flat_map(|(name, stored)| parts(recipe, name, stored, opened.tokenizer.special().eot as usize))
        .collect();
    let plan: Vec<_> =
        parts.iter().map(|(name, stored, dtype)| Planned { name, stored, dtype: *dtype }).collect();
    if convert::format(to, Some(FileFormat::Gguf)).is_err() {
        bail!("quantised weights are GGUF: `{}` must be a folder, or end in .gguf", to.display());
    }
    let bytes = convert::write(to, FileFormat::Gguf, &files, &opened, &plan)?;
    let mut said = format!("{}: {:.1} MB of weights\n", to.display(), bytes as f64 / 1e6);
    described(&mut said, &plan, recipe, verbose)?;
    Ok(said)
}

/// A line for each tensor, if `verbose`, and one for each type; those that got another than the recipe's are counted.
fn described(said: &mut String, plan: &[Planned<'_>], recipe: Recipe, verbose: bool) -> Result<()> {
    let mut types: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    for planned in plan {
        let Planned { name, stored, dtype } = *planned;
        let size = planned.size_in_bytes()?;
        let to = Encoding::of(dtype).to_string();
        let frequent = recipe.frequent.is_some_and(|(_, frequent)| frequent == dtype);
        let other = recipe.wanted(name, &stored.shape) != dtype && !frequent;
        if verbose {
            let shape: Vec<_> = stored.shape.iter().map(usize::to_string).collect();
            let note = if other { "  rows are no whole blocks of the type asked for" } else { "" };
            let (from, shape) = (stored.encoding, shape.join("x"));
            writeln!(said, "  {name:<56} {shape:>12}  {from:>4} -> {to:<4} {size:>10}{note}")?;
        }
        let (n, bytes, others) = types.entry(to).or_default();
        *n += 1;
        *bytes += size;
        *others += usize::from(other);
    }
    for (to, (n, bytes, others)) in types {
        write!(said, "  {to:<4} {n:>4} tensors {:>9.1} MB", bytes as f64 / 1e6)?;
        if others > 0 {
            write!(said, "; {others} of them because their rows are no whole blocks of the type asked for")?;
        }
        said.push('\n');
    }
    Ok(())
}
