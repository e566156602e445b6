//! Products of integers against a slow loop over rows that are rounded in the same way.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use candle_whisper_core::kernels::{self, IntegerHeads, Panels, Part, Products, Written};

use crate::data::Noise;
use crate::kernels::{assert_close, cases, on_every_level, phi, slow_product, tensor, values, written};
use crate::narrow;

/// Rounded to so many parts of the largest, as rows are before integers are multiplied.
fn rounded(x: &[f32]) -> Vec<f32> {
    let parts = if cfg!(target_arch = "aarch64") { 32639.0 } else { 32767.0 };
    let unit = x.iter().fold(0f32, |largest, x| largest.max(x.abs())) / parts;
    x.iter().map(|x| if unit > 0.0 { (x / unit).round() * unit } else { 0.0 }).collect()
}

#[test]
fn integers_are_multiplied_by_rounded_rows() {
    on_every_level(integers_are_multiplied_by_rounded_rows_here);
}

fn integers_are_multiplied_by_rounded_rows_here() {
    let mut noise = Noise(14);
    // Around the sizes of tiles, panels, blocks of rows and cuts through k.
    let shapes = [
        (1, 40, 512),
        (2, 3, 32),
        (5, 17, 96),
        (13, 16, 256),
        (40, 33, 1536),
        (100, 20, 800),
        (200, 20, 800),
        (200, 20, 768),
    ];
    for (m, n, k) in cases(&shapes, &[(1, 3, 96), (7, 17, 32)]) {
        let w = tensor(noise.vec(n * k, 1.0), &[n, k]);
        let bias = noise.vec(n, 1.0);
        let mut x = noise.vec(m * k, 3.0);
        // A row of nothing, and one with a number that makes the others small.
        x[..k].fill(if m > 1 { 0.0 } else { 0.5 });
        x[k * (m - 1)] = 500.0;
        for (part, numbers) in written(&w) {
            let what = format!("{:?} ({m}, {n}, {k})", part.written);
            let panels = Panels::new(k, std::slice::from_ref(&part), &bias, Products::Integers).unwrap();
            // Else products of a row do not depend on how many there are.
            let panels = if m == 200 { panels.rounded() } else { panels };
            let numbers = match part.written {
                // What candle makes of floats, to the last bit.
                Written::Floats(_) => {
                    QTensor::quantize(&numbers, GgmlDType::Q8_0).unwrap().dequantize(&Device::Cpu).unwrap()
                }
                Written::Blocks(_) => numbers,
            };
            let ids = Tensor::arange(0, n as u32, &Device::Cpu).unwrap();
            assert_eq!(values(&panels.rows(&ids).unwrap()), values(&numbers), "{what}");
            let (seen, by) = match m == 200 && narrow::is_used(m, k) {
                true => (narrow::rows(&x), narrow::columns(&values(&numbers))),
                false => (x.chunks_exact(k).flat_map(rounded).collect(), values(&numbers)),
            };
            let slow = slow_product(&seen, &by, k);
            let slow: Vec<f64> = slow.iter().enumerate().map(|(i, y)| y + f64::from(bias[i % n])).collect();
            let x = tensor(x.clone(), &[m, k]);
            // What is rounded to one of two neighbours may be rounded to the other by a processor.
            let tolerance = 1e-4 * (k as f64).sqrt();
            assert_close(&values(&panels.forward(&x).unwrap()), &slow, tolerance, &what);
            let sum: Vec<f64> = slow.iter().map(|y| y + 1.0).collect();
            let ones = tensor(vec![1.0; m * n], &[m, n]);
            assert_close(&values(&panels.forward_add(&x, ones).unwrap()), &sum, tolerance, &what);
            let gelu = |y: f64| if y.abs() > 8.0 { y.max(0.0) } else { y * phi(y) };
            let gelu: Vec<f64> = slow.iter().map(|&y| gelu(y)).collect();
            let tolerance = if m == 200 && narrow::is_used(m, k) { tolerance.max(2.5e-4) } else { tolerance };
            assert_close(&values(&panels.forward_gelu(&x).unwrap()), &gelu, tolerance, &what);
        }
    }
}

