//! Products and attention on tiles against slow loops: on the processor's unit where it has one, and on a slow one everywhere.

use candle_whisper_core::kernels::{self, Panels, Products};

use crate::data::Noise;
use crate::kernels::{
    Case, assert_close, cases, on_every_level, slow_attention, slow_product, tensor, values, written,
};

#[test]
fn rows_are_multiplied_on_tiles_by_numbers_of_every_type() {
    on_every_level(rows_are_multiplied_here);
}

fn rows_are_multiplied_here() {
    let mut noise = Noise(21);
    // Around the sizes of tiles, of blocks of rows and of cuts through k; of columns for one tile, an odd number, and some to spare.
    let shapes =
        [(1, 3, 5), (17, 20, 31), (33, 16, 256), (64, 49, 96), (200, 31, 1024), (193, 65, 960), (47, 40, 33)];
    for (m, n, k) in cases(&shapes, &[(1, 3, 5), (17, 20, 32)]) {
        let w = tensor(noise.vec(n * k, 1.0), &[n, k]);
        let (mut x, bias) = (noise.vec(m * k, 1.0), noise.vec(n, 1.0));
        // Numbers of very different sizes beside each other.
        x[0] = 1e4;
        x[k * m - 1] = -1e-9;
        for (part, numbers) in written(&w) {
            let what = format!("{:?} ({m}, {n}, {k}) {:?}", part.written, kernels::level());
            let panels = Panels::new(k, std::slice::from_ref(&part), &bias, Products::Floats).unwrap();
            let slow = slow_product(&x, &values(&numbers), k);
            let size = x.iter().fold(0f32, |most, x| most.max(x.abs()));
            let tolerance = 3e-7 * (k as f64).sqrt() * if m * k > 1 { f64::from(size).sqrt() } else { 1.0 };
            let slow: Vec<f64> = slow.iter().enumerate().map(|(i, y)| y + f64::from(bias[i % n])).collect();
            assert_close(&panels.of_rows_on_tiles(&x).unwrap(), &slow, tolerance, &what);
            // The same by whatever the processor has.
            let y = panels.forward(&tensor(x.clone(), &[m, k])).unwrap();
            assert_close(&values(&y), &slow, tolerance, &what);
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "many numbers")]
fn a_large_matrix_is_laid_out_part_by_part() {
    let mut noise = Noise(23);
    // 52 MB in three parts.
    let (m, n, k) = (3, 2110, 4096);
    let (x, w, bias) = (noise.vec(m * k, 1.0), noise.vec(n * k, 1.0), noise.vec(n, 1.0));
    let part = kernels::Part::of(&tensor(w.clone(), &[n, k])).unwrap();
    let panels = Panels::new(k, &[part], &bias, Products::Floats).unwrap();
    let slow: Vec<f64> =
        slow_product(&x, &w, k).iter().enumerate().map(|(i, y)| y + f64::from(bias[i % n])).collect();
    assert_close(&panels.of_rows_on_tiles(&x).unwrap(), &slow, 1e-4, "a large matrix");
}

#[test]
fn what_is_no_number_stays_none_on_tiles() {
    let w = tensor(vec![1.0; 96], &[3, 32]);
    let panels = Panels::new(32, &[kernels::Part::of(&w).unwrap()], &[], Products::Floats).unwrap();
    let product = |x: f32| {
        let mut rows = vec![1.0; 64];
        rows[40] = x;
        panels.of_rows_on_tiles(&rows).unwrap()
    };
    // Such as has no bit among its upper half.
    for x in [f32::NAN, f32::from_bits(0x7f80_0001)] {
        assert!(product(x)[3..].iter().all(|y| y.is_nan()) && product(x)[..3] == [32.0; 3]);
    }
    assert!(product(f32::INFINITY)[3..].iter().all(|y| !y.is_finite()));
    assert_eq!(product(f32::MAX)[..3], [32.0; 3]);
    assert!(
        product(f32::MAX)[3..].iter().all(|y| (y / f32::MAX - 1.0).abs() < 1e-6),
        "{:?}",
        product(f32::MAX)
    );
    assert_eq!(product(1e-42)[3..], [31.0; 3]);
}

#[test]
fn attention_on_tiles_is_softmax_attention() {
    on_every_level(attention_on_tiles_here);
}

fn attention_on_tiles_here() {
    let mut noise = Noise(22);
    // A few queries more than are taken at once; keys for an odd number of panels, one block and more.
    let shapes = [
        (1, 17, 17, 1, 32),
        (2, 33, 40, 2, 64),
        (1, 40, 256, 1, 32),
        (1, 50, 300, 1, 64),
        (2, 20, 519, 3, 96),
    ];
    for (b, t_q, t_k, n_head, d) in cases(&shapes, &[(1, 17, 33, 1, 32)]) {
        let n = n_head * d;
        let (q, k, v) =
            (noise.vec(b * t_q * n, 2.0), noise.vec(b * t_k * n, 2.0), noise.vec(b * t_k * n, 1.0));
        let case = Case { b, t_q, t_k, n_head, d };
        for causal in [false, true] {
            let slow = slow_attention(&q, &k, &v, &case, causal);
            let [q, k, v] = [(&q, t_q), (&k, t_k), (&v, t_k)].map(|(x, t)| tensor(x.clone(), &[b, t, n]));
            let what = format!("({b}, {t_q}, {t_k}, {n_head}, {d}) causal: {causal}, {:?}", kernels::level());
            let out = kernels::attention_on_tiles(&q, &k, &v, n_head, causal).unwrap();
            assert_close(&values(&out), &slow, 2e-6, &what);
            let out = kernels::attention(&q, &k, &v, n_head, causal).unwrap();
            assert_close(&values(&out), &slow, 2e-6, &what);
        }
    }
}
