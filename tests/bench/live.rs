//! `cargo run --release --example live -- MODEL_FOLDER OUT.jsonl THREADS WAV…`: live transcription of 16 kHz recordings in simulated
//! time. Audio comes in tenths of a second; what decoding takes in CPU seconds of all threads goes by on the clock, as on
//! one core, so that other work on the machine does no harm. Writes id and text of each, prints latency and load.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use candle_core::Device;
use candle_whisper::load::{self, Numbers};
use candle_whisper_core::live::{Latency, Live, LiveEvent, LiveOptions};
use candle_whisper_core::media;
use candle_whisper_core::observer::Silent;

/// Samples that come at once: a tenth of a second.
const BLOCK: usize = 1600;

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
    let usage = "usage: live MODEL_FOLDER OUT.jsonl THREADS WAV…";
    let (folder, out) = (args.next().context(usage)?, args.next().context(usage)?);
    let threads = args.next().context(usage)?.parse()?;
    rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread().build_global()?;
    let whisper = load::load(Path::new(&folder), &Device::Cpu, Numbers::default())?;
    let mut out = std::fs::File::create(out)?;
    let (mut latencies, mut audio_seconds, mut busy) = (Vec::new(), 0.0, 0.0);
    for path in args {
        let path = Path::new(&path);
        let audio = media::decode(std::fs::File::open(path)?, Some("wav"))?;
        let mut live = Live::new(&whisper, LiveOptions::default())?;
        let (mut clock, mut given) = (0.0f64, 0);
        let samples = audio.samples();
        let mut events = Vec::new();
        while given < samples.len() || live.is_ready() {
            // The clock stands where decoding left it; all that came until then is there.
            let due = ((clock * 16_000.0) as usize).min(samples.len());
            if given < due {
                live.push(&samples[given..due]);
                given = due;
            }
            if !live.is_ready() {
                clock += BLOCK as f64 / 16_000.0;
                continue;
            }
            let start = cpu_seconds()?;
            let mut new = live.step(&mut Silent)?;
            let took = cpu_seconds()? - start;
            live.took(took, &mut new);
            (clock, busy) = (clock + took, busy + took);
            events.extend(new);
        }
        let start = cpu_seconds()?;
        events.extend(live.finish(&mut Silent)?);
        busy += cpu_seconds()? - start;
        for event in &events {
            if let LiveEvent::Confirmed { time, words, .. } = event {
                latencies.extend(words.iter().map(|word| time - word.end));
            }
        }
        audio_seconds += audio.duration();
        let id = path.file_stem().context("no name")?.to_string_lossy();
        writeln!(out, "{}", serde_json::json!({"id": id, "text": live.transcript().text}))?;
    }
    let n = latencies.len();
    let latency = Latency::of(latencies).context("no words")?;
    println!(
        "{audio_seconds:.0} s of audio, {n} words, latency median {:.2} s, p90 {:.2} s; {busy:.0} s of CPU: {:.0} % of one core",
        latency.median,
        latency.p90,
        100.0 * busy / audio_seconds
    );
    Ok(())
}
