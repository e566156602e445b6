//! Cues as an editor would make them. All words are parted into cues by dynamic programming: what fits, and of that what
//! costs least, a bad place to break, a pause inside and text too fast to read each having a price. Then each cue is
//! parted into lines and gets its times.
//!
//! What can't all be had is given up in this order: good breaks, reading speed, minimum duration, gap. Line width, line
//! count and maximum duration are always held, but for a word that is wider than a line.

use super::SubtitleOptions;
use super::subtitles::Cue;
use crate::transcript::Word;

mod atoms;
mod breaks;
mod lines;
mod tables;
mod times;

use atoms::{Atom, atoms};

/// What a cue may hold.
#[derive(Debug, Clone, Copy)]
struct Limits {
    width: usize,
    lines: usize,
    words: usize,
    chars_per_second: f64,
    min_duration: f64,
    max_duration: f64,
    gap: f64,
}

/// No cue goes on over such a pause, in seconds.
const LONGEST_PAUSE: f64 = 3.0;

impl Limits {
    fn of(options: &SubtitleOptions, language: &str) -> Self {
        let given = |limit: Option<usize>| limit.filter(|&limit| limit > 0);
        Self {
            width: given(options.max_line_width).unwrap_or(match language {
                "zh" | "yue" | "ko" => 16,
                "ja" => 13,
                "th" => 35,
                _ => 42,
            }),
            lines: given(options.max_line_count).unwrap_or(2),
            words: given(options.max_words_per_line).unwrap_or(usize::MAX),
            chars_per_second: options.max_chars_per_second.unwrap_or(f64::INFINITY),
            min_duration: options.min_cue_duration.unwrap_or(0.0),
            max_duration: options.max_cue_duration.unwrap_or(f64::INFINITY),
            gap: options.min_cue_gap.unwrap_or(0.0),
        }
    }
}

/// The words of all segments in cues, each word's text with the space or line break before it.
pub(super) fn cues(segments: &[&[Word]], language: &str, options: &SubtitleOptions) -> Vec<Cue> {
    let limits = Limits::of(options, language);
    let atoms = atoms(segments, language);
    let ends = part(&atoms, &limits);
    let mut first = 0;
    let mut cues: Vec<Cue> = Vec::with_capacity(ends.len());
    for end in ends {
        cues.push(cue(&atoms[first..end], &limits));
        first = end;
    }
    times::fit(&mut cues, &limits);
    cues
}

/// Whether a sentence ends between the two.
pub(super) fn ends_sentence(before: &str, after: &str, language: &str) -> bool {
    breaks::break_between(before, after, language, true) == breaks::Break::Sentence
}

/// Where each cue ends: after so many atoms.
fn part(atoms: &[Atom], limits: &Limits) -> Vec<usize> {
    // The least cost of all cues up to an atom, and where the last of them begins.
    let mut best = vec![(f64::INFINITY, 0); atoms.len() + 1];
    best[0].0 = 0.0;
    for first in 0..atoms.len() {
        let so_far = best[first].0;
        for end in first + 1..=atoms.len() {
            if end > first + 1 && !may_be_a_cue(&atoms[first..end], limits) {
                break;
            }
            let cost = so_far + cost(&atoms[first..end], atoms.get(end), limits);
            if cost < best[end].0 {
                best[end] = (cost, first);
            }
        }
    }
    let mut ends = Vec::new();
    let mut end = atoms.len();
    while end > 0 {
        ends.push(end);
        end = best[end].1;
    }
    ends.reverse();
    ends
}

/// Longer ones are none either.
fn may_be_a_cue(atoms: &[Atom], limits: &Limits) -> bool {
    let (Some(first), Some(last)) = (atoms.first(), atoms.last()) else { return false };
    last.end() - first.start() <= limits.max_duration
        && atoms.windows(2).all(|two| two[1].start() - two[0].end() < LONGEST_PAUSE)
        && lines::needed(atoms, limits) <= limits.lines
}

/// What it costs to have a cue of these, and to end it before `next`.
fn cost(atoms: &[Atom], next: Option<&Atom>, limits: &Limits) -> f64 {
    let (Some(first), Some(last)) = (atoms.first(), atoms.last()) else { return 0.0 };
    // Each cue costs something, so that there are few.
    let mut cost = 10.0;
    if let Some(next) = next {
        cost += last.break_cost(next);
    }
    for two in atoms.windows(2) {
        let pause = two[1].start() - two[0].end();
        cost += 20.0 * (pause - 0.4).max(0.0);
        if two[0].break_after == breaks::Break::Sentence {
            cost += 4.0;
        }
    }
    let chars = lines::width(atoms);
    // A line more is a little work for the reader, more so if it begins in a bad place; a word alone is a flash.
    cost += 2.0 * (lines::needed(atoms, limits) - 1) as f64 + 0.5 * lines::breaks(atoms, limits).1;
    if chars * 4 < limits.width {
        cost += 6.0;
    }
    let latest = next.map_or(f64::INFINITY, |next| next.start() - limits.gap);
    let stays = latest.min(first.start() + limits.max_duration) - first.start();
    let too_fast = chars as f64 / limits.chars_per_second - stays.max(0.05);
    cost += 20.0 * too_fast.clamp(0.0, 3.0);
    cost + 40.0 * (limits.min_duration - stays).clamp(0.0, 3.0)
}

/// The cue of these, in lines; its times are those of its words.
fn cue(atoms: &[Atom], limits: &Limits) -> Cue {
    let (breaks, _) = lines::breaks(atoms, limits);
    let mut words = Vec::new();
    for (i, atom) in atoms.iter().enumerate() {
        let begins_line = i == 0 || breaks.contains(&i);
        for (j, word) in atom.words.iter().enumerate() {
            let mut word = word.clone();
            if begins_line && j == 0 {
                let text = word.word.trim_start();
                word.word = if i == 0 { text.to_owned() } else { format!("\n{text}") };
            }
            words.push(word);
        }
    }
    for at in breaks.iter().chain([&atoms.len()]) {
        // What a line ends with is no space.
        let ends: usize = atoms[..*at].iter().map(|atom| atom.words.len()).sum();
        if let Some(word) = ends.checked_sub(1).and_then(|last| words.get_mut(last)) {
            word.word.truncate(word.word.trim_end().len());
        }
    }
    let (start, end) = (atoms.first().map_or(0.0, Atom::start), atoms.last().map_or(0.0, Atom::end));
    Cue { start, end, words }
}
