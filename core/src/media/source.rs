//! Any `Read + Seek` as symphonia's source, with a few bytes of its header, or all of it, shown differently.
//!
//! Copies share the caller's reader, so that opening can be tried again; only one is in use.

use std::io::{Read, Result, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard};

use symphonia::core::io::MediaSource;

/// Four bytes to show in place of those at an offset.
pub(super) type Patch = (u64, [u8; 4]);

/// The caller's source.
pub(super) struct Source<S> {
    inner: Arc<Mutex<S>>,
    position: u64,
    len: u64,
    patches: Vec<Patch>,
    /// Shown in place of as many bytes as the second number says, at the start.
    front: (Arc<[u8]>, u64),
    is_seekable: bool,
}

impl<S: Read + Seek> Source<S> {
    /// Starts at byte 0, wherever the caller left it.
    pub(super) fn new(mut inner: S) -> Result<Self> {
        let len = inner.seek(SeekFrom::End(0))?;
        inner.seek(SeekFrom::Start(0))?;
        Ok(Self {
            inner: Arc::new(Mutex::new(inner)),
            position: 0,
            len,
            patches: Vec::new(),
            front: (Arc::from([]), 0),
            is_seekable: true,
        })
    }

    /// From now on shows `patches`, and nothing after byte `end`.
    pub(super) fn show(&mut self, patches: Vec<Patch>, end: Option<u64>) {
        self.patches = patches;
        self.len = self.len.min(end.unwrap_or(u64::MAX));
    }

    /// From now on shows `front` where the first `hidden` bytes were; offsets are those of what is shown.
    pub(super) fn show_in_front(&mut self, front: &[u8], hidden: u64) {
        self.len = self.len.saturating_sub(hidden).saturating_add(front.len() as u64);
        self.front = (Arc::from(front), hidden);
    }

    /// The same bytes again, from the start; not seekable, they are read in one go.
    pub(super) fn again(&mut self, is_seekable: bool) -> Result<Self> {
        self.rewind()?;
        Ok(Self {
            inner: Arc::clone(&self.inner),
            position: 0,
            len: self.len,
            patches: self.patches.clone(),
            front: self.front.clone(),
            is_seekable,
        })
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Reads up to `buffer.len()` bytes at an offset; fewer at the end.
    pub(super) fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.seek(SeekFrom::Start(offset))?;
        let mut n = 0;
        while n < buffer.len() {
            match self.read(&mut buffer[n..]) {
                Ok(0) => break,
                Ok(more) => n += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(n)
    }

    fn inner(&self) -> MutexGuard<'_, S> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<S: Read + Seek> Read for Source<S> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let front = usize::try_from(self.position).ok().and_then(|at| self.front.0.get(at..));
        if let Some(front) = front.filter(|front| !front.is_empty()) {
            let n = buffer.len().min(front.len());
            buffer[..n].copy_from_slice(&front[..n]);
            self.position += n as u64;
            return Ok(n);
        }
        let left = usize::try_from(self.len.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let n = self.inner().read(&mut buffer[..wanted])?;
        let start = self.position;
        for (offset, bytes) in &self.patches {
            for (at, byte) in (*offset..).zip(bytes) {
                if at >= start && at < start + n as u64 {
                    buffer[(at - start) as usize] = *byte;
                }
            }
        }
        self.position += n as u64;
        Ok(n)
    }
}

impl<S: Read + Seek> Seek for Source<S> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        let target = target.ok_or(std::io::ErrorKind::InvalidInput)?;
        let behind = target.saturating_sub(self.front.0.len() as u64);
        self.inner().seek(SeekFrom::Start(behind.saturating_add(self.front.1)))?;
        self.position = target;
        Ok(self.position)
    }
}

impl<S: Read + Seek + Send> MediaSource for Source<S> {
    fn is_seekable(&self) -> bool {
        self.is_seekable
    }

    fn byte_len(&self) -> Option<u64> {
        self.is_seekable.then_some(self.len)
    }
}
