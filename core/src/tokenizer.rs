//! Whisper's vocabulary over a `tokenizer.json` or a list of tokens: special tokens looked up once, text built by bytes
//! across tokens, words found from tokens. Names and rules are those of openai/whisper, `whisper/tokenizer.py`.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::languages;
use crate::options::{Task, TextOrTokens};

mod bpe;
mod bytes;
mod encoder;
mod gpt2;
mod known;
mod letters;
#[cfg(feature = "tokenizers")]
mod other;
mod ranks;
mod special;
mod split;
mod vocabulary;
mod words;

use bytes::TokenBytes;
use encoder::Encoder;
use ranks::Ranks;
use special::Languages;
pub use special::SpecialTokens;

/// What is looked up in a vocabulary once.
struct Ids {
    special: (SpecialTokens, Languages),
    blank: Vec<u32>,
    non_speech: Vec<u32>,
}

impl Ids {
    /// Of `n_text` tokens of text with the special tokens of a vocabulary of this size after them.
    fn of_list(n_text: usize, n_vocab: usize, encode: impl Fn(&str) -> Result<Vec<u32>>) -> Result<Self> {
        let names = vocabulary::special_names(n_vocab)?;
        Ok(Self {
            blank: encode(" ")?,
            non_speech: non_speech(encode)?,
            special: SpecialTokens::find(n_vocab, |name| {
                names.iter().position(|n| n == name).map(|at| (n_text + at) as u32)
            })?,
        })
    }
}

