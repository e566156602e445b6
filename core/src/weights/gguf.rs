//! GGUF: metadata by keys, then a table of tensors, then their bytes.
//!
//! Read here and not by candle, which stops the program at an alignment of 0 and keeps what nobody asks for.

use std::collections::BTreeMap;

use super::checkpoint::Contents;
use super::cursor::Cursor;
use super::names::canonical;
use super::stored::{Encoding, Stored};
use crate::error::{Error, Result};

/// Arrays of arrays of arrays; no key of any model has as many.
const MOST_NESTED: usize = 8;
const STRING: u32 = 8;
const ARRAY: u32 = 9;
const U32: u32 = 4;

/// The table of tensors; `bytes` may end after it, in a file of `size` bytes.
pub(super) fn read(bytes: &[u8], size: usize) -> Result<Contents> {
    let mut file = Cursor::new(bytes);
    file.skip(4)?;
    let version = file.u32()?;
    if !(2..=3).contains(&version) {
        return Err(Error::Weights(format!("GGUF version {version} is unknown; 2 and 3 can be read")));
    }
    let (n_tensors, n_keys) = (file.u64()?, file.u64()?);
    let mut alignment = 32;
    for _ in 0..n_keys {
        let (key, kind) = (text(&mut file)?, file.u32()?);
        match (key, kind) {
            (b"general.architecture", STRING) => check_architecture(text(&mut file)?)?,
            (b"general.alignment", U32) => alignment = file.len32()?,
            _ => skip_value(&mut file, kind, 0)?,
        }
    }
    if !alignment.is_power_of_two() || alignment > 1 << 20 {
        return Err(Error::Weights(format!("an alignment of {alignment} is no GGUF's")));
    }
    let mut table = Vec::new();
    for _ in 0..n_tensors {
        let name = String::from_utf8_lossy(text(&mut file)?).into_owned();
        let n_dims = file.u32()?;
        if n_dims > 4 {
            return Err(Error::Weights(format!("tensor `{name}` has {n_dims} dimensions")));
        }
        let mut shape = (0..n_dims).map(|_| file.len64()).collect::<Result<Vec<_>>>()?;
        shape.reverse();
        table.push((name, shape, file.u32()?, file.len64()?));
    }
    // Positions count from the first multiple of the alignment; a small file can't overflow here.
    let data = file.position().next_multiple_of(alignment);
    let (mut tensors, mut foreign) = (BTreeMap::new(), None);
    for (name, shape, kind, offset) in table {
        let Some(canonical) = canonical(&name) else {
            foreign = Some(name);
            continue;
        };
        let encoding = Encoding::from_ggml(kind).ok_or_else(|| {
            Error::Weights(format!("tensor `{name}` has ggml's type {kind}, which is unknown"))
        })?;
        let stored = Stored::new(&name, shape, encoding, data.saturating_add(offset), size)?;
        tensors.insert(canonical, stored);
    }
    join(&mut tensors)?;
    Ok(Contents { tensors, foreign, ..Contents::default() })
}

/// Our own quantised files part the token embedding: `NAME.0`, `NAME.1` and so on are rows of `NAME`.
fn join(tensors: &mut BTreeMap<String, Stored>) -> Result<()> {
    let parted: Vec<String> =
        tensors.keys().filter_map(|name| name.strip_suffix(".0")).map(str::to_owned).collect();
    for name in parted {
        let pieces = (0..).map_while(|i| tensors.remove(&format!("{name}.{i}"))).collect();
        let whole = Stored::joined(pieces)
            .ok_or_else(|| Error::Weights(format!("the parts of tensor `{name}` do not fit together")))?;
        tensors.insert(name, whole);
    }
    Ok(())
}

/// Files of candle's tools do not name their architecture.
fn check_architecture(name: &[u8]) -> Result<()> {
    if name == b"whisper" {
        return Ok(());
    }
    let name = String::from_utf8_lossy(name);
    Err(Error::Weights(format!("this is a GGUF of a `{name}` model; only Whisper models can be loaded")))
}

fn text<'a>(file: &mut Cursor<'a>) -> Result<&'a [u8]> {
    let n = file.len64()?;
    file.take(n)
}

fn skip_value(file: &mut Cursor<'_>, kind: u32, depth: usize) -> Result<()> {
    match (kind, size(kind)) {
        (_, Some(size)) => file.skip(size).map(drop),
        (STRING, _) => text(file).map(drop),
        (ARRAY, _) if depth < MOST_NESTED => {
            let (kind, n) = (file.u32()?, file.len64()?);
            match size(kind) {
                Some(size) => file.skip(n.saturating_mul(size)).map(drop),
                None => (0..n).try_for_each(|_| skip_value(file, kind, depth + 1)),
            }
        }
        _ => Err(Error::Weights(format!("metadata of type {kind} is unknown"))),
    }
}

/// Bytes of a plain value.
fn size(kind: u32) -> Option<usize> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}
