//! Which Whispers the cache has.

use std::fs;
use std::path::Path;

use super::cache::Repo;
use super::cached;
use super::names::HubName;
use super::plan;
use super::remote::client;
use super::settings::Settings;
use super::trouble::Trouble;

/// A Whisper in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InCache {
    /// `owner/name`.
    pub repo: String,
    /// Revisions of which all that is needed is here.
    pub whole: Vec<String>,
    /// Bytes on the disk, of all revisions and of what is not whole yet.
    pub bytes: u64,
}

/// Looks through the cache; gives what it found in the order of its names.
///
/// # Errors
/// If it can't be read.
pub fn scan(settings: &Settings) -> Result<Vec<InCache>, Trouble> {
    let nothing = HubName { owner: String::new(), name: String::new(), revision: String::new() };
    let found = client(settings).and_then(|client| client.scan_cache().send());
    let found = found.map_err(|error| Trouble::hf(error, &nothing, settings))?;
    let mut whispers = Vec::new();
    for repo in found.repos.into_iter().filter(|repo| repo.repo_type == "model") {
        let is_whisper = |snapshot: &Path| {
            fs::read(snapshot.join(plan::CONFIG)).is_ok_and(|config| plan::check_kind(&config).is_ok())
        };
        let revisions: Vec<_> =
            repo.revisions.iter().filter(|revision| is_whisper(&revision.snapshot_path)).collect();
        if revisions.is_empty() {
            continue;
        }
        let mut whole = Vec::new();
        for revision in revisions {
            for name in revision.refs.iter().chain([&revision.commit_hash]) {
                let Some(hub) = HubName::parse(&format!("{}@{name}", repo.repo_id)) else { continue };
                if cached(&Repo::new(&settings.cache, &hub), &hub).is_ok() {
                    whole.push(name.clone());
                    break;
                }
            }
        }
        let partial = partial_bytes(&repo.repo_path.join("blobs"));
        whispers.push(InCache { repo: repo.repo_id, whole, bytes: repo.size_on_disk + partial });
    }
    whispers.sort_by(|a, b| a.repo.cmp(&b.repo));
    Ok(whispers)
}

/// Bytes that wait for the rest of their files.
fn partial_bytes(blobs: &Path) -> u64 {
    let entries = fs::read_dir(blobs).into_iter().flatten().flatten();
    let partial = entries.filter(|entry| entry.path().extension().is_some_and(|e| e == "incomplete"));
    partial.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}
