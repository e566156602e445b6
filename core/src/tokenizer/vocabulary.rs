//! A tokenizer from nothing but the bytes of each token, in the order of their ids: what ggml files and faster-whisper's
//! folders have, and what is built in for files that have no tokenizer.
//!
//! Ids of byte-level BPE are ranks: a token of several bytes is what merging two of a lower rank gives, so the merges
//! follow from the list. Special tokens follow from the size of the vocabulary, as in `whisper/tokenizer.py`.

use std::collections::HashMap;
use std::io::Read;

use flate2::read::DeflateDecoder;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

use super::bytes::{TokenBytes, byte_of, printable};
use crate::error::{Error, Result};
use crate::languages::LANGUAGES;

/// Made by `tests/tools/make-vocabularies`.
const GPT2: &[u8] = include_bytes!("../../assets/gpt2.deflate");
const MULTILINGUAL: &[u8] = include_bytes!("../../assets/multilingual.deflate");

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

/// The tokens of text that OpenAI's models of this size of vocabulary have.
pub(super) fn built_in(n_vocab: usize) -> Result<TokenBytes> {
    let (n_text, _) = sizes(n_vocab)?;
    let packed = if n_vocab == 51864 { GPT2 } else { MULTILINGUAL };
    let mut unpacked = Vec::new();
    DeflateDecoder::new(packed).read_to_end(&mut unpacked)?;
    let (lengths, mut rest) = unpacked.split_at(n_text);
    // Room for the special tokens and the timestamps that come after them.
    let mut tokens = TokenBytes::with_capacity(n_vocab, rest.len() + (n_vocab - n_text) * "<|29.98|>".len());
    for &length in lengths {
        let (token, after) = rest.split_at(usize::from(length));
        tokens.push(token);
        rest = after;
    }
    Ok(tokens)
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

/// A tokenizer of these tokens of text; what the list has beyond them is left out.
pub(super) fn tokenizer<'a>(tokens: impl IntoIterator<Item = &'a [u8]>, n_vocab: usize) -> Result<Tokenizer> {
    let tokens: Vec<&[u8]> = tokens.into_iter().collect();
    let (n_text, n_languages) = sizes(n_vocab)?;
    let bad = |what: String| Error::Tokenizer(format!("the model's list of tokens {what}"));
    let tokens = tokens.get(..n_text).ok_or_else(|| {
        bad(format!("has {} entries, a vocabulary of {n_vocab} needs {n_text}", tokens.len()))
    })?;
    let ranks: HashMap<&[u8], usize> = tokens.iter().enumerate().map(|(id, &token)| (token, id)).collect();
    if ranks.len() != tokens.len() {
        return Err(bad("has the same token twice".into()));
    }
    if let Some(id) = tokens.iter().position(|token| token.len() > LONGEST) {
        return Err(bad(format!("has a token {id} of {} bytes", tokens[id].len())));
    }
    if let Some(byte) = (0..=255u8).find(|byte| !ranks.contains_key([*byte].as_slice())) {
        return Err(bad(format!("lacks the byte 0x{byte:02x}")));
    }
    let merges = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.len() > 1)
        .map(|(rank, token)| {
            let (left, right) = parents(token, rank, &ranks)
                .ok_or_else(|| bad(format!("is not in the order of merges: see token {rank}")))?;
            Ok((written(left), written(right)))
        })
        .collect::<Result<Vec<_>>>()?;
    let vocab: Vec<(String, u32)> = (0..).zip(tokens).map(|(id, token)| (written(token), id)).collect();
    let built = |e: tokenizers::Error| Error::Tokenizer(e.to_string());
    let bpe = BPE::builder().vocab_and_merges(vocab.into_iter().collect::<Vocab>(), merges);
    let mut tokenizer = Tokenizer::new(bpe.build().map_err(built)?);
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    let special = special_tokens(n_languages).map(|name| AddedToken::from(name, true));
    tokenizer.add_special_tokens(special).map_err(built)?;
    Ok(tokenizer)
}

/// The names of the special tokens in the order of their ids.
fn special_tokens(n_languages: usize) -> impl Iterator<Item = String> {
    let languages = LANGUAGES.iter().take(n_languages).map(|(code, _)| *code);
    let before = ["endoftext", "startoftranscript"].into_iter();
    let after = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"];
    before.chain(languages).chain(after).map(|name| format!("<|{name}|>"))
}

/// The two tokens that merge into this one: what is left when its bytes are merged by ranks below its own.
fn parents<'a>(token: &'a [u8], rank: usize, ranks: &HashMap<&[u8], usize>) -> Option<(&'a [u8], &'a [u8])> {
    // Where each part begins, and the end.
    let mut cuts: Vec<usize> = (0..=token.len()).collect();
    while cuts.len() > 3 {
        let merged = |i: usize| ranks.get(&token[cuts[i]..cuts[i + 2]]).copied().filter(|&r| r < rank);
        let (_, first) = (0..cuts.len() - 2).filter_map(|i| Some((merged(i)?, i))).min()?;
        cuts.remove(first + 1);
    }
    Some((&token[..cuts[1]], &token[cuts[1]..]))
}

/// With a printable character for each byte.
fn written(token: &[u8]) -> String {
    token.iter().copied().map(printable).collect()
}
