//! Products of many rows by seven products of halves: against a slow loop, and each row against itself among others.

use candle_core::Tensor;
use candle_whisper_core::kernels::{self, Level, Panels, Part, Products};

use crate::data::Noise;
use crate::kernels::{assert_close, cases, on_every_level, phi, slow_product, tensor, values, written};

/// Rows that belong together.
const TOGETHER: usize = 12;

fn of_many_rows(w: &Tensor, bias: &[f32]) -> Panels {
    let part = [Part::of(w).unwrap()];
    Panels::new(w.dim(1).unwrap(), &part, bias, Products::Floats).unwrap().of_many_rows()
}

#[test]
fn products_of_halves_are_a_linear_layer() {
    on_every_level(products_of_halves_are_a_linear_layer_here);
}

fn products_of_halves_are_a_linear_layer_here() {
    let mut noise = Noise(41);
    // Around a tile, a block of rows and the steps of a half; what has no halves is multiplied as elsewhere.
    let shapes = [
        (48, 32, 128),
        (59, 64, 384),
        (60, 96, 512),
        (61, 32, 1024),
        (97, 32, 160),
        (200, 160, 768),
        (50, 48, 512),
        (50, 64, 240),
        (47, 32, 512),
    ];
    for (m, n, k) in cases(&shapes, &[(48, 32, 128)]) {
        let (x, w) = (noise.vec(m * k, 2.0), tensor(noise.vec(n * k, 1.0), &[n, k]));
        let bias = noise.vec(n, 1.0);
        for (part, numbers) in written(&w) {
            let what = format!("{:?} ({m}, {n}, {k})", part.written);
            let panels = Panels::new(k, &[part], &bias, Products::Floats).unwrap().of_many_rows();
            let slow: Vec<f64> = slow_product(&x, &values(&numbers), k)
                .into_iter()
                .enumerate()
                .map(|(i, y)| y + f64::from(bias[i % n]))
                .collect();
            let tolerance = 2e-6 * (k as f64).sqrt();
            let x = tensor(x.clone(), &[m, k]);
            assert_close(&values(&panels.forward(&x).unwrap()), &slow, tolerance, &what);
            let gelu: Vec<f64> = slow.iter().map(|&y| y * phi(y.clamp(-8.0, 8.0))).collect();
            assert_close(&values(&panels.forward_gelu(&x).unwrap()), &gelu, tolerance, &what);
            let more = panels.forward_add(&x, tensor(vec![1.0; m * n], &[m, n])).unwrap();
            let slow: Vec<f64> = slow.iter().map(|y| y + 1.0).collect();
            assert_close(&values(&more), &slow, tolerance, &what);
        }
    }
}

#[test]
fn a_row_is_the_same_among_any_others_and_on_any_number_of_threads() {
    on_every_level(a_row_is_the_same_among_any_others_here);
}

fn a_row_is_the_same_among_any_others_here() {
    let (m, n, k) = (123 * TOGETHER, 96, 384);
    let mut noise = Noise(42);
    let panels = of_many_rows(&tensor(noise.vec(n * k, 1.0), &[n, k]), &[]);
    let x = noise.vec(m * k, 1.0);
    let product = |threads: usize, rows: std::ops::Range<usize>| -> Vec<f32> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let x = tensor(x[rows.start * k..rows.end * k].to_vec(), &[rows.len(), k]);
        pool.install(|| values(&panels.forward(&x).unwrap()))
    };
    let all = product(1, 0..m);
    assert_eq!(all, product(3, 0..m), "on three threads");
    for (from, to) in [(0, 5), (5, 123), (60, 65)] {
        let (from, to) = (from * TOGETHER, to * TOGETHER);
        assert_eq!(all[from * n..to * n], product(2, from..to), "rows {from} to {to}");
    }
}

#[test]
fn what_is_no_number_stays_with_the_rows_that_belong_together() {
    on_every_level(|| {
        let (m, n, k) = (60, 32, 128);
        let mut noise = Noise(43);
        let panels = of_many_rows(&tensor(noise.vec(n * k, 1.0), &[n, k]), &[]);
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let (mut x, row) = (noise.vec(m * k, 1.0), 30);
            x[row * k + 100] = wrong;
            let y = values(&panels.forward(&tensor(x, &[m, k])).unwrap());
            for (i, y) in y.chunks_exact(n).enumerate() {
                let beside = i / TOGETHER == row / TOGETHER;
                assert!(beside || y.iter().all(|y| y.is_finite()), "row {i} of {wrong} in {row}");
                assert!(i != row || y.iter().all(|y| !y.is_finite()), "{wrong} is lost");
            }
        }
        // Numbers near the smallest become no large ones.
        let y = values(&panels.forward(&tensor(vec![1e-40; m * k], &[m, k])).unwrap());
        assert!(y.iter().all(|y| y.abs() < 1e-37));
    });
}

#[test]
fn errors_are_about_those_of_eight_products() {
    on_every_level(|| {
        if kernels::level() == Level::Avx2 {
            errors_are_about_those_of_eight_products_here();
        }
    });
}

fn errors_are_about_those_of_eight_products_here() {
    let (m, n, k) = (96, 64, 2048);
    let mut noise = Noise(44);
    let (x, w) = (noise.vec(m * k, 1.0), noise.vec(n * k, 1.0));
    let slow = slow_product(&x, &w, k);
    let (x, w) = (tensor(x, &[m, k]), tensor(w, &[n, k]));
    let error = |y: &Tensor| -> f64 {
        let squares = |of: &mut dyn Iterator<Item = f64>| of.map(|x| x * x).sum::<f64>();
        let off = squares(&mut values(y).iter().zip(&slow).map(|(y, slow)| f64::from(*y) - slow));
        (off / squares(&mut slow.iter().copied())).sqrt()
    };
    let eight = Panels::new(k, &[Part::of(&w).unwrap()], &[], Products::Floats).unwrap();
    let (eight, seven) =
        (error(&eight.forward(&x).unwrap()), error(&of_many_rows(&w, &[]).forward(&x).unwrap()));
    println!("{seven:.2e} for {eight:.2e}");
    assert!(seven < 2.5 * eight && seven < 1e-6, "{seven} for {eight}");
}
