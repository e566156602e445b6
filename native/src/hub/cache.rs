//! One repository in the cache, laid out as Python's huggingface_hub does: `blobs/` named after their ETags,
//! `snapshots/COMMIT/` of links to them, `refs/` from revisions to commits, and locks beside.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::names::{HubName, is_commit};
use super::structure;
use super::trouble::Trouble;

/// Where a repository's files are, or will be.
#[derive(Debug, Clone)]
pub struct Repo {
    folder: PathBuf,
    locks: PathBuf,
}

impl Repo {
    /// The place of `name` in the cache at `cache`.
    pub fn new(cache: &Path, name: &HubName) -> Self {
        let folder = format!("models--{}--{}", name.owner, name.name);
        Self { locks: cache.join(".locks").join(&folder), folder: cache.join(folder) }
    }

    /// Where a blob is once it is whole.
    pub fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// Where it grows until then.
    pub fn partial(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(format!("{etag}.incomplete"))
    }

    /// The folder of a commit's files.
    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The commit that a revision was when it was last asked for.
    pub fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.into());
        }
        let commit = fs::read_to_string(self.folder.join("refs").join(revision)).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Whether a commit's file is here, and as long as it says it is.
    pub fn has(&self, commit: &str, file: &str) -> bool {
        structure::check(&self.snapshot(commit).join(file)).is_ok()
    }

    /// Notes what a revision is now. The note appears in one step.
    pub fn set_commit(&self, revision: &str, commit: &str) -> Result<(), Trouble> {
        if is_commit(revision) {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        let write = || -> io::Result<()> {
            fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
            let new = path.with_file_name(format!("{commit}.{}.tmp", std::process::id()));
            fs::write(&new, commit)?;
            fs::rename(new, &path)
        };
        write().map_err(|error| Trouble::disk(&error, &path))
    }

    /// Puts a whole blob into a commit's folder.
    pub fn link(&self, commit: &str, file: &str, etag: &str) -> Result<(), Trouble> {
        let path = self.snapshot(commit).join(file);
        let target = Path::new("../../blobs").join(etag);
        if fs::read_link(&path).is_ok_and(|there| there == target) {
            return Ok(());
        }
        let place = || -> io::Result<()> {
            fs::create_dir_all(self.snapshot(commit))?;
            // Made under another name first: whoever looks finds the old link or the new one.
            let new = path.with_file_name(format!("{file}.{}.tmp", std::process::id()));
            // A program that was killed may have left it.
            let _ = fs::remove_file(&new);
            match symlink(&target, &new) {
                Ok(()) => fs::rename(new, &path),
                // Where there are no links, the file itself moves there, as huggingface_hub has it.
                Err(error) if no_links(&error) => fs::rename(self.blob(etag), &path),
                Err(error) => Err(error),
            }
        };
        place().map_err(|error| Trouble::disk(&error, &path))
    }

    /// Waits until no other process works on this blob, and keeps others waiting until the file is dropped. `waiting` is
    /// called if there is a wait.
    pub fn lock(&self, etag: &str, waiting: impl FnOnce()) -> Result<File, Trouble> {
        let path = self.locks.join(format!("{etag}.lock"));
        let take = || -> io::Result<File> {
            fs::create_dir_all(&self.locks)?;
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    waiting();
                    file.lock()?;
                }
                // On a file system without locks the hash still tells what is whole.
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
            Ok(file)
        };
        take().map_err(|error| Trouble::disk(&error, &path))
    }
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

fn no_links(error: &io::Error) -> bool {
    // 1314 is Windows' lack of the privilege to make links.
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported)
        || error.raw_os_error() == Some(1314)
}