#[test]
fn what_is_no_number_stays_none_among_integers() {
    let w = QTensor::quantize(&tensor(vec![1.0; 64], &[2, 32]), GgmlDType::Q8_0).unwrap();
    let bytes = w.data().unwrap().into_owned().into();
    let part = Part { n: 2, written: Written::Blocks(GgmlDType::Q8_0), bytes };
    let panels = Panels::new(32, &[part], &[], Products::Integers).unwrap();
    let product = |x: f32| {
        let mut row = vec![1.0; 32];
        row[7] = x;
        values(&panels.forward(&tensor(row, &[1, 32])).unwrap())
    };
    assert!(product(f32::NAN).iter().all(|y| y.is_nan()));
    assert!(product(f32::INFINITY).iter().all(|y| !y.is_finite()));
    let odd = tensor(Noise(15).vec(33, 1.0), &[1, 33]);
    let floats = Panels::new(33, &[Part::of(&odd).unwrap()], &[], Products::Integers).unwrap();
    let row = floats.rows(&Tensor::new(&[0u32], &Device::Cpu).unwrap()).unwrap();
    assert_eq!(values(&row), values(&odd), "rows that are not whole blocks stay floats");
    // Smaller than any whose inverse is a number.
    let tiny = values(&panels.forward(&tensor(vec![1e-39; 32], &[1, 32])).unwrap());
    assert!(tiny.iter().all(|y| y.abs() < 1e-36), "{tiny:?}");
}

#[test]
fn attention_to_integers_is_attention_to_the_numbers_they_stand_for() {
    on_every_level(attention_to_integers_is_attention_here);
}

fn attention_to_integers_is_attention_here() {
    let mut noise = Noise(15);
    // One query, a whole tile and more; keys around a block, a panel and a cut through k.
    let shapes =
        [(1, 1, 1, 1, 32), (2, 1, 40, 3, 64), (1, 12, 64, 2, 64), (1, 30, 1500, 1, 64), (2, 17, 777, 2, 96)];
    for (b, t_q, t_k, n_head, d) in cases(&shapes, &[(1, 1, 1, 1, 32), (2, 13, 40, 2, 32)]) {
        let n = n_head * d;
        let q = tensor(noise.vec(b * t_q * n, 2.0), &[b, t_q, n]);
        // A key of nothing, and a value far above the others of its block.
        let (mut k, mut v) = (noise.vec(b * t_k * n, 2.0), noise.vec(b * t_k * n, 1.0));
        k[..d].fill(0.0);
        v[n - 1] = 300.0;
        let (k, v) = (tensor(k, &[b, t_k, n]), tensor(v, &[b, t_k, n]));
        let one = |x: &Tensor, i: usize| x.narrow(0, i, 1).unwrap();
        let heads: Vec<_> =
            (0..b).map(|i| IntegerHeads::new(&one(&k, i), &one(&v, i), n_head).unwrap()).collect();
        let all = |of: &dyn Fn(&IntegerHeads) -> Tensor| {
            Tensor::cat(&heads.iter().map(of).collect::<Vec<_>>(), 0).unwrap()
        };
        let (near_k, near_v) = (all(&|heads| heads.k().unwrap()), all(&|heads| heads.v().unwrap()));
        // Half a step of a block's largest.
        for (near, exact, most) in [(&near_k, &k, 2.0), (&near_v, &v, 300.0)] {
            for (near, exact) in values(near).iter().zip(values(exact)) {
                assert!((near - exact).abs() <= most / 127.0 * 0.501, "{near} for {exact}");
            }
        }
        let pieces: Vec<_> = heads.iter().collect();
        let fast = kernels::attention_to_integers(&q, &pieces).unwrap();
        let same = kernels::attention(&q, &near_k, &near_v, n_head, false).unwrap();
        let same: Vec<f64> = values(&same).into_iter().map(f64::from).collect();
        assert_close(&values(&fast), &same, 2e-3, "attention to integers");
        let head = heads[0].keys_of(n_head - 1).unwrap();
        let of_all = one(&near_k, 0).narrow(2, n - d, d).unwrap();
        assert_eq!(values(&head), values(&of_all));
    }
}

#[test]
fn heads_that_are_no_whole_blocks_are_refused() {
    let t = |d: usize| tensor(vec![0.0; 3 * d], &[1, 3, d]);
    assert!(!IntegerHeads::fit(48) && !IntegerHeads::fit(0) && IntegerHeads::fit(64));
    assert!(IntegerHeads::new(&t(48), &t(48), 1).is_err());
    assert!(IntegerHeads::new(&t(64), &t(32), 1).is_err());
    let heads = IntegerHeads::new(&t(64), &t(64), 2).unwrap();
    assert!(kernels::attention_to_integers(&t(32), &[&heads]).is_err());
    assert!(kernels::attention_to_integers(&t(64), &[&heads, &heads]).is_err());
    assert!(kernels::attention_to_integers(&t(64), &[]).is_err());
}
