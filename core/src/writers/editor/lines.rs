//! The lines of a cue: as few as hold it, about as long as each other, ending where a reader may pause.

use super::Limits;
use super::atoms::Atom;

/// Characters of these in one line.
pub(super) fn width(atoms: &[Atom]) -> usize {
    let chars: usize = atoms.iter().map(|atom| atom.chars + atom.space).sum();
    chars - atoms.first().map_or(0, |atom| atom.space)
}

fn fits(atoms: &[Atom], limits: &Limits) -> bool {
    // One that is too wide has a line of its own.
    atoms.len() <= 1 || (width(atoms) <= limits.width && words(atoms) <= limits.words)
}

fn words(atoms: &[Atom]) -> usize {
    atoms.iter().map(|atom| atom.words.len()).sum()
}

/// Lines that these take when each is as full as can be.
pub(super) fn needed(atoms: &[Atom], limits: &Limits) -> usize {
    let (mut lines, mut first) = (1, 0);
    for end in 1..=atoms.len() {
        if !fits(&atoms[first..end], limits) {
            lines += 1;
            first = end - 1;
        }
    }
    lines
}

/// Before which atoms a line breaks, and what it costs.
pub(super) fn breaks(atoms: &[Atom], limits: &Limits) -> (Vec<usize>, f64) {
    let lines = needed(atoms, limits);
    if lines <= 1 {
        return (Vec::new(), 0.0);
    }
    let ideal = width(atoms) as f64 / lines as f64;
    // By lines so far and atoms in them: the least cost, and where the last line begins.
    let mut best = vec![vec![(f64::INFINITY, 0); atoms.len() + 1]; lines + 1];
    best[0][0].0 = 0.0;
    for line in 1..=lines {
        for end in 1..=atoms.len() {
            for first in (0..end).rev() {
                if !fits(&atoms[first..end], limits) {
                    break;
                }
                let break_cost = atoms.get(end).map_or(0.0, |next| atoms[end - 1].break_cost(next));
                let ragged = (width(&atoms[first..end]) as f64 - ideal) / limits.width as f64;
                let cost = best[line - 1][first].0 + break_cost + 60.0 * ragged * ragged;
                if cost < best[line][end].0 {
                    best[line][end] = (cost, first);
                }
            }
        }
    }
    let mut breaks = Vec::new();
    let mut end = atoms.len();
    for line in (1..=lines).rev() {
        end = best[line][end].1;
        if end > 0 {
            breaks.push(end);
        }
    }
    breaks.reverse();
    (breaks, best[lines][atoms.len()].0)
}
