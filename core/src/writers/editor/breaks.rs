//! How good a place between two words is for a line or a cue to end.

use super::tables::{Words, words};

/// Places to break, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Break {
    /// After a sentence.
    Sentence,
    /// After a clause: a comma and the like.
    Clause,
    /// Before a conjunction, a preposition or a relative pronoun, or where Whisper ended a segment.
    Phrase,
    /// Anywhere else.
    Plain,
    /// Behind a word that belongs to the next one: an article, a preposition.
    Bound,
    /// Behind a title or an initial.
    Title,
    /// In scripts without spaces, inside what may be a word.
    Inside,
}

impl Break {
    pub fn cost(self) -> f64 {
        match self {
            Self::Sentence => 0.0,
            Self::Clause => 5.0,
            Self::Phrase => 9.0,
            Self::Plain => 15.0,
            Self::Bound | Self::Inside => 28.0,
            Self::Title => 50.0,
        }
    }
}

const SENTENCE_ENDS: &str = ".!?…。！？｡।॥؟۔።։";
const CLAUSE_ENDS: &str = ",;:、，；：،؛·—–";
const CLOSING: &str = "\"'”’»)]}」』】）〉》";

/// What it is to break between `before` and `after`, both with the spaces around them.
pub(super) fn break_between(before: &str, after: &str, language: &str, spaced: bool) -> Break {
    let table = words(language);
    let last = before.trim();
    let bare = last.trim_end_matches(|c| CLOSING.contains(c));
    let next = after.trim_start();
    if bare.ends_with(|c| SENTENCE_ENDS.contains(c)) && !is_abbreviation(bare, next, &table) {
        return Break::Sentence;
    }
    if bare.ends_with(|c| CLAUSE_ENDS.contains(c)) || bare.ends_with("--") || bare.ends_with(" -") {
        return Break::Clause;
    }
    if !spaced {
        // Thai and Lao part phrases by spaces; Japanese and Chinese have characters, of which several are a word.
        if before.ends_with(' ') || after.starts_with(' ') {
            return Break::Clause;
        }
        return unspaced(last, next);
    }
    let (word, next) = (plain(last), plain(next.split(char::is_whitespace).next().unwrap_or(next)));
    let has = |list: &[&str], word: &str| list.contains(&word);
    // French and Italian write some of them together with what follows.
    let elided = next.split_once(['\'', '’']).map(|(first, _)| first);
    let joins = has(table.joining, &next) || elided.is_some_and(|first| has(table.joining, first));
    if is_abbreviation(bare, &next, &table) {
        return Break::Title;
    }
    if has(table.joining, &word) || has(table.bound, &word) {
        return Break::Bound;
    }
    if joins { Break::Phrase } else { Break::Plain }
}

/// Where the kind of character changes from kana to something else, or from and to Latin, a word has probably ended.
fn unspaced(last: &str, next: &str) -> Break {
    let kind = |c: char| match c {
        '\u{3040}'..='\u{309f}' => 1,
        '\u{30a0}'..='\u{30ff}' => 2,
        '\u{3400}'..='\u{9fff}' => 3,
        c if c.is_ascii_alphanumeric() => 4,
        _ => 0,
    };
    let (last, next) = (last.chars().last().map_or(0, kind), next.chars().next().map_or(0, kind));
    match (last, next) {
        (1, 2..) | (4, 1..=3) | (3, 4) => Break::Phrase,
        (3, 2) | (2, 3) => Break::Plain,
        _ => Break::Inside,
    }
}

/// `Dr. Jones`, `J. S. Bach`, `z. B. so`: the point ends no sentence.
fn is_abbreviation(bare: &str, next: &str, table: &Words) -> bool {
    let Some(word) = bare.strip_suffix('.') else { return false };
    let word = plain(word);
    let initial = word.chars().count() == 1 && word.chars().all(char::is_alphabetic);
    initial || table.titles.contains(&word.as_str()) || next.starts_with(char::is_lowercase)
}

/// The word without marks around it, in small letters.
fn plain(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}
