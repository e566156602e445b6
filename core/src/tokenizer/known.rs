//! Whether a file has one of OpenAI's vocabularies: nearly all have. It is told by a hash, in a twentieth of the time that it
//! takes to build a tokenizer from the file.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use super::bytes::{TokenBytes, byte_of, spelled};
use super::vocabulary;

/// OpenAI's tokens of text, if these are they.
pub(super) fn in_list(tokens: &[Box<[u8]>], n_vocab: usize) -> Option<TokenBytes> {
    // What a list has beyond them are special tokens, under any name.
    let tokens = tokens.get(..vocabulary::n_text(n_vocab).ok()?)?;
    let mut text = vocabulary::room(n_vocab, tokens.iter().map(|token| token.len()).sum()).ok()?;
    tokens.iter().for_each(|token| text.push(token));
    vocabulary::are_openais(&text, n_vocab).then_some(text)
}

/// OpenAI's tokens of text, if a `tokenizer.json` has them, their special tokens and their rules.
pub(super) fn in_json(json: &[u8], n_vocab: usize) -> Option<TokenBytes> {
    let n_text = vocabulary::n_text(n_vocab).ok()?;
    let names = vocabulary::special_names(n_vocab).ok()?;
    let rules: Rules = serde_json::from_slice(json).ok()?;
    if !rules.are_gpt2s() {
        return None;
    }
    let file: File<'_> = serde_json::from_slice(json).ok()?;
    let special = |id: u32| names.get((id as usize).checked_sub(n_text)?);
    let named = |id: u32, name: &str| special(id).is_some_and(|known| *known == name || old(known) == name);
    let mut by_id: Vec<Option<&str>> = vec![None; n_text];
    for (token, id) in &file.model.vocab.0 {
        match by_id.get_mut(*id as usize) {
            Some(place @ None) => *place = Some(&token.0),
            None if named(*id, &token.0) || *id as usize >= n_text + names.len() => {}
            _ => return None,
        }
    }
    let mut found = vec![false; names.len()];
    for token in &file.added_tokens {
        match found.get_mut((token.id as usize).checked_sub(n_text)?) {
            Some(found) if named(token.id, &token.content) => *found = true,
            // Timestamps.
            None => {}
            Some(_) => return None,
        }
    }
    if !found.into_iter().all(|there| there) {
        return None;
    }
    let byte_of = byte_of();
    let (mut bytes, mut text) = (Vec::new(), vocabulary::room(n_vocab, n_text * 8).ok()?);
    for token in by_id {
        spelled(token?, &byte_of, &mut bytes).then_some(())?;
        text.push(&bytes);
    }
    vocabulary::are_openais(&text, n_vocab).then_some(text)
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
}

#[derive(Deserialize)]
struct Model<'a> {
    #[serde(borrow)]
    vocab: Vocab<'a>,
}

#[derive(Deserialize)]
struct Added<'a> {
    id: u32,
    #[serde(borrow)]
    content: Cow<'a, str>,
}

/// By what a file cuts texts and merges tokens.
#[derive(Deserialize)]
pub(super) struct Rules {
    model: Merging,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
}

#[derive(Deserialize)]
struct Merging {
    #[serde(default)]
    dropout: Value,
    #[serde(default)]
    continuing_subword_prefix: Value,
    #[serde(default)]
    end_of_word_suffix: Value,
    #[serde(default)]
    ignore_merges: Value,
}

impl Rules {
    pub fn are_gpt2s(&self) -> bool {
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
