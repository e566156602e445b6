//! Products of many rows by integers of sixteen bits, as x86-64 makes them: against a slow loop over numbers that are rounded in the
//! same way, and attention against the exact one.

use candle_core::Tensor;
use candle_whisper_core::kernels::{self, Level, Panels, Part, Products};

use crate::data::Noise;
use crate::kernels::{assert_close, cases, on_every_level, phi, slow_product, tensor, values, written};

/// What the largest of a row, and of a column of the matrix, becomes; and the steps of a column that share a scale, at most.
const OF_ROW: f32 = 4095.0;
const OF_COLUMN: f32 = 1023.0;
const STEPS: usize = 512;

/// Whether so many rows are multiplied so.
pub fn is_used(m: usize) -> bool {
    m >= 48 && matches!(kernels::level(), Level::Avx2 | Level::Avx512 | Level::Vnni)
}

/// Rounded with the largest `most`, as the processor rounds.
fn rounded(x: &[f32], most: f32) -> Vec<f32> {
    let largest = x.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    let inverse = if largest > 0.0 { most / largest } else { 0.0 };
    x.iter().map(|x| (x * inverse).round_ties_even() * (largest / most)).collect()
}

/// Rows of x as they are multiplied.
pub fn rows(x: &[f32], k: usize) -> Vec<f32> {
    x.chunks_exact(k).flat_map(|row| rounded(row, OF_ROW)).collect()
}

/// The matrix as it is multiplied.
pub fn columns(w: &[f32], k: usize) -> Vec<f32> {
    let steps = k.div_ceil(k.div_ceil(STEPS)).next_multiple_of(16);
    w.chunks_exact(k).flat_map(|row| row.chunks(steps).flat_map(|part| rounded(part, OF_COLUMN))).collect()
}

#[test]
fn floats_that_may_be_rounded_are_so_only_among_many_rows() {
    on_every_level(floats_that_may_be_rounded_here);
}

fn floats_that_may_be_rounded_here() {
    let mut noise = Noise(31);
    // Of a convolution, around the tiles and the parts; steps that are no whole turn are multiplied as floats.
    let shapes = [(60, 40, 240), (49, 33, 1152), (50, 16, 520), (47, 16, 240), (61, 5, 16)];
    for (m, n, k) in cases(&shapes, &[(48, 3, 32), (2, 3, 32)]) {
        let (x, w, bias) = (noise.vec(m * k, 2.0), tensor(noise.vec(n * k, 1.0), &[n, k]), noise.vec(n, 1.0));
        for (part, numbers) in written(&w) {
            let what = format!("{:?} ({m}, {n}, {k})", part.written);
            if matches!(part.written, kernels::Written::Blocks(_)) {
                continue;
            }
            let panels = Panels::new(k, &[part], &bias, Products::Floats).unwrap().rounded();
            let (x_seen, w_seen) = match is_used(m) && k % 16 == 0 {
                true => (rows(&x, k), columns(&values(&numbers), k)),
                false => (x.clone(), values(&numbers)),
            };
            // On tiles sixteen bits are a number's own.
            let tolerance = if kernels::level() == Level::Amx { 2e-4 } else { 2e-5 };
            let slow: Vec<f64> = slow_product(&x_seen, &w_seen, k)
                .into_iter()
                .enumerate()
                .map(|(i, y)| y + f64::from(bias[i % n]))
                .collect();
            let x = tensor(x.clone(), &[m, k]);
            assert_close(&values(&panels.forward(&x).unwrap()), &slow, tolerance, &what);
            let gelu: Vec<f64> = slow.iter().map(|&y| y * phi(y.clamp(-8.0, 8.0))).collect();
            assert_close(&values(&panels.forward_gelu(&x).unwrap()), &gelu, 2.5e-4, &what);
            let twice = panels.forward_add(&x, tensor(vec![1.0; m * n], &[m, n])).unwrap();
            let slow: Vec<f64> = slow.iter().map(|y| y + 1.0).collect();
            assert_close(&values(&twice), &slow, tolerance, &what);
        }
    }
}

