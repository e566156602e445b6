//! What a state is bound to, so that no run goes on from another one's: the recording, the model and the options.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result};
use candle_whisper_core::TranscribeOptions;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Of a file of weights so many bytes at both ends are looked at.
const END: u64 = 1 << 20;

/// What one run is of. Two that are equal give the same transcript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark(BTreeMap<String, String>);

impl Mark {
    /// Of a recording with this hash, a model with these marks, and options.
    ///
    /// # Errors
    /// None in practice: options can be written as JSON.
    pub fn new(recording: String, model: Vec<(String, String)>, options: &TranscribeOptions) -> Result<Self> {
        let mut all = BTreeMap::from([
            ("the recording".to_owned(), recording),
            ("the version of the program".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ]);
        all.extend(model.into_iter().map(|(name, mark)| (format!("the model's {name}"), mark)));
        for (name, value) in flat(serde_json::to_value(options)?) {
            all.insert(format!("`{name}`"), value);
        }
        Ok(Self(all))
    }

    /// The same with `--batch auto`: as with the number that was chosen, or with any, for next time other memory may be free.
    #[must_use]
    pub fn of_chosen_batch(mut self, n: Option<usize>) -> Self {
        let batch = n.map_or_else(|| "auto".to_owned(), |n| n.to_string());
        self.0.insert("`batch`".to_owned(), batch);
        self
    }

    /// What is not the same, in words; empty if everything is.
    pub fn differences<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let names: std::collections::BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        names.into_iter().filter(|name| self.0.get(*name) != other.0.get(*name)).map(String::as_str).collect()
    }
}

/// The fields of options by their names, those of options within them too.
fn flat(options: serde_json::Value) -> Vec<(String, String)> {
    let serde_json::Value::Object(fields) = options else { return Vec::new() };
    fields
        .into_iter()
        .flat_map(|(name, value)| match value {
            serde_json::Value::Object(_) if name == "decode" => flat(value),
            value => vec![(name, value.to_string())],
        })
        .collect()
}

/// The SHA-256 of all that can be read, in hexadecimal.
///
/// # Errors
/// If it can't be read.
pub fn of_all(from: &mut (impl Read + Seek + ?Sized)) -> std::io::Result<String> {
    from.rewind()?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(hexadecimal(hash)),
            Ok(n) => hash.update(&piece[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A file's length, and the SHA-256 of its first and last mebibyte: weights are too long to read all of them each time.
///
/// # Errors
/// If it can't be read.
pub fn of_ends(path: &Path) -> Result<String> {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut ends = Vec::new();
        Read::by_ref(&mut file).take(END).read_to_end(&mut ends)?;
        file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
        file.take(END).read_to_end(&mut ends)?;
        let mut hash = Sha256::new();
        hash.update(&ends);
        Ok(format!("{length} {}", hexadecimal(hash)))
    };
    read().with_context(|| format!("could not read `{}`", path.display()))
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
