//! `gpu memory`: what networks of every size take on a GPU against what was estimated, and the time of as many encoded windows as
//! there are at once and of a decoded token. Weights are zeros made on the device, so that no file is needed; each configuration
//! has a process of its own.
//!
//! `gpu memory SHAPE DTYPE N_AUDIO N_GROUP BASELINE` measures one; BASELINE is what the GPU had in use before.

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
use candle_whisper_core::model::{AudioFeatures, Piece};
use candle_whisper_core::transcribe::encoded_beside;
use candle_whisper_core::weights::Weights;

const SHAPES: [&str; 6] = ["tiny", "base", "small", "medium", "turbo", "large-v3"];
/// (type, windows, rows of each)
const USES: [(&str, usize, usize); 5] =
    [("f32", 1, 1), ("f16", 1, 1), ("f16", 1, 5), ("f16", 8, 1), ("f16", 32, 1)];

/// All of them, or the one that is named.
pub fn run(args: &[String]) -> Result<()> {
    match args {
        [] => all(),
        [shape, dtype, n_audio, n_group, baseline] => {
            one(shape, dtype, n_audio.parse()?, n_group.parse()?, baseline.parse()?)
        }
        _ => bail!("usage: gpu memory [SHAPE DTYPE N_AUDIO N_GROUP BASELINE]"),
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
                .args([
                    "memory",
                    shape,
                    dtype,
                    &n_audio.to_string(),
                    &n_group.to_string(),
                    &baseline.to_string(),
                ])
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
    // As a batch is: windows are encoded a few at a time, and beside those that are decoded as many again are ready.
    let beside = if model.encodes_beside() { encoded_beside(n_audio) } else { 0 };
    let at_once = if beside > 0 { beside } else { n_audio };
    let mel = Tensor::zeros((at_once, dims.n_mels, N_FRAMES), DType::F32, &Device::Cpu)?;
    let encoded = || if beside > 0 { model.encode_beside(&mel) } else { model.encode(&mel) };
    let mut encode = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        let xa = encoded()?;
        xa.tensor()?.narrow(1, 0, 1)?.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
        encode = encode.min(start.elapsed().as_secs_f64());
    }
    let mut pieces: Vec<Arc<Piece>> = Vec::new();
    while pieces.len() < n_audio + beside {
        pieces.extend_from_slice(encoded()?.pieces());
    }
    let ahead = pieces.split_off(n_audio);
    let xa = AudioFeatures::from(pieces);
    let usage = Usage { processor: Processor::Gpu, dtype, n_audio, n_group, ..Usage::default() };
    let rows = n_audio * n_group;
    let mut cache = model.new_cache(rows, dims.n_text_ctx / 2 + 4)?;
    let tokens = |n: usize| Tensor::zeros((rows, n), DType::U32, &gpu);
    model.decode(&tokens(4)?, &xa, &mut cache)?;
    let last = if beside > 0 { Some(encoded()?) } else { None };
    let (step, steps) = (tokens(1)?, dims.n_text_ctx / 2);
    let start = Instant::now();
    for _ in 0..steps {
        let hidden = model.decode(&step, &xa, &mut cache)?;
        model.project(&hidden.squeeze(1)?)?.to_vec2::<f32>()?;
    }
    let token = start.elapsed().as_secs_f64() / steps as f64;
    drop((ahead, last));
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
