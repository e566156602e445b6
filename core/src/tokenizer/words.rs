//! From tokens to words: at spaces, or at every character for languages that are written without.

use super::Tokenizer;
use crate::languages;
use crate::writers::strip;

/// Python's `string.punctuation`.
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
const REPLACEMENT: char = '\u{FFFD}';

impl Tokenizer {
    /// Words with their tokens. Joined, the words are the decoded text.
    pub fn split_to_word_tokens(&self, tokens: &[u32], language: &str) -> Vec<(String, Vec<u32>)> {
        // An English-only network has no language and always splits at spaces.
        if self.is_multilingual() && !languages::has_spaces(language) {
            self.split_tokens_on_unicode(tokens)
        } else {
            self.split_tokens_on_spaces(tokens)
        }
    }

    /// The shortest runs of tokens that are whole characters.
    fn split_tokens_on_unicode(&self, tokens: &[u32]) -> Vec<(String, Vec<u32>)> {
        let full: Vec<char> = self.decode_with_timestamps(tokens).chars().collect();
        let mut words = Vec::new();
        let mut current = Vec::new();
        let mut offset = 0;
        for &token in tokens {
            current.push(token);
            let decoded = self.decode_with_timestamps(&current);
            // A replacement character that stands in the full text too is not a character cut in two.
            let whole = match decoded.chars().position(|c| c == REPLACEMENT) {
                None => true,
                Some(at) => full.get(offset + at) == Some(&REPLACEMENT),
            };
            if whole {
                offset += decoded.chars().count();
                words.push((decoded, std::mem::take(&mut current)));
            }
        }
        words
    }

    fn split_tokens_on_spaces(&self, tokens: &[u32]) -> Vec<(String, Vec<u32>)> {
        let mut words: Vec<(String, Vec<u32>)> = Vec::new();
        for (subword, ids) in self.split_tokens_on_unicode(tokens) {
            let special = ids[0] >= self.special().eot;
            let begins = special || subword.starts_with(' ') || PUNCTUATION.contains(strip(&subword));
            match words.last_mut() {
                Some((word, word_ids)) if !begins => {
                    word.push_str(&subword);
                    word_ids.extend(ids);
                }
                _ => words.push((subword, ids)),
            }
        }
        words
    }
}
