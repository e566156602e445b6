//! Products of many rows in bytes, as x86-64 makes them: against a slow loop over numbers that are rounded in the same way, and attention
//! against the exact one.

#[cfg(target_arch = "x86_64")]
use std::cell::RefCell;

use candle_core::Tensor;
use candle_whisper_core::kernels::{self, Level, Panels, Part, Products};

use crate::data::Noise;
use crate::kernels::{assert_close, cases, on_every_level, phi, slow_product, tensor, values, written};

/// What a part of a row reaches from its least number to its largest, and the largest magnitude of a part of a column.
const OF_ROW: f32 = 127.0;
const OF_COLUMN: f32 = 63.0;
/// Numbers that share a scale.
const PART: usize = 64;

/// Whether so many rows of so many numbers are multiplied so.
pub fn is_used(m: usize, k: usize) -> bool {
    m >= 48 && k.is_multiple_of(PART) && kernels::level() >= Level::Avx2
}

/// Rows of x as they are multiplied.
pub fn rows(x: &[f32]) -> Vec<f32> {
    let part = |x: &[f32]| -> Vec<f32> {
        let (least, most) = x.iter().fold((x[0], x[0]), |(a, b), &x| (a.min(x), b.max(x)));
        let (scale, inverse) =
            ((most - least) / OF_ROW, if most > least { OF_ROW / (most - least) } else { 0.0 });
        x.iter().map(|x| least + scale * ((x - least) * inverse).round_ties_even()).collect()
    };
    x.chunks_exact(PART).flat_map(part).collect()
}

/// The matrix as it is multiplied.
pub fn columns(w: &[f32]) -> Vec<f32> {
    let part = |w: &[f32]| -> Vec<f32> {
        let largest = w.iter().fold(0f32, |largest, w| largest.max(w.abs()));
        let inverse = if largest > 0.0 { OF_COLUMN / largest } else { 0.0 };
        w.iter().map(|w| (w * inverse).round_ties_even() * (largest / OF_COLUMN)).collect()
    };
    w.chunks_exact(PART).flat_map(part).collect()
}

#[test]
fn many_rows_are_multiplied_in_bytes_where_they_may_be() {
    on_every_level(many_rows_are_multiplied_in_bytes_here);
}

