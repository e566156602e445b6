//! `cargo run --release --example first_token -- CLIP MODEL...`: for each model a process of its own, three times; the
//! fastest's milliseconds until the model is loaded, until there is the first window's mel, and until the first text, and the most resident memory.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::ops::ControlFlow;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_whisper::core::TranscribeOptions;
use candle_whisper::core::audio::N_FRAMES;
use candle_whisper::core::mel::LogMel;
use candle_whisper::core::observer::Event;

const TURNS: usize = 3;

fn main() -> Result<()> {
    let start = Instant::now();
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [one, clip, model] if one == "--one" => measure(start, clip, model),
        [clip, models @ ..] if !models.is_empty() => models.iter().try_for_each(|model| {
            let mut best: Option<Vec<f64>> = None;
            for _ in 0..TURNS {
                let done = Command::new(std::env::current_exe()?).args(["--one", clip, model]).output()?;
                if !done.status.success() {
                    bail!("{model}: {}", String::from_utf8_lossy(&done.stderr));
                }
                let numbers = String::from_utf8(done.stdout)?
                    .split_whitespace()
                    .map(|n| n.parse().context("no number"))
                    .collect::<Result<Vec<f64>>>()?;
                if best.as_ref().is_none_or(|best| numbers[2] < best[2]) {
                    best = Some(numbers);
                }
            }
            let best = best.context("no turn")?;
            println!(
                "| {model} | {:.0} ms | {:.0} ms | {:.0} ms | {:.0} MB |",
                best[0], best[1], best[2], best[3]
            );
            Ok(())
        }),
        _ => bail!("usage: first_token CLIP MODEL..."),
    }
}

fn measure(start: Instant, clip: &str, model: &str) -> Result<()> {
    rayon::ThreadPoolBuilder::new().use_current_thread().build_global()?;
    let whisper = candle_whisper::preload_model(model)?;
    let loaded = start.elapsed();
    let audio = candle_whisper::core::media::decode(std::fs::File::open(clip)?, None)?;
    let log_mel = LogMel::new(whisper.model().dims().n_mels)?;
    std::hint::black_box(log_mel.compute(&audio)?.window(0, N_FRAMES));
    let mel = start.elapsed();
    let mut first = None;
    let mut observer = |event: Event<'_>| {
        if let Event::Text { so_far } = event
            && !so_far.trim().is_empty()
        {
            first.get_or_insert_with(|| start.elapsed());
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    let mut options = TranscribeOptions::default();
    options.decode.language = Some("en".into());
    whisper.run(&audio, options, &mut observer)?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("not on Linux")?;
    let kib: f64 = peak.trim().trim_end_matches(" kB").parse()?;
    let first = first.context("no text")?;
    let [loaded, mel, first] = [loaded, mel, first].map(|time| time.as_secs_f64() * 1e3);
    println!("{loaded} {mel} {first} {}", kib * 1024.0 / 1e6);
    Ok(())
}
