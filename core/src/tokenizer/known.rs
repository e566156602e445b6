//! Whether a file has one of OpenAI's vocabularies, which are built in: nearly all have. It is told by comparing, in a
//! twentieth of the time that it takes to build a tokenizer from the file.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use super::bytes::{TokenBytes, byte_of, spelled};
use super::vocabulary;

/// OpenAI's tokens of text, if these are they.
pub(super) fn in_list(tokens: &[Box<[u8]>], n_vocab: usize) -> Option<TokenBytes> {
    let text = vocabulary::built_in(n_vocab).ok()?;
    // What a list has beyond them are special tokens, under any name.
    let same =
        tokens.len() >= text.len() && text.iter().eq(tokens[..text.len()].iter().map(|token| &**token));
    same.then_some(text)
}

/// OpenAI's tokens of text, if a `tokenizer.json` has them, their special tokens and their rules.
pub(super) fn in_json(json: &[u8], n_vocab: usize) -> Option<TokenBytes> {
    let text = vocabulary::built_in(n_vocab).ok()?;
    let names = vocabulary::special_names(n_vocab).ok()?;
    let file: File<'_> = serde_json::from_slice(json).ok()?;
    if !file.rules_are_openais() {
        return None;
    }
    let special = |id: u32| names.get((id as usize).checked_sub(text.len())?);
    let named = |id: u32, name: &str| special(id).is_some_and(|known| *known == name || old(known) == name);
    let byte_of = byte_of();
    let mut bytes = Vec::new();
    let mut seen = vec![false; text.len()];
    for (token, id) in &file.model.vocab.0 {
        match seen.get_mut(*id as usize) {
            Some(seen) if spelled(&token.0, &byte_of, &mut bytes) && text.get(*id) == Some(&bytes) => {
                *seen = true;
            }
            None if named(*id, &token.0) || *id as usize >= text.len() + names.len() => {}
            _ => return None,
        }
    }
    let mut found = vec![false; names.len()];
    for token in &file.added_tokens {
        match found.get_mut((token.id as usize).checked_sub(text.len())?) {
            Some(found) if named(token.id, &token.content) => *found = true,
            // Timestamps.
            None => {}
            Some(_) => return None,
        }
    }
    let all = seen.into_iter().chain(found).all(|there| there);
    all.then_some(text)
}

/// What older files call a special token.
fn old(name: &str) -> &str {
    match name {
        "<|nospeech|>" => "<|nocaptions|>",
        "<|he|>" => "<|iw|>",
        _ => name,
    }
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    model: Model<'a>,
    #[serde(borrow)]
    added_tokens: Vec<Added<'a>>,
    normalizer: Value,
    pre_tokenizer: Value,
}

#[derive(Deserialize)]
struct Model<'a> {
    #[serde(borrow)]
    vocab: Vocab<'a>,
    #[serde(default)]
    dropout: Value,
    #[serde(default)]
    continuing_subword_prefix: Value,
    #[serde(default)]
    end_of_word_suffix: Value,
    #[serde(default)]
    ignore_merges: Value,
}

#[derive(Deserialize)]
struct Added<'a> {
    id: u32,
    #[serde(borrow)]
    content: Cow<'a, str>,
}

impl File<'_> {
    fn rules_are_openais(&self) -> bool {
        let none = |value: &Value| value.is_null() || value == "" || value == false;
        let rule = |name: &str| &self.pre_tokenizer[name];
        let model = &self.model;
        self.normalizer.is_null()
            && rule("type") == "ByteLevel"
            && rule("add_prefix_space") == false
            && rule("use_regex") != false
            && [&model.dropout, &model.continuing_subword_prefix, &model.end_of_word_suffix]
                .into_iter()
                .all(none)
            && none(&model.ignore_merges)
    }
}

struct Vocab<'a>(Vec<(Token<'a>, u32)>);

#[derive(Deserialize)]
struct Token<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Vocab<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(file: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Vocab<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tokens and their ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Vocab(entries))
            }
        }

        file.deserialize_map(Entries)
    }
}
