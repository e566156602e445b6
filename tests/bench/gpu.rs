//! `cargo run --release --features candle-whisper/cuda --example gpu`: the kernels for GPUs against the network of the core on
//! candle's operations, with random weights of a model's sizes, and what an encoded window and a decoded token take.
//!
//! `-- check SHAPE…` compares, `-- time SHAPE…` measures, medians with the middle half, `-- once SHAPE…` is for a profiler.
//! `-- logits FOLDER…` writes the logits of a model and an input that `gpu_logits.py` made, which calls it.
//! `-- batch SHAPE…` measures windows encoded beside others and before them, `-- memory` what all shapes take.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_whisper::device::{self, GpuWhisper};
use candle_whisper::load::{self, ModelFiles};
use candle_whisper_core::audio::N_FRAMES;
use candle_whisper_core::decoding::choice::{Question, Rules};
use candle_whisper_core::dims::ModelDimensions;
use candle_whisper_core::memory::dims_of;
use candle_whisper_core::model::{Model, Whisper};
use candle_whisper_core::weights::Weights;

#[path = "../native/around.rs"]
mod around;
#[path = "gpu_batch.rs"]
mod batch;
#[path = "gpu_memory.rs"]
mod memory;

/// How much farther off than candle's operations the kernels may be.
const MOST_OFF: f32 = 1.5;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((mode, shapes)) = args.split_first() else {
        bail!("usage: gpu check|time|batch|once SHAPE…, gpu logits FOLDER…, gpu memory")
    };
    if mode == "memory" {
        return memory::run(shapes);
    }
    let gpu = device::open(0).map_err(anyhow::Error::msg)?;
    for shape in shapes {
        if mode == "logits" {
            logits(Path::new(shape), &gpu)?;
            continue;
        }
        let dims = dims_of(shape).context("unknown shape")?;
        match mode.as_str() {
            "check" => check(shape, &dims, &gpu)?,
            "time" => time(shape, &dims, &gpu)?,
            "batch" => batch::time(shape, &dims, &gpu)?,
            "once" => once(&dims, &gpu)?,
            _ => bail!("check, time, batch or once"),
        }
    }
    Ok(())
}

/// Weights about as large as trained ones, in `dtype` on the GPU, of numbers that f16 has.
fn weights(dims: &ModelDimensions, gpu: &Device) -> Result<HashMap<String, Tensor>> {
    let mut all = HashMap::new();
    let n = dims.n_state;
    let mut put = |name: String, shape: &[usize], mean: f32, scale: f32| -> Result<()> {
        all.insert(name, Tensor::randn(mean, scale, shape, gpu)?.to_dtype(DType::F16)?);
        Ok(())
    };
    let linear = 1.0 / (n as f32).sqrt();
    for (side, layers) in [("encoder", dims.n_audio_layer), ("decoder", dims.n_text_layer)] {
        for i in 0..layers {
            let at = format!("model.{side}.layers.{i}");
            for attention in ["self_attn", "encoder_attn"] {
                if side == "encoder" && attention == "encoder_attn" {
                    continue;
                }
                for name in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                    put(format!("{at}.{attention}.{name}.weight"), &[n, n], 0.0, linear)?;
                    if name != "k_proj" {
                        put(format!("{at}.{attention}.{name}.bias"), &[n], 0.0, 0.1)?;
                    }
                }
                put(format!("{at}.{attention}_layer_norm.weight"), &[n], 1.0, 0.2)?;
                put(format!("{at}.{attention}_layer_norm.bias"), &[n], 0.0, 0.1)?;
            }
            put(format!("{at}.fc1.weight"), &[4 * n, n], 0.0, linear)?;
            put(format!("{at}.fc1.bias"), &[4 * n], 0.0, 0.1)?;
            put(format!("{at}.fc2.weight"), &[n, 4 * n], 0.0, linear / 2.0)?;
            put(format!("{at}.fc2.bias"), &[n], 0.0, 0.1)?;
            put(format!("{at}.final_layer_norm.weight"), &[n], 1.0, 0.2)?;
            put(format!("{at}.final_layer_norm.bias"), &[n], 0.0, 0.1)?;
        }
        put(format!("model.{side}.layer_norm.weight"), &[n], 1.0, 0.2)?;
        put(format!("model.{side}.layer_norm.bias"), &[n], 0.0, 0.1)?;
    }
    put("model.encoder.conv1.weight".into(), &[n, dims.n_mels, 3], 0.0, 0.05)?;
    put("model.encoder.conv1.bias".into(), &[n], 0.0, 0.1)?;
    put("model.encoder.conv2.weight".into(), &[n, n, 3], 0.0, linear / 1.7)?;
    put("model.encoder.conv2.bias".into(), &[n], 0.0, 0.1)?;
    put("model.encoder.embed_positions.weight".into(), &[dims.n_audio_ctx, n], 0.0, 0.5)?;
    put("model.decoder.embed_tokens.weight".into(), &[dims.n_vocab, n], 0.0, linear)?;
    put("model.decoder.embed_positions.weight".into(), &[dims.n_text_ctx, n], 0.0, 0.5)?;
    Ok(all)
}

