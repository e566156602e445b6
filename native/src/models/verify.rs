//! `models verify`: whether a model's files are what they should be. The cache names each file after its hash; elsewhere
//! only what a file tells of itself can be checked.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::hub::cache::Repo;
use crate::hub::hash::Hash;
use crate::hub::settings::Settings;
use crate::hub::structure;
use crate::load::ModelFiles;
use crate::locate::{Location, locate};
use crate::{messages, output};

/// What was typed after `models verify`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A model as for --model: a name, OWNER/NAME@REVISION or a folder
    #[arg(value_name = "NAME|FOLDER")]
    pub model: String,
    /// Folder for models of the hub
    #[arg(long = "cache_dir", alias = "cache-dir", value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
}

/// Does what was typed; each file that is right is printed.
///
/// # Errors
/// If some file is not right or missing; the message names it.
pub fn run(args: &Args) -> Result<()> {
    let location = locate(&args.model, None).map_err(|complaint| anyhow!(complaint.what))?;
    let folder = match location {
        Location::Path(folder) => folder,
        Location::Hub(name) => {
            let settings = Settings::from_env(args.cache_dir.as_deref());
            let repo = Repo::new(&settings.cache, &name);
            let commit = repo.commit(&name.revision).with_context(|| {
                format!(
                    "`{name}` is not in the cache `{}`; `candle-whisper models fetch {name}` fetches it",
                    settings.cache.display()
                )
            })?;
            repo.snapshot(&commit)
        }
    };
    let mut bad = Vec::new();
    for path in files(&folder)? {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        match check(&path) {
            Ok(how) => {
                let line = format!("{name}: {how}\n");
                output::to_stdout(line.as_bytes()).context("could not write to stdout")?;
            }
            Err(what) => {
                messages::error(&anyhow!("`{}` {what}", path.display()));
                // The blob must go, not only the link to it.
                let blob = fs::canonicalize(&path).unwrap_or(path);
                bad.push(format!("`{}`", blob.display()));
            }
        }
    }
    if !bad.is_empty() {
        bail!("`{}` is damaged: delete {} and fetch the model again", args.model, bad.join(" and "));
    }
    ModelFiles::find(&folder).with_context(|| format!("`{}` is not complete", args.model))?;
    Ok(())
}

/// The files in a folder, in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = || -> std::io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if !path.is_dir() {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    };
    list().with_context(|| format!("could not list `{}`", folder.display()))
}

/// How a file is right, or what is wrong with it.
fn check(path: &Path) -> Result<String, String> {
    // A file of the cache is a link to a blob, whose name is its hash.
    let blob = fs::read_link(path).ok();
    let hash = blob.as_deref().and_then(Path::file_name).and_then(|name| Hash::of_name(name.to_str()?));
    let Some(hash) = hash else {
        return structure::check(path).map(|()| "whole as far as it tells, no hash is known".into());
    };
    match hash.is_of(path) {
        Ok(true) => Ok(format!("right, {hash}")),
        Ok(false) => {
            // A length says more than a hash of what is wrong.
            structure::check(path)?;
            Err(format!("does not have its hash ({hash})"))
        }
        Err(error) => Err(format!("can't be read ({error})")),
    }
}