/// Encodes and decodes text, and knows the special tokens of one network.
pub struct Tokenizer {
    encoder: Encoder,
    special: SpecialTokens,
    languages: Languages,
    multilingual: bool,
    /// What each id stands for, special tokens by their names.
    bytes: TokenBytes,
    blank: Vec<u32>,
    non_speech: Vec<u32>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("special", &self.special).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json` for a network of `n_vocab` tokens.
    ///
    /// # Errors
    /// If it is no tokenizer, lacks one of Whisper's special tokens, or has another number of tokens.
    pub fn from_json(json: &[u8], n_vocab: usize) -> Result<Self> {
        match known::in_json(json, n_vocab) {
            Some(text) => Self::of_openai(text, n_vocab),
            None => match gpt2::read(json)? {
                Some(read) => {
                    let bytes = |eot, n| gpt2::bytes(&read.ids, eot, n);
                    let encoder = Encoder::from(read.bpe);
                    Self::read(encoder, |name| read.ids.get(name).copied(), bytes, n_vocab)
                }
                None => Self::of_other_rules(json, n_vocab),
            },
        }
    }

    /// Over the bytes of each token that is text, in the order of their ids, as a ggml file has them.
    ///
    /// # Errors
    /// If they are not the tokens of a byte-level BPE, or fewer than a vocabulary of `n_vocab` has.
    pub fn from_tokens(tokens: &[Box<[u8]>], n_vocab: usize) -> Result<Self> {
        match known::in_list(tokens, n_vocab) {
            Some(text) => Self::of_openai(text, n_vocab),
            None => {
                let bpe = vocabulary::bpe(tokens.iter().map(|token| &**token), n_vocab)?;
                let mut text = TokenBytes::default();
                tokens.iter().take(vocabulary::n_text(n_vocab)?).for_each(|token| text.push(token));
                let encode = |piece: &str| Ok(bpe.encode(piece));
                let ids = Ids::of_list(text.len(), n_vocab, encode)?;
                Self::of_list(Encoder::from(bpe), ids, text, n_vocab)
            }
        }
    }

    /// Over `vocabulary.txt` or `vocabulary.json` of a faster-whisper folder.
    ///
    /// # Errors
    /// If it is not a list of tokens, and as [`Tokenizer::from_tokens`].
    pub fn from_vocabulary(file: &[u8], n_vocab: usize) -> Result<Self> {
        Self::from_tokens(&vocabulary::read(file)?, n_vocab)
    }

    /// The tokenizer of OpenAI's models with a vocabulary of this size.
    ///
    /// # Errors
    /// If they have no such vocabulary, or it was built without the feature `vocabularies`.
    pub fn built_in(n_vocab: usize) -> Result<Self> {
        Self::of_openai(vocabulary::built_in(n_vocab)?, n_vocab)
    }

    /// The same from the list of tokens that [`Tokenizer::packed_name`] names, for a build that has none.
    ///
    /// # Errors
    /// If it is another file, or damaged, and as [`Tokenizer::built_in`].
    pub fn from_packed(packed: &[u8], n_vocab: usize) -> Result<Self> {
        Self::of_openai(vocabulary::unpack(packed, n_vocab)?, n_vocab)
    }

    /// The file in `core/assets` with the tokens of OpenAI's models with a vocabulary of this size.
    ///
    /// # Errors
    /// As [`Tokenizer::built_in`].
    pub fn packed_name(n_vocab: usize) -> Result<&'static str> {
        vocabulary::packed_name(n_vocab)
    }

    /// The same as a `tokenizer.json`.
    ///
    /// # Errors
    /// If the tokenizer can't be written.
    pub fn to_json(&self) -> Result<String> {
        self.encoder.to_json(&self.bytes, self.special.eot..self.special.timestamp_begin)
    }

    /// Over OpenAI's tokens of text. What encodes is made when a text is to be encoded, as few runs have one: it takes
    /// longer than everything else here.
    fn of_openai(text: TokenBytes, n_vocab: usize) -> Result<Self> {
        let pieces = symbols().map(|(symbol, _)| symbol).chain(BEFORE_WORDS.map(String::from));
        let ranks = Ranks::of(&text, pieces);
        let ids = Ids::of_list(text.len(), n_vocab, |piece| Ok(ranks.encode(piece)))?;
        Self::of_list(Encoder::Gpt2(OnceLock::new()), ids, text, n_vocab)
    }

    fn of_list(encoder: Encoder, ids: Ids, mut bytes: TokenBytes, n_vocab: usize) -> Result<Self> {
        let names = vocabulary::special_names(n_vocab)?;
        names.iter().for_each(|name| bytes.push(name.as_bytes()));
        Ok(Self::new(encoder, ids, n_vocab, bytes))
    }

    #[cfg(feature = "tokenizers")]
    fn of_other_rules(json: &[u8], n_vocab: usize) -> Result<Self> {
        let inner = other::read(json)?;
        let encoder = Encoder::Other(Box::new(inner.clone()));
        let bytes = |eot, n| bytes::of(|id| inner.id_to_token(id).unwrap_or_default(), eot, n);
        Self::read(encoder, |name| inner.token_to_id(name), bytes, n_vocab)
    }

    #[cfg(not(feature = "tokenizers"))]
    fn of_other_rules(_: &[u8], _: usize) -> Result<Self> {
        let words = "`tokenizer.json` has other rules than GPT-2's, which this build lacks the feature `tokenizers` for";
        Err(Error::Tokenizer(words.into()))
    }

    /// `id`: of a name; `bytes`: of the ids below a number, those from the end of text on by their names.
    fn read(
        encoder: Encoder,
        id: impl Fn(&str) -> Option<u32>,
        bytes: impl Fn(u32, u32) -> Result<TokenBytes>,
        n_vocab: usize,
    ) -> Result<Self> {
        let encode = |text: &str| encoder.encode(text, &TokenBytes::default());
        let ids = Ids {
            blank: encode(" ")?,
            non_speech: non_speech(encode)?,
            special: SpecialTokens::find(n_vocab, id)?,
        };
        let bytes = bytes(ids.special.0.eot, ids.special.0.timestamp_begin)?;
        Ok(Self::new(encoder, ids, n_vocab, bytes))
    }

    /// `bytes`: of every token before the timestamps.
    fn new(encoder: Encoder, ids: Ids, n_vocab: usize, mut bytes: TokenBytes) -> Self {
        let Ids { special: (special, languages), blank, non_speech } = ids;
        for id in special.timestamp_begin..n_vocab as u32 {
            let seconds = f64::from(id - special.timestamp_begin) * 0.02;
            bytes.push(format!("<|{seconds:.2}|>").as_bytes());
        }
        let multilingual = n_vocab >= 51865;
        Self { encoder, special, languages, multilingual, bytes, blank, non_speech }
    }

    /// The special tokens.
    pub fn special(&self) -> &SpecialTokens {
        &self.special
    }

    /// Whether the network knows languages and tasks.
    pub fn is_multilingual(&self) -> bool {
        self.multilingual
    }

    /// (token, code) of each language, in token order.
    pub fn languages(&self) -> &[(u32, &'static str)] {
        &self.languages
    }

    /// The token of a language given by code or English name.
    ///
    /// # Errors
    /// If there is no such language, or this network does not know it.
    pub fn language_token(&self, language: &str) -> Result<(u32, &'static str)> {
        let code = languages::code_of(language)
            .ok_or_else(|| Error::Options(format!("unsupported language `{language}`")))?;
        self.languages
            .iter()
            .copied()
            .find(|(_, c)| *c == code)
            .ok_or_else(|| Error::Options(format!("this model has no token for the language `{language}`")))
    }

    /// Tokens that begin every transcript: start, language and task, or only the start for an English-only network.
    ///
    /// # Errors
    /// As [`Tokenizer::language_token`].
    pub fn sot_sequence(&self, language: &str, task: Task) -> Result<Vec<u32>> {
        let mut sequence = vec![self.special.sot];
        if self.multilingual {
            sequence.push(self.language_token(language)?.0);
            sequence.push(match task {
                Task::Transcribe => self.special.transcribe,
                Task::Translate => self.special.translate,
            });
        }
        Ok(sequence)
    }

    /// Token ids of `text`; special tokens in it are taken for text.
    ///
    /// # Errors
    /// If the tokenizer's own rules fail.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.encoder.encode(text, &self.bytes)
    }

    /// Ids of a prompt or prefix: text gets the space it begins with, ids stay as they are.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`], and if an id is outside the vocabulary.
    pub fn encode_given(&self, given: &TextOrTokens) -> Result<Vec<u32>> {
        match given {
            TextOrTokens::Text(text) => self.encode(&format!(" {}", text.trim())),
            TextOrTokens::Tokens(ids) => match ids.iter().find(|&&id| id as usize >= self.bytes.len()) {
                None => Ok(ids.clone()),
                Some(id) => Err(Error::Options(format!("token `{id}` is outside the vocabulary"))),
            },
        }
    }

    /// The text of `ids`, timestamps left out. Bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let text = ids.iter().copied().filter(|&id| id < self.special.timestamp_begin);
        self.decode_all(text)
    }

    /// The text of `ids`, timestamps written as `<|1.08|>`.
    pub fn decode_with_timestamps(&self, ids: &[u32]) -> String {
        self.decode_all(ids.iter().copied())
    }

    fn decode_all(&self, ids: impl Iterator<Item = u32>) -> String {
        let bytes: Vec<u8> = ids.filter_map(|id| self.bytes.get(id)).flatten().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Tokens of a blank, which no transcript begins with.
    pub fn blank_tokens(&self) -> &[u32] {
        &self.blank
    }

    /// Tokens of speaker names, brackets, music notes and the like, which are not spoken; sorted.
    pub fn non_speech_tokens(&self) -> &[u32] {
        &self.non_speech
    }
}

