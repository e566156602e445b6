//! `tokenizer.json` with GPT-2's rules, as all of Whisper's have them, read and written. With the one defect mended that files
//! made by converters have: the first merge was taken for a comment, so that every word with a space and a `t` before it falls
//! apart when it is encoded.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::bpe::{Added, Bpe, Merge, Pair};
use super::bytes::{TokenBytes, printable};
use super::known::Rules;
use crate::error::{Error, Result};

/// Byte-level BPE begins with a token per byte; this is the first that merges two.
pub(super) const FIRST_MERGED: u32 = 256;

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    model: Model<'a>,
    #[serde(borrow, default)]
    added_tokens: Vec<Token<'a>>,
}

#[derive(Deserialize)]
struct Model<'a> {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    vocab: HashMap<String, u32>,
    #[serde(borrow)]
    merges: Vec<Written<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written<'a> {
    Pair(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Cow<'a, str>),
    /// With a blank between the two.
    Line(#[serde(borrow)] Cow<'a, str>),
}

#[derive(Deserialize)]
struct Token<'a> {
    id: u32,
    #[serde(borrow)]
    content: Cow<'a, str>,
    #[serde(default)]
    special: bool,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
}

/// What a file has.
pub(super) struct Read {
    pub bpe: Bpe,
    pub ids: HashMap<String, u32>,
}

/// None if its rules are others.
pub(super) fn read(json: &[u8]) -> Result<Option<Read>> {
    let bad = |e: String| Error::Tokenizer(format!("`tokenizer.json`: {e}"));
    let rules: Rules = serde_json::from_slice(json).map_err(|e| bad(e.to_string()))?;
    if !rules.are_gpt2s() {
        return Ok(None);
    }
    let file: File<'_> = serde_json::from_slice(json).map_err(|e| bad(e.to_string()))?;
    let plain = |token: &Token<'_>| token.special || !(token.single_word || token.lstrip || token.rstrip);
    if file.model.kind.is_some_and(|kind| kind != "BPE") || !file.added_tokens.iter().all(plain) {
        return Ok(None);
    }
    let mut ids = file.model.vocab;
    let id = |token: &str| {
        ids.get(token).copied().ok_or_else(|| bad(format!("it merges `{token}`, which is no token")))
    };
    let mut pairs: Vec<(Pair, u32)> = Vec::with_capacity(file.model.merges.len());
    for merge in &file.model.merges {
        let (first, second) = match merge {
            Written::Pair(first, second) => (&**first, &**second),
            Written::Line(line) => {
                line.split_once(' ').ok_or_else(|| bad(format!("`{line}` is no merge")))?
            }
        };
        pairs.push(((id(first)?, id(second)?), id(&format!("{first}{second}"))?));
    }
    if let Some(lacking) = first_merge(&ids).filter(|(pair, _)| !pairs.iter().any(|(known, _)| known == pair))
    {
        pairs.insert(0, lacking);
    }
    let merges = (0..).zip(pairs).map(|(rank, (pair, token))| (pair, Merge { rank, token })).collect();
    let mut bytes = [None; 256];
    (0..=255u8).for_each(|byte| bytes[usize::from(byte)] = ids.get(&String::from(printable(byte))).copied());
    let mut added = Vec::new();
    for token in file.added_tokens {
        ids.insert(token.content.clone().into_owned(), token.id);
        if !token.special && !token.content.is_empty() {
            added.push(Added {
                content: token.content.into_owned(),
                id: token.id,
                normalized: token.normalized,
            });
        }
    }
    Ok(Some(Read { bpe: Bpe { bytes, merges, added }, ids }))
}

/// The first token of two bytes, and what it is made of.
fn first_merge(ids: &HashMap<String, u32>) -> Option<(Pair, u32)> {
    let token = ids.iter().find(|&(_, &id)| id == FIRST_MERGED)?.0;
    let mut parts = token.chars().map(|c| ids.get(&String::from(c)).copied());
    match (parts.next()??, parts.next()??, parts.next()) {
        (first, second, None) => Some(((first, second), FIRST_MERGED)),
        _ => None,
    }
}

/// The bytes of the ids below `n`, from `eot` on their names.
pub(super) fn bytes(ids: &HashMap<String, u32>, eot: u32, n: u32) -> Result<TokenBytes> {
    let mut names = vec![""; n as usize];
    for (name, &id) in ids {
        if let Some(place) = names.get_mut(id as usize) {
            *place = name;
        }
    }
    super::bytes::of(|id| names[id as usize].into(), eot, n)
}

/// tokens: of the whole vocabulary; `special`: those that a text can't have
pub(super) fn write(bpe: &Bpe, tokens: &TokenBytes, special: std::ops::Range<u32>) -> String {
    let token = |id: u32| tokens.get(id).unwrap_or_default();
    let written = |id: u32| token(id).iter().copied().map(printable).collect::<String>();
    let vocab: Map<String, Value> = (0..special.start).map(|id| (written(id), id.into())).collect();
    let mut merges: Vec<_> = bpe.merges.iter().collect();
    merges.sort_unstable_by_key(|(_, merge)| merge.rank);
    let merges: Vec<_> =
        merges.iter().map(|((first, second), _)| [written(*first), written(*second)]).collect();
    let added = |id: u32, content: &str, special: bool, normalized: bool| {
        json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": normalized,
            "special": special,
        })
    };
    let names = special.map(|id| added(id, &String::from_utf8_lossy(token(id)), true, false));
    let others = bpe.added.iter().map(|other| added(other.id, &other.content, false, other.normalized));
    let rule = |prefix: bool| json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true});
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": names.chain(others).collect::<Vec<_>>(),
        "normalizer": null,
        "pre_tokenizer": rule(false),
        "post_processor": null,
        "decoder": rule(true),
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": merges,
        },
    })
    .to_string()
}
