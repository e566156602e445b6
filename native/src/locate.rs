//! From a model's name to its folder on this machine.

use std::path::{Path, PathBuf};

use crate::options::BadUsage;

/// The model that ships with this program.
pub const BUNDLED: &str = "tiny.en";

/// Names of openai/whisper's models.
const KNOWN: [&str; 14] = [
    "tiny.en",
    "tiny",
    "base.en",
    "base",
    "small.en",
    "small",
    "medium.en",
    "medium",
    "large-v1",
    "large-v2",
    "large-v3",
    "large",
    "large-v3-turbo",
    "turbo",
];

/// The folder or file of a model, given by name or by path; names are looked for in `model_dir` first.
pub fn locate(model: &str, model_dir: Option<&Path>) -> Result<PathBuf, BadUsage> {
    let is_name = !model.is_empty() && !model.contains(['/', '\\']) && !model.starts_with('.');
    if is_name {
        let shipped = shipped_roots();
        let roots = model_dir.into_iter().chain(shipped.iter().map(PathBuf::as_path));
        if let Some(folder) = roots.map(|root| root.join(model)).find(|folder| folder.is_dir()) {
            return Ok(folder);
        }
    }
    let path = Path::new(model);
    if path.is_dir() || path.is_file() {
        return Ok(path.into());
    }
    let advice = "give `--model` a model's folder or file: safetensors, GGUF, ggml, CTranslate2 or PyTorch";
    let what = if KNOWN.contains(&model) {
        format!("model `{model}` is not on this machine, and this version can't fetch models")
    } else {
        format!("there is no folder, no file and no model called `{model}` for `--model`")
    };
    Err(BadUsage::new(what).hint(advice))
}

/// Where models that came with the program may be: beside the binary, in the share folder of its prefix, in the
/// user's data folder, in the source tree it was built from.
fn shipped_roots() -> Vec<PathBuf> {
    let mut roots = Vec::new();
    if let Some(folder) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
        roots.push(folder.join("models"));
        roots.extend(folder.parent().map(|prefix| prefix.join("share/candle-whisper/models")));
    }
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = variable("XDG_DATA_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/share")))
        .or_else(|| variable("LOCALAPPDATA"));
    roots.extend(data.map(|data| data.join("candle-whisper/models")));
    roots.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("models"));
    roots
}