/// Hyphens and quotes are fine between words, not before one.
const BEFORE_WORDS: [&str; 2] = [" -", " '"];

/// Symbols that are not spoken, without and with a blank before them, and whether the first token of each is enough.
fn symbols() -> impl Iterator<Item = (String, bool)> {
    const SINGLE: &str = "\"#()*+/:;<=>@[\\]^_`{|}~「」『』";
    const GROUPS: [&str; 20] = [
        "<<",
        ">>",
        "<<<",
        ">>>",
        "--",
        "---",
        "-(",
        "-[",
        "('",
        "(\"",
        "((",
        "))",
        "(((",
        ")))",
        "[[",
        "]]",
        "{{",
        "}}",
        "♪♪",
        "♪♪♪",
    ];
    // Their first byte pairs stand for nothing but such symbols, so the first token is enough.
    const MUSIC: &str = "♩♪♫♬♭♮♯";
    let whole = SINGLE.chars().map(String::from).chain(GROUPS.map(String::from));
    let symbols = whole.map(|symbol| (symbol, false)).chain(MUSIC.chars().map(|c| (String::from(c), true)));
    symbols.flat_map(|(symbol, first)| [(format!(" {symbol}"), first), (symbol, first)])
}

fn non_speech(encode: impl Fn(&str) -> Result<Vec<u32>>) -> Result<Vec<u32>> {
    let mut tokens: BTreeSet<u32> = BTreeSet::new();
    for text in BEFORE_WORDS {
        tokens.extend(encode(text)?.first());
    }
    for (symbol, first_is_enough) in symbols() {
        let ids = encode(&symbol)?;
        if ids.len() == 1 || first_is_enough {
            tokens.extend(ids.first());
        }
    }
    Ok(tokens.into_iter().collect())
}
