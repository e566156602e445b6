//! A file's bytes from front to back. Every length is held against what is left before anything is taken.

use std::ops::Range;

use crate::error::{Error, Result};

pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next byte is.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The place of the next `n` bytes, which are passed over.
    pub(super) fn skip(&mut self, n: usize) -> Result<Range<usize>> {
        let left = self.bytes.len() - self.at;
        if n > left {
            return Err(cut_short(format_args!("{} bytes are missing at byte {}", n - left, self.at)));
        }
        self.at += n;
        Ok(self.at - n..self.at)
    }

    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        Ok(&self.bytes[self.skip(n)?])
    }

    /// The bytes up to `end`, which is passed over.
    pub(super) fn take_until(&mut self, end: u8) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let n = rest.iter().position(|&byte| byte == end).unwrap_or(rest.len());
        let found = self.take(n)?;
        self.skip(1)?;
        Ok(found)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A count or a length of 32 bits.
    pub(super) fn len32(&mut self) -> Result<usize> {
        Ok(self.u32()? as usize)
    }

    /// A count or a length of 64 bits.
    pub(super) fn len64(&mut self) -> Result<usize> {
        usize::try_from(self.u64()?).map_err(|_| cut_short("it claims more bytes than there can be"))
    }
}

pub(super) fn cut_short(what: impl std::fmt::Display) -> Error {
    Error::Weights(format!("the file is cut short or damaged: {what}"))
}
