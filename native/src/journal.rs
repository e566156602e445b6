//! The windows of a run as they are done, a line of JSON each, so that none of them is held in memory until the end, and so that
//! a run that was killed can go on. A line is the last thing done for its window; one without its end is none.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_whisper_core::transcribe::{Checkpoint, Plan};
use candle_whisper_core::{Segment, Transcription};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::SpooledTempFile;

use crate::mark::Mark;

/// Bytes of a journal without a name that stay in memory: short recordings need no file.
const IN_MEMORY: usize = 1 << 18;

/// Where the lines are.
trait Lines: Read + Write + Seek + Send {}
impl<T: Read + Write + Seek + Send> Lines for T {}

/// The windows of one run.
pub struct Journal {
    lines: Box<dyn Lines>,
    /// Its file, if it is to outlive the program.
    kept: Option<(PathBuf, File)>,
    plan: Option<Plan>,
    /// Where the first window's line begins.
    windows: u64,
    n_windows: usize,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("kept", &self.kept).finish_non_exhaustive()
    }
}

/// What there was of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// So many windows of this run.
    Windows(usize),
    /// Another run, which is given up; how it differs.
    Another(String),
}

impl Journal {
    /// One that is gone with the program.
    pub fn passing() -> Self {
        let lines = Box::new(SpooledTempFile::new(IN_MEMORY));
        Self { lines, kept: None, plan: None, windows: 0, n_windows: 0 }
    }

    /// The one in this file, if it is of this run, or a new one.
    ///
    /// # Errors
    /// If the file can't be read or written, or another program is at work on it.
    pub fn open(path: &Path, mark: &Mark) -> Result<(Self, Found)> {
        let cannot = || format!("could not keep the state in `{}`", path.display());
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.with_context(cannot)?;
        if file.try_lock().is_err() {
            bail!("`{}` is in use: another run of the same recording is under way", path.display());
        }
        let kept = Some((path.to_owned(), file.try_clone().with_context(cannot)?));
        let mut journal = Self { lines: Box::new(file), kept, plan: None, windows: 0, n_windows: 0 };
        let found = journal.find(mark).with_context(cannot)?;
        Ok((journal, found))
    }

    /// Reads what is there, and cuts off what is not whole, or not of this run. The first line is the mark, the second the plan.
    fn find(&mut self, mark: &Mark) -> io::Result<Found> {
        self.lines.rewind()?;
        let mut lines = BufReader::new(&mut self.lines);
        let (mut found, mut whole, mut n_windows) = (Found::Nothing, 0, 0);
        if let Some((theirs, n)) = next::<Mark>(&mut lines)? {
            let differences = theirs.differences(mark);
            if !differences.is_empty() {
                found = Found::Another(differences.join(", "));
            } else if let Some((plan, m)) = next(&mut lines)? {
                (self.plan, self.windows) = (Some(plan), n + m);
                whole = n + m;
                while let Some((Checkpoint { .. }, n)) = next(&mut lines)? {
                    whole += n;
                    n_windows += 1;
                }
                found = Found::Windows(n_windows);
            }
        }
        drop(lines);
        self.n_windows = n_windows;
        if let Some((_, file)) = &self.kept {
            file.set_len(whole)?;
        }
        self.lines.seek(SeekFrom::Start(whole))?;
        if self.plan.is_none() {
            self.write(mark)?;
        }
        Ok(found)
    }

    /// What an earlier run found out before its first window.
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// Brings a run that was just started to where the last line is; where there is none, keeps its plan.
    ///
    /// # Errors
    /// If the file can't be read or written.
    pub fn go_on(&mut self, run: &mut Transcription) -> Result<()> {
        let cannot = self.cannot();
        match (&self.plan, run.plan()) {
            (None, Some(plan)) if self.kept.is_some() => {
                self.write(plan).context(cannot)?;
                self.windows = self.lines.stream_position()?;
                Ok(())
            }
            _ => self.each(|checkpoint| run.restore(checkpoint)).context(cannot),
        }
    }

    /// Adds a window.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn push(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let cannot = self.cannot();
        self.n_windows += 1;
        self.write(checkpoint).context(cannot)
    }

    /// All segments.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn segments(&mut self) -> Result<Vec<Segment>> {
        let cannot = self.cannot();
        let mut segments = Vec::new();
        self.each(|checkpoint| segments.extend(checkpoint.segments)).context(cannot)?;
        Ok(segments)
    }

    /// Removes its file: the work is done.
    ///
    /// # Errors
    /// If that fails.
    pub fn remove(self) -> Result<()> {
        match &self.kept {
            Some((path, _)) => {
                fs::remove_file(path).with_context(|| format!("could not remove `{}`", path.display()))
            }
            None => Ok(()),
        }
    }

    fn each(&mut self, mut take: impl FnMut(Checkpoint)) -> io::Result<()> {
        self.lines.seek(SeekFrom::Start(self.windows))?;
        let mut lines = BufReader::new(&mut self.lines);
        for _ in 0..self.n_windows {
            let (checkpoint, _) = next(&mut lines)?.ok_or(ErrorKind::UnexpectedEof)?;
            take(checkpoint);
        }
        self.lines.seek(SeekFrom::End(0)).map(|_| ())
    }

    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.lines.write_all(&bytes)?;
        match &self.kept {
            Some((_, file)) => file.sync_data(),
            None => Ok(()),
        }
    }

    fn cannot(&self) -> String {
        match &self.kept {
            Some((path, _)) => format!("could not keep the state in `{}`", path.display()),
            None => "could not keep what is done in a temporary file".into(),
        }
    }
}

/// The next line and its length; none where it is not whole.
fn next<T: DeserializeOwned>(lines: &mut impl BufRead) -> io::Result<Option<(T, u64)>> {
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line)?;
    if line.last() != Some(&b'\n') {
        return Ok(None);
    }
    Ok(serde_json::from_slice(&line).ok().map(|read| (read, line.len() as u64)))
}
