//! Each kernel against a slow loop in double precision, on shapes around the sizes of vectors and blocks.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use candle_whisper_core::kernels::{self, Level, Panels, Part, Products, Written};

use crate::data::Noise;

pub fn tensor(values: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

pub fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// The level is one for the whole process.
static LEVEL: RwLock<()> = RwLock::new(());

/// Runs a test for every kind of instructions that this processor has. Others may run at the same time: whatever level
/// they find, their results must be right.
pub fn on_every_level(test: impl Fn()) {
    let _alone = LEVEL.write().unwrap_or_else(PoisonError::into_inner);
    for most in Level::ALL {
        if kernels::limit(most) == most {
            test();
        }
    }
}

/// Keeps the level as it is, for those whose results must be the same to the last bit.
pub fn on_one_level() -> RwLockReadGuard<'static, ()> {
    LEVEL.read().unwrap_or_else(PoisonError::into_inner)
}

pub fn assert_close(ours: &[f32], slow: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), slow.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(slow).enumerate() {
        assert!((f64::from(*a) - b).abs() <= tolerance * (1.0 + b.abs()), "{what}, at {i}: {a} {b}");
    }
}

/// What is tried: all of it, and a few where Miri interprets every instruction.
pub fn cases<T: Clone>(all: &[T], under_miri: &[T]) -> Vec<T> {
    if cfg!(miri) { under_miri.to_vec() } else { all.to_vec() }
}

