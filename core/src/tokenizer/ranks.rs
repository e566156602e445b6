//! Byte-level BPE for short pieces that no rule splits, from nothing but the tokens: of what neighbours merge into, the
//! lowest id first.

use std::collections::HashMap;

use super::bytes::TokenBytes;

/// The ids of all tokens that are part of some texts.
pub(super) struct Ranks(HashMap<Box<[u8]>, u32>);

impl Ranks {
    pub fn of(tokens: &TokenBytes, texts: impl Iterator<Item = String>) -> Self {
        let mut ids: HashMap<Box<[u8]>, Option<u32>> = HashMap::new();
        for text in texts.map(String::into_bytes) {
            for from in 0..text.len() {
                for to in from + 1..=text.len() {
                    ids.insert(text[from..to].into(), None);
                }
            }
        }
        let longest = ids.keys().map(|piece| piece.len()).max().unwrap_or(0);
        for (id, token) in (0..).zip(tokens.iter()) {
            if token.len() <= longest
                && let Some(found) = ids.get_mut(token)
            {
                *found = Some(id);
            }
        }
        Self(ids.into_iter().filter_map(|(piece, id)| Some((piece, id?))).collect())
    }

    /// Ids of one of these texts.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let id = |piece: &[u8]| self.0.get(piece).copied();
        let mut pieces: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        loop {
            // Where each piece begins.
            let mut at = 0;
            let pairs = pieces.windows(2).enumerate().filter_map(|(i, pair)| {
                let from = at;
                at += pair[0].len();
                let both = &text.as_bytes()[from..from + pair[0].len() + pair[1].len()];
                Some((id(both)?, i, both))
            });
            match pairs.min_by_key(|&(id, i, _)| (id, i)) {
                Some((_, i, both)) => drop(pieces.splice(i..i + 2, [both])),
                None => break,
            }
        }
        pieces.into_iter().filter_map(id).collect()
    }
}
