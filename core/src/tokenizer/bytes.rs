//! The bytes behind each token, and GPT-2's way to write them.

use crate::error::{Error, Result};

/// What each id stands for, from 0 on, one behind the other.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct TokenBytes {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
}

impl TokenBytes {
    pub fn with_capacity(n_tokens: usize, n_bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(n_bytes), ends: Vec::with_capacity(n_tokens) }
    }

    pub fn push(&mut self, token: &[u8]) {
        self.bytes.extend_from_slice(token);
        self.ends.push(self.bytes.len() as u32);
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn get(&self, id: u32) -> Option<&[u8]> {
        let id = id as usize;
        let end = *self.ends.get(id)? as usize;
        let start = id.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        Some(&self.bytes[start..end])
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len() as u32).filter_map(|id| self.get(id))
    }
}

/// Of the ids below `n`, from `eot` on by their names.
pub(super) fn of(name: impl Fn(u32) -> String, eot: u32, n: u32) -> Result<TokenBytes> {
    let byte_of = byte_of();
    let mut all = TokenBytes::default();
    let mut bytes = Vec::new();
    for id in 0..n {
        let token = name(id);
        if id >= eot {
            all.push(token.as_bytes());
        } else if spelled(&token, &byte_of, &mut bytes) {
            all.push(&bytes);
        } else {
            return Err(Error::Tokenizer(format!("token {id}, `{token}`, is not byte-level")));
        }
    }
    Ok(all)
}

/// Puts the bytes that a token is written for into `bytes`; false if one of its characters is no byte's.
pub(super) fn spelled(token: &str, byte_of: &[Option<u8>; N_CHARACTERS], bytes: &mut Vec<u8>) -> bool {
    bytes.clear();
    token.chars().all(|c| {
        let byte = byte_of.get(c as usize).copied().flatten();
        bytes.extend(byte);
        byte.is_some()
    })
}

/// Beyond the last of GPT-2's characters.
const N_CHARACTERS: usize = 324;

/// The byte behind each of GPT-2's characters.
pub(super) fn byte_of() -> [Option<u8>; N_CHARACTERS] {
    let mut byte_of = [None; N_CHARACTERS];
    for byte in 0..=255u8 {
        byte_of[printable(byte) as usize] = Some(byte);
    }
    byte_of
}

/// GPT-2's character for a byte: itself where it can be seen, otherwise the next one from U+0100 on.
pub(super) fn printable(byte: u8) -> char {
    let seen = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    if seen(byte) {
        return byte as char;
    }
    let hidden_before = (0..byte).filter(|&b| !seen(b)).count() as u32;
    char::from_u32(0x100 + hidden_before).unwrap_or('\u{100}')
}