fn many_rows_are_multiplied_in_bytes_here() {
    let mut noise = Noise(31);
    // Around the tiles, the blocks of rows and the parts; steps that are no whole parts are multiplied as they are.
    let shapes = [(60, 40, 256), (49, 33, 1152), (50, 16, 512), (47, 16, 256), (205, 5, 64), (61, 16, 96)];
    for (m, n, k) in cases(&shapes, &[(48, 3, 64), (2, 3, 64)]) {
        let mut x = noise.vec(m * k, 2.0);
        // A part of one number, one of nothing, and one with a number that makes the others small.
        x[..k.min(PART)].fill(-3.0);
        x[k..k + k.min(PART)].fill(0.0);
        x[k * (m - 1)] = 50.0;
        let (w, bias) = (tensor(noise.vec(n * k, 1.0), &[n, k]), noise.vec(n, 1.0));
        for (part, numbers) in written(&w) {
            let what = format!("{:?} ({m}, {n}, {k})", part.written);
            if matches!(part.written, kernels::Written::Blocks(_)) {
                continue;
            }
            let panels = Panels::new(k, &[part], &bias, Products::Floats).unwrap().rounded();
            let (x_seen, w_seen) = match is_used(m, k) {
                true => (rows(&x), columns(&values(&numbers))),
                false => (x.clone(), values(&numbers)),
            };
            // What a row's least numbers add, the sums of its bytes nearly take away again.
            let tolerance = if is_used(m, k) { 1e-4 } else { 4e-5 };
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
#[cfg(target_arch = "x86_64")]
fn bytes_make_the_same_numbers_to_the_bit_on_tiles_and_with_all_instructions() {
    let of_levels = RefCell::new(Vec::new());
    on_every_level(|| {
        let mut of_level = Vec::new();
        let mut noise = Noise(34);
        let shapes = [(48, 16, 64), (61, 33, 128), (207, 40, 384), (1500, 17, 1536)];
        for (m, n, k) in cases(&shapes, &[(48, 3, 64)]).into_iter().filter(|&(m, _, k)| is_used(m, k)) {
            let (x, w, bias) = (noise.vec(m * k, 2.0), noise.vec(n * k, 1.0), noise.vec(n, 1.0));
            let part = Part::of(&tensor(w, &[n, k])).unwrap();
            let panels = Panels::new(k, &[part], &bias, Products::Floats).unwrap().rounded();
            let y = values(&panels.forward(&tensor(x.clone(), &[m, k])).unwrap());
            assert_eq!(panels.of_rows_on_tiles(&x).unwrap(), y, "({m}, {n}, {k})");
            of_level.extend(y);
        }
        let shapes = [(1, 30, 30, 2, 64), (2, 49, 33, 1, 128), (1, 33, 1500, 1, 64), (1, 1, 1, 1, 64)];
        for (b, t_q, t_k, n_head, d) in cases(&shapes, &[(1, 13, 17, 1, 64)]) {
            if !is_used(48, d) {
                continue;
            }
            let n = n_head * d;
            let [q, k, v] = [(t_q, 6.0), (t_k, 2.0), (t_k, 1.0)]
                .map(|(t, most)| tensor(noise.vec(b * t * n, most), &[b, t, n]));
            let y = values(&kernels::rounded_attention(&q, &k, &v, n_head).unwrap());
            let on_tiles = kernels::rounded_attention_on_tiles(&q, &k, &v, n_head).unwrap();
            assert_eq!(values(&on_tiles), y, "({b}, {t_q}, {t_k}, {n_head}, {d})");
            of_level.extend(y);
        }
        if !of_level.is_empty() {
            of_levels.borrow_mut().push((kernels::level(), of_level));
        }
    });
    for levels in of_levels.into_inner().windows(2) {
        assert!(levels[0].1 == levels[1].1, "{:?} and {:?}", levels[0].0, levels[1].0);
    }
}

#[test]
fn the_largest_bytes_fit_into_their_sums() {
    on_every_level(|| {
        // Each product is the largest there is: bytes of 127 where one of every part is less, and all of -63.
        let (m, n, k) = (48, 16, 8 * PART);
        let panels =
            Panels::new(k, &[Part::of(&tensor(vec![-3.0; n * k], &[n, k])).unwrap()], &[], Products::Floats)
                .unwrap()
                .rounded();
        let x: Vec<f32> = (0..m * k).map(|i| if i % PART == 0 { -5.0 } else { 5.0 }).collect();
        let y = panels.forward(&tensor(x, &[m, k])).unwrap();
        let sum = -3.0 * 5.0 * (k - 2 * k / PART) as f64;
        assert_close(&values(&y), &vec![sum; m * n], 1e-6, "the largest sum");
    });
}

#[test]
fn rounded_attention_is_attention_but_for_hundredths() {
    on_every_level(rounded_attention_here);
}

fn rounded_attention_here() {
    let mut noise = Noise(32);
    // Around a tile of queries, sixteen keys and the keys that share a scale.
    let shapes = [
        (1, 30, 30, 2, 64),
        (2, 49, 33, 1, 32),
        (1, 12, 1500, 1, 64),
        (1, 25, 513, 3, 64),
        (1, 13, 1, 1, 128),
    ];
    for (b, t_q, t_k, n_head, d) in cases(&shapes, &[(1, 13, 17, 1, 64)]) {
        let n = n_head * d;
        let q = tensor(noise.vec(b * t_q * n, 2.0), &[b, t_q, n]);
        let (mut k, v) = (noise.vec(b * t_k * n, 2.0), noise.vec(b * t_k * n, 1.0));
        // One key that some queries look at alone: nothing else is worth anything to them.
        k[..n].iter_mut().for_each(|x| *x *= 8.0);
        let (k, v) = (tensor(k, &[b, t_k, n]), tensor(v, &[b, t_k, n]));
        let exact = kernels::attention(&q, &k, &v, n_head, false).unwrap();
        let exact: Vec<f64> = values(&exact).into_iter().map(f64::from).collect();
        let near = values(&kernels::rounded_attention(&q, &k, &v, n_head).unwrap());
        // Elsewhere, and for heads that are no whole parts, integers have eight bits and more.
        let (most, least) = if is_used(48, d) { (1e-1, 6e-3) } else { (2e-2, 2e-3) };
        assert_close(&near, &exact, most, "rounded attention");
        let mean = near.iter().zip(&exact).map(|(a, b)| (f64::from(*a) - b).abs()).sum::<f64>();
        assert!(mean / (exact.len() as f64) < least, "{mean} of {}", exact.len());
    }
}

#[test]
fn a_query_that_looks_at_one_key_gets_its_value() {
    on_every_level(|| {
        let (t, d) = (200, 64);
        // Queries and keys are alike only in their own direction, and that so much that all else is nothing.
        let own = |i: usize, j: usize| if i % d == j { 30.0 } else { 0.0 };
        let x = tensor((0..t * d).map(|at| own(at / d, at % d)).collect(), &[1, t, d]);
        let v = Noise(33).vec(t * d, 1.0);
        let y = values(&kernels::rounded_attention(&x, &x, &tensor(v.clone(), &[1, t, d]), 1).unwrap());
        for (i, y) in y.chunks_exact(d).enumerate() {
            // Every 64th key is the same.
            let same: Vec<usize> = (i % d..t).step_by(d).collect();
            for (j, y) in y.iter().enumerate() {
                let mean = same.iter().map(|at| v[at * d + j]).sum::<f32>() / same.len() as f32;
                assert!((y - mean).abs() < 1e-2, "query {i}, number {j}: {y} {mean}");
            }
        }
    });
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
        let gelu = |x: f32| {
            let part = [Part::of(&all(1.0).squeeze(0).unwrap()).unwrap()];
            let panels = Panels::new(n, &part, &[], Products::Floats).unwrap().rounded();
            values(&panels.forward_gelu(&all(x)).unwrap())
        };
        let attention = |q: f32, k: f32, v: f32| -> Vec<f32> {
            values(&kernels::rounded_attention(&all(q), &all(k), &all(v), 1).unwrap())
        };
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(product(wrong, 1.0).iter().any(|y| !y.is_finite()));
            assert!(product(1.0, wrong).iter().any(|y| !y.is_finite()));
            assert!(wrong == f32::NEG_INFINITY || gelu(wrong).iter().any(|y| !y.is_finite()));
            assert!(attention(wrong, 1.0, 1.0).iter().any(|y| !y.is_finite()), "a query of {wrong}");
            assert!(attention(1.0, wrong, 1.0).iter().any(|y| !y.is_finite()), "a key of {wrong}");
            assert!(attention(1.0, 1.0, wrong).iter().any(|y| !y.is_finite()), "a value of {wrong}");
        }
        assert!(product(1e-40, 1e-40).iter().all(|y| y.is_finite()));
        assert!(attention(1.0, 1e-40, 1e-40).iter().all(|y| y.is_finite()));
        let refused = kernels::rounded_attention(&all(1.0), &all(1.0).narrow(1, 0, 9).unwrap(), &all(1.0), 1);
        assert!(refused.is_err(), "nine keys, more values");
        let none: Vec<f32> = Vec::new();
        let empty = Tensor::from_vec(none, (1, 0, n), &candle_core::Device::Cpu).unwrap();
        assert!(kernels::rounded_attention(&all(1.0), &empty, &empty, 1).is_err(), "no keys");
    });
}
