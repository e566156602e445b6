//! Texts cut into the pieces within which tokens are merged, by GPT-2's pattern:
//! `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

use super::letters::{is_letter, is_number};

const ENDINGS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Space,
    Letter,
    Number,
    Other,
}

impl Kind {
    fn of(c: char) -> Self {
        match c {
            _ if c.is_whitespace() => Self::Space,
            _ if is_letter(c) => Self::Letter,
            _ if is_number(c) => Self::Number,
            _ => Self::Other,
        }
    }
}

/// The pieces of a text, which they make up as a whole.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at_checked(first(rest)?)?;
        rest = after;
        Some(piece)
    })
}

/// Bytes of the first piece; none if there is none.
fn first(text: &str) -> Option<usize> {
    if let Some(ending) = ENDINGS.iter().find(|ending| text.starts_with(**ending)) {
        return Some(ending.len());
    }
    let run = |text: &str, kind| text.find(|c| Kind::of(c) != kind).unwrap_or(text.len());
    let kind = Kind::of(text.chars().next()?);
    if kind != Kind::Space {
        return Some(run(text, kind));
    }
    if let Some(word) = text.strip_prefix(' ')
        && let Some(kind) = word.chars().next().map(Kind::of).filter(|&kind| kind != Kind::Space)
    {
        return Some(1 + run(word, kind));
    }
    // The last blank before a word belongs to it, or stands alone.
    let spaces = run(text, Kind::Space);
    let last = text[..spaces].chars().next_back().map_or(0, char::len_utf8);
    Some(if spaces < text.len() && spaces > last { spaces - last } else { spaces })
}