fn view(all: &HashMap<String, Tensor>, dtype: DType, gpu: &Device) -> Weights {
    Weights::from_var_builder(VarBuilder::from_tensors(all.clone(), dtype, gpu))
}

/// Largest difference, and root mean square of difference and of the values. Both in f32 on the GPU
fn difference(a: &Tensor, b: &Tensor) -> Result<(f32, f32, f32)> {
    let (a, b) = (a.to_dtype(DType::F32)?.flatten_all()?, b.to_dtype(DType::F32)?.flatten_all()?);
    let d = (&a - &b)?.abs()?;
    let mean_square = |t: &Tensor| -> Result<f32> { Ok(t.sqr()?.mean_all()?.to_scalar::<f32>()?.sqrt()) };
    Ok((d.max_all()?.to_scalar()?, mean_square(&d)?, mean_square(&b)?))
}

fn check(shape: &str, dims: &ModelDimensions, gpu: &Device) -> Result<()> {
    let all = weights(dims, gpu)?;
    let exact = Whisper::load(dims.clone(), Vec::new(), &view(&all, DType::F32, gpu))?;
    for dtype in [DType::F16, DType::BF16] {
        let ours = GpuWhisper::load(dims.clone(), Vec::new(), &view(&all, dtype, gpu))?;
        let plain = Whisper::load(dims.clone(), Vec::new(), &view(&all, dtype, gpu))?;
        let say = |what: &str, e: &Tensor, o: &Tensor, p: &Tensor| -> Result<()> {
            let ((most, rms, size), (p_most, p_rms, _)) = (difference(o, e)?, difference(p, e)?);
            println!(
                "{shape} {} {what}: off by {rms:.5} (most {most:.4}) of {size:.3}; candle's operations {p_rms:.5} ({p_most:.4})",
                dtype.as_str()
            );
            // No number passes for none.
            if rms.partial_cmp(&(MOST_OFF * p_rms)).is_none_or(std::cmp::Ordering::is_gt) {
                bail!("{what}: farther off than candle's operations by more than {MOST_OFF} times");
            }
            Ok(())
        };
        for (n_audio, n_group) in [(1, 1), (1, 5), (3, 2), (8, 1), (20, 1), (40, 1)] {
            if n_audio > 8 && dtype == DType::BF16 {
                continue;
            }
            let frames = if n_audio == 3 { 1001 } else { N_FRAMES };
            let mel = Tensor::randn(0f32, 0.5, (n_audio, dims.n_mels, frames), gpu)?;
            let (e, o, p) = (exact.encode(&mel)?, ours.encode(&mel)?, plain.encode(&mel)?);
            say(&format!("encoder, {n_audio} windows"), &e.tensor()?, &o.tensor()?, &p.tensor()?)?;
            let rows = n_audio * n_group;
            let mut caches =
                [exact.new_cache(rows, 40)?, ours.new_cache(rows, 40)?, plain.new_cache(rows, 40)?];
            for (step, n_new) in [5, 1, 1, 1].into_iter().enumerate() {
                let ids = (0..rows * n_new).map(|i| ((i * 7919 + step * 104_729) % dims.n_vocab) as u32);
                let tokens = Tensor::from_vec(ids.collect(), (rows, n_new), &Device::Cpu)?;
                let mut logits = Vec::new();
                let models: [(&dyn Model, _); 3] = [(&exact, &e), (&ours, &o), (&plain, &p)];
                for ((model, xa), cache) in models.into_iter().zip(&mut caches) {
                    let hidden = model.decode(&tokens, xa, cache)?.narrow(1, n_new - 1, 1)?;
                    logits.push(model.project(&hidden.squeeze(1)?.contiguous()?)?);
                }
                if step == 0 || step == 3 {
                    let what = format!("logits of {n_audio} x {n_group} rows, step {step}");
                    say(&what, &logits[0], &logits[1], &logits[2])?;
                }
            }
            if dtype == DType::F16 {
                chosen_alike(&ours, rows, gpu)?;
            }
            if n_audio == 1 {
                let tokens = Tensor::from_vec(
                    (0..rows * 9).map(|i| i as u32 * 31).collect(),
                    (rows, 9),
                    &Device::Cpu,
                )?;
                let head = [(dims.n_text_layer - 1, dims.n_text_head - 1)];
                let scores = |model: &dyn Model, xa| -> Result<Tensor> {
                    Ok(model.cross_attention(&tokens, xa, &head)?.1.remove(0))
                };
                let (e, o, p) = (scores(&exact, &e)?, scores(&ours, &o)?, scores(&plain, &p)?);
                say("scores of the last head", &e, &o, &p)?;
            }
        }
    }
    Ok(())
}

