//! The given text: lines, their words with the tokens that stand for them, and what of a word can be compared with what
//! is heard.

use crate::error::{Error, Result};
use crate::languages;
use crate::timing::{WordTiming, merge_punctuations};
use crate::tokenizer::Tokenizer;
use crate::writers::ends_sentence;

use crate::options::TranscribeOptions;

/// A longer line, in characters, is parted into its sentences.
const LONG_LINE: usize = 200;

/// A word of the text, with its space and its punctuation.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Number of the line.
    pub line: usize,
    pub word: String,
    /// All tokens, and which of them are the word without its punctuation.
    pub tokens: Vec<u32>,
    pub core: std::ops::Range<usize>,
    /// What is compared: small letters and digits.
    pub units: Vec<String>,
}

/// A text that is to be found in a recording.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub lines: Vec<String>,
    pub items: Vec<Item>,
}

impl Text {
    /// Reads the text; an error if there are no words in it.
    pub fn new(
        text: &str,
        tokenizer: &Tokenizer,
        language: &str,
        options: &TranscribeOptions,
    ) -> Result<Self> {
        let spaced = languages::has_spaces(language);
        let lines: Vec<String> =
            text.trim_start_matches('\u{feff}').lines().flat_map(|line| sentences(line, language)).collect();
        let mut items = Vec::new();
        for (number, line) in lines.iter().enumerate() {
            // As Whisper writes it: with a space before, where there are spaces.
            let line = if spaced { format!(" {line}") } else { line.clone() };
            let tokens = tokenizer.encode(&line)?;
            let mut first = 0;
            let words =
                tokenizer.split_to_word_tokens(&tokens, language).into_iter().map(|(word, tokens)| {
                    let start = first;
                    first += tokens.len();
                    // Places among the line's tokens, where times will be.
                    WordTiming { word, tokens, start: start as f64, end: first as f64, probability: 0.0 }
                });
            let mut words: Vec<WordTiming> = words.collect();
            merge_punctuations(&mut words, &options.prepend_punctuations, &options.append_punctuations);
            let mut taken = 0;
            for WordTiming { word, tokens, start, end, .. } in words {
                if tokens.is_empty() {
                    continue;
                }
                let core = start as usize - taken..end as usize - taken;
                taken += tokens.len();
                let units = units(&word, spaced);
                items.push(Item { line: number, word, tokens, core, units });
            }
        }
        if items.iter().all(|item| item.units.is_empty()) {
            return Err(Error::Options("the text to align has no words".into()));
        }
        Ok(Self { lines, items })
    }
}

/// A line without the space around it; its sentences if it is long; nothing of an empty one.
fn sentences(line: &str, language: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut sentences = vec![words.join(" ")];
    if sentences[0].chars().count() > LONG_LINE {
        sentences = vec![String::new()];
        for (i, word) in words.iter().enumerate() {
            let starts = i > 0 && ends_sentence(words[i - 1], &format!(" {word}"), language);
            match sentences.last_mut().filter(|_| !starts) {
                Some(sentence) => {
                    if !sentence.is_empty() {
                        sentence.push(' ');
                    }
                    sentence.push_str(word);
                }
                None => sentences.push((*word).to_owned()),
            }
        }
    }
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

/// What of a word is compared: its parts between hyphens and the like, or each character where words have no spaces.
pub(super) fn units(word: &str, spaced: bool) -> Vec<String> {
    let lower = word.to_lowercase();
    if !spaced {
        return lower.chars().filter(|c| c.is_alphanumeric()).map(String::from).collect();
    }
    let parts = lower.split(|c: char| !c.is_alphanumeric() && !"'’".contains(c));
    let parts = parts.map(|part| part.chars().filter(|c| c.is_alphanumeric()).collect::<String>());
    parts.filter(|part| !part.is_empty()).collect()
}
