//! Which Whispers the cache has.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::cache::Repo;
use super::names::HubName;
use super::{cached, plan};

/// A Whisper in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InCache {
    /// `owner/name`.
    pub repo: String,
    /// Branches, tags and commits of which all that is needed is here; a commit only where nothing else names it.
    pub whole: Vec<String>,
    /// Bytes on the disk, of all revisions and of what is not whole yet.
    pub bytes: u64,
}

/// Looks through the cache; gives what it found in the order of its names. A cache that isn't there is empty.
///
/// # Errors
/// If it can't be read.
pub fn scan(cache: &Path) -> Result<Vec<InCache>> {
    let mut whispers = Vec::new();
    for folder in entries(cache)? {
        let name =
            folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("models--"));
        let Some((owner, name)) = name.and_then(|name| name.split_once("--")) else { continue };
        let repo = format!("{owner}/{name}");
        let is_whisper = |snapshot: &PathBuf| {
            fs::read(snapshot.join(plan::CONFIG)).is_ok_and(|config| plan::check_kind(&config).is_ok())
        };
        let snapshots = entries(&folder.join("snapshots"))?;
        if !snapshots.iter().any(is_whisper) {
            continue;
        }
        let is_whole = |revision: &String| {
            let name = HubName::parse(&format!("{repo}@{revision}"));
            name.is_some_and(|name| cached(&Repo::new(cache, &name), &name).is_ok())
        };
        let mut refs = refs(&folder.join("refs"))?;
        let named: Vec<String> = refs.iter().map(|(_, commit)| commit.clone()).collect();
        let commits = snapshots.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
        refs.extend(commits.filter(|commit| !named.contains(commit)).map(|commit| (commit, String::new())));
        let whole = refs.into_iter().map(|(revision, _)| revision).filter(is_whole).collect();
        whispers.push(InCache { repo, whole, bytes: bytes(&folder)? });
    }
    whispers.sort_by(|a, b| a.repo.cmp(&b.repo));
    Ok(whispers)
}

/// Names of branches and tags, which may have slashes, with their commits.
fn refs(root: &Path) -> Result<Vec<(String, String)>> {
    let mut refs = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            if path.is_dir() {
                folders.push(path);
            } else if let (Ok(name), Ok(commit)) = (path.strip_prefix(root), fs::read_to_string(&path)) {
                let name = name.to_string_lossy().replace('\\', "/");
                refs.push((name, commit.trim().to_owned()));
            }
        }
    }
    refs.sort();
    Ok(refs)
}

/// What the files in a folder and below take; links take nothing.
fn bytes(root: &Path) -> Result<u64> {
    let mut total = 0;
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            // A file may go meanwhile, when its download is done.
            let Ok(data) = fs::symlink_metadata(&path) else { continue };
            if data.is_dir() {
                folders.push(path);
            } else if data.is_file() {
                total += data.len();
            }
        }
    }
    Ok(total)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => {
            let paths = entries.map(|entry| entry.map(|entry| entry.path()));
            paths.collect::<Result<_, _>>().with_context(|| format!("could not list `{}`", folder.display()))
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error).with_context(|| format!("could not list `{}`", folder.display())),
    }
}
