//! Files that JavaScript reads from, at once and piece by piece: `FileReaderSync` on a Blob, or a file of Node's.
//!
//! The core wants sources that can move between threads, which a JavaScript function can't: it stays in a slot of the
//! thread, and one file is read at a time.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Result, Seek, SeekFrom};
use std::ops::Range;

use candle_whisper_core::Error;
use candle_whisper_core::weights::{Bytes, Checkpoint};
use js_sys::{Function, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

/// Bytes fetched at once: small reads cross the bridge far too often.
const PIECE: u64 = 256 * 1024;

thread_local! {
    static READ: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// While it lives, files of this thread are read by the function it was begun with.
pub struct Reading(());

impl Reading {
    /// Begins reading by `read(offset, length)`, which returns a `Uint8Array`.
    pub fn begin(read: Function) -> Self {
        READ.set(Some(read));
        Self(())
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        READ.set(None);
    }
}

/// Bytes from `offset`, as many as there are up to `length`.
fn read_at(offset: u64, length: u64) -> Result<Uint8Array> {
    let read = READ.with_borrow(Clone::clone);
    let read = read.ok_or_else(|| io::Error::new(ErrorKind::NotConnected, "the file is closed"))?;
    let bytes = read.call2(&JsValue::NULL, &(offset as f64).into(), &(length as f64).into());
    bytes
        .and_then(JsCast::dyn_into)
        .map_err(|error| io::Error::other(format!("could not read the file: {}", words(&error))))
}

fn words(error: &JsValue) -> String {
    let error = error.dyn_ref::<js_sys::Error>();
    error.map_or_else(|| "what was read is not bytes".into(), |error| String::from(error.message()))
}

/// The file being read, from its start.
#[derive(Debug)]
pub struct File {
    size: u64,
    position: u64,
    piece: Vec<u8>,
    piece_start: u64,
}

impl File {
    /// A file of so many bytes.
    pub fn of_size(size: f64) -> Self {
        Self { size: size as u64, position: 0, piece: Vec::new(), piece_start: 0 }
    }
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.position >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        let held = self.piece_start..self.piece_start + self.piece.len() as u64;
        if !held.contains(&self.position) {
            self.piece = read_at(self.position, PIECE.min(self.size - self.position))?.to_vec();
            self.piece_start = self.position;
        }
        let rest = &self.piece[(self.position - self.piece_start) as usize..];
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// A file of weights whose tensors are read when the network asks for them, so that it is never in memory as a whole.
struct Weights {
    head: Vec<u8>,
    size: usize,
    _reading: Reading,
}

/// Bytes in which the table of tensors should lie.
const HEAD: usize = 1024 * 1024;

/// Opens weights of `size` bytes that `read(offset, length)` gives as `Uint8Array`s, for as long as they are in use.
///
/// # Errors
/// If they are of no known format, damaged, or not a Whisper's.
pub fn checkpoint(size: f64, read: &Function) -> candle_whisper_core::Result<Checkpoint> {
    let open = |head: usize| {
        let reading = Reading::begin(read.clone());
        let head = read_at(0, head as u64).map_err(|error| Error::Weights(error.to_string()))?.to_vec();
        let weights = Weights { head, size: size as usize, _reading: reading };
        Checkpoint::open(vec![Box::new(weights)])
    };
    let whole = size as usize;
    if whole > HEAD
        && let Ok(checkpoint) = open(HEAD)
    {
        return Ok(checkpoint);
    }
    // Formats that have no table at their start, and tables that are longer.
    open(whole)
}

impl Bytes for Weights {
    fn bytes(&self) -> &[u8] {
        &self.head
    }

    fn size(&self) -> usize {
        self.size
    }

    fn piece(&self, range: Range<usize>) -> Result<Cow<'_, [u8]>> {
        if let Some(held) = self.head.get(range.clone()) {
            return Ok(Cow::Borrowed(held));
        }
        let bytes = read_at(range.start as u64, range.len() as u64)?.to_vec();
        match bytes.len() == range.len() {
            true => Ok(Cow::Owned(bytes)),
            false => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}
