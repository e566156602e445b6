//! Words that no break may come between: what is written together, and in scripts without spaces what Japanese
//! typesetting (kinsoku) keeps together.

use super::breaks::{Break, break_between};
use crate::languages;
use crate::transcript::Word;

/// Words that stay in one line.
#[derive(Debug, Clone)]
pub(super) struct Atom {
    /// At least one; no text is empty.
    pub words: Vec<Word>,
    /// Characters, the space before them not counted.
    pub chars: usize,
    /// 1 if a space is before them.
    pub space: usize,
    /// What it is to break behind them.
    pub break_after: Break,
}

impl Atom {
    pub fn start(&self) -> f64 {
        self.words.first().map_or(0.0, |word| word.start)
    }

    pub fn end(&self) -> f64 {
        self.words.last().map_or(0.0, |word| word.end)
    }

    /// What it costs to break between this and the next: less in a pause.
    pub fn break_cost(&self, next: &Self) -> f64 {
        let pause = (next.start() - self.end()).clamp(0.0, 1.0);
        self.break_after.cost() * (1.0 - 0.6 * pause)
    }

    fn text(&self) -> String {
        self.words.iter().map(|word| word.word.as_str()).collect()
    }
}

/// What no line begins with: closing marks, small kana, marks of length and repetition.
const NOT_FIRST: &str = "、。，．・：；？！,.:;?!…‥ー～〜゛゜ヽヾゝゞ々〻）］｝〕〉》」』】〗〙〟’”»)]}%％℃\
                         ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿၼ່້ຯๆฯ";
/// What no line ends with: opening marks, and the vowels of Thai and Lao that are written before their consonant.
const NOT_LAST: &str = "（［｛〔〈《「『【〖〘〝‘“«([{¿¡$＄¥￥£＃#เแโใไເແໂໃໄ";

/// All words with text in atoms. The end of a segment is a place to break in any language.
pub(super) fn atoms(segments: &[&[Word]], language: &str) -> Vec<Atom> {
    let spaced = languages::has_spaces(language);
    let mut atoms: Vec<Atom> = Vec::new();
    for words in segments {
        let mut begins = true;
        for word in words.iter().filter(|word| !word.word.trim().is_empty()) {
            let text = word.word.replace("-->", "->").replace(['\r', '\n'], " ");
            let word = Word { word: text, ..word.clone() };
            match atoms.last_mut() {
                Some(atom) if (!begins || !spaced) && !may_part(&atom.text(), &word.word, spaced) => {
                    atom.words.push(word)
                }
                _ => {
                    atoms.push(Atom { words: vec![word], chars: 0, space: 0, break_after: Break::Plain });
                }
            }
            begins = false;
        }
        if let Some(atom) = atoms.last_mut() {
            atom.break_after = Break::Phrase;
        }
    }
    for i in 0..atoms.len() {
        let text = atoms[i].text();
        atoms[i].chars = width(text.trim());
        // Where cues go across segments, and a segment's first word has no space, none is missed: it is before a line break
        // or in a script without spaces.
        atoms[i].space = usize::from(text.starts_with(' '));
        if let Some(next) = atoms.get(i + 1) {
            let kind = break_between(&text, &next.text(), language, spaced);
            let atom = &mut atoms[i];
            // Whisper does end segments behind an article.
            atom.break_after = match (atom.break_after, kind) {
                (Break::Phrase, Break::Plain | Break::Inside) => Break::Phrase,
                _ => kind,
            };
        }
    }
    atoms
}

/// Characters as a reader counts them: marks that stand on or under another are none.
pub(super) fn width(text: &str) -> usize {
    text.chars().filter(|&c| !is_mark(c)).count()
}

/// Marks without a place of their own in the scripts that Whisper writes.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}'..='\u{5c2}' | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{93a}' | '\u{93c}' | '\u{941}'..='\u{948}' | '\u{94d}'
        | '\u{981}' | '\u{9bc}' | '\u{9c1}'..='\u{9c4}' | '\u{9cd}' | '\u{b82}' | '\u{bc0}' | '\u{bcd}'
        | '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}' | '\u{eb1}' | '\u{eb4}'..='\u{ebc}'
        | '\u{ec8}'..='\u{ece}' | '\u{102d}'..='\u{1030}' | '\u{1032}'..='\u{1037}' | '\u{1039}'..='\u{103a}'
        | '\u{17b4}'..='\u{17d3}' | '\u{200b}'..='\u{200f}' | '\u{feff}')
}

/// Whether a line may end between the two.
fn may_part(before: &str, after: &str, spaced: bool) -> bool {
    // A dash stays with what is before it.
    if spaced && after.trim().chars().all(|c| "-–—".contains(c)) {
        return false;
    }
    if after.starts_with(char::is_whitespace) || before.ends_with(char::is_whitespace) {
        return true;
    }
    let (Some(last), Some(first)) = (before.chars().last(), after.chars().next()) else { return false };
    if spaced {
        // After a dash of any kind, if there was something before it.
        return matches!(last, '-' | '–' | '—' | '…')
            && before.trim().chars().count() > 1
            && first.is_alphanumeric();
    }
    let of_a_word = |c: char| c.is_ascii_alphanumeric() || "'-".contains(c);
    let below = |c: char| matches!(c, '\u{102b}'..='\u{103e}' | '\u{17b6}'..='\u{17d3}' | '\u{e30}'..='\u{e33}' | '\u{e45}');
    let closed = NOT_FIRST.contains(first) || NOT_LAST.contains(last);
    let in_a_word = is_mark(first) || below(first) || (of_a_word(last) && of_a_word(first));
    !closed && !in_a_word
}
