//! A tokenizer from nothing but the bytes of each token, in the order of their ids: what ggml files and faster-whisper's
//! folders have, and what is built in for files that have no tokenizer.
//!
//! Ids of byte-level BPE are ranks: a token of several bytes is what merging two of a lower rank gives, so the merges
//! follow from the list. Special tokens follow from the size of the vocabulary, as in `whisper/tokenizer.py`.

use std::collections::HashMap;
use std::io::Read;

use flate2::read::DeflateDecoder;
use sha2::{Digest, Sha256};

use super::bpe::{Bpe, Merge};
use super::bytes::{TokenBytes, byte_of};
use crate::error::{Error, Result};
use crate::languages::LANGUAGES;

/// Made by `tests/tools/make-vocabularies`.
#[cfg(feature = "vocabularies")]
const PACKED: [&[u8]; 2] =
    [include_bytes!("../../assets/gpt2.deflate"), include_bytes!("../../assets/multilingual.deflate")];

/// SHA-256 of what they unpack to: the lengths of all tokens, then their bytes.
const SHA256: [[u8; 32]; 2] = [
    [
        0x5e, 0xd3, 0x91, 0xee, 0x01, 0xe9, 0xfe, 0x0d, 0x21, 0x12, 0x99, 0x94, 0xf3, 0x2c, 0xd5, 0x98, 0xe5,
        0x7a, 0x08, 0xe7, 0x6f, 0x95, 0x12, 0xf8, 0x18, 0xeb, 0xf3, 0xae, 0xeb, 0x38, 0xfe, 0x38,
    ],
    [
        0xb3, 0x42, 0x14, 0xb1, 0x87, 0x6b, 0x07, 0x5b, 0xe4, 0x96, 0xec, 0x12, 0x7f, 0x40, 0x4a, 0xd1, 0xbe,
        0x80, 0x0e, 0x4f, 0xc1, 0x08, 0x60, 0xa2, 0x55, 0xc9, 0xef, 0xd1, 0xb5, 0x65, 0x12, 0x72,
    ],
];

/// Their names in `core/assets`.
const NAMES: [&str; 2] = ["gpt2.deflate", "multilingual.deflate"];

/// Bytes of the longest token in either vocabulary; finding what longer ones are merged from could take hours.
const LONGEST: usize = 128;

/// Tokens of text, and languages, in the vocabulary of a network with `n_vocab` tokens.
fn sizes(n_vocab: usize) -> Result<(usize, usize)> {
    match n_vocab {
        51864 => Ok((50256, 99)),
        51865 => Ok((50257, 99)),
        51866 => Ok((50257, 100)),
        _ => Err(Error::Tokenizer(format!(
            "no vocabulary of {n_vocab} tokens is known; put the model's `tokenizer.json` beside it"
        ))),
    }
}

/// Tokens of text in the vocabulary of a network with `n_vocab` tokens.
pub(super) fn n_text(n_vocab: usize) -> Result<usize> {
    Ok(sizes(n_vocab)?.0)
}

/// Which of OpenAI's two lists a network with `n_vocab` tokens has.
fn which(n_vocab: usize) -> usize {
    usize::from(n_vocab != 51864)
}

/// The name of the file with the tokens of text that OpenAI's models of this size of vocabulary have.
pub(super) fn packed_name(n_vocab: usize) -> Result<&'static str> {
    sizes(n_vocab)?;
    Ok(NAMES[which(n_vocab)])
}

/// The tokens of text that OpenAI's models of this size of vocabulary have.
#[cfg(feature = "vocabularies")]
pub(super) fn built_in(n_vocab: usize) -> Result<TokenBytes> {
    unpack(PACKED[which(n_vocab)], n_vocab)
}

#[cfg(not(feature = "vocabularies"))]
pub(super) fn built_in(n_vocab: usize) -> Result<TokenBytes> {
    let name = packed_name(n_vocab)?;
    Err(Error::Tokenizer(format!("this build has no `{name}`: give it by `Tokenizer::from_packed`")))
}

/// The same from the bytes of that file, which must be whole.
pub(super) fn unpack(packed: &[u8], n_vocab: usize) -> Result<TokenBytes> {
    let n_text = n_text(n_vocab)?;
    let damaged = || Error::Tokenizer(format!("`{}` is damaged", NAMES[which(n_vocab)]));
    let mut unpacked = Vec::new();
    DeflateDecoder::new(packed)
        .take((n_text * LONGEST) as u64)
        .read_to_end(&mut unpacked)
        .map_err(|_| damaged())?;
    let (lengths, mut rest) = unpacked.split_at_checked(n_text).ok_or_else(damaged)?;
    let mut tokens = room(n_vocab, rest.len())?;
    for &length in lengths {
        let (token, after) = rest.split_at_checked(usize::from(length)).ok_or_else(damaged)?;
        tokens.push(token);
        rest = after;
    }
    if are_openais(&tokens, n_vocab) { Ok(tokens) } else { Err(damaged()) }
}

