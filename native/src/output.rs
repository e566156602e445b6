//! Where transcripts go: files named after their recordings, which appear whole or not at all, or stdout.
//! What can be known to go wrong is found before any work.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use candle_whisper_core::Transcript;
use candle_whisper_core::writers::{OutputFormat, SubtitleOptions, Writer};
use tempfile::{Builder, NamedTempFile};

use crate::input::Input;
use crate::interrupt::Stop;
use crate::options::BadUsage;

/// Where, and in which formats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outputs {
    /// stdout or a folder.
    pub place: Place,
    /// In the order in which they are written; no two the same.
    pub formats: Vec<OutputFormat>,
    /// For srt and vtt.
    pub subtitles: SubtitleOptions,
}

/// stdout or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The transcript alone goes to stdout.
    Stdout,
    /// Each recording gives a file in this folder for each format.
    Folder(PathBuf),
}

/// What became of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is where it belongs.
    Whole,
    /// Nobody reads stdout any more, which is no failure: `head` does so.
    ReaderGone,
}

impl Outputs {
    /// Complains where outputs would overwrite each other or a recording, or could not be told apart.
    pub fn check(&self, inputs: &[Input]) -> Result<(), BadUsage> {
        let Place::Folder(folder) = &self.place else {
            return self.check_stdout(inputs);
        };
        let mut takers: HashMap<PathBuf, &Input> = HashMap::new();
        for input in inputs {
            if let Some(taker) = takers.insert(self.path(folder, input, ""), input) {
                let first = self.path(folder, input, self.formats.first().map_or("", |f| f.name()));
                let what = format!("{taker} and {input} would both be written to `{}`", first.display());
                return Err(BadUsage::new(what).hint("run them one by one, each with its own `--output_dir`"));
            }
        }
        let recordings: Vec<PathBuf> = inputs
            .iter()
            .filter_map(|input| match input {
                Input::File(path) => fs::canonicalize(path).ok(),
                Input::Stdin => None,
            })
            .collect();
        for path in inputs.iter().flat_map(|input| self.paths(folder, input)) {
            if fs::canonicalize(&path).is_ok_and(|path| recordings.contains(&path)) {
                let what = format!("the output `{}` is one of the recordings", path.display());
                return Err(BadUsage::new(what).hint("choose another `--output_dir`"));
            }
        }
        Ok(())
    }

    fn check_stdout(&self, inputs: &[Input]) -> Result<(), BadUsage> {
        let [format] = self.formats[..] else {
            let what = "`--output_dir -` takes one `--output_format`, for stdout can hold only one";
            return Err(BadUsage::new(what));
        };
        let many = matches!(format, OutputFormat::Txt | OutputFormat::Json);
        if inputs.len() > 1 && !many {
            let what =
                format!("`--output_dir -` with `--output_format {}` takes one recording", format.name());
            return Err(BadUsage::new(what).hint("txt and json can follow each other on stdout"));
        }
        Ok(())
    }

    /// Makes the folder, and fails if no file can be made there or one would have to replace what is no file.
    pub fn prepare(&self, inputs: &[Input]) -> anyhow::Result<()> {
        let Place::Folder(folder) = &self.place else {
            return Ok(());
        };
        let cannot = || format!("could not write into `{}` (`--output_dir`)", folder.display());
        fs::create_dir_all(folder).with_context(cannot)?;
        temporary(folder).with_context(cannot)?;
        for path in inputs.iter().flat_map(|input| self.paths(folder, input)) {
            if fs::metadata(&path).is_ok_and(|about| !about.is_file()) {
                bail!("could not write `{}`: there is something else than a file", path.display());
            }
        }
        Ok(())
    }

    /// Writes one recording's transcript in every format.
    pub fn write(&self, input: &Input, transcript: &Transcript, stop: &Stop) -> anyhow::Result<Delivery> {
        let writers = self.formats.iter().map(|format| (*format, format.writer(&self.subtitles)));
        match &self.place {
            Place::Stdout => {
                for (format, writer) in writers {
                    let delivery = stdout_by(|out| {
                        writer.write(transcript, out)?;
                        // JSON ends without a line end in a file; here the next one or a prompt follows.
                        out.write_all(if format == OutputFormat::Json { b"\n" } else { b"" })
                    });
                    if delivery.context("could not write to stdout")? == Delivery::ReaderGone {
                        return Ok(Delivery::ReaderGone);
                    }
                }
            }
            Place::Folder(folder) => {
                let files: Vec<_> = writers
                    .map(|(format, writer)| (self.path(folder, input, format.name()), writer))
                    .collect();
                let _no_signal_between = stop.writing();
                to_files(&files, transcript)?;
            }
        }
        Ok(Delivery::Whole)
    }

    /// The file that keeps the state of a recording's run; none where no file is written.
    pub fn state_of(&self, input: &Input) -> Option<PathBuf> {
        match &self.place {
            Place::Stdout => None,
            Place::Folder(folder) => Some(self.path(folder, input, "candle-whisper.resume")),
        }
    }

    fn paths<'a>(&'a self, folder: &'a Path, input: &'a Input) -> impl Iterator<Item = PathBuf> + 'a {
        self.formats.iter().map(move |format| self.path(folder, input, format.name()))
    }

    fn path(&self, folder: &Path, input: &Input, extension: &str) -> PathBuf {
        let mut name = input.stem();
        name.push(".");
        name.push(extension);
        folder.join(name)
    }
}

/// Writes all of `bytes` to stdout.
pub fn to_stdout(bytes: &[u8]) -> io::Result<Delivery> {
    stdout_by(|out| out.write_all(bytes))
}

fn stdout_by(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<Delivery> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Delivery::ReaderGone),
        other => other.map(|()| Delivery::Whole),
    }
}

/// Writes every file under another name beside its own, and renames them once all are on the disk.
fn to_files(files: &[(PathBuf, Box<dyn Writer>)], transcript: &Transcript) -> anyhow::Result<()> {
    let mut written = Vec::new();
    for (path, writer) in files {
        let cannot = || format!("could not write `{}`", path.display());
        // A link stays a link: what it points to is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let file = write_beside(&path, &**writer, transcript).with_context(cannot)?;
        written.push((file, path));
    }
    for (file, path) in written {
        file.persist(&path)
            .map_err(|error| error.error)
            .with_context(|| format!("could not write `{}`", path.display()))?;
    }
    Ok(())
}

fn write_beside(path: &Path, writer: &dyn Writer, transcript: &Transcript) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let file = temporary(folder.unwrap_or(Path::new(".")))?;
    let mut out = BufWriter::new(file.as_file());
    writer.write(transcript, &mut out)?;
    out.flush()?;
    drop(out);
    if let Ok(replaced) = fs::metadata(path) {
        file.as_file().set_permissions(replaced.permissions())?;
    }
    file.as_file().sync_all()?;
    Ok(file)
}

fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".candle-whisper-").suffix(".tmp");
    if let Some(permissions) = ordinary_permissions() {
        builder.permissions(permissions);
    }
    builder.tempfile_in(folder)
}

/// What the umask leaves of reading and writing for all: temporary files are private unless told otherwise.
#[cfg(unix)]
fn ordinary_permissions() -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt;
    Some(Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn ordinary_permissions() -> Option<Permissions> {
    None
}
