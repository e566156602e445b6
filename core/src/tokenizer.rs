//! Whisper's vocabulary over a `tokenizer.json` or a list of tokens: special tokens looked up once, text built by bytes
//! across tokens, words found from tokens. Names and rules are those of openai/whisper, `whisper/tokenizer.py`.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::languages::{self, LANGUAGES};
use crate::options::{Task, TextOrTokens};

mod repair;
mod vocabulary;
mod words;

/// Timestamps from 0.00 to 30.00 s in steps of 20 ms.
const N_TIMESTAMPS: u32 = 1501;

/// The ids of the tokens that steer decoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecialTokens {
    /// `<|endoftext|>`: every id below is text.
    pub eot: u32,
    /// `<|startoftranscript|>`
    pub sot: u32,
    /// `<|translate|>`
    pub translate: u32,
    /// `<|transcribe|>`
    pub transcribe: u32,
    /// `<|startoflm|>`
    pub sot_lm: u32,
    /// `<|startofprev|>`
    pub sot_prev: u32,
    /// `<|nospeech|>`, called `<|nocaptions|>` in older files.
    pub no_speech: u32,
    /// `<|notimestamps|>`
    pub no_timestamps: u32,
    /// `<|0.00|>`: every id from here on is a timestamp.
    pub timestamp_begin: u32,
}