/// Room for tokens of text of so many bytes, the special tokens, and the timestamps that come after them.
pub(super) fn room(n_vocab: usize, n_bytes: usize) -> Result<TokenBytes> {
    let n_special = n_vocab - n_text(n_vocab)?;
    Ok(TokenBytes::with_capacity(n_vocab, n_bytes + n_special * "<|29.98|>".len()))
}

/// Whether these are the tokens of text that OpenAI's models of this size of vocabulary have.
pub(super) fn are_openais(text: &TokenBytes, n_vocab: usize) -> bool {
    let lengths: Option<Vec<u8>> = text.iter().map(|token| token.len().try_into().ok()).collect();
    lengths.is_some_and(|lengths| {
        let mut hash = Sha256::new_with_prefix(lengths);
        text.iter().for_each(|token| hash.update(token));
        hash.finalize()[..] == SHA256[which(n_vocab)]
    })
}

/// The names of the special tokens that a vocabulary of this size has before the timestamps.
pub(super) fn special_names(n_vocab: usize) -> Result<Vec<String>> {
    Ok(special_tokens(sizes(n_vocab)?.1).collect())
}

/// Reads `vocabulary.txt` or `vocabulary.json` of a faster-whisper folder: tokens, one a line or in a list, each byte
/// written as GPT-2's character for it.
pub(super) fn read(file: &[u8]) -> Result<Vec<Box<[u8]>>> {
    let bad = |what: String| Error::Tokenizer(format!("the vocabulary file {what}"));
    let text = std::str::from_utf8(file).map_err(|_| bad("is not UTF-8".into()))?;
    let list: Vec<String> = match serde_json::from_str(text) {
        Ok(list) => list,
        Err(_) => text.strip_suffix('\n').unwrap_or(text).split('\n').map(String::from).collect(),
    };
    let byte_of = byte_of();
    list.iter()
        .enumerate()
        .map(|(id, token)| {
            let bytes = token.chars().map(|c| byte_of.get(c as usize).copied().flatten());
            bytes.collect::<Option<Box<[u8]>>>().ok_or_else(|| bad(format!("has `{token}` for token {id}")))
        })
        .collect()
}

/// What encodes by these tokens of text; what the list has beyond them is left out.
pub(super) fn bpe<'a>(tokens: impl IntoIterator<Item = &'a [u8]>, n_vocab: usize) -> Result<Bpe> {
    let n_text = n_text(n_vocab)?;
    let tokens: Vec<&[u8]> = tokens.into_iter().take(n_text).collect();
    let bad = |what: String| Error::Tokenizer(format!("the model's list of tokens {what}"));
    if tokens.len() < n_text {
        return Err(bad(format!("has {} entries, a vocabulary of {n_vocab} needs {n_text}", tokens.len())));
    }
    let ranks: HashMap<&[u8], u32> = tokens.iter().copied().zip(0..).collect();
    if ranks.len() != tokens.len() {
        return Err(bad("has the same token twice".into()));
    }
    if let Some(id) = tokens.iter().position(|token| token.len() > LONGEST) {
        return Err(bad(format!("has a token {id} of {} bytes", tokens[id].len())));
    }
    let mut bytes = [None; 256];
    for byte in 0..=255u8 {
        let id = ranks.get([byte].as_slice()).copied();
        bytes[usize::from(byte)] = Some(id.ok_or_else(|| bad(format!("lacks the byte 0x{byte:02x}")))?);
    }
    let mut merges = HashMap::with_capacity(tokens.len());
    for (&token, rank) in tokens.iter().zip(0..).filter(|(token, _)| token.len() > 1) {
        let pair = parents(token, rank, &ranks)
            .and_then(|(first, second)| Some((*ranks.get(first)?, *ranks.get(second)?)));
        let pair = pair.ok_or_else(|| bad(format!("is not in the order of merges: see token {rank}")))?;
        merges.insert(pair, Merge { rank, token: rank });
    }
    Ok(Bpe { bytes, merges, added: Vec::new() })
}

/// The names of the special tokens in the order of their ids.
fn special_tokens(n_languages: usize) -> impl Iterator<Item = String> {
    let languages = LANGUAGES.iter().take(n_languages).map(|(code, _)| *code);
    let before = ["endoftext", "startoftranscript"].into_iter();
    let after = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"];
    before.chain(languages).chain(after).map(|name| format!("<|{name}|>"))
}

/// The two tokens that merge into this one: what is left when its bytes are merged by ranks below its own.
fn parents<'a>(token: &'a [u8], rank: u32, ranks: &HashMap<&[u8], u32>) -> Option<(&'a [u8], &'a [u8])> {
    // Where each part begins, and the end.
    let mut cuts: Vec<usize> = (0..=token.len()).collect();
    while cuts.len() > 3 {
        let merged = |i: usize| ranks.get(&token[cuts[i]..cuts[i + 2]]).copied().filter(|&r| r < rank);
        let (_, first) = (0..cuts.len() - 2).filter_map(|i| Some((merged(i)?, i))).min()?;
        cuts.remove(first + 1);
    }
    Some((&token[..cuts[1]], &token[cuts[1]..]))
}
