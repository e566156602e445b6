//! `cargo run --release --features candle-whisper/cuda --example gpu_memory`: what networks of every size take on a GPU
//! against what was estimated, and the time of an encoded window and of a decoded token. Weights are zeros made on
//! the device, so that no file is needed; each configuration has a process of its own.
//!
//! `-- SHAPE DTYPE N_AUDIO N_GROUP BASELINE` measures one; BASELINE is what the GPU had in use before.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_whisper::device;
use candle_whisper_core::audio::N_FRAMES;
use candle_whisper_core::memory::{Processor, Usage, dims_of, estimate};
use candle_whisper_core::weights::Weights;

const SHAPES: [&str; 6] = ["tiny", "base", "small", "medium", "turbo", "large-v3"];
/// (type, windows, rows of each)
const USES: [(&str, usize, usize); 5] =
    [("f32", 1, 1), ("f16", 1, 1), ("f16", 1, 5), ("f16", 8, 1), ("f16", 32, 1)];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [] => all(),
        [shape, dtype, n_audio, n_group, baseline] => {
            one(shape, dtype, n_audio.parse()?, n_group.parse()?, baseline.parse()?)
        }
        _ => bail!("usage: gpu_memory [SHAPE DTYPE N_AUDIO N_GROUP BASELINE]"),
    }
}

fn all() -> Result<()> {
    let smi = Command::new("nvidia-smi")
        .args(["--query-gpu=memory.used", "--format=csv,noheader,nounits"])
        .output()?;
    let used = String::from_utf8(smi.stdout)?;
    let baseline = used.lines().next().context("no GPU")?.trim().parse::<u64>()? << 20;
    println!("| Model | Type | Windows | Rows | Estimated MB | Measured MB | Off % | Encode ms | Token ms |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for shape in SHAPES {
        for (dtype, n_audio, n_group) in USES {
            let done = Command::new(std::env::current_exe()?)
                .args([shape, dtype, &n_audio.to_string(), &n_group.to_string(), &baseline.to_string()])
                .status()?;
            if !done.success() {
                println!("| {shape} | {dtype} | {n_audio} | {n_group} | failed |");
            }
        }
    }
    Ok(())
}

fn one(shape: &str, dtype: &str, n_audio: usize, n_group: usize, baseline: u64) -> Result<()> {
    let dims = dims_of(shape).context("unknown shape")?;
    let dtype = if dtype == "f32" { DType::F32 } else { DType::F16 };
    let gpu = device::open(0).map_err(anyhow::Error::msg)?;
    let peak = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let watch = {
        let (gpu, peak, done) = (gpu.clone(), peak.clone(), done.clone());
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                if let Some(memory) = device::memory(&gpu) {
                    peak.fetch_max(memory.total - memory.available, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_micros(500));
            }
        })
    };
    let weights = Weights::from_var_builder(VarBuilder::zeros(dtype, &gpu));
    let model = device::network(dims.clone(), Vec::new(), &weights)?;
    let mel = Tensor::zeros((n_audio, dims.n_mels, N_FRAMES), DType::F32, &Device::Cpu)?;
    let (mut encode, mut features) = (f64::INFINITY, None);
    for _ in 0..3 {
        drop(features.take());
        let start = Instant::now();
        let xa = model.encode(&mel)?;
        xa.tensor()?.narrow(1, 0, 1)?.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
        encode = encode.min(start.elapsed().as_secs_f64());
        features = Some(xa);
    }
    let xa = features.context("no features")?;
    let usage = Usage { processor: Processor::Gpu, dtype, n_audio, n_group, ..Usage::default() };
    let rows = n_audio * n_group;
    let mut cache = model.new_cache(rows, dims.n_text_ctx / 2 + 4)?;
    let tokens = |n: usize| Tensor::zeros((rows, n), DType::U32, &gpu);
    model.decode(&tokens(4)?, &xa, &mut cache)?;
    let (step, steps) = (tokens(1)?, dims.n_text_ctx / 2);
    let start = Instant::now();
    for _ in 0..steps {
        let hidden = model.decode(&step, &xa, &mut cache)?;
        model.project(&hidden.squeeze(1)?)?.to_vec2::<f32>()?;
    }
    let token = start.elapsed().as_secs_f64() / steps as f64;
    done.store(true, Ordering::Relaxed);
    if watch.join().is_err() {
        bail!("the thread that watches failed");
    }
    let measured = peak.load(Ordering::Relaxed).saturating_sub(baseline) as f64;
    let estimated = estimate(&dims, &usage).peak() as f64;
    println!(
        "| {shape} | {} | {n_audio} | {n_group} | {:.0} | {:.0} | {:+.1} | {:.1} | {:.2} |",
        dtype.as_str(),
        estimated / 1e6,
        measured / 1e6,
        100.0 * (estimated / measured - 1.0),
        encode * 1e3,
        token * 1e3
    );
    Ok(())
}
