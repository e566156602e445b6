//! What keeps a text from going round in circles, by faster-whisper's options. Both look at the text tokens of the window
//! alone: timestamps come in equal pairs, and a prompt may well be said again.

use super::choice::Rules;
use super::filters::LogitFilter;
use crate::tokenizer::Tokenizer;

const NEVER: f32 = f32::NEG_INFINITY;

/// Makes text that is there already less probable.
#[derive(Debug)]
pub struct RepetitionPenalty {
    eot: u32,
    sample_begin: usize,
    penalty: f32,
}

impl RepetitionPenalty {
    /// `sample_begin`: tokens before the first sampled one.
    pub fn new(tokenizer: &Tokenizer, sample_begin: usize, penalty: f64) -> Self {
        Self { eot: tokenizer.special().eot, sample_begin, penalty: penalty as f32 }
    }
}

impl LogitFilter for RepetitionPenalty {
    fn apply(&self, logits: &mut [f32], tokens: &[u32]) {
        let mut text: Vec<u32> =
            tokens[self.sample_begin..].iter().copied().filter(|&t| t < self.eot).collect();
        text.sort_unstable();
        text.dedup();
        for token in text {
            let logit = &mut logits[token as usize];
            *logit = if *logit > 0.0 { *logit / self.penalty } else { *logit * self.penalty };
        }
    }
}

/// Forbids the token that would end a row of tokens which is there already.
#[derive(Debug)]
pub struct NoRepeatNgram {
    eot: u32,
    sample_begin: usize,
    size: usize,
}

impl NoRepeatNgram {
    /// `sample_begin`: tokens before the first sampled one; `size`: of the rows, at least 1.
    pub fn new(tokenizer: &Tokenizer, sample_begin: usize, size: usize) -> Self {
        Self { eot: tokenizer.special().eot, sample_begin, size }
    }
}

impl NoRepeatNgram {
    /// What a row with these tokens must not sample.
    fn forbidden(&self, tokens: &[u32], forbid: &mut dyn FnMut(u32)) {
        let text: Vec<u32> = tokens[self.sample_begin..].iter().copied().filter(|&t| t < self.eot).collect();
        let Some(start) = (text.len() + 1).checked_sub(self.size) else { return };
        let begun = &text[start..];
        for row in text.windows(self.size) {
            if row[..self.size - 1] == *begun {
                forbid(row[self.size - 1]);
            }
        }
    }
}

impl LogitFilter for NoRepeatNgram {
    fn apply(&self, logits: &mut [f32], tokens: &[u32]) {
        self.forbidden(tokens, &mut |token| logits[token as usize] = NEVER);
    }

    fn rules(&self, tokens: &[u32], rules: &mut Rules) -> bool {
        self.forbidden(tokens, &mut |token| rules.forbid(token));
        true
    }
}
