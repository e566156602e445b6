//! Models on the Hugging Face hub: from a name to a folder of files in the cache that Python's huggingface_hub shares.
//!
//! hf-hub asks the hub what a revision is and which files it has. They are fetched by [`download`], which goes on where
//! it stopped and checks lengths and hashes, as hf-hub's own downloads do not; a snapshot names a file only once it is
//! whole. The hub is asked once what a branch or tag is now, and a commit that is here whole is used without it.

pub mod cache;
pub mod download;
pub mod hash;
pub mod names;
pub mod plan;
pub mod remote;
pub mod scan;
pub mod settings;
pub mod structure;
pub mod trouble;
mod watch;

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::load::ModelFiles;
use cache::Repo;
use names::HubName;
use plan::{CONFIG, Plan, TOKENIZER, Variant};
use remote::{Listing, Remote};
use settings::Settings;
use trouble::{Kind, Trouble};
use watch::Watch;

/// Most downloads at once, as huggingface_hub has it.
const MOST_AT_ONCE: usize = 8;

/// How to fetch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    /// Which weights.
    pub variant: Variant,
    /// Whether to show a bar on stderr.
    pub bar: bool,
}

/// A model that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The folder of its files.
    pub folder: PathBuf,
    /// What is not as one might think.
    pub warning: Option<String>,
}

