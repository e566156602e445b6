//! What may not be sampled next. Filters work on plain rows of logits, one after the other in list order.

use super::choice::Rules;
use crate::kernels;
use crate::tokenizer::Tokenizer;

/// Masks one row of logits in place.
pub trait LogitFilter {
    /// logits: (n_vocab); tokens: this row's context so far, prompt included.
    fn apply(&self, logits: &mut [f32], tokens: &[u32]);

    /// The same as data, for a row with these tokens; `false` if it does more than forbid some.
    fn rules(&self, _tokens: &[u32], _rules: &mut Rules) -> bool {
        false
    }

    /// Tokens that no row ever samples, for a filter that does nothing else.
    fn suppressed(&self) -> Option<&[u32]> {
        None
    }
}

const NEVER: f32 = f32::NEG_INFINITY;

/// Keeps the transcript from beginning with a blank or with its end.
#[derive(Debug)]
pub struct SuppressBlank {
    tokens: Vec<u32>,
    sample_begin: usize,
}

impl SuppressBlank {
    /// `sample_begin`: tokens before the first sampled one.
    pub fn new(tokenizer: &Tokenizer, sample_begin: usize) -> Self {
        let mut tokens = tokenizer.blank_tokens().to_vec();
        tokens.push(tokenizer.special().eot);
        Self { tokens, sample_begin }
    }
}

impl LogitFilter for SuppressBlank {
    fn apply(&self, logits: &mut [f32], tokens: &[u32]) {
        if tokens.len() == self.sample_begin {
            self.tokens.iter().for_each(|&token| logits[token as usize] = NEVER);
        }
    }

    fn rules(&self, tokens: &[u32], rules: &mut Rules) -> bool {
        if tokens.len() == self.sample_begin {
            self.tokens.iter().for_each(|&token| rules.forbid(token));
        }
        true
    }
}

/// Never samples the tokens of a list.
#[derive(Debug)]
pub struct SuppressTokens {
    tokens: Vec<u32>,
}

impl SuppressTokens {
    /// `tokens` must be in the vocabulary.
    pub fn new(tokens: Vec<u32>) -> Self {
        Self { tokens }
    }
}

impl LogitFilter for SuppressTokens {
    fn apply(&self, logits: &mut [f32], _tokens: &[u32]) {
        self.tokens.iter().for_each(|&token| logits[token as usize] = NEVER);
    }

    fn suppressed(&self) -> Option<&[u32]> {
        Some(&self.tokens)
    }
}

/// Timestamps come in pairs, never go back, and are sampled when they are more probable together than any text.
#[derive(Debug)]
pub struct ApplyTimestampRules {
    eot: usize,
    no_timestamps: usize,
    timestamp_begin: usize,
    sample_begin: usize,
    max_initial_timestamp_index: Option<u32>,
}

impl ApplyTimestampRules {
    /// `max_initial_timestamp_index` is in steps of 20 ms.
    pub fn new(tokenizer: &Tokenizer, sample_begin: usize, max_initial_timestamp_index: Option<u32>) -> Self {
        let special = tokenizer.special();
        Self {
            eot: special.eot as usize,
            no_timestamps: special.no_timestamps as usize,
            timestamp_begin: special.timestamp_begin as usize,
            sample_begin,
            max_initial_timestamp_index,
        }
    }

    fn is_timestamp(&self, token: u32) -> bool {
        token as usize >= self.timestamp_begin
    }
}

impl ApplyTimestampRules {
    /// What a row with these tokens must not sample, whatever the logits are.
    fn forbidden(&self, tokens: &[u32], n_vocab: usize, forbid: &mut dyn FnMut(std::ops::Range<usize>)) {
        let begin = self.timestamp_begin;
        forbid(self.no_timestamps..self.no_timestamps + 1);

        let sampled = &tokens[self.sample_begin..];
        let last_was_timestamp = sampled.last().is_some_and(|&t| self.is_timestamp(t));
        // With one token sampled, it began a segment: it counts as the second of a pair.
        let penultimate_was_timestamp = sampled.len() < 2 || self.is_timestamp(sampled[sampled.len() - 2]);
        if last_was_timestamp {
            forbid(if penultimate_was_timestamp { begin..n_vocab } else { 0..self.eot });
        }
        if let Some(&last) = sampled.iter().rfind(|&&t| self.is_timestamp(t)) {
            // The end of a segment may be the start of the next, but no segment has length zero.
            let repeats = last_was_timestamp && !penultimate_was_timestamp;
            forbid(begin..last as usize + usize::from(!repeats));
        }
        if sampled.is_empty() {
            forbid(0..begin);
            if let Some(index) = self.max_initial_timestamp_index {
                let last_allowed = begin + index as usize;
                forbid((last_allowed + 1).min(n_vocab)..n_vocab);
            }
        }
    }
}

impl LogitFilter for ApplyTimestampRules {
    fn apply(&self, logits: &mut [f32], tokens: &[u32]) {
        let n_vocab = logits.len();
        self.forbidden(tokens, n_vocab, &mut |range| logits[range].fill(NEVER));
        // Both sides lack the same normalisation, so plain logits compare as log-probabilities do.
        let (text, timestamps) = logits.split_at_mut(self.timestamp_begin);
        if kernels::log_sum_exp(timestamps) > kernels::max(text) {
            text.fill(NEVER);
        }
    }

    fn rules(&self, tokens: &[u32], rules: &mut Rules) -> bool {
        // Beyond the vocabulary there is nothing to forbid.
        let all = u32::MAX as usize;
        self.forbidden(tokens, all, &mut |range| rules.forbidden.push(range.start as u32..range.end as u32));
        rules.timestamp_begin = Some(self.timestamp_begin as u32);
        true
    }
}

/// Keeps a text from breaking off before all of a window is heard, where nobody will go on from there: after the end of a segment
/// and the start of the next comes that segment's text.
#[derive(Debug, Clone, Copy)]
pub struct NoBreakingOff {
    eot: u32,
    timestamp_begin: u32,
    sample_begin: usize,
    until: u32,
}

impl NoBreakingOff {
    /// From `until` on, in steps of 20 ms from the start of the window, nothing is said any more.
    pub fn new(tokenizer: &Tokenizer, sample_begin: usize, until: usize) -> Self {
        let special = tokenizer.special();
        let until = u32::try_from(until).unwrap_or(u32::MAX).saturating_add(special.timestamp_begin);
        Self { eot: special.eot, timestamp_begin: special.timestamp_begin, sample_begin, until }
    }

    /// Whether a row with these tokens may not end here.
    fn goes_on(&self, tokens: &[u32]) -> bool {
        matches!(
            tokens[self.sample_begin..],
            [.., end, start] if end >= self.timestamp_begin && (self.timestamp_begin..self.until).contains(&start)
        )
    }
}

impl LogitFilter for NoBreakingOff {
    fn apply(&self, logits: &mut [f32], tokens: &[u32]) {
        if self.goes_on(tokens) {
            logits[self.eot as usize] = NEVER;
        }
    }

    fn rules(&self, tokens: &[u32], rules: &mut Rules) -> bool {
        if self.goes_on(tokens) {
            rules.forbid(self.eot);
        }
        true
    }
}