/// The standard normal distribution function by Simpson's rule from 0.
pub fn phi(x: f64) -> f64 {
    let n = if cfg!(miri) { 100 } else { 400 };
    let h = x / f64::from(n);
    let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let weight = |i: i32| if i == 0 || i == n { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
    0.5 + (0..=n).map(|i| weight(i) * density(h * f64::from(i))).sum::<f64>() * h / 3.0
}

/// x: (m, k), w: (n, k) -> (m, n)
pub fn slow_product(x: &[f32], w: &[f32], k: usize) -> Vec<f64> {
    let dot = |x: &[f32], w: &[f32]| x.iter().zip(w).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    x.chunks_exact(k).flat_map(|x| w.chunks_exact(k).map(move |w| dot(x, w))).collect()
}

fn panels(w: &Tensor, b: &[f32]) -> Panels {
    Panels::new(w.dim(1).unwrap(), &[Part::of(w).unwrap()], b, Products::Floats).unwrap()
}

#[test]
fn panels_are_a_linear_layer() {
    on_every_level(panels_are_a_linear_layer_here);
}

fn panels_are_a_linear_layer_here() {
    let mut noise = Noise(3);
    // Around the sizes of tiles, panels, blocks of rows and of steps.
    let mut shapes: Vec<_> = (1..=7).map(|m| (m, 33, 40)).collect();
    shapes.extend([(1, 1, 1), (1, 384, 1000), (5, 449, 15), (13, 900, 17), (97, 448, 16), (200, 31, 65)]);
    for (m, k, n) in cases(&shapes, &[(1, 1, 1), (2, 9, 17), (7, 449, 3), (13, 5, 20)]) {
        let (x, w, b) = (noise.vec(m * k, 1.0), noise.vec(n * k, 1.0), noise.vec(n, 1.0));
        let slow: Vec<f64> =
            slow_product(&x, &w, k).iter().enumerate().map(|(i, y)| y + f64::from(b[i % n])).collect();
        let (x, w) = (tensor(x, &[1, m, k]), tensor(w, &[n, k]));
        let panels = panels(&w, &b);
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
fn the_gelu_of_extremes_is_zero_or_the_number() {
    on_every_level(the_gelu_of_extremes_is_zero_or_the_number_here);
}

fn the_gelu_of_extremes_is_zero_or_the_number_here() {
    let one = panels(&tensor(vec![1.0], &[1, 1]), &[]);
    let x = vec![-1e30, -50.0, -0.0, 0.0, 1e-40, 50.0, 1e30, f32::INFINITY];
    let y = values(&one.forward_gelu(&tensor(x.clone(), &[8, 1])).unwrap());
    assert!(y[0].abs() < 1e-6 && y[1].abs() < 1e-6);
    assert_eq!(y[5..], x[5..]);
    assert!(values(&one.forward_gelu(&tensor(vec![f32::NAN], &[1, 1])).unwrap())[0].is_nan());
}

#[test]
fn panels_refuse_what_does_not_fit() {
    let w = tensor(vec![0.0; 6], &[2, 3]);
    let part = || Part::of(&w).unwrap();
    assert!(Panels::new(3, &[part()], &[0.0; 3], Products::Floats).is_err());
    assert!(Panels::new(2, &[part()], &[], Products::Floats).is_err());
    assert!(Panels::new(3, &[], &[], Products::Floats).is_err());
    let panels = panels(&w, &[]);
    assert!(panels.forward(&tensor(vec![0.0; 4], &[2, 2])).is_err());
    assert!(panels.forward_add(&tensor(vec![0.0; 6], &[2, 3]), tensor(vec![0.0; 6], &[2, 3])).is_err());
    assert!(panels.rows(&Tensor::new(&[2u32], &Device::Cpu).unwrap()).is_err());
    let blocks = Part { n: 1, written: Written::Blocks(GgmlDType::Q8_0), bytes: vec![0; 34].into() };
    assert!(Panels::new(32, std::slice::from_ref(&blocks), &[], Products::Floats).is_ok());
    assert!(Panels::new(64, std::slice::from_ref(&blocks), &[], Products::Floats).is_err());
    let floats = Part::of(&tensor(vec![0.0; 32], &[1, 32])).unwrap();
    assert!(Panels::new(32, &[blocks, floats], &[], Products::Floats).is_err(), "blocks beside floats");
}

/// Every kind of number that matrices are written in, with candle's reading of it.
pub fn written(w: &Tensor) -> Vec<(Part<'static>, Tensor)> {
    let (n, k) = w.dims2().unwrap();
    let mut all = vec![(Part::of(w).unwrap(), w.clone())];
    let bytes_of = |w: &Tensor| match w.dtype() {
        DType::F16 => w
            .flatten_all()
            .unwrap()
            .to_vec1::<half::f16>()
            .unwrap()
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect(),
        _ => w
            .flatten_all()
            .unwrap()
            .to_vec1::<half::bf16>()
            .unwrap()
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect::<Vec<_>>(),
    };
    for dtype in [DType::F16, DType::BF16] {
        let short = w.to_dtype(dtype).unwrap();
        let part = Part { n, written: Written::Floats(dtype), bytes: bytes_of(&short).into() };
        all.push((part, short.to_dtype(DType::F32).unwrap()));
    }
    use GgmlDType::{Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
    for dtype in [Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4K, Q5K, Q6K] {
        if k.is_multiple_of(dtype.block_size()) {
            let blocks = QTensor::quantize(w, dtype).unwrap();
            let bytes = blocks.data().unwrap().into_owned().into();
            let part = Part { n, written: Written::Blocks(dtype), bytes };
            all.push((part, blocks.dequantize(&Device::Cpu).unwrap()));
        }
    }
    all
}

#[test]
fn panels_hold_the_numbers_that_were_written() {
    on_every_level(panels_hold_the_numbers_that_were_written_here);
}

fn panels_hold_the_numbers_that_were_written_here() {
    let mut noise = Noise(12);
    for (n, k) in cases(&[(3, 256), (40, 512), (17, 96), (16, 31)], &[(1, 256), (17, 5)]) {
        let mut w = noise.vec(n * k, 1.0);
        // Half precision's smallest numbers, and what it has no room for.
        w[0..4].copy_from_slice(&[6e-8, -3e-5, 65504.0, 0.0]);
        let w = tensor(w, &[n, k]);
        let ids: Vec<u32> = (0..n as u32).rev().collect();
        for (part, numbers) in written(&w) {
            let what = format!("{:?}", part.written);
            let panels = Panels::new(k, std::slice::from_ref(&part), &[], Products::Floats).unwrap();
            let rows = panels.rows(&Tensor::new(ids.as_slice(), &Device::Cpu).unwrap()).unwrap();
            let expected =
                numbers.index_select(&Tensor::new(ids.as_slice(), &Device::Cpu).unwrap(), 0).unwrap();
            assert_eq!(values(&rows), values(&expected), "{what}");
            for m in cases(&[1, 2, 7, 20], &[1, 7]) {
                let x = noise.vec(m * k, 1.0);
                let slow = slow_product(&x, &values(&numbers), k);
                let y = panels.forward(&tensor(x, &[m, k])).unwrap();
                // Beside 65504 the others are rounded away.
                let tolerance = if what.contains("F16") || what.contains("F32") { 2e-3 } else { 5e-2 };
                assert_close(&values(&y), &slow, tolerance, &what);
            }
        }
    }
}

#[test]
fn parts_of_several_types_follow_each_other() {
    on_every_level(parts_of_several_types_follow_each_other_here);
}

fn parts_of_several_types_follow_each_other_here() {
    let mut noise = Noise(13);
    let (n, k) = (if cfg!(miri) { 3 } else { 21 }, 256);
    let w = tensor(noise.vec(n * k, 1.0), &[n, k]);
    let all = written(&w);
    let blocks = |part: &Part<'_>| matches!(part.written, Written::Blocks(_));
    for kind in [true, false] {
        let (parts, numbers): (Vec<_>, Vec<_>) =
            all.iter().filter(|(part, _)| blocks(part) == kind).cloned().unzip();
        let panels = Panels::new(k, &parts, &[], Products::Floats).unwrap();
        let ids: Vec<u32> = (0..(n * parts.len()) as u32).collect();
        let rows = panels.rows(&Tensor::new(ids, &Device::Cpu).unwrap()).unwrap();
        assert_eq!(values(&rows), values(&Tensor::cat(&numbers, 0).unwrap()));
        let x = noise.vec(3 * k, 1.0);
        let slow = slow_product(&x, &values(&rows), k);
        assert_close(&values(&panels.forward(&tensor(x, &[3, k])).unwrap()), &slow, 5e-5, "parts");
    }
}

#[test]
fn half_precision_has_infinities_and_what_is_no_number() {
    on_every_level(half_precision_has_infinities_and_what_is_no_number_here);
}

fn half_precision_has_infinities_and_what_is_no_number_here() {
    let numbers = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 65504.0];
    let bytes: Vec<u8> = numbers.iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes()).collect();
    let part = Part { n: 4, written: Written::Floats(DType::F16), bytes: bytes.into() };
    let panels = Panels::new(1, &[part], &[], Products::Floats).unwrap();
    for m in [1, 8] {
        let y = values(&panels.forward(&tensor(vec![1.0; m], &[m, 1])).unwrap());
        assert_eq!(y[..2], numbers[..2]);
        assert!(y[2].is_nan() && y[3] == 65504.0);
    }
}

#[test]
fn convolutions_hear_silence_beyond_the_ends() {
    on_every_level(convolutions_hear_silence_beyond_the_ends_here);
}

fn convolutions_hear_silence_beyond_the_ends_here() {
    let mut noise = Noise(8);
    let shapes = [
        (1, 3, 2, 1),
        (2, 3, 17, 1),
        (1, 2, 2, 2),
        (2, 5, 3, 2),
        (3, 5, 3, 2),
        (7, 4, 20, 1),
        (250, 8, 33, 2),
    ];
    for (t, n_in, n_out, stride) in cases(&shapes, &shapes[..6]) {
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
    on_every_level(sums_of_exponentials_here);
}

fn sums_of_exponentials_here() {
    let mut noise = Noise(2);
    for n in cases(&[1, 7, 32, 33, 1501, 51865], &[1, 7, 32, 33, 150]) {
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

pub struct Case {
    pub b: usize,
    pub t_q: usize,
    pub t_k: usize,
    pub n_head: usize,
    pub d: usize,
}

pub fn slow_attention(q: &[f32], k: &[f32], v: &[f32], c: &Case, causal: bool) -> Vec<f64> {
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
    on_every_level(attention_is_softmax_attention_here);
}

fn attention_is_softmax_attention_here() {
    let mut noise = Noise(4);
    let shapes = [
        (1, 1, 1, 1, 8),
        (2, 1, 40, 3, 64),
        (1, 3, 37, 2, 64),
        (2, 70, 150, 2, 16),
        (1, 130, 530, 1, 64),
        (1, 17, 300, 2, 80),
    ];
    for (b, t_q, t_k, n_head, d) in cases(&shapes, &[(1, 1, 1, 1, 8), (2, 1, 40, 2, 8), (1, 17, 35, 1, 16)]) {
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
            // Keys and values in 16 bits are the floats that they stand for.
            let short = |t: &Tensor| t.to_dtype(DType::F16).unwrap();
            let long = |t: &Tensor| short(t).to_dtype(DType::F32).unwrap();
            let halved = kernels::attention(&q, &short(&k), &short(&v), n_head, causal).unwrap();
            let same = kernels::attention(&q, &long(&k), &long(&v), n_head, causal).unwrap();
            let same: Vec<f64> = values(&same).into_iter().map(f64::from).collect();
            assert_close(&values(&halved), &same, 2e-6, "f16");
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
