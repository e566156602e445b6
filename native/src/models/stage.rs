//! A file or folder that is made under another name, and gets its own once it is whole.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::{Builder, TempDir};

/// Where something is made; dropped before [`Stage::finish`], it is gone.
pub struct Stage {
    /// Private, and on the same disk as the target.
    room: TempDir,
    target: PathBuf,
}

impl Stage {
    /// Makes room beside `target`, which must not be there yet.
    ///
    /// # Errors
    /// If it is, or its folder can't be written to.
    pub fn new(target: &Path) -> Result<Self> {
        let is_empty = |folder: &Path| fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
        if target.symlink_metadata().is_ok() && !is_empty(target) {
            bail!("`{}` is there already; remove it or give another name", target.display());
        }
        let parent =
            target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let cannot = || format!("could not write to `{}`", parent.display());
        fs::create_dir_all(parent).with_context(cannot)?;
        let room = Builder::new().prefix(".candle-whisper-").tempdir_in(parent).with_context(cannot)?;
        Ok(Self { room, target: target.into() })
    }

    /// What becomes the target.
    pub fn path(&self) -> PathBuf {
        self.room.path().join("made")
    }

    /// Makes the target a folder.
    ///
    /// # Errors
    /// If the disk can't be written.
    pub fn make_folder(&self) -> Result<()> {
        Ok(fs::create_dir(self.path())?)
    }

    /// Writes a file: the target itself, or one of this name in it. Gives its bytes.
    ///
    /// # Errors
    /// If `fill` fails, or the disk is full.
    pub fn write(
        &self,
        name: Option<&str>,
        fill: impl FnOnce(&mut BufWriter<File>) -> Result<()>,
    ) -> Result<u64> {
        let path = name.map_or(self.path(), |name| self.path().join(name));
        let place = || match name {
            Some(name) => format!("could not write `{}`", self.target.join(name).display()),
            None => format!("could not write `{}`", self.target.display()),
        };
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&path).with_context(place)?);
        fill(&mut out).with_context(place)?;
        out.flush().with_context(place)?;
        out.get_ref().sync_all().with_context(place)?;
        Ok(out.get_ref().metadata()?.len())
    }

    /// Gives what was made its name.
    ///
    /// # Errors
    /// If something of that name has come in between.
    pub fn finish(self) -> Result<()> {
        fs::rename(self.path(), &self.target)
            .with_context(|| format!("could not write `{}`", self.target.display()))
    }
}
