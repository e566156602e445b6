//! Dynamic time warping and the filters before it: plain numbers in, plain numbers out.

/// Gives each column mean 0 and standard deviation 1 over the rows. values: (n_rows, n_cols), row-major
pub(super) fn standardise_columns(values: &mut [f32], n_cols: usize) {
    let n_cols = n_cols.max(1);
    let n_rows = (values.len() / n_cols) as f64;
    // Row by row: as memory is read fastest.
    let mut mean = vec![0f64; n_cols];
    for row in values.chunks_exact(n_cols) {
        mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    mean.iter_mut().for_each(|sum| *sum /= n_rows);
    let mut std = vec![0f64; n_cols];
    for row in values.chunks_exact(n_cols) {
        for ((sum, &x), mean) in std.iter_mut().zip(row).zip(&mean) {
            let off = f64::from(x) - mean;
            *sum += off * off;
        }
    }
    std.iter_mut().for_each(|sum| *sum = (*sum / n_rows).sqrt());
    for row in values.chunks_exact_mut(n_cols) {
        for ((x, mean), std) in row.iter_mut().zip(&mean).zip(&std) {
            *x = ((f64::from(*x) - mean) / std) as f32;
        }
    }
}

/// Replaces each value by the median of the `width` (odd) around it, the row reflected at its ends. A row too
/// short to be reflected stays as it is.
pub fn median_filter(row: &mut [f32], width: usize) {
    median_filter_in(row, width, &mut vec![0.0; room(row.len(), width)]);
}

/// Numbers that a row of so many has to have room for beside it.
pub(super) fn room(n_cols: usize, width: usize) -> usize {
    n_cols + 2 * width
}

/// The same with that room.
pub(super) fn median_filter_in(row: &mut [f32], width: usize, room: &mut [f32]) {
    let pad = width / 2;
    let n = row.len();
    if n <= pad {
        return;
    }
    let (padded, window) = room.split_at_mut(n + 2 * pad);
    padded[pad..pad + n].copy_from_slice(row);
    for i in 1..=pad {
        (padded[pad - i], padded[pad + n - 1 + i]) = (row[i], row[n - 1 - i]);
    }
    let mut first = 0;
    if width == SEVEN && !row.iter().any(|x| x.is_nan()) {
        while let Some(out) = row.get_mut(first..first + LANES) {
            out.copy_from_slice(&medians(&padded[first..]));
            first += LANES;
        }
    }
    let window = &mut window[..width];
    for (x, around) in row[first..].iter_mut().zip(padded[first..].windows(width)) {
        window.copy_from_slice(around);
        let (_, median, _) = window.select_nth_unstable_by(pad, f32::total_cmp);
        *x = *median;
    }
}

const SEVEN: usize = 7;
/// Medians found side by side, in vectors.
const LANES: usize = 16;
/// Pairs of seven numbers that, put in order one after the other, bring the median to the fourth place (N. Devillard, "Fast
/// median search", 1998).
const ORDERED: [(usize, usize); 13] =
    [(0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4)];

/// Of each seven numbers that begin at one of the first places, none of which is NaN.
#[inline]
fn medians(from: &[f32]) -> [f32; LANES] {
    let mut x = [[0f32; LANES]; SEVEN];
    for (i, x) in x.iter_mut().enumerate() {
        x.copy_from_slice(&from[i..i + LANES]);
    }
    for (a, b) in ORDERED {
        let (p, q) = (x[a], x[b]);
        x[a] = std::array::from_fn(|i| if q[i] < p[i] { q[i] } else { p[i] });
        x[b] = std::array::from_fn(|i| if q[i] < p[i] { p[i] } else { q[i] });
    }
    x[SEVEN / 2]
}

/// The cheapest way from the first cell to the last, going right, down or both. cost: (n_rows, n_cols)
/// -> the rows and the columns it passes
///
/// Sums are kept in f32 and ties go right, as in the reference: both decide between ways that cost the same.
pub fn dtw(cost: &[f64], n_rows: usize, n_cols: usize) -> (Vec<usize>, Vec<usize>) {
    #[derive(Clone, Copy, PartialEq)]
    enum From {
        Diagonal,
        Above,
        Left,
    }
    let width = n_cols + 1;
    let mut trace = vec![From::Left; (n_rows + 1) * width];
    // Rows of sums, with a border that nothing comes from but the start.
    let mut previous = vec![f32::INFINITY; width];
    previous[0] = 0.0;
    let mut current = vec![f32::INFINITY; width];
    for (i, cost) in cost.chunks_exact(n_cols.max(1)).enumerate().take(n_rows) {
        current[0] = f32::INFINITY;
        let trace = &mut trace[(i + 1) * width..][..width];
        for j in 1..width {
            let (diagonal, above, left) = (previous[j - 1], previous[j], current[j - 1]);
            let (sum, from) = if diagonal < above && diagonal < left {
                (diagonal, From::Diagonal)
            } else if above < diagonal && above < left {
                (above, From::Above)
            } else {
                (left, From::Left)
            };
            current[j] = (cost[j - 1] + f64::from(sum)) as f32;
            trace[j] = from;
        }
        std::mem::swap(&mut previous, &mut current);
    }
    let (mut i, mut j) = (n_rows, n_cols);
    let mut way = Vec::with_capacity(n_rows + n_cols);
    while i > 0 && j > 0 {
        way.push((i - 1, j - 1));
        let from = match (i, j) {
            (1, 1) => From::Diagonal,
            _ => trace[i * width + j],
        };
        match from {
            From::Diagonal => (i, j) = (i - 1, j - 1),
            From::Above => i -= 1,
            From::Left => j -= 1,
        }
    }
    way.into_iter().rev().unzip()
}
