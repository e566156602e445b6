//! A recording by its name, and the bytes behind it. What can't seek (stdin, pipes) is kept in memory, or past a
//! size in an unnamed temporary file, up to a limit.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use candle_whisper_core::Recording;
use candle_whisper_core::media::MediaReader;
use tempfile::SpooledTempFile;

/// Most bytes taken from what can't seek: over a day of stereo CD audio in WAV.
pub const MOST_SPOOLED: u64 = 16 << 30;
const IN_MEMORY: usize = 1 << 20;

/// A recording as named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// `-`.
    Stdin,
    /// Anything else.
    File(PathBuf),
}

/// Bytes that a decoder can move around in.
pub trait Source: Read + Seek + Send + Sync {}
impl<T: Read + Seek + Send + Sync> Source for T {}

impl From<PathBuf> for Input {
    fn from(typed: PathBuf) -> Self {
        match typed.as_os_str() == "-" {
            true => Self::Stdin,
            false => Self::File(typed),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("stdin"),
            Self::File(path) => write!(f, "`{}`", path.display()),
        }
    }
}

impl Input {
    /// What outputs are named after: the file's name up to its last dot, as Python's `os.path.splitext` has it.
    pub fn stem(&self) -> OsString {
        match self {
            Self::Stdin => "stdin".into(),
            Self::File(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                // A name of leading dots and no other dot has no extension.
                let bytes = name.as_encoded_bytes();
                let dots = bytes.iter().take_while(|byte| **byte == b'.').count();
                match bytes[dots..].contains(&b'.') {
                    true => Path::new(name).file_stem().unwrap_or(name).into(),
                    false => name.into(),
                }
            }
        }
    }

    /// The file's extension: a hint for who guesses the container.
    pub fn extension(&self) -> Option<&str> {
        match self {
            Self::Stdin => None,
            Self::File(path) => path.extension().and_then(OsStr::to_str),
        }
    }

    /// Fails where it is clear beforehand that there is nothing to read.
    pub fn check(&self) -> anyhow::Result<()> {
        match self {
            Self::Stdin if io::stdin().is_terminal() => {
                bail!("stdin is a terminal, not a recording")
            }
            Self::Stdin => Ok(()),
            Self::File(path) => {
                let about = std::fs::metadata(path);
                match about.with_context(|| format!("could not read {self}"))?.is_dir() {
                    true => bail!("could not read {self}: it is a folder"),
                    false => Ok(()),
                }
            }
        }
    }

    /// Opens the recording; what can't seek is read to its end first.
    pub fn open(&self) -> anyhow::Result<Box<dyn Source>> {
        let source = match self {
            Self::Stdin => spool(&mut io::stdin().lock(), MOST_SPOOLED),
            Self::File(path) => File::open(path).and_then(|mut file| match file.metadata()?.is_file() {
                true => Ok(Box::new(file) as Box<dyn Source>),
                false => spool(&mut file, MOST_SPOOLED),
            }),
        };
        source.with_context(|| format!("could not read {self}"))
    }
}

/// An opened recording, read as often as it has to be; clones share it, and one of them reads at a time.
#[derive(Clone)]
pub struct Opened {
    source: Arc<Mutex<Box<dyn Source>>>,
    extension: Option<String>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("extension", &self.extension).finish_non_exhaustive()
    }
}

impl Opened {
    /// Opens a recording, see [`Input::open`].
    ///
    /// # Errors
    /// If it can't be read.
    pub fn new(input: &Input) -> anyhow::Result<Self> {
        let source = Arc::new(Mutex::new(input.open()?));
        Ok(Self { source, extension: input.extension().map(ToOwned::to_owned) })
    }

    /// Its bytes.
    pub fn bytes(&self) -> MutexGuard<'_, Box<dyn Source>> {
        // Who reads begins with a seek, so a reader that panicked has left nothing behind.
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A decoder at its start.
    ///
    /// # Errors
    /// If nothing in it can be decoded.
    pub fn decoder(&self) -> candle_whisper_core::Result<MediaReader> {
        MediaReader::open(Shared(self.clone()), self.extension.as_deref())
    }

    /// Its samples, block by block.
    pub fn recording(&self) -> Recording {
        let opened = self.clone();
        Recording::again(move || opened.decoder())
    }
}

/// A reader of what others read too, though not meanwhile.
struct Shared(Opened);

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.bytes().read(buffer)
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.bytes().seek(to)
    }
}

impl Input {
    /// A decoder of the recording that reads it once from its start to its end, and as it comes.
    ///
    /// # Errors
    /// If it can't be read; the inner one, if nothing in it can be decoded.
    pub fn passing(&self) -> anyhow::Result<candle_whisper_core::Result<MediaReader>> {
        let source: Box<dyn Read + Send> = match self {
            Self::Stdin => Box::new(io::stdin()),
            Self::File(path) => {
                let file = File::open(path).with_context(|| format!("could not read {self}"))?;
                if file.metadata()?.is_file() {
                    return Ok(MediaReader::open(file, self.extension()));
                }
                Box::new(file)
            }
        };
        Ok(MediaReader::open_passing(source, self.extension()))
    }
}

/// Reads everything, at most `most` bytes.
pub fn spool(from: &mut dyn Read, most: u64) -> io::Result<Box<dyn Source>> {
    let mut spooled = SpooledTempFile::new(IN_MEMORY);
    let taken = io::copy(&mut from.take(most.saturating_add(1)), &mut spooled)?;
    if taken > most {
        let text = format!("more than {most} bytes from a pipe; save them to a file and name that");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    spooled.rewind()?;
    Ok(Box::new(spooled))
}
