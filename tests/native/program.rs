//! The program with a model: what it writes, and that an interrupt leaves nothing by halves.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use candle_whisper_core::audio::SAMPLE_RATE;
use candle_whisper_core::{Transcript, media};

use crate::data;

fn jfk() -> PathBuf {
    data::tests().join("data/jfk.flac")
}

/// Greedy `tiny.en`, which is quick.
fn program() -> Command {
    let model = data::tests().join("models/tiny.en");
    assert!(model.is_dir(), "tests/models/tiny.en is missing: `tests/run native` fetches it");
    let mut command = Command::new(env!("CARGO_BIN_EXE_candle-whisper"));
    command.arg("--model").arg(model).args(["--beam_size", "None", "--device", "cpu"]);
    command.stdin(Stdio::null());
    command
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const SENTENCE: &str = "And so my fellow Americans ask not what your country can do for you\n\
                        ask what you can do for your country.\n";
/// The same heard as the reference hears it, in f32 and whole windows.
const EXACT: &str = "And so my fellow Americans ask not what your country can do for you\n\
                     ask what you can do for your country\n";

#[test]
fn a_piped_transcript_is_the_text_and_nothing_else() {
    let here = tempfile::tempdir().unwrap();
    let output = program().current_dir(here.path()).arg(jfk()).output().unwrap();
    assert_eq!(said(&output), (0, SENTENCE.into(), String::new()));
    assert_eq!(names(here.path()), Vec::<String>::new());
}

#[test]
fn stdin_is_read_as_a_recording() {
    let mut child = program()
        .args(["-", "-f", "json", "-o", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&fs::read(jfk()).unwrap()).unwrap();
    let (code, stdout, stderr) = said(&child.wait_with_output().unwrap());
    assert_eq!((code, stderr.as_str()), (0, ""));
    let transcript: Transcript = serde_json::from_str(&stdout).unwrap();
    assert_eq!(transcript.text.trim(), SENTENCE.trim().replace('\n', " "));
    assert_eq!(transcript.language, "en");
}

#[test]
fn segments_are_printed_as_the_reference_prints_them_while_files_are_written() {
    let out = tempfile::tempdir().unwrap();
    let broken = out.path().join("broken.wav");
    fs::write(&broken, "not a recording").unwrap();
    let folder = out.path().join("texts");
    let output = program().arg(&broken).arg(jfk()).arg("-o").arg(&folder).output().unwrap();
    let (code, stdout, stderr) = said(&output);
    assert_eq!(code, 1, "{stderr}");
    let mut text = String::new();
    for line in stdout.lines() {
        let (times, words) = line.split_once("]  ").unwrap();
        assert!(times.starts_with("[00:") && times.contains(" --> 00:"), "{stdout}");
        text.extend([words, "\n"]);
    }
    assert_eq!(text, SENTENCE);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("error: could not decode `") && stderr.contains("broken.wav"), "{stderr}");
    assert_eq!(names(&folder), ["jfk.json", "jfk.srt", "jfk.tsv", "jfk.txt", "jfk.vtt"]);
    assert_eq!(fs::read_to_string(folder.join("jfk.txt")).unwrap(), SENTENCE);
}

#[test]
fn what_the_cpu_can_not_compute_in_is_a_warning_and_another_language_too() {
    for (flags, name) in [(["--fp16", "True"], "FP16"), (["--dtype", "tf32"], "TF32")] {
        let output = program().arg(jfk()).args(flags).args(["--language", "de"]).output().unwrap();
        let (code, stdout, stderr) = said(&output);
        assert_eq!((code, stdout.as_str()), (0, EXACT), "{name}");
        let expected = format!(
            "warning: {name} is not supported on CPU; using FP32 instead\n\
             warning: the model knows only English; using English instead of `--language de`\n"
        );
        assert_eq!(stderr, expected);
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_keeps_what_is_done_and_leaves_no_half_file() {
    let out = tempfile::tempdir().unwrap();
    // Ten minutes and more of speech, so that it can't be over before the signal comes.
    let long = out.path().join("long.wav");
    let join = Command::new("ffmpeg")
        .args(["-v", "error", "-stream_loop", "9", "-i"])
        .arg(data::tests().join("data/long-72s.flac"))
        .arg(&long)
        .status();
    assert!(join.unwrap().success(), "ffmpeg is needed");
    let folder = out.path().join("texts");
    let mut child = program()
        .args(["--verbose", "True", "-f", "srt,json", "-o"])
        .arg(&folder)
        .args([long.clone(), jfk()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first line says that a window is done.
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut lines, &mut String::new()).unwrap();
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let asked = std::time::Instant::now();
    std::io::copy(&mut lines, &mut std::io::sink()).unwrap();
    let (code, _, stderr) = said(&child.wait_with_output().unwrap());
    assert_eq!(code, 130, "{stderr}");
    assert!(asked.elapsed().as_secs() < 20, "it took {:?}", asked.elapsed());
    assert!(stderr.contains("warning: interrupted; the transcript of"), "{stderr}");
    assert_eq!(names(&folder), ["long.json", "long.srt"]);
    let json = fs::read(folder.join("long.json")).unwrap();
    let transcript: Transcript = serde_json::from_slice(&json).unwrap();
    assert!(!transcript.segments.is_empty());
    let end = transcript.segments.last().unwrap().end;
    assert!(end < 700.0, "{end} seconds were done: the signal came too late");
}

/// So many seconds of silence, speech, and the same silence again, as a WAV of 16 bits.
fn among_silence(seconds: usize) -> Vec<u8> {
    let speech = media::decode(fs::File::open(jfk()).unwrap(), None).unwrap();
    let silence = vec![0f32; seconds * SAMPLE_RATE];
    let samples = [&silence, speech.samples(), &silence].concat();
    let data: Vec<u8> = samples.iter().flat_map(|x| ((x * 32768.0) as i16).to_le_bytes()).collect();
    let rate = SAMPLE_RATE as u32;
    let mut wav = [b"RIFF".as_slice(), &(36 + data.len() as u32).to_le_bytes(), b"WAVEfmt "].concat();
    for field in [16u32, 1 | 1 << 16, rate, 2 * rate, 2 | 16 << 16] {
        wav.extend(field.to_le_bytes());
    }
    [wav, b"data".to_vec(), (data.len() as u32).to_le_bytes().to_vec(), data].concat()
}

#[test]
fn with_vad_silence_is_left_out_and_times_stay() {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("a.wav"), among_silence(25)).unwrap();
    let words = |arguments: &[&str], clip: &Path| {
        let json = ["--word_timestamps", "True", "-f", "json", "-o", "-"];
        let output =
            program().current_dir(here.path()).args(json).args(arguments).arg(clip).output().unwrap();
        let (code, stdout, stderr) = said(&output);
        assert_eq!((code, stderr.as_str()), (0, ""));
        let transcript: Transcript = serde_json::from_str(&stdout).unwrap();
        let words = transcript.segments.into_iter().flat_map(|segment| segment.words.unwrap_or_default());
        words.map(|word| (word.word.trim().to_lowercase(), word.start)).collect::<Vec<_>>()
    };
    let alone = words(&[], &jfk());
    let found = words(&["--vad", "True"], Path::new("a.wav"));
    assert_eq!(found.len(), alone.len(), "{found:?}");
    for ((word, start), (other, at)) in found.iter().zip(&alone) {
        assert!((start - 25.0 - at).abs() < 0.5, "{word} at {start}, {other} at {at}");
    }
    let silence = data::tests().join("data/nonspeech-silence-10s.flac");
    assert_eq!(words(&["--vad", "True"], &silence), []);
}

#[test]
fn the_environment_names_the_most_that_kernels_use() {
    let with = |level: &str, typed: &[&str]| {
        let mut command = program();
        said(&command.arg(jfk()).args(typed).env("CANDLE_WHISPER_KERNELS", level).output().unwrap())
    };
    for (dtype, all) in [("f32", EXACT), ("quantised", SENTENCE)] {
        for level in ["", "avx2"] {
            let (code, text, stderr) = with(level, &["--dtype", dtype]);
            assert_eq!((code, text.as_str()), (0, all), "{dtype} {level}: {stderr}");
        }
    }
    let (code, stdout, stderr) = with("avx1024", &[]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(
        stderr.contains("`avx1024` is none of plain, neon, dotprod, avx2, avx512, vnni, amx"),
        "{stderr}"
    );
}
