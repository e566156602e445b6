//! `cargo run --release --example steps -- MODEL_FOLDER [THREADS [f32|quantised [plain|neon|dotprod|avx2|avx512|vnni|amx]]]`: CPU and wall time of each part
//! of a window, best of some turns, of a decoded token at several positions, which must not grow with the position, of eight windows at once, and
//! of the encoder's kernels, with the instructions named or all that the processor has.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use candle_core::{Device, Tensor};
use candle_whisper::cache::{self, ModelRequest};
use candle_whisper::device::{DeviceRequest, Precision};
use candle_whisper_core::audio::Waveform;
use candle_whisper_core::kernels::{self, Convolution, Level, Panels, Part, Products};
use candle_whisper_core::mel::LogMel;
use candle_whisper_core::model::{AudioFeatures, Model};

/// Windows of a batch.
const WINDOWS: usize = 8;
/// Tokens in the context when a step is timed.
const POSITIONS: [usize; 4] = [10, 100, 200, 400];

/// Least wall milliseconds of `turns`, and the mean of CPU milliseconds.
fn time<T>(turns: usize, mut work: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<(f64, f64)> {
    let (mut best, cpu) = (f64::INFINITY, cpu_seconds()?);
    for _ in 0..turns {
        let start = Instant::now();
        std::hint::black_box(work()?);
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok((best * 1e3, (cpu_seconds()? - cpu) / turns as f64 * 1e3))
}

/// User and system time of this process, from Linux's scheduler.
fn cpu_seconds() -> anyhow::Result<f64> {
    let mut nanoseconds = 0.0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let stat = std::fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += stat.split(' ').next().context("an empty schedstat")?.parse::<f64>()?;
    }
    Ok(nanoseconds / 1e9)
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().context("usage: steps MODEL_FOLDER [THREADS]")?;
    let threads = args.next().map_or(Ok(0), |n| n.parse())?;
    rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread().build_global()?;
    let precision = match args.next().as_deref() {
        None | Some("f32") => Precision::F32,
        Some("quantised") => Precision::Quantised,
        Some(other) => anyhow::bail!("`{other}` is none of f32 and quantised"),
    };
    let level = match args.next().as_deref() {
        None => kernels::level(),
        Some(name) => kernels::limit(Level::named(name)?),
    };
    println!("{level:?}");
    let request =
        ModelRequest { precision, device: DeviceRequest::Cpu, ..ModelRequest::from(folder.as_str()) };
    let whisper = cache::preload(&request)?;
    let model: &dyn Model = whisper.model();
    let dims = model.dims();
    let show = |what: &str, (wall, cpu): (f64, f64)| println!("{what:<28} {wall:9.2} ms {cpu:9.2} ms of CPU");

    let noise: Vec<f32> =
        (0..300 * 16_000u32).map(|i| (i.wrapping_mul(2_654_435_769) >> 8) as f32 / 1.7e7 - 0.5).collect();
    let audio = Waveform::new(noise);
    let log_mel = LogMel::new(dims.n_mels)?;
    show("mel of 300 s", time(3, || Ok(log_mel.compute(&audio)?))?);
    let window = log_mel.compute(&audio)?.window(0, 3000);
    let mel = Tensor::from_vec(window, (1, dims.n_mels, 3000), &Device::Cpu)?;
    show("encoder, one window", time(5, || Ok(model.encode(&mel)?))?);
    let xa = model.encode(&mel)?;
    let tokens =
        |n: usize| Tensor::from_vec((0..n as u32).map(|i| 300 + i).collect(), (1, n), model.device());
    let prompt = tokens(200)?;
    show("prompt of 200 tokens", time(5, || Ok(model.decode(&prompt, &xa, &mut model.new_cache(1, 200)?)?))?);
    show(
        "word times of 200 tokens",
        time(5, || Ok(model.cross_attention(&prompt, &xa, model.alignment_heads())?))?,
    );
    let hidden = model.decode(&tokens(32)?, &xa, &mut model.new_cache(1, 32)?)?.squeeze(0)?;
    show("logits of 32 tokens", time(5, || Ok(model.project(&hidden)?))?);
    show("logits of one token", time(20, || Ok(model.project(&hidden.narrow(0, 0, 1)?)?))?);
    for position in POSITIONS {
        let mut cache = model.new_cache(1, position + 30)?;
        model.decode(&tokens(position)?, &xa, &mut cache)?;
        let one = tokens(1)?;
        let step = time(30, || Ok(model.project(&model.decode(&one, &xa, &mut cache)?.squeeze(1)?)?))?;
        show(&format!("a token at position {position}"), step);
    }
    let eight = AudioFeatures::from(vec![Arc::clone(&xa.pieces()[0]); WINDOWS]);
    let mut cache = model.new_cache(WINDOWS, 130)?;
    model.decode(&tokens(100)?.repeat((WINDOWS, 1))?, &eight, &mut cache)?;
    let one = tokens(1)?.repeat((WINDOWS, 1))?;
    let step = time(30, || Ok(model.project(&model.decode(&one, &eight, &mut cache)?.squeeze(1)?)?))?;
    show("a token of each of 8 windows", step);

    let n = dims.n_state;
    let random = |shape: &[usize]| Tensor::rand(-1f32, 1f32, shape, &Device::Cpu);
    let (x, frames) = (random(&[1, 1500, n])?, random(&[1, 3000, n])?);
    let weight = Part::of(&random(&[4 * n, n])?)?;
    let linear = |products| Panels::new(n, std::slice::from_ref(&weight), &vec![0.5; 4 * n], products);
    let (linear, integers) =
        (linear(Products::Floats)?.of_many_rows(), linear(Products::Integers)?.rounded());
    let (kernel, bias) = (random(&[n, n, 3])?, random(&[n])?);
    let convolution = Convolution::new(&kernel, &bias, 2)?.context("no convolution")?;
    for _ in 0..3 {
        // In turns, as other work comes and goes.
        show("linear, n to 4n", time(10, || Ok(linear.forward(&x)?))?);
        show("the same with integers", time(10, || Ok(integers.forward(&x)?))?);
    }
    show("linear, n to 4n, gelu", time(5, || Ok(linear.forward_gelu(&x)?))?);
    show("convolution 2, gelu", time(5, || Ok(convolution.forward_gelu(&frames)?))?);
    let heads = dims.n_audio_head;
    show("attention of the encoder", time(5, || Ok(kernels::attention(&x, &x, &x, heads, false)?))?);
    show("the same, rounded", time(5, || Ok(kernels::rounded_attention(&x, &x, &x, heads)?))?);
    Ok(())
}
