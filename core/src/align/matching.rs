//! Which words of two texts are the same: runs of words that each text has only once hold them together, dynamic
//! programming joins what lies between. Long passages that only one of them has do no harm.

use std::collections::HashMap;
use std::ops::Range;

/// Cells that dynamic programming may take: 4 MB.
const MOST_CELLS: usize = 4 << 20;
/// Cells that it may go through in rows, half a minute at most, where there are no such runs: what is said again and again.
const MOST_IN_ROWS: u64 = 16 << 30;
/// Lengths of the runs that are looked for, in turn.
const RUNS: [usize; 4] = [5, 4, 3, 2];

/// For each of `a` the one of `b` that is the same word in the same place; in rising order.
pub(super) fn matches(a: &[&str], b: &[&str]) -> Vec<Option<usize>> {
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut found = vec![None; a.len()];
    let mut id = Vec::with_capacity(a.len() + b.len());
    for word in a.iter().chain(b) {
        let next = numbers.len() as u32;
        id.push(*numbers.entry(*word).or_insert(next));
    }
    let (a, b) = id.split_at(a.len());
    join(a, b, 0..a.len(), 0..b.len(), 0, &mut found);
    drop_strays(&mut found);
    found
}

/// Joins a range of one to a range of the other; runs from `RUNS[step]` on are still to be tried.
fn join(
    a: &[u32],
    b: &[u32],
    in_a: Range<usize>,
    in_b: Range<usize>,
    step: usize,
    found: &mut [Option<usize>],
) {
    if in_a.is_empty() || in_b.is_empty() {
        return;
    }
    if in_a.len().saturating_mul(in_b.len()) <= MOST_CELLS {
        return compare(a, b, in_a, in_b, found);
    }
    let Some(&length) = RUNS.get(step) else {
        return halve(a, b, in_a, in_b, found);
    };
    let (mut at_a, mut at_b) = (in_a.start, in_b.start);
    for (i, j) in in_order(&shared_runs(&a[in_a.clone()], &b[in_b.clone()], length)) {
        let (i, j) = (in_a.start + i, in_b.start + j);
        if i < at_a || j < at_b {
            continue;
        }
        join(a, b, at_a..i, at_b..j, step + 1, found);
        (0..length).for_each(|k| found[i + k] = Some(j + k));
        (at_a, at_b) = (i + length, j + length);
    }
    join(a, b, at_a..in_a.end, at_b..in_b.end, step + 1, found);
}

/// Where the runs that both have, each once, begin; in the order of the first.
fn shared_runs(a: &[u32], b: &[u32], length: usize) -> Vec<(usize, usize)> {
    let once = |words: &[u32]| {
        let mut places: HashMap<Vec<u32>, Option<usize>> = HashMap::new();
        for (i, run) in words.windows(length).enumerate() {
            places.entry(run.to_vec()).and_modify(|place| *place = None).or_insert(Some(i));
        }
        places
    };
    let (in_a, in_b) = (once(a), once(b));
    let mut shared: Vec<(usize, usize)> =
        in_a.iter().filter_map(|(run, place)| (*place).zip(in_b.get(run).copied().flatten())).collect();
    shared.sort_unstable();
    shared
}

/// The longest part of these in which the second numbers rise too.
fn in_order(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // By length, the pair with the least second number that such a part ends with.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (i, &(_, second)) in pairs.iter().enumerate() {
        let at = ends.partition_point(|&end| pairs[end].1 < second);
        before.push(at.checked_sub(1).map(|at| ends[at]));
        match ends.get_mut(at) {
            Some(end) => *end = i,
            None => ends.push(i),
        }
    }
    let mut part: Vec<_> =
        std::iter::successors(ends.last().copied(), |&i| before[i]).map(|i| pairs[i]).collect();
    part.reverse();
    part
}

/// As [`compare`], of ranges of any length: where the middle of the one belongs is found without keeping more than a row of
/// cells (D. S. Hirschberg, 1975), and then each half is compared.
fn halve(a: &[u32], b: &[u32], in_a: Range<usize>, in_b: Range<usize>, found: &mut [Option<usize>]) {
    let cells = (in_a.len() as u64).saturating_mul(in_b.len() as u64);
    if cells <= MOST_CELLS as u64 {
        return compare(a, b, in_a, in_b, found);
    }
    if in_a.len() < 2 || cells > MOST_IN_ROWS {
        return;
    }
    let middle = in_a.start + in_a.len() / 2;
    let backwards = |range: Range<usize>, of: &[u32]| of[range].iter().rev().copied().collect::<Vec<_>>();
    let before = costs(&a[in_a.start..middle], &b[in_b.clone()]);
    let after = costs(&backwards(middle..in_a.end, a), &backwards(in_b.clone(), b));
    let n = in_b.len();
    let at = (0..=n).min_by_key(|&j| before[j] + after[n - j]).unwrap_or(0);
    halve(a, b, in_a.start..middle, in_b.start..in_b.start + at, found);
    halve(a, b, middle..in_a.end, in_b.start + at..in_b.end, found);
}

/// The cost of all of `a` with each beginning of `b`.
fn costs(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut costs: Vec<u32> = (0..=b.len() as u32).map(|j| 2 * j).collect();
    for &word in a {
        let mut diagonal = costs[0];
        costs[0] += 2;
        for (j, &other) in b.iter().enumerate() {
            let cost = diagonal + if word == other { 0 } else { 3 };
            diagonal = costs[j + 1];
            costs[j + 1] = cost.min(costs[j + 1] + 2).min(costs[j] + 2);
        }
    }
    costs
}

