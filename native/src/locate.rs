//! From a model's name to where it is: a folder on this machine, or the hub.

use std::path::{Path, PathBuf};

use crate::hub::names::HubName;
use crate::hub::settings::Settings;
use crate::hub::trouble::Trouble;
use crate::hub::{self, Fetched, Wish};
use crate::options::BadUsage;

/// The model that ships with this program.
pub const BUNDLED: &str = "tiny.en";

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Location {
    /// A folder or file on this machine.
    Path(PathBuf),
    /// On the hub, or in the cache of what came from there.
    Hub(HubName),
}

impl Location {
    /// The folder of the model's files, which are fetched if they are on the hub and not here.
    ///
    /// # Errors
    /// If they can't be had.
    pub fn fetch(&self, settings: &Settings, wish: Wish) -> Result<Fetched, Trouble> {
        match self {
            Self::Path(path) => Ok(Fetched { folder: path.clone(), warning: None }),
            Self::Hub(name) => hub::fetch(name, settings, wish),
        }
    }
}

/// Where a model is, given by name or as a folder. Names are looked for in `model_dir`, then among what ships with this
/// program; a folder of that name is next, and last the hub. Nothing is fetched.
pub fn locate(model: &str, model_dir: Option<&Path>) -> Result<Location, BadUsage> {
    let is_name = !model.is_empty() && !model.contains(['/', '\\']) && !model.starts_with('.');
    if is_name {
        let shipped = shipped_roots();
        let roots = model_dir.into_iter().chain(shipped.iter().map(PathBuf::as_path));
        if let Some(folder) = roots.map(|root| root.join(model)).find(|folder| folder.is_dir()) {
            return Ok(Location::Path(folder));
        }
    }
    let path = Path::new(model);
    if path.is_dir() || path.is_file() {
        return Ok(Location::Path(path.into()));
    }
    HubName::parse(model).map(Location::Hub).ok_or_else(|| {
        let what = format!("there is no folder, no file and no model called `{model}` for `--model`");
        let names = "`candle-whisper models list` shows names; others on the hub are OWNER/NAME";
        BadUsage::new(what).hint(format!("{names}; a model's folder or file will do too"))
    })
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