/// Sees to it that the model is in the cache, whole.
///
/// # Errors
/// If it can't be had; the words say why and what to do.
pub fn fetch(name: &HubName, settings: &Settings, wish: Wish) -> Result<Fetched, Trouble> {
    // The HTTP client blocks, which it may not do on a thread of an asynchronous caller.
    let done = thread::scope(|scope| scope.spawn(|| fetch_here(name, settings, wish)).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn fetch_here(name: &HubName, settings: &Settings, wish: Wish) -> Result<Fetched, Trouble> {
    let repo = Repo::new(&settings.cache, name);
    let cached = cached(&repo, name);
    let wants_full = wish.variant == Variant::Full;
    if settings.offline {
        let (folder, full) = cached.map_err(|missing| offline(name, settings, &missing))?;
        let warning = (wants_full && !full).then(|| format!("only 16 bits of `{name}` are in the cache"));
        return Ok(Fetched { folder, warning });
    }
    if name.is_commit()
        && let Ok((folder, full)) = &cached
        && (*full || !wants_full)
    {
        return Ok(Fetched { folder: folder.clone(), warning: None });
    }
    match (fetch_revision(&repo, name, settings, wish), cached) {
        (Ok(folder), _) => Ok(Fetched { folder, warning: None }),
        (Err(trouble), Ok((folder, _))) if trouble.kind == Kind::Unreachable => {
            let warning = format!("using `{name}` as it is in the cache: {trouble}");
            Ok(Fetched { folder, warning: Some(warning) })
        }
        (Err(trouble), _) => Err(trouble.about(name)),
    }
}

/// Gets what is missing of what the revision is now, and notes what that is once all is here.
fn fetch_revision(repo: &Repo, name: &HubName, settings: &Settings, wish: Wish) -> Result<PathBuf, Trouble> {
    let remote = Remote::new(name, settings)?;
    let listing = remote.listing()?;
    let folder = fetch_commit(&remote, repo, &listing, name, wish)?;
    // A cache that can't be written is good enough if everything is there.
    if repo.commit(&name.revision).as_ref() != Some(&listing.commit) {
        repo.set_commit(&name.revision, &listing.commit)?;
    }
    Ok(folder)
}

/// Gets what is missing of a commit: first what says which model it is and where its weights are, then the rest at once.
fn fetch_commit(
    remote: &Remote<'_>,
    repo: &Repo,
    listing: &Listing,
    name: &HubName,
    wish: Wish,
) -> Result<PathBuf, Trouble> {
    let Listing { commit, files } = listing;
    let folder = repo.snapshot(commit);
    let read = |file: &str| {
        let path = folder.join(file);
        fs::read(&path).map_err(|error| Trouble::disk(&error, &path))
    };
    if files.iter().any(|file| file == CONFIG) {
        get(remote, repo, commit, &[CONFIG.into()], &Watch::new(false, "", 0))?;
        plan::check_kind(&read(CONFIG)?)?;
    }
    let plan = Plan::of(files, wish.variant)?;
    let mut wanted = plan.small.clone();
    wanted.push(plan.weights.clone());
    if plan.has_index() {
        get(remote, repo, commit, std::slice::from_ref(&plan.weights), &Watch::new(false, "", 0))?;
        wanted.extend(plan::shards(&read(&plan.weights)?)?);
    }
    wanted.retain(|file| !repo.has(commit, file));
    let metas = at_once(&wanted, |file| remote.meta(commit, file))?;
    let watch = Watch::new(
        wish.bar && !metas.is_empty(),
        &name.to_string(),
        metas.iter().filter_map(|m| m.size).sum(),
    );
    at_once(&metas, |meta| download::fetch(remote, repo, meta, &watch).inspect_err(|_| watch.fail()))?;
    for meta in &metas {
        repo.link(commit, &meta.file, &meta.etag)?;
    }
    Ok(folder)
}

/// Gets these files of a commit, as far as they are not here.
fn get(
    remote: &Remote<'_>,
    repo: &Repo,
    commit: &str,
    files: &[String],
    watch: &Watch,
) -> Result<(), Trouble> {
    for file in files.iter().filter(|file| !repo.has(commit, file)) {
        let meta = remote.meta(commit, file)?;
        download::fetch(remote, repo, &meta, watch)?;
        repo.link(commit, file, &meta.etag)?;
    }
    Ok(())
}

/// Does it for every item, several at once; gives what came of them in their order, or the first trouble.
fn at_once<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, Trouble> + Sync,
) -> Result<Vec<R>, Trouble> {
    let queue = Mutex::new(items.iter().enumerate());
    let done = Mutex::new(Vec::new());
    let worker = || -> Result<(), Trouble> {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, item)) = next else { return Ok(()) };
            let result = work(item).inspect_err(|_| {
                // Nobody begins another.
                queue.lock().unwrap_or_else(PoisonError::into_inner).by_ref().for_each(drop);
            })?;
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    let ends: Vec<Result<(), Trouble>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..items.len().min(MOST_AT_ONCE)).map(|_| scope.spawn(worker)).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().map(join).collect()
    });
    // Those who gave up did so because of another's trouble, which is the one to tell.
    let troubles = ends.into_iter().filter_map(Result::err);
    if let Some(trouble) = troubles.min_by_key(|trouble| trouble.kind == Kind::GivenUp) {
        return Err(trouble);
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// The folder of the model as the cache has it, and whether its weights are the full ones; else what is missing.
pub fn cached(repo: &Repo, name: &HubName) -> Result<(PathBuf, bool), String> {
    let commit = repo.commit(&name.revision).ok_or("nothing of it is there")?;
    let folder = repo.snapshot(&commit);
    let files = ModelFiles::in_folder(&folder).map_err(|error| error.to_string())?;
    let needed = |path: Option<PathBuf>, name: &str| path.ok_or(format!("it has no `{name}` there"));
    let beside = [needed(files.config, CONFIG)?, needed(files.tokenizer, TOKENIZER)?];
    let weights = files.weights;
    let is_fp16 =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".fp16"));
    let full = !weights.iter().any(is_fp16);
    for path in weights.iter().chain(&beside) {
        structure::check(path).map_err(|what| format!("`{}` {what}", path.display()))?;
    }
    Ok((folder, full))
}

fn offline(name: &HubName, settings: &Settings, missing: &str) -> Trouble {
    let words = format!(
        "`{name}` is not in the cache `{}`: {missing}; HF_HUB_OFFLINE forbids fetching it: unset it, or run \
         `candle-whisper models fetch {name}` where there is a network and bring the cache here",
        settings.cache.display()
    );
    Trouble::new(Kind::NotCached, words)
}
