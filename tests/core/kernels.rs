//! Each kernel against a slow loop in double precision, on shapes around the sizes of vectors and blocks.

use candle_core::{DType, Device, Tensor};
use candle_whisper_core::kernels;

use crate::data::Noise;

fn tensor(values: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(ours: &[f32], slow: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), slow.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(slow).enumerate() {
        assert!((f64::from(*a) - b).abs() <= tolerance * (1.0 + b.abs()), "{what}, at {i}: {a} {b}");
    }
}

/// The standard normal distribution function by Simpson's rule from 0.
fn phi(x: f64) -> f64 {
    let n = 400;
    let h = x / f64::from(n);
    let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let weight = |i: i32| if i == 0 || i == n { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
    0.5 + (0..=n).map(|i| weight(i) * density(h * f64::from(i))).sum::<f64>() * h / 3.0
}

#[test]
fn gelu_is_exact() {
    let x: Vec<f32> = (-1200..1200).map(|i| i as f32 / 100.0).collect();
    let slow: Vec<f64> = x.iter().map(|&x| f64::from(x) * phi(f64::from(x))).collect();
    let n = x.len();
    assert_close(&values(&kernels::gelu(tensor(x, &[n])).unwrap()), &slow, 5e-7, "gelu");
}

#[test]
fn gelu_of_extremes_is_zero_or_the_number() {
    let x = vec![-1e30, -50.0, -0.0, 0.0, 1e-40, 50.0, 1e30, f32::INFINITY];
    let y = values(&kernels::gelu(tensor(x.clone(), &[8])).unwrap());
    assert!(y[0].abs() < 1e-6 && y[1].abs() < 1e-6);
    assert_eq!(y[5..], x[5..]);
    assert!(values(&kernels::gelu(tensor(vec![f32::NAN], &[1])).unwrap())[0].is_nan());
}

#[test]
fn bias_and_residual_add_up() {
    let mut noise = Noise(5);
    for (rows, n) in [(1, 1), (3, 5), (17, 384), (300, 100)] {
        let (x, b) = (noise.vec(rows * n, 2.0), noise.vec(n, 1.0));
        let sum: Vec<f64> = x.iter().enumerate().map(|(i, &x)| f64::from(x) + f64::from(b[i % n])).collect();
        let bias = tensor(b, &[n]);
        let of = |x: &[f32]| tensor(x.to_vec(), &[rows, n]);
        assert_close(&values(&kernels::add_bias(of(&x), &bias).unwrap()), &sum, 1e-6, "bias");
        let gelu: Vec<f64> = sum.iter().map(|&x| x * phi(x)).collect();
        assert_close(&values(&kernels::add_bias_gelu(of(&x), &bias).unwrap()), &gelu, 1e-6, "bias, gelu");
        let twice: Vec<f64> = x.iter().map(|&x| 2.0 * f64::from(x)).collect();
        assert_close(&values(&kernels::add_residual(of(&x), &of(&x)).unwrap()), &twice, 1e-6, "residual");
        // What is not contiguous goes another way to the same result.
        let strided = of(&x).t().unwrap();
        let column = tensor(vec![1.0; rows], &[rows]);
        assert_eq!(kernels::add_bias(strided, &column).unwrap().dims(), [n, rows]);
    }
}

#[test]
fn a_bias_of_another_length_is_refused() {
    assert!(kernels::add_bias(tensor(vec![0.0; 6], &[2, 3]), &tensor(vec![0.0; 2], &[2])).is_err());
}

#[test]
fn few_rows_times_a_matrix() {
    let mut noise = Noise(9);
    for (m, k, n) in [(1, 1, 1), (1, 384, 1000), (5, 31, 65), (12, 33, 64), (3, 512, 129)] {
        let (x, w) = (noise.vec(m * k, 1.0), noise.vec(n * k, 1.0));
        let slow: Vec<f64> = (0..m * n)
            .map(|at| {
                let (x, w) = (&x[at / n * k..][..k], &w[at % n * k..][..k]);
                x.iter().zip(w).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            })
            .collect();
        let y = kernels::few_rows(&tensor(x, &[m, k]), &tensor(w, &[n, k])).unwrap().unwrap();
        assert_eq!(y.dims(), [m, n]);
        assert_close(&values(&y), &slow, 1e-5, "few rows");
    }
}

#[test]
fn many_rows_and_half_precision_are_left_to_others() {
    let x = tensor(vec![0.0; 26], &[13, 2]);
    assert!(kernels::few_rows(&x, &tensor(vec![0.0; 2], &[1, 2])).unwrap().is_none());
    let x = tensor(vec![0.0; 2], &[1, 2]).to_dtype(DType::F16).unwrap();
    assert!(kernels::few_rows(&x, &x).unwrap().is_none());
}

/// x: (m, k), w: (n, k) -> (m, n)
fn slow_product(x: &[f32], w: &[f32], k: usize) -> Vec<f64> {
    let dot = |x: &[f32], w: &[f32]| x.iter().zip(w).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    x.chunks_exact(k).flat_map(|x| w.chunks_exact(k).map(move |w| dot(x, w))).collect()
}

#[test]
fn panels_are_a_linear_layer() {
    let mut noise = Noise(3);
    // Around the sizes of tiles, panels, blocks of rows and of steps.
    let mut shapes: Vec<_> = (1..=7).map(|m| (m, 33, 40)).collect();
    shapes.extend([(1, 1, 1), (1, 384, 1000), (5, 449, 15), (13, 900, 17), (97, 448, 16), (200, 31, 65)]);
    for (m, k, n) in shapes {
        let (x, w, b) = (noise.vec(m * k, 1.0), noise.vec(n * k, 1.0), noise.vec(n, 1.0));
        let slow: Vec<f64> =
            slow_product(&x, &w, k).iter().enumerate().map(|(i, y)| y + f64::from(b[i % n])).collect();
        let (x, w, b) = (tensor(x, &[1, m, k]), tensor(w, &[n, k]), tensor(b, &[n]));
        let panels = kernels::Panels::new(&w, Some(&b)).unwrap().unwrap();
        let y = panels.forward(&x).unwrap();
        assert_eq!(y.dims(), [1, m, n]);
        let tolerance = 2e-6 * (k as f64).sqrt();
        assert_close(&values(&y), &slow, tolerance, "panels");
        let gelu: Vec<f64> = slow.iter().map(|&y| y * phi(y)).collect();
        assert_close(&values(&panels.forward_gelu(&x).unwrap()), &gelu, tolerance, "panels, gelu");
        let sum: Vec<f64> = slow.iter().map(|y| y + 1.0).collect();
        let ones = tensor(vec![1.0; m * n], &[1, m, n]);
        assert_close(&values(&panels.forward_add(&x, ones).unwrap()), &sum, tolerance, "panels, added");
    }
}

#[test]
fn panels_refuse_what_does_not_fit() {
    let w = tensor(vec![0.0; 6], &[2, 3]);
    assert!(kernels::Panels::new(&w, Some(&tensor(vec![0.0; 3], &[3]))).is_err());
    let panels = kernels::Panels::new(&w, None).unwrap().unwrap();
    assert!(panels.forward(&tensor(vec![0.0; 4], &[2, 2])).is_err());
    assert!(panels.forward_add(&tensor(vec![0.0; 6], &[2, 3]), tensor(vec![0.0; 6], &[2, 3])).is_err());
    assert!(kernels::Panels::new(&w.to_dtype(DType::F16).unwrap(), None).unwrap().is_none());
}

#[test]
fn convolutions_hear_silence_beyond_the_ends() {
    let mut noise = Noise(8);
    for (t, n_in, n_out, stride) in [
        (1, 3, 2, 1),
        (2, 3, 17, 1),
        (1, 2, 2, 2),
        (2, 5, 3, 2),
        (3, 5, 3, 2),
        (7, 4, 20, 1),
        (250, 8, 33, 2),
    ] {
        let (x, w, b) =
            (noise.vec(2 * t * n_in, 1.0), noise.vec(n_out * n_in * 3, 1.0), noise.vec(n_out, 1.0));
        let t_out = t.div_ceil(stride);
        let slow: Vec<f64> = (0..2 * t_out * n_out)
            .map(|at| {
                let (audio, at, out) = (at / (t_out * n_out), at / n_out % t_out, at % n_out);
                let heard = (0..3 * n_in).map(|i| {
                    let frame = (at * stride + i % 3).checked_sub(1).filter(|&f| f < t);
                    let x = frame.map_or(0.0, |f| x[(audio * t + f) * n_in + i / 3]);
                    f64::from(x) * f64::from(w[out * n_in * 3 + i])
                });
                let y = heard.sum::<f64>() + f64::from(b[out]);
                y * phi(y)
            })
            .collect();
        let (w, b) = (tensor(w, &[n_out, n_in, 3]), tensor(b, &[n_out]));
        let convolution = kernels::Convolution::new(&w, &b, stride).unwrap().unwrap();
        let y = convolution.forward_gelu(&tensor(x, &[2, t, n_in])).unwrap();
        assert_eq!(y.dims(), [2, t_out, n_out]);
        assert_close(&values(&y), &slow, 2e-6, "convolution");
    }
}

#[test]
fn sums_of_exponentials() {
    let mut noise = Noise(2);
    for n in [1, 7, 32, 33, 1501, 51865] {
        let row = noise.vec(n, 30.0);
        let slow = row.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
        assert!((f64::from(kernels::log_sum_exp(&row)) - slow).abs() < 1e-5);
        assert_eq!(kernels::max(&row), row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    }
    let never = [f32::NEG_INFINITY; 40];
    assert_eq!(kernels::log_sum_exp(&never), f32::NEG_INFINITY);
    assert_eq!(kernels::log_sum_exp(&[]), f32::NEG_INFINITY);
    let mut one = never;
    one[33] = -5.0;
    assert!((kernels::log_sum_exp(&one) + 5.0).abs() < 1e-6);
}

struct Case {
    b: usize,
    t_q: usize,
    t_k: usize,
    n_head: usize,
    d: usize,
}

fn slow_attention(q: &[f32], k: &[f32], v: &[f32], c: &Case, causal: bool) -> Vec<f64> {
    let n = c.n_head * c.d;
    let mut out = vec![0.0; c.b * c.t_q * n];
    for row in 0..c.b * c.t_q * c.n_head {
        let (b, i, h) = (row / (c.t_q * c.n_head), row / c.n_head % c.t_q, row % c.n_head);
        let visible = if causal { c.t_k - c.t_q + i + 1 } else { c.t_k };
        let at =
            |x: &[f32], t_len: usize, t: usize, e: usize| f64::from(x[(b * t_len + t) * n + h * c.d + e]);
        let score = |j: usize| (0..c.d).map(|e| at(q, c.t_q, i, e) * at(k, c.t_k, j, e)).sum::<f64>();
        let scores: Vec<f64> = (0..visible).map(|j| score(j) / (c.d as f64).sqrt()).collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
        let total: f64 = weights.iter().sum();
        for e in 0..c.d {
            let sum: f64 = weights.iter().enumerate().map(|(j, w)| w * at(v, c.t_k, j, e)).sum();
            out[(b * c.t_q + i) * n + h * c.d + e] = sum / total;
        }
    }
    out
}

#[test]
fn attention_is_softmax_attention() {
    let mut noise = Noise(4);
    for (b, t_q, t_k, n_head, d) in [
        (1, 1, 1, 1, 8),
        (2, 1, 40, 3, 64),
        (1, 3, 37, 2, 64),
        (2, 70, 150, 2, 16),
        (1, 130, 530, 1, 64),
        (1, 17, 300, 2, 80),
    ] {
        let c = Case { b, t_q, t_k, n_head, d };
        let n = n_head * d;
        let (q, k, v) =
            (noise.vec(b * t_q * n, 2.0), noise.vec(b * t_k * n, 2.0), noise.vec(b * t_k * n, 1.0));
        for causal in [false, true] {
            let slow = slow_attention(&q, &k, &v, &c, causal);
            let (q, k, v) = (
                tensor(q.clone(), &[b, t_q, n]),
                tensor(k.clone(), &[b, t_k, n]),
                tensor(v.clone(), &[b, t_k, n]),
            );
            let fast = kernels::attention(&q, &k, &v, n_head, causal).unwrap();
            assert_close(&values(&fast), &slow, 2e-6, "attention");
            // The way of other devices and types.
            let wide = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
            let other = kernels::attention(&wide(&q), &wide(&k), &wide(&v), n_head, causal);
            if let Ok(other) = other {
                assert_close(&values(&other.to_dtype(DType::F32).unwrap()), &slow, 1e-5, "other types");
            }
        }
    }
}

#[test]
fn attention_reads_rows_that_lie_apart() {
    let mut noise = Noise(6);
    let (b, t, n) = (2, 9, 32);
    let all = tensor(noise.vec(b * t * 3 * n, 1.0), &[b, t, 3 * n]);
    let part = |i: usize| all.narrow(2, i * n, n).unwrap();
    let packed = |i: usize| part(i).contiguous().unwrap();
    let a = kernels::attention(&part(0), &part(1), &part(2), 2, true).unwrap();
    let b = kernels::attention(&packed(0), &packed(1), &packed(2), 2, true).unwrap();
    assert_eq!(values(&a), values(&b));
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let t = |t: usize, n: usize| tensor(vec![0.0; t * n], &[1, t, n]);
    assert!(kernels::attention(&t(2, 8), &t(3, 4), &t(3, 8), 2, false).is_err());
    assert!(kernels::attention(&t(4, 8), &t(3, 8), &t(3, 8), 2, true).is_err());
    assert!(kernels::attention(&t(2, 8), &t(3, 8), &t(3, 8), 3, false).is_err());
}
