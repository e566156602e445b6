use candle_whisper_core::timing::{WordTiming, dtw, median_filter, merge_punctuations};

use crate::data::{Noise, golden, numbers};

#[test]
fn paths_are_the_references() {
    for case in golden("timing/dtw.json")["cases"].as_array().unwrap() {
        let shape: Vec<usize> = numbers(&case["shape"]);
        let (rows, cols) = dtw(&numbers::<f64>(&case["x"]), shape[0], shape[1]);
        assert_eq!(rows, numbers::<usize>(&case["text_indices"]), "{shape:?}");
        assert_eq!(cols, numbers::<usize>(&case["time_indices"]), "{shape:?}");
    }
}

#[test]
fn a_path_is_never_dearer_than_a_random_one() {
    let mut noise = Noise(11);
    for _ in 0..200 {
        let (n_rows, n_cols) = (1 + noise.below(9), 1 + noise.below(12));
        let cost: Vec<f64> = noise.vec(n_rows * n_cols, 1.0).iter().map(|&x| f64::from(x)).collect();
        let (rows, cols) = dtw(&cost, n_rows, n_cols);
        let sum: f64 = rows.iter().zip(&cols).map(|(i, j)| cost[i * n_cols + j]).sum();
        let (mut i, mut j, mut other) = (0, 0, cost[0]);
        while (i, j) != (n_rows - 1, n_cols - 1) {
            match noise.below(3) {
                0 if i + 1 < n_rows && j + 1 < n_cols => (i, j) = (i + 1, j + 1),
                1 if i + 1 < n_rows => i += 1,
                _ if j + 1 < n_cols => j += 1,
                _ => continue,
            }
            other += cost[i * n_cols + j];
        }
        assert!(sum <= other + 1e-4, "{sum} {other}");
        assert_eq!((rows[0], cols[0]), (0, 0));
        assert_eq!((rows[rows.len() - 1], cols[cols.len() - 1]), (n_rows - 1, n_cols - 1));
    }
}

#[test]
fn medians_are_the_references() {
    for case in golden("timing/median_filter.json")["cases"].as_array().unwrap() {
        let shape: Vec<usize> = numbers(&case["shape"]);
        let mut x: Vec<f32> = numbers(&case["x"]);
        let width = case["width"].as_u64().unwrap() as usize;
        x.chunks_mut(*shape.last().unwrap()).for_each(|row| median_filter(row, width));
        assert_eq!(x, numbers::<f32>(&case["y"]), "{shape:?} {width}");
    }
}

/// Each value's neighbours, put in order.
#[test]
fn medians_are_those_of_a_slow_filter_at_every_length() {
    let mut noise = Noise(5);
    for n in (1..80).chain([1499, 1500]) {
        let mut row = noise.vec(n, 1.0);
        // Equal numbers, both zeros and infinities among them.
        row.iter_mut().step_by(3).for_each(|x| *x = (*x * 2.0).round());
        row[n / 2] = f32::INFINITY;
        for nan in [false, true] {
            if nan {
                row[n / 3] = f32::NAN;
            }
            let reflected = |i: isize| {
                let last = n as isize - 1;
                row[(if i < 0 {
                    -i
                } else if i > last {
                    2 * last - i
                } else {
                    i
                }) as usize]
            };
            let mut expected = row.clone();
            for (i, x) in expected.iter_mut().enumerate().filter(|_| n > 3) {
                let mut around: Vec<f32> = (i as isize - 3..=i as isize + 3).map(reflected).collect();
                around.sort_by(f32::total_cmp);
                *x = around[3];
            }
            let mut found = row.clone();
            median_filter(&mut found, 7);
            let same = |(a, b): (&f32, &f32)| a == b || a.is_nan() && b.is_nan();
            assert!(found.iter().zip(&expected).all(same), "{n} {nan}");
        }
    }
}

#[test]
fn punctuation_merges_as_in_the_reference() {
    let golden = golden("timing/punctuation.json");
    let (prepended, appended) = (golden["prepended"].as_str().unwrap(), golden["appended"].as_str().unwrap());
    for case in golden["cases"].as_array().unwrap() {
        let mut words: Vec<WordTiming> = numbers::<String>(&case["words"])
            .into_iter()
            .enumerate()
            .map(|(i, word)| WordTiming {
                word,
                tokens: vec![i as u32],
                start: 0.0,
                end: 0.0,
                probability: 1.0,
            })
            .collect();
        merge_punctuations(&mut words, prepended, appended);
        let (texts, tokens): (Vec<String>, Vec<Vec<u32>>) =
            words.into_iter().map(|w| (w.word, w.tokens)).unzip();
        assert_eq!(texts, numbers::<String>(&case["merged"]));
        assert_eq!(tokens, numbers::<Vec<u32>>(&case["tokens"]));
    }
}