/// Tokens that the GPU chooses against those of its logits read here, under rules of every kind.
fn chosen_alike(model: &GpuWhisper, rows: usize, gpu: &Device) -> Result<()> {
    let (n, n_vocab) = (model.dims().n_state, model.dims().n_vocab);
    let suppressed: Vec<u32> = (0..n_vocab as u32).step_by(37).collect();
    for (begin, top) in [(None, 1), (Some(n_vocab as u32 - 1501), 1), (Some(n_vocab as u32 - 1501), 6)] {
        let hidden = Tensor::randn(0f32, 3.0, (rows, n), gpu)?.to_dtype(DType::F16)?;
        let rules: Vec<Rules> = (0..rows as u32)
            .map(|i| Rules {
                forbidden: match i % 4 {
                    0 => vec![],
                    1 => vec![0..n_vocab as u32 - 1501, n_vocab as u32 - 1000..u32::MAX],
                    2 => vec![100..40_000, 7..8, 41_000..41_001],
                    _ => std::iter::once(n_vocab as u32 - 1501..n_vocab as u32 - 1501 + 50 * i).collect(),
                },
                timestamp_begin: begin,
            })
            .collect();
        let question = Question { suppressed: &suppressed, rows: &rules, top };
        let chosen = model.choose(&hidden, &question)?.context("the GPU does not choose")?;
        for ((logits, rules), chosen) in
            model.project(&hidden)?.to_vec2::<f32>()?.iter_mut().zip(&rules).zip(&chosen)
        {
            let forbidden =
                rules.forbidden.iter().flat_map(|r| r.start as usize..(r.end as usize).min(n_vocab));
            for token in suppressed.iter().map(|&t| t as usize).chain(forbidden) {
                logits[token] = f32::NEG_INFINITY;
            }
            let sum = |row: &[f32]| row.iter().map(|&x| f64::from(x).exp()).sum::<f64>();
            if let Some(begin) = begin {
                let (text, stamps) = logits.split_at_mut(begin as usize);
                if sum(stamps).ln() > f64::from(text.iter().copied().fold(f32::NEG_INFINITY, f32::max)) {
                    text.fill(f32::NEG_INFINITY);
                }
            }
            let normal = sum(logits).ln();
            let mut order: Vec<usize> = (0..n_vocab).collect();
            order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
            for (&(token, logprob), &expected) in chosen.iter().zip(&order) {
                let off = f64::from(logprob) - (f64::from(logits[expected]) - normal);
                if token as usize != expected || off.abs() > 1e-4 {
                    bail!("the GPU chose {token} at {logprob}, its logits say {expected}, off by {off}");
                }
            }
            if chosen.len() != top {
                bail!("{} tokens chosen, not {top}", chosen.len());
            }
        }
    }
    println!("{rows} rows: tokens chosen on the GPU as its logits say");
    Ok(())
}

/// Median and the middle half of milliseconds.
fn spread(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times[(times.len() - 1) * part / 4] * 1e3;
    format!("{:.3} ({:.3} to {:.3})", at(2), at(1), at(3))
}

