//! Whether a model's file is whole as far as it tells of itself, which costs only a look at its head.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Map, Value};

/// The longest head that the format allows.
const LONGEST_HEAD: u64 = 100_000_000;

/// Checks the file at `path`: the length of safetensors against their head, and that JSON is JSON. Other files must not
/// be empty.
///
/// # Errors
/// What is wrong with it, without its name.
pub fn check(path: &Path) -> Result<(), String> {
    let unread = |error: io::Error| format!("can't be read ({error})");
    let length = fs::metadata(path).map_err(unread)?.len();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("safetensors") => {
            let expected = safetensors_length(path)?;
            (length == expected)
                .then_some(())
                .ok_or_else(|| format!("is {length} bytes long where its head says {expected}"))
        }
        Some("json") => {
            let text = fs::read(path).map_err(unread)?;
            serde_json::from_slice::<serde::de::IgnoredAny>(&text).map_err(|_| "is not JSON")?;
            Ok(())
        }
        Some("gguf") => {
            let mut magic = [0; 4];
            let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
            (read.is_ok() && magic == *b"GGUF").then_some(()).ok_or_else(|| "is no GGUF file".into())
        }
        _ if length == 0 => Err("is empty".into()),
        _ => Ok(()),
    }
}

/// What the head of a safetensors file says of its length, in bytes.
fn safetensors_length(path: &Path) -> Result<u64, String> {
    let broken = |_| "is no whole safetensors file".to_owned();
    let mut file = File::open(path).map_err(|error| format!("can't be read ({error})"))?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(broken)?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEAD {
        return Err("is no safetensors file".into());
    }
    let mut head = Vec::new();
    file.take(length).read_to_end(&mut head).map_err(broken)?;
    let head: Map<String, Value> =
        serde_json::from_slice(&head).map_err(|_| "is no whole safetensors file")?;
    let ends = head.values().filter_map(|tensor| tensor.get("data_offsets")?.get(1)?.as_u64());
    Ok((8 + length).saturating_add(ends.max().unwrap_or(0)))
}
