//! Dynamic time warping and the filters before it: plain numbers in, plain numbers out.

/// Gives each column mean 0 and standard deviation 1 over the rows. values: (n_rows, n_cols), row-major
pub(super) fn standardise_columns(values: &mut [f32], n_cols: usize) {
    let n_rows = (values.len() / n_cols.max(1)) as f64;
    for col in 0..n_cols {
        let column = || values[col..].iter().step_by(n_cols).map(|&x| f64::from(x));
        let mean = column().sum::<f64>() / n_rows;
        let variance = column().map(|x| (x - mean).powi(2)).sum::<f64>() / n_rows;
        let std = variance.sqrt();
        for x in values[col..].iter_mut().step_by(n_cols) {
            *x = ((f64::from(*x) - mean) / std) as f32;
        }
    }
}

/// Replaces each value by the median of the `width` (odd) around it, the row reflected at its ends. A row too
/// short to be reflected stays as it is.
pub fn median_filter(row: &mut [f32], width: usize) {
    let pad = width / 2;
    let n = row.len();
    if n <= pad {
        return;
    }
    let padded: Vec<f32> = (0..n + 2 * pad)
        .map(|i| {
            let from_start = pad.abs_diff(i);
            let at = if i < pad { from_start } else { i - pad };
            row[if at < n { at } else { 2 * (n - 1) - at }]
        })
        .collect();
    let mut window = Vec::with_capacity(width);
    for (x, around) in row.iter_mut().zip(padded.windows(width)) {
        window.clear();
        window.extend_from_slice(around);
        let (_, median, _) = window.select_nth_unstable_by(pad, f32::total_cmp);
        *x = *median;
    }
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
    // Columns of sums, with a border that nothing comes from but the start.
    let mut previous = vec![f32::INFINITY; n_rows + 1];
    previous[0] = 0.0;
    let mut current = vec![f32::INFINITY; n_rows + 1];
    for j in 1..=n_cols {
        current[0] = f32::INFINITY;
        for i in 1..=n_rows {
            let (diagonal, above, left) = (previous[i - 1], current[i - 1], previous[i]);
            let (sum, from) = if diagonal < above && diagonal < left {
                (diagonal, From::Diagonal)
            } else if above < diagonal && above < left {
                (above, From::Above)
            } else {
                (left, From::Left)
            };
            current[i] = (cost[(i - 1) * n_cols + j - 1] + f64::from(sum)) as f32;
            trace[i * width + j] = from;
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