#[test]
fn the_largest_numbers_fit_into_their_sums() {
    on_every_level(|| {
        // Each product is the largest there is, and there are as many as are summed up at once.
        let (m, n, k) = (48, 16, STEPS);
        let panels =
            Panels::new(k, &[Part::of(&tensor(vec![-3.0; n * k], &[n, k])).unwrap()], &[], Products::Floats)
                .unwrap()
                .rounded();
        let y = panels.forward(&tensor(vec![5.0; m * k], &[m, k])).unwrap();
        assert_close(&values(&y), &vec![-15.0 * k as f64; m * n], 1e-6, "the largest sum");
    });
}

#[test]
fn rounded_attention_is_attention_but_for_thousandths() {
    on_every_level(rounded_attention_here);
}

fn rounded_attention_here() {
    let mut noise = Noise(32);
    // Around a tile of queries, sixteen keys and the keys that are summed up at once.
    let shapes = [
        (1, 30, 30, 2, 64),
        (2, 49, 33, 1, 32),
        (1, 12, 1500, 1, 64),
        (1, 25, 513, 3, 64),
        (1, 13, 1, 1, 64),
    ];
    for (b, t_q, t_k, n_head, d) in cases(&shapes, &[(1, 13, 17, 1, 32)]) {
        let n = n_head * d;
        let q = tensor(noise.vec(b * t_q * n, 2.0), &[b, t_q, n]);
        let (mut k, v) = (noise.vec(b * t_k * n, 2.0), noise.vec(b * t_k * n, 1.0));
        // One key that some queries look at alone.
        k[..n].iter_mut().for_each(|x| *x *= 8.0);
        let (k, v) = (tensor(k, &[b, t_k, n]), tensor(v, &[b, t_k, n]));
        let exact = kernels::attention(&q, &k, &v, n_head, false).unwrap();
        let exact: Vec<f64> = values(&exact).into_iter().map(f64::from).collect();
        let near = values(&kernels::rounded_attention(&q, &k, &v, n_head).unwrap());
        // Integers of eight bits elsewhere.
        assert_close(&near, &exact, 2e-2, "rounded attention");
        if is_used(48) {
            let mean = near.iter().zip(&exact).map(|(a, b)| (f64::from(*a) - b).abs()).sum::<f64>();
            assert!(mean / (exact.len() as f64) < 2e-3, "{mean} of {}", exact.len());
        }
    }
}

#[test]
fn what_is_no_number_stays_none_where_much_is_rounded() {
    on_every_level(|| {
        let (t, n) = (48, 64);
        let all = |x: f32| {
            let mut all = vec![0.5; t * n];
            all[t * n / 2 + 3] = x;
            tensor(all, &[1, t, n])
        };
        let product = |w: f32, x: f32| {
            let part = [Part::of(&all(w).squeeze(0).unwrap()).unwrap()];
            values(&Panels::new(n, &part, &[], Products::Floats).unwrap().rounded().forward(&all(x)).unwrap())
        };
        let attention = |q: f32, k: f32, v: f32| -> Vec<f32> {
            values(&kernels::rounded_attention(&all(q), &all(k), &all(v), 1).unwrap())
        };
        for wrong in [f32::NAN, f32::INFINITY] {
            assert!(product(wrong, 1.0).iter().any(|y| !y.is_finite()));
            assert!(product(1.0, wrong).iter().any(|y| !y.is_finite()));
            assert!(attention(wrong, 1.0, 1.0).iter().any(|y| !y.is_finite()), "a query of {wrong}");
            assert!(attention(1.0, wrong, 1.0).iter().any(|y| !y.is_finite()), "a key of {wrong}");
            assert!(attention(1.0, 1.0, wrong).iter().any(|y| !y.is_finite()), "a value of {wrong}");
        }
        assert!(attention(1.0, 1e-40, 1e-40).iter().all(|y| y.is_finite()));
        let refused = kernels::rounded_attention(&all(1.0), &all(1.0).narrow(1, 0, 9).unwrap(), &all(1.0), 1);
        assert!(refused.is_err(), "nine keys, more values");
        let none: Vec<f32> = Vec::new();
        let empty = Tensor::from_vec(none, (1, 0, n), &candle_core::Device::Cpu).unwrap();
        assert!(kernels::rounded_attention(&all(1.0), &empty, &empty, 1).is_err(), "no keys");
    });
}
