//! The times of cues that are laid out: apart from each other, and long enough to be read where there is room.

use super::Limits;
use crate::writers::subtitles::Cue;

/// Moves the ends of cues, and where that is not enough their starts, into the silence around them.
pub(super) fn fit(cues: &mut [Cue], limits: &Limits) {
    keep_apart(cues, limits);
    // What all need at least, before anyone gets more.
    for i in 0..cues.len() {
        stay(cues, i, limits.min_duration, limits);
    }
    for i in 0..cues.len() {
        begin_earlier(cues, i, limits);
    }
    for i in 0..cues.len() {
        let chars: usize =
            cues[i].words.iter().map(|word| super::atoms::width(word.word.trim_matches('\n'))).sum();
        stay(cues, i, chars as f64 / limits.chars_per_second, limits);
    }
}

/// In order, none over the next, and with the gap between them: the earlier one ends sooner, by half of it at most.
fn keep_apart(cues: &mut [Cue], limits: &Limits) {
    let mut earliest: f64 = 0.0;
    for cue in cues.iter_mut() {
        cue.start = cue.start.max(earliest);
        cue.end = cue.end.max(cue.start).min(cue.start + limits.max_duration);
        earliest = cue.start;
    }
    for i in 1..cues.len() {
        let next = cues[i].start;
        let cue = &mut cues[i - 1];
        let whole = cue.end.min(next);
        cue.end = whole.min(next - limits.gap).max((cue.start + whole) / 2.0);
    }
}

/// Lets a cue stay for so long, if the next one does not come before.
fn stay(cues: &mut [Cue], i: usize, seconds: f64, limits: &Limits) {
    let latest = cues.get(i + 1).map_or(f64::INFINITY, |next| next.start - limits.gap);
    let cue = &mut cues[i];
    let wanted = cue.start + seconds.min(limits.max_duration);
    cue.end = cue.end.max(wanted.min(latest));
}

/// Lets a cue that is still too short begin before its speech, if the one before has ended.
fn begin_earlier(cues: &mut [Cue], i: usize, limits: &Limits) {
    let earliest = match i.checked_sub(1) {
        Some(before) => cues[before].end + limits.gap,
        None => 0.0,
    };
    let cue = &mut cues[i];
    let wanted = cue.end - limits.min_duration;
    cue.start = cue.start.min(wanted.max(earliest));
}
