//! A reader that can't seek, such as a pipe, shown as one that can within the bytes that a header is looked for in.

use std::io::{ErrorKind, Read, Result, Seek, SeekFrom};

/// Bytes that stay, so that what a file is can be found out by looking at them more than once.
const KEPT: usize = 1 << 20;
/// Longer than anything that is read, and short enough to add to.
const LENGTH: u64 = u64::MAX >> 2;

/// The bytes of a reader, of which only the first can be read again.
pub(super) struct Passing<R> {
    inner: R,
    kept: Vec<u8>,
    /// Bytes taken from `inner`.
    taken: u64,
    position: u64,
}

impl<R: Read> Passing<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, kept: Vec::new(), taken: 0, position: 0 }
    }

    fn take(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let n = self.inner.read(buffer)?;
        if self.kept.len() as u64 == self.taken {
            let room = KEPT.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(&buffer[..n.min(room)]);
        }
        self.taken += n as u64;
        Ok(n)
    }
}

impl<R: Read> Read for Passing<R> {
    /// Nothing where a header would have to be looked for too far on.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while self.taken < self.position && self.position <= KEPT as u64 {
            let mut piece = [0; 4096];
            let wanted = piece.len().min((self.position - self.taken) as usize);
            if self.take(&mut piece[..wanted])? == 0 {
                return Ok(0);
            }
        }
        let kept = usize::try_from(self.position).ok().and_then(|at| self.kept.get(at..));
        let n = match kept.filter(|kept| !kept.is_empty()) {
            Some(kept) => {
                let n = kept.len().min(buffer.len());
                buffer[..n].copy_from_slice(&kept[..n]);
                n
            }
            None if self.position == self.taken => self.take(buffer)?,
            None => 0,
        };
        self.position += n as u64;
        Ok(n)
    }
}

impl<R: Read> Seek for Passing<R> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => LENGTH.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
