//! The rules for the next token as data, so that a device can choose it where the logits are and only the choice travels.

use std::ops::Range;

/// What one row must not sample.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Tokens that are never sampled.
    pub forbidden: Vec<Range<u32>>,
    /// Where timestamps begin, if they are sampled whenever they are more probable together than any text.
    pub timestamp_begin: Option<u32>,
}

impl Rules {
    /// Forbids one token.
    pub fn forbid(&mut self, token: u32) {
        self.forbidden.push(token..token + 1);
    }
}

/// What is to be chosen from the logits of some rows.
#[derive(Debug)]
pub struct Question<'a> {
    /// What no row samples.
    pub suppressed: &'a [u32],
    /// Of each row.
    pub rows: &'a [Rules],
    /// How many tokens of each row.
    pub top: usize,
}

/// Tokens of a row with their log-probabilities, the most probable first, of equals the one with the smaller number.
pub type Chosen = Vec<(u32, f32)>;
