//! `candle-whisper live` as a program: samples through a pipe, and what comes out.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread;

use candle_whisper_core::media;

use crate::data::tests;

/// What the program does with these bytes on stdin.
fn live(args: &[&str], stdin: Vec<u8>) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_candle-whisper"))
        .arg("live")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // Who refuses its flags does not read.
    let feeding = thread::spawn(move || drop(pipe.write_all(&stdin)));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    output
}

fn samples() -> Vec<f32> {
    let file = std::fs::File::open(tests().join("data/jfk.flac")).unwrap();
    media::decode(file, Some("flac")).unwrap().samples().to_vec()
}

fn words(text: &[u8]) -> String {
    String::from_utf8_lossy(text).trim().to_owned()
}

#[test]
fn a_pipe_of_samples_becomes_lines_events_and_files() {
    let integers: Vec<u8> = samples().iter().flat_map(|x| ((x * 32768.0) as i16).to_le_bytes()).collect();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let lines = live(&["-", "-o", out, "-f", "srt,json"], integers);
    assert!(lines.status.success(), "{}", words(&lines.stderr));
    let text = words(&lines.stdout);
    assert!(text.ends_with("what you can do for your country."), "{text}");
    assert!(text.lines().count() >= 2 && !text.contains('\x1b'), "{text}");
    let srt = std::fs::read_to_string(folder.path().join("live.srt")).unwrap();
    assert!(srt.starts_with("1\n00:00:0") && srt.contains("fellow Americans"), "{srt}");
    assert!(folder.path().join("live.json").is_file());

    // The same in stereo floats at 48 kHz, each sample six times.
    let floats: Vec<u8> =
        samples()[..5 * 16_000].iter().flat_map(|x| [x.to_le_bytes(); 6]).flatten().collect();
    let events =
        live(&["--json", "--format", "f32le", "--sample-rate", "48000", "--channels", "2", "-"], floats);
    let events: Vec<serde_json::Value> =
        words(&events.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("ready", "end"), "{kinds:?}");
    let said: String =
        events.iter().filter(|e| e["type"] == "confirmed").map(|e| e["text"].as_str().unwrap()).collect();
    assert!(said.contains("my fellow Americans"), "{said}");
    assert!(events.iter().all(|event| event["version"] == 1));
}

#[test]
fn what_live_cannot_do_is_said_with_its_remedy() {
    let said = |args: &[&str]| {
        let output = live(args, Vec::new());
        (output.status.code(), words(&output.stderr))
    };
    let (code, words) = said(&["--sample_rate", "3", "-"]);
    assert!(code == Some(2) && words.contains("`3` Hz") && words.contains("--sample_rate"), "{words}");
    let (code, words) = said(&["--channels", "2"]);
    assert!(code == Some(2) && words.contains("describe INPUT"), "{words}");
    let (code, words) = said(&["--min_chunk", "0", "-"]);
    assert!(code == Some(2) && words.contains("`--min_chunk` must be 0.1 to 10"), "{words}");
    let (code, words) = said(&["-o", "-", "-"]);
    assert!(code == Some(2) && words.contains("stdout has the captions"), "{words}");
    let (code, words) = said(&["--fp16", "True", "--dtype", "f32", "-"]);
    assert!(code == Some(2) && words.contains("`--fp16` and `--dtype` say different things"), "{words}");
    let (code, words) = said(&["talk.wav"]);
    assert!(code == Some(1) && words.contains("is a recording, not raw samples"), "{words}");
    if cfg!(all(target_os = "linux", not(feature = "microphone"))) {
        for args in [&["--list_devices"][..], &[]] {
            let (code, words) = said(args);
            assert!(
                code == Some(1) && words.contains("arecord") && words.contains("libasound2-dev"),
                "{words}"
            );
        }
    }
}