fn time(shape: &str, dims: &ModelDimensions, gpu: &Device) -> Result<()> {
    let all = weights(dims, gpu)?;
    let model = GpuWhisper::load(dims.clone(), Vec::new(), &view(&all, DType::F16, gpu))?;
    drop(all);
    for n_audio in [1, 8, 32] {
        let mel = Tensor::randn(0f32, 0.5, (n_audio, dims.n_mels, N_FRAMES), gpu)?.to_dtype(DType::F16)?;
        let mut encode = Vec::new();
        for _ in 0..24 / n_audio.min(8) + 4 {
            let start = Instant::now();
            drop(model.encode(&mel)?);
            gpu.synchronize()?;
            encode.push(start.elapsed().as_secs_f64());
        }
        let mut alone = Vec::new();
        for _ in 0..encode.len() {
            let start = Instant::now();
            drop(model.features(&mel)?);
            gpu.synchronize()?;
            alone.push(start.elapsed().as_secs_f64());
        }
        let xa = model.encode(&mel)?;
        let mut cache = model.new_cache(n_audio, 228)?;
        let tokens = |n: usize| Tensor::full(1000u32, (n_audio, n), &Device::Cpu);
        model.decode(&tokens(4)?, &xa, &mut cache)?;
        let step = tokens(1)?;
        model.project(&model.decode(&step, &xa, &mut cache)?.squeeze(1)?)?;
        gpu.synchronize()?;
        // Steps one after the other without waiting, as the GPU sees them.
        let start = Instant::now();
        for _ in 0..100 {
            model.project(&model.decode(&step, &xa, &mut cache)?.squeeze(1)?)?;
        }
        gpu.synchronize()?;
        let together = start.elapsed().as_secs_f64() * 10.0;
        let mut steps = Vec::new();
        for _ in 0..100 {
            let start = Instant::now();
            model.project(&model.decode(&step, &xa, &mut cache)?.squeeze(1)?)?;
            gpu.synchronize()?;
            steps.push(start.elapsed().as_secs_f64());
        }
        println!(
            "{shape}, {n_audio} windows: encoder {} ms, with keys and values of the audio {} ms; step and logits {together:.3} ms, each waited for {} ms",
            spread(alone),
            spread(encode),
            spread(steps)
        );
    }
    Ok(())
}

/// FOLDER has a model, `mel.f32` (n_audio, n_mels, frames) and `tokens.u32` (n_audio, n), little-endian; `logits.DTYPE` becomes
/// (n_audio, n, n_vocab), in f32. The first half of the tokens is the prompt, the others are given one by one.
fn logits(folder: &Path, gpu: &Device) -> Result<()> {
    let load::Described { checkpoint, dims, .. } = load::describe(&ModelFiles::find(folder)?)?;
    let checkpoint = Arc::new(checkpoint);
    let words = |name: &str| -> Result<Vec<[u8; 4]>> {
        Ok(std::fs::read(folder.join(name))?.as_chunks::<4>().0.to_vec())
    };
    let mel: Vec<f32> = words("mel.f32")?.into_iter().map(f32::from_le_bytes).collect();
    let tokens: Vec<u32> = words("tokens.u32")?.into_iter().map(u32::from_le_bytes).collect();
    let n_audio = mel.len() / (dims.n_mels * N_FRAMES);
    let mel = Tensor::from_vec(mel, (n_audio, dims.n_mels, N_FRAMES), gpu)?;
    let n = tokens.len() / n_audio;
    let tokens = Tensor::from_vec(tokens, (n_audio, n), &Device::Cpu)?;
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        let weights = Weights::from_checkpoint(checkpoint.clone(), dtype, gpu);
        let model = device::network(dims.clone(), Vec::new(), &weights)?;
        let xa = model.encode(&mel)?;
        let mut cache = model.new_cache(n_audio, n)?;
        let mut hidden = vec![model.decode(&tokens.narrow(1, 0, n / 2)?, &xa, &mut cache)?];
        for i in n / 2..n {
            hidden.push(model.decode(&tokens.narrow(1, i, 1)?, &xa, &mut cache)?);
        }
        let hidden = Tensor::cat(&hidden, 1)?.flatten_to(1)?;
        let bytes: Vec<u8> = model
            .project(&hidden)?
            .flatten_all()?
            .to_vec1::<f32>()?
            .into_iter()
            .flat_map(f32::to_le_bytes)
            .collect();
        std::fs::write(folder.join(format!("logits.{}", dtype.as_str())), bytes)?;
    }
    Ok(())
}

/// One window, a prompt and two steps.
fn once(dims: &ModelDimensions, gpu: &Device) -> Result<()> {
    let all = weights(dims, gpu)?;
    let model = GpuWhisper::load(dims.clone(), Vec::new(), &view(&all, DType::F16, gpu))?;
    let mel = Tensor::randn(0f32, 0.5, (1, dims.n_mels, N_FRAMES), gpu)?.to_dtype(DType::F16)?;
    let xa = model.encode(&mel)?;
    let mut cache = model.new_cache(1, 228)?;
    for n in [4, 1, 1] {
        let hidden = model.decode(&Tensor::full(1000u32, (1, n), &Device::Cpu)?, &xa, &mut cache)?;
        model.project(&hidden.narrow(1, n - 1, 1)?.squeeze(1)?)?;
    }
    gpu.synchronize()?;
    Ok(())
}