/// The fewest changes from one to the other; a word for another word counts as little less than one lost and one new.
fn compare(a: &[u32], b: &[u32], in_a: Range<usize>, in_b: Range<usize>, found: &mut [Option<usize>]) {
    const DIAGONAL: u8 = 0;
    const UP: u8 = 1;
    const LEFT: u8 = 2;
    let width = in_b.len() + 1;
    let mut from = vec![LEFT; (in_a.len() + 1) * width];
    let mut costs: Vec<u32> = (0..width as u32).map(|j| 2 * j).collect();
    for i in 1..=in_a.len() {
        let mut diagonal = costs[0];
        costs[0] += 2;
        from[i * width] = UP;
        for j in 1..width {
            let same = a[in_a.start + i - 1] == b[in_b.start + j - 1];
            let ways = [diagonal + if same { 0 } else { 3 }, costs[j] + 2, costs[j - 1] + 2];
            diagonal = costs[j];
            let way = if ways[0] <= ways[1].min(ways[2]) {
                DIAGONAL
            } else if ways[1] <= ways[2] {
                UP
            } else {
                LEFT
            };
            from[i * width + j] = way;
            costs[j] = ways[usize::from(way)];
        }
    }
    let (mut i, mut j) = (in_a.len(), in_b.len());
    while i > 0 && j > 0 {
        match from[i * width + j] {
            DIAGONAL => {
                (i, j) = (i - 1, j - 1);
                if a[in_a.start + i] == b[in_b.start + j] {
                    found[in_a.start + i] = Some(in_b.start + j);
                }
            }
            UP => i -= 1,
            _ => j -= 1,
        }
    }
}

/// Forgets single words that happen to be in both where nothing around them is: of the eight words around a true match at
/// least one is a match nearby in the other text too.
fn drop_strays(found: &mut [Option<usize>]) {
    const AROUND: usize = 4;
    if found.iter().flatten().count() < 3 {
        return;
    }
    let before = found.to_vec();
    for (i, place) in found.iter_mut().enumerate() {
        let Some(at) = *place else { continue };
        let around = i.saturating_sub(AROUND)..(i + AROUND + 1).min(before.len());
        let near = |other: usize| before[other].is_some_and(|b| b.abs_diff(at) <= 2 * AROUND);
        if !around.into_iter().any(|other| other != i && near(other)) {
            *place = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    /// Words that come again and again, as in speech: number `i` of text number `text`.
    fn word(text: usize, i: usize) -> String {
        let mixed = (i as u64 * 7 + text as u64 * 131).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        format!("w{}", (mixed % 4000) * (mixed % 3 + 1) / 3)
    }

    fn found(a: &[String], b: &[String]) -> Vec<Option<usize>> {
        let words = |text: &[String]| -> Vec<String> { text.to_vec() };
        let (a, b) = (words(a), words(b));
        matches(
            &a.iter().map(String::as_str).collect::<Vec<_>>(),
            &b.iter().map(String::as_str).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn long_passages_that_only_one_text_has_do_not_shift_the_rest() {
        let said = |from: usize, to: usize| (from..to).map(|i| word(0, i)).collect::<Vec<_>>();
        let other = |text: usize, n: usize| (0..n).map(|i| word(text, i)).collect::<Vec<_>>();
        // Each has 3000 words of its own, and every ninth word of what is common is heard wrongly.
        let given = [said(0, 4000), other(1, 3000), said(4000, 9000)].concat();
        let mut heard = [other(2, 3000), said(0, 9000)].concat();
        for i in (0..heard.len()).step_by(9) {
            heard[i] = format!("wrong{i}");
        }
        let found = found(&given, &heard);
        let right = |i: usize| match i {
            0..4000 => Some(3000 + i),
            4000..7000 => None,
            _ => Some(i),
        };
        let wrong = found.iter().enumerate().filter(|(i, at)| at.is_some() && **at != right(*i)).count();
        let same = (0..given.len()).filter(|&i| found[i].is_some() && found[i] == right(i)).count();
        assert!(same > 7900, "{same} of 9000 words were found");
        assert!(wrong < 60, "{wrong} words were found where they are not");
        assert!(found.iter().flatten().is_sorted());
    }

    #[test]
    fn what_is_said_again_and_again_is_found_where_it_is_said_each_time() {
        // No run of words is there only once, and all of it is too much to compare at once.
        let said: Vec<String> = (0..6000).map(|i| word(0, i % 600)).collect();
        let mut heard = said.clone();
        for i in (0..heard.len()).step_by(9) {
            heard[i] = format!("wrong{}", i % 600);
        }
        heard.splice(100..100, (0..5).map(|i| word(1, i)));
        let found = found(&said, &heard);
        let right =
            found.iter().enumerate().filter(|&(i, at)| *at == Some(if i < 100 { i } else { i + 5 })).count();
        assert!(right > 5300, "{right} of 5333");
    }

    #[test]
    fn single_words_that_both_happen_to_have_are_no_match() {
        let text = |words: &str| words.split(' ').map(String::from).collect::<Vec<_>>();
        let given = text("the cat sat on the mat and then it went away from here");
        let heard =
            text("stocks fell sharply on monday as traders sold bonds but rose later when oil went up");
        assert!(found(&given, &heard).iter().flatten().count() <= 2);
        assert_eq!(found(&text("well yes"), &text("oh well yes sir")), [Some(1), Some(2)]);
    }
}