/// Encodes and decodes text, and knows the special tokens of one network.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    special: SpecialTokens,
    /// (token, code) of each language the network knows, in token order.
    languages: Vec<(u32, &'static str)>,
    multilingual: bool,
    /// What each id stands for, special tokens by their names.
    bytes: Vec<Box<[u8]>>,
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
        Self::new(repair::read(json)?, n_vocab)
    }

    /// Over the bytes of each token that is text, in the order of their ids, as a ggml file has them.
    ///
    /// # Errors
    /// If they are not the tokens of a byte-level BPE, or fewer than a vocabulary of `n_vocab` has.
    pub fn from_tokens(tokens: &[Box<[u8]>], n_vocab: usize) -> Result<Self> {
        Self::new(vocabulary::tokenizer(tokens, n_vocab)?, n_vocab)
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
    /// If they have no such vocabulary.
    pub fn built_in(n_vocab: usize) -> Result<Self> {
        Self::from_tokens(&vocabulary::built_in(n_vocab)?, n_vocab)
    }

    /// The same as a `tokenizer.json`.
    ///
    /// # Errors
    /// If the tokenizer can't be written.
    pub fn to_json(&self) -> Result<String> {
        self.inner.to_string(false).map_err(|e| Error::Tokenizer(e.to_string()))
    }

    fn new(mut inner: tokenizers::Tokenizer, n_vocab: usize) -> Result<Self> {
        // `<|endoftext|>` in a prompt is nine characters, not a command.
        inner.set_encode_special_tokens(true);
        let id = |names: &[&str]| {
            names.iter().find_map(|name| inner.token_to_id(name)).ok_or_else(|| {
                let name = names[0];
                Error::Tokenizer(format!("`tokenizer.json` has no `{name}`; is it a Whisper's?"))
            })
        };
        let no_timestamps = id(&["<|notimestamps|>"])?;
        let special = SpecialTokens {
            eot: id(&["<|endoftext|>"])?,
            sot: id(&["<|startoftranscript|>"])?,
            translate: id(&["<|translate|>"])?,
            transcribe: id(&["<|transcribe|>"])?,
            sot_lm: id(&["<|startoflm|>"])?,
            sot_prev: id(&["<|startofprev|>"])?,
            no_speech: id(&["<|nospeech|>", "<|nocaptions|>"])?,
            no_timestamps,
            timestamp_begin: no_timestamps + 1,
        };
        let languages: Vec<_> = LANGUAGES
            .iter()
            .filter_map(|(code, _)| {
                // Older files have Hebrew's old code.
                let old = if *code == "he" { "iw" } else { code };
                let name = |code: &str| inner.token_to_id(&format!("<|{code}|>"));
                Some((name(code).or_else(|| name(old))?, *code))
            })
            .collect();
        let needed = (special.timestamp_begin + N_TIMESTAMPS) as usize;
        if needed > n_vocab || (n_vocab <= 51866 && needed != n_vocab) {
            return Err(Error::Tokenizer(format!(
                "`tokenizer.json` is for a vocabulary of {needed} tokens, the network has {n_vocab}: \
                 they belong to different models"
            )));
        }
        let bytes = token_bytes(&inner, &special, n_vocab)?;
        let multilingual = n_vocab >= 51865;
        let mut tokenizer = Self { inner, special, languages, multilingual, bytes, non_speech: Vec::new() };
        tokenizer.non_speech = tokenizer.find_non_speech()?;
        Ok(tokenizer)
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
        let encoding = self
            .inner
            .encode_fast(text, false)
            .map_err(|e| Error::Tokenizer(format!("could not encode `{text}`: {e}")))?;
        Ok(encoding.get_ids().to_vec())
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
        let bytes: Vec<u8> =
            ids.filter_map(|id| self.bytes.get(id as usize)).flat_map(|b| b.iter().copied()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Tokens of speaker names, brackets, music notes and the like, which are not spoken; sorted.
    pub fn non_speech_tokens(&self) -> &[u32] {
        &self.non_speech
    }

    fn find_non_speech(&self) -> Result<Vec<u32>> {
        const SINGLE: &str = "\"#()*+/:;<=>@[\\]^_`{|}~「」『』";
        const GROUPS: [&str; 17] = [
            "<<", ">>", "<<<", ">>>", "--", "---", "-(", "-[", "('", "(\"", "((", "))", "(((", ")))", "[[",
            "]]", "{{",
        ];
        const MORE_GROUPS: [&str; 3] = ["}}", "♪♪", "♪♪♪"];
        // Their first byte pairs stand for nothing but such symbols, so the first token is enough.
        const MUSIC: &str = "♩♪♫♬♭♮♯";
        let symbols = SINGLE
            .chars()
            .map(String::from)
            .chain(GROUPS.iter().chain(&MORE_GROUPS).map(|s| (*s).to_owned()))
            .map(|symbol| (symbol, false))
            .chain(MUSIC.chars().map(|c| (String::from(c), true)));
        // Hyphens and quotes are fine between words, not before one.
        let mut tokens: BTreeSet<u32> = BTreeSet::new();
        for text in [" -", " '"] {
            tokens.extend(self.encode(text)?.first());
        }
        for (symbol, first_is_enough) in symbols {
            for text in [symbol.clone(), format!(" {symbol}")] {
                let ids = self.encode(&text)?;
                if ids.len() == 1 || first_is_enough {
                    tokens.extend(ids.first());
                }
            }
        }
        Ok(tokens.into_iter().collect())
    }
}

/// The bytes behind each id. Byte-level BPE writes every byte as a printable character; this undoes it.
fn token_bytes(
    inner: &tokenizers::Tokenizer,
    special: &SpecialTokens,
    n_vocab: usize,
) -> Result<Vec<Box<[u8]>>> {
    let byte_of = byte_of();
    (0..n_vocab as u32)
        .map(|id| {
            if id >= special.timestamp_begin {
                let seconds = f64::from(id - special.timestamp_begin) * 0.02;
                return Ok(format!("<|{seconds:.2}|>").into_bytes().into());
            }
            let token = inner.id_to_token(id).unwrap_or_default();
            if id >= special.eot {
                return Ok(token.into_bytes().into());
            }
            token
                .chars()
                .map(|c| byte_of.get(c as usize).copied().flatten())
                .collect::<Option<Box<[u8]>>>()
                .ok_or_else(|| Error::Tokenizer(format!("token {id}, `{token}`, is not byte-level")))
        })
        .collect()
}

/// The byte behind each of GPT-2's characters.
fn byte_of() -> [Option<u8>; 324] {
    let mut byte_of = [None; 324];
    for byte in 0..=255u8 {
        byte_of[printable(byte) as usize] = Some(byte);
    }
    byte_of
}

/// GPT-2's character for a byte: itself where it can be seen, otherwise the next one from U+0100 on.
fn printable(byte: u8) -> char {
    let seen = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    if seen(byte) {
        return byte as char;
    }
    let hidden_before = (0..byte).filter(|&b| !seen(b)).count() as u32;
    char::from_u32(0x100 + hidden_before).unwrap_or('\u{100}')
}
