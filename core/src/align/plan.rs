//! Where each word of the text is about, by the words that are heard, and the windows in which to look for it exactly.

use std::ops::Range;

use super::text::Item;
use crate::audio::CHUNK_LENGTH;
use crate::writers::ends_sentence;

/// A word that is heard, or a part of one.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub unit: String,
    /// Seconds.
    pub start: f64,
    /// Seconds.
    pub end: f64,
}

/// About where a word is; none if it is not spoken.
pub(super) type About = Option<(f64, f64)>;

/// Nobody says so many letters a second.
const TOO_FAST: f64 = 35.0;
/// So many are usual.
const USUAL: f64 = 14.0;
/// Fewer unknown words in a row may be said in no time.
const FEW: usize = 4;
/// A window does not go on over such a silence, in seconds.
const LONG_PAUSE: f64 = 5.0;
/// Heard at most before the first word and after the last one, in seconds.
const MARGIN: f64 = 1.0;

/// Where the words are, by the unit that each of theirs is the same as. `units` has the number of each unit's word.
pub(super) fn about(
    items: &[Item],
    units: &[usize],
    found: &[Option<usize>],
    heard: &[Heard],
    duration: f64,
) -> Vec<About> {
    let letters: Vec<usize> =
        items.iter().flat_map(|item| item.units.iter().map(|unit| unit.chars().count())).collect();
    let mut times: Vec<About> =
        found.iter().map(|at| at.map(|at| (heard[at].start, heard[at].end))).collect();
    let mut first = 0;
    while first < times.len() {
        if times[first].is_some() {
            first += 1;
            continue;
        }
        let end = (first..times.len()).find(|&i| times[i].is_some()).unwrap_or(times.len());
        let run: f64 = letters[first..end].iter().sum::<usize>() as f64;
        let before = first.checked_sub(1).and_then(|i| times[i]).map(|(_, end)| end);
        let after = times.get(end).copied().flatten().map(|(start, _)| start);
        let room = after.unwrap_or(duration) - before.unwrap_or(0.0);
        if end - first >= FEW && run > TOO_FAST * room.max(0.0) {
            first = end;
            continue;
        }
        // At an end of the text, there may be anything before or behind it.
        let (from, to) = match (before, after) {
            (None, Some(to)) => ((to - run / USUAL).max(0.0), to),
            (Some(from), None) => (from, (from + run / USUAL).min(duration)),
            (from, to) => (from.unwrap_or(0.0), to.unwrap_or(duration)),
        };
        let mut said = 0.0;
        for i in first..end {
            let start = from + (to - from).max(0.0) * said / run.max(1.0);
            said += letters[i] as f64;
            times[i] = Some((start, from + (to - from).max(0.0) * said / run.max(1.0)));
        }
        first = end;
    }
    of_items(items.len(), units, &times)
}

/// The times of words from those of their units; marks alone are where the word before them ends.
fn of_items(n_items: usize, units: &[usize], times: &[About]) -> Vec<About> {
    let mut about: Vec<About> = vec![None; n_items];
    let mut has_units = vec![false; n_items];
    for (&item, time) in units.iter().zip(times) {
        has_units[item] = true;
        let Some((start, end)) = *time else { continue };
        about[item] =
            Some(about[item].map_or((start, end), |(first, last)| (first.min(start), last.max(end))));
    }
    for i in 1..n_items {
        if !has_units[i] {
            about[i] = about[i - 1].map(|(_, end)| (end, end));
        }
    }
    about
}

/// A stretch of the recording, and the words to find in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stretch {
    /// Seconds.
    pub start: f64,
    /// Seconds, at most 30 later.
    pub end: f64,
    /// Numbers of the words; those that are not spoken are left out of them by who looks.
    pub items: Range<usize>,
}

/// Parts the words into windows, at pauses where that can be.
pub(super) fn stretches(
    items: &[Item],
    about: &[About],
    duration: f64,
    most_tokens: usize,
    language: &str,
) -> Vec<Stretch> {
    let spoken: Vec<(usize, f64, f64)> =
        about.iter().enumerate().filter_map(|(i, time)| time.map(|(start, end)| (i, start, end))).collect();
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut first = 0;
    while first < spoken.len() {
        let before = first.checked_sub(1).map_or(0.0, |i| spoken[i].2);
        let pause = (spoken[first].1 - before).max(0.0);
        let start = (spoken[first].1 - (pause / 2.0).min(MARGIN)).max(0.0);
        let last = last_word(items, &spoken, first, start, most_tokens, language);
        let next = spoken.get(last + 1).map_or(duration, |next| next.1);
        let pause = (next - spoken[last].2).max(0.0);
        let most = duration.min(start + CHUNK_LENGTH as f64);
        let end = (spoken[last].2 + (pause / 2.0).min(MARGIN)).min(most).max(start);
        stretches.push(Stretch { start, end, items: spoken[first].0..spoken[last].0 + 1 });
        first = last + 1;
    }
    stretches
}

/// The last word of a window: the one before the longest pause in its second half.
fn last_word(
    items: &[Item],
    spoken: &[(usize, f64, f64)],
    first: usize,
    start: f64,
    most_tokens: usize,
    language: &str,
) -> usize {
    let length = CHUNK_LENGTH as f64;
    let mut tokens = 0;
    let mut best = (first, f64::NEG_INFINITY);
    for i in first..spoken.len() {
        let (item, _, end) = spoken[i];
        tokens += items[item].tokens.len();
        if i > first && (tokens > most_tokens || end > start + length - 0.5) {
            return best.0;
        }
        let Some(&(next_item, next, _)) = spoken.get(i + 1) else { return i };
        let pause = next - end;
        if pause > LONG_PAUSE {
            return i;
        }
        let sentence = ends_sentence(&items[item].word, &items[next_item].word, language);
        let marked = if sentence || items[item].line != items[next_item].line { 0.4 } else { 0.0 };
        let late = if end > start + length / 2.0 { 10.0 } else { end - start };
        let score = late + pause.clamp(0.0, 2.0) + marked;
        if score >= best.1 {
            best = (i, score);
        }
    }
    best.0
}
