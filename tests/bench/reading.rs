//! `cargo run --release --example reading -- FILE [THREADS]`: wall and CPU seconds of what is done with a recording before its first
//! window is heard: each part alone, on one thread, and then all of it as a run with `--batch` does it.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use candle_whisper::ahead::decoded_ahead;
use candle_whisper::cache::{self, ModelRequest};
use candle_whisper::input::{Input, Opened};
use candle_whisper::kept::kept;
use candle_whisper_core::mel::{Extent, LogMel, MelStream};
use candle_whisper_core::observer::Silent;
use candle_whisper_core::options::TranscribeOptions;
use candle_whisper_core::vad::{self, Vad, VadOptions};
use candle_whisper_core::{Recording, Waveform};

/// User and system seconds of this process, threads that have ended too.
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().context("an empty stat")?.split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}

fn timed<T>(name: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let (start, cpu) = (Instant::now(), cpu_seconds()?);
    let result = work()?;
    println!("{name:<40} {:6.2} s, {:6.2} s of CPU", start.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    Ok(result)
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let file = args.next().context("usage: reading FILE [THREADS]")?;
    let threads: usize = args.next().map_or(Ok(0), |n| n.parse())?;
    let pool = |n: usize| rayon::ThreadPoolBuilder::new().num_threads(n).build();
    // Who decodes ahead shares packets among the threads of all.
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let whisper = cache::preload(&ModelRequest::from("tiny.en"))?;
    let opened = Opened::new(&Input::File(file.into()))?;
    let goes_on = &mut |_| ControlFlow::Continue(());
    let (alone, together) = (pool(1)?, pool(threads)?);
    alone.install(|| -> anyhow::Result<()> {
        let audio = timed("decoded", || Ok(opened.recording().whole()?))?;
        println!("{:.1} minutes", audio.duration() / 60.0);
        let blocks = |audio: &Waveform| -> anyhow::Result<_> {
            let Recording::Again(open) = Recording::from(audio.clone()) else { unreachable!() };
            Ok(open()?)
        };
        let log_mel = Arc::new(LogMel::new(80)?);
        timed("the loudest of its mel", || Ok(Extent::measure(&log_mel, blocks(&audio)?, goes_on)?))?;
        let limits = VadOptions::default();
        timed("voice activity", || {
            Ok(vad::listen(Vad::bundled()?, &mut *blocks(&audio)?, &limits, goes_on)?)
        })?;
        Ok(())
    })?;
    let options = TranscribeOptions {
        batch: Some(16),
        condition_on_previous_text: false,
        ..TranscribeOptions::default()
    };
    for snap_to_speech in [false, true] {
        let options = TranscribeOptions { snap_to_speech, word_timestamps: true, ..options.clone() };
        let name = if snap_to_speech { "the same with words cut to speech" } else { "looked through" };
        let Recording::Again(open) = decoded_ahead(kept(opened.recording())) else { unreachable!() };
        let plan =
            timed(name, || Ok(together.install(|| whisper.look_through(&open, &options, &mut Silent))?))?;
        let plan = plan.context("nobody stopped it")?;
        if !snap_to_speech {
            timed("read once more, to be heard", || {
                let log_mel = Arc::new(LogMel::new(80)?);
                let mut stream = MelStream::new(log_mel, open, plan.extent);
                let last = plan.extent.n_samples / 160;
                Ok(stream.window(last, last, 1)?)
            })?;
        }
    }
    Ok(())
}
