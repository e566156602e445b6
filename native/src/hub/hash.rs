//! The names of blobs are hashes of what they hold: SHA-256 of large files, git's SHA-1 of small ones.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A hash that a file must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256, in lower-case hexadecimal digits.
    Sha256(String),
    /// SHA-1 as git takes it, of `blob LENGTH`, a zero byte and the content.
    Git(String),
}

impl Hash {
    /// Reads the name of a blob, which is the ETag; None if it is some other kind of name.
    pub fn of_name(name: &str) -> Option<Self> {
        if !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        match name.len() {
            64 => Some(Self::Sha256(name.to_lowercase())),
            40 => Some(Self::Git(name.to_lowercase())),
            _ => None,
        }
    }

    /// Whether the file at `path` has this hash.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn is_of(&self, path: &Path) -> io::Result<bool> {
        let mut file = File::open(path)?;
        Ok(match self {
            Self::Sha256(expected) => *expected == digest(Sha256::new(), &mut file)?,
            Self::Git(expected) => {
                let head = format!("blob {}\0", file.metadata()?.len());
                *expected == digest(Sha1::new_with_prefix(head), &mut file)?
            }
        })
    }
}

fn digest(mut hasher: impl Digest, from: &mut impl Read) -> io::Result<String> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256(_) => "sha256",
            Self::Git(_) => "sha1 as git takes it",
        })
    }
}
