//! Byte-level BPE: of all pairs of neighbours that may be merged, the one of the lowest rank first, and of equals the first.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::split::pieces;

/// (first, second) of two tokens.
pub(super) type Pair = (u32, u32);

/// A merge.
#[derive(Debug, Clone, Copy)]
pub(super) struct Merge {
    /// Lower ones come first.
    pub rank: u32,
    /// What becomes of the two.
    pub token: u32,
}

/// A token that is found in a text before that is cut.
#[derive(Debug, Clone)]
pub(super) struct Added {
    pub content: String,
    pub id: u32,
    /// Those that are not come first.
    pub normalized: bool,
}

pub(super) struct Bpe {
    /// The token of each byte alone; bytes that have none are left out.
    pub bytes: [Option<u32>; 256],
    pub merges: HashMap<Pair, Merge>,
    pub added: Vec<Added>,
}

/// What is not there.
const NONE: usize = usize::MAX;

/// A token of a word, and where its neighbours are.
#[derive(Clone, Copy)]
struct Symbol {
    id: u32,
    before: usize,
    after: usize,
    merged: bool,
}

impl Bpe {
    /// The tokens of a text.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        self.with_added(text, &[false, true], &mut ids);
        ids
    }

    /// `rounds`: whether it is the turn of those that are normalized.
    fn with_added(&self, text: &str, rounds: &[bool], ids: &mut Vec<u32>) {
        let Some((&normalized, rounds)) = rounds.split_first() else {
            pieces(text).for_each(|piece| self.word(piece.as_bytes(), ids));
            return;
        };
        let of_round = || self.added.iter().filter(|added| added.normalized == normalized);
        let at = |at: usize| {
            let here = of_round().filter(|added| text[at..].starts_with(&added.content));
            here.max_by_key(|added| added.content.len())
        };
        let mut from = 0;
        if of_round().next().is_some() {
            for (i, _) in text.char_indices() {
                if i >= from
                    && let Some(added) = at(i)
                {
                    self.with_added(&text[from..i], rounds, ids);
                    ids.push(added.id);
                    from = i + added.content.len();
                }
            }
        }
        self.with_added(&text[from..], rounds, ids);
    }

    fn word(&self, bytes: &[u8], ids: &mut Vec<u32>) {
        let mut symbols: Vec<Symbol> = Vec::with_capacity(bytes.len());
        for id in bytes.iter().filter_map(|&byte| self.bytes[usize::from(byte)]) {
            let at = symbols.len();
            symbols.push(Symbol {
                id,
                before: at.checked_sub(1).unwrap_or(NONE),
                after: at + 1,
                merged: false,
            });
        }
        if let Some(last) = symbols.last_mut() {
            last.after = NONE;
        }
        let mut waiting = BinaryHeap::new();
        let merge = |symbols: &[Symbol], at: usize| {
            let pair = (symbols.get(at)?.id, symbols.get(symbols[at].after)?.id);
            self.merges.get(&pair).map(|merge| Reverse((merge.rank, at, merge.token)))
        };
        waiting.extend((0..symbols.len()).filter_map(|at| merge(&symbols, at)));
        while let Some(Reverse((_, at, token))) = waiting.pop() {
            // What was merged meanwhile is no such pair any more.
            let still = !symbols[at].merged
                && merge(&symbols, at).is_some_and(|Reverse((_, _, becomes))| becomes == token);
            if !still {
                continue;
            }
            let second = symbols[at].after;
            symbols[second].merged = true;
            let after = symbols[second].after;
            symbols[at] = Symbol { id: token, after, ..symbols[at] };
            if let Some(next) = symbols.get_mut(after) {
                next.before = at;
            }
            waiting.extend(merge(&symbols, symbols[at].before));
            waiting.extend(merge(&symbols, at));
        }
        ids.extend(symbols.iter().filter(|symbol| !symbol.merged).map(|symbol| symbol.id));
    }
}
