//! Runs that are killed at any moment, and go on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use candle_whisper::journal::{Found, Journal};
use candle_whisper::mark::{self, Mark};
use candle_whisper_core::options::TranscribeOptions;

use crate::data;

/// Kills while a window of some seconds is decoded must be as probable as others.
const RUNS: usize = 3;
const LONG_RUNS: usize = 50;

fn program(out: &Path, recording: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candle-whisper"));
    command.args(["--model", "tiny.en", "--device", "cpu", "--beam_size", "None", "--verbose", "None"]);
    command.args(["--temperature_increment_on_fallback", "None", "--best_of", "None"]);
    command.args(["--resume", "-f", "all", "-o"]).arg(out).args(options).arg(recording);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Two sentences with silence between them: two windows at least.
fn recording(folder: &Path) -> PathBuf {
    let path = folder.join("talk.flac");
    let part = |name: &str| data::tests().join("data").join(name);
    let join = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(part("jfk.flac"))
        .arg("-i")
        .arg(part("nonspeech-silence-10s.flac"))
        .args(["-filter_complex", "[0][1][0]concat=n=3:v=0:a=1"])
        .arg(&path)
        .status();
    assert!(join.unwrap().success(), "ffmpeg is needed");
    path
}

/// Nothing where a kill came before the folder was made.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap());
    let mut all: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    all.sort();
    all
}

fn wait(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    stderr
}

/// Pseudo-random, in 0..n.
fn random(state: &mut u64, n: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % n
}

#[test]
fn a_run_that_is_killed_at_any_moment_ends_as_if_it_had_not_been() {
    let here = tempfile::tempdir().unwrap();
    let talk = recording(here.path());
    let modes: [&[&str]; 3] = [
        &["--word_timestamps", "True", "--temperature", "0.2"],
        &["--batch", "1", "--vad_speech_pad_ms", "100"],
        // Windows of a word or two, several of which are under way when it is killed.
        &["--batch", "auto", "--vad_max_speech_duration_s", "2", "--language", "auto-each"],
    ];
    let long = std::env::var_os("CANDLE_WHISPER_LONG").is_some();
    let runs = if long { LONG_RUNS } else { RUNS };
    let mut seed = 7;
    let (mut killed, mut went_on) = (0, 0);
    for (mode, options) in modes.iter().enumerate() {
        let whole = here.path().join(format!("whole{mode}"));
        let started = Instant::now();
        wait(program(&whole, &talk, options).spawn().unwrap());
        let took = started.elapsed().as_millis() as u64;
        let expected = contents(&whole);
        assert_eq!(expected.len(), 5, "the state is gone once the outputs are there");
        for run in 0..runs.div_ceil(modes.len()) {
            let out = here.path().join(format!("killed{mode}-{run}"));
            // Twice at most, so that a machine that is slower at times comes to the end.
            for _ in 0..2 {
                let mut child = program(&out, &talk, options).spawn().unwrap();
                sleep(Duration::from_millis(random(&mut seed, took)));
                killed += usize::from(child.try_wait().unwrap().is_none());
                child.kill().unwrap();
                child.wait().unwrap();
                let half = contents(&out).into_iter().filter(|(name, _)| !name.starts_with('.'));
                assert!(half.into_iter().all(|file| file.0.ends_with("resume") || expected.contains(&file)));
            }
            let said = wait(program(&out, &talk, options).spawn().unwrap());
            went_on += usize::from(said.contains("goes on after"));
            let done: Vec<_> =
                contents(&out).into_iter().filter(|(name, _)| !name.ends_with(".tmp")).collect();
            assert!(done == expected, "mode {mode}, run {run}: not the same outputs");
        }
    }
    println!("{killed} kills, {went_on} runs went on");
    assert!(killed > 0 && (went_on > 0 || !long));
}

#[test]
fn another_runs_state_is_said_to_be_one_and_given_up() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("a.candle-whisper.resume");
    let options = TranscribeOptions::default();
    let mark = |hash: &str, options: &TranscribeOptions| {
        Mark::new(hash.into(), vec![("weights".into(), "1".into())], options).unwrap()
    };
    let (journal, found) = Journal::open(&path, &mark("one", &options)).unwrap();
    assert_eq!(found, Found::Nothing);
    let busy = Journal::open(&path, &mark("one", &options)).unwrap_err().to_string();
    assert!(busy.contains("is in use"), "{busy}");
    drop(journal);
    let other = TranscribeOptions { word_timestamps: true, ..options.clone() };
    let (journal, found) = Journal::open(&path, &mark("two", &other)).unwrap();
    assert_eq!(found, Found::Another("`word_timestamps`, the recording".into()));
    drop(journal);
    let (journal, found) = Journal::open(&path, &mark("two", &other)).unwrap();
    assert_eq!(found, Found::Nothing);
    journal.remove().unwrap();
    assert!(!path.exists());
}

#[test]
fn a_run_whose_batch_the_memory_chose_goes_on_with_another_number_if_results_do_not_depend_on_it() {
    let mark = |batch: usize| {
        let options = TranscribeOptions { batch: Some(batch), ..TranscribeOptions::default() };
        Mark::new("hash".into(), Vec::new(), &options).unwrap()
    };
    assert_eq!(mark(1).of_chosen_batch(None), mark(8).of_chosen_batch(None));
    assert_eq!(mark(8).differences(&mark(8).of_chosen_batch(None)), ["`batch`"]);
    // If they do, it is as if the number had been typed.
    assert_eq!(mark(1).of_chosen_batch(Some(8)), mark(8));
    assert_eq!(mark(1).of_chosen_batch(Some(8)).differences(&mark(4)), ["`batch`"]);
}

#[test]
fn a_line_that_was_not_written_to_its_end_is_cut_off() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("a.candle-whisper.resume");
    let mark = Mark::new("hash".into(), Vec::new(), &TranscribeOptions::default()).unwrap();
    let (journal, _) = Journal::open(&path, &mark).unwrap();
    drop(journal);
    let plan = r#"{"spoken":null,"extent":{"n_samples":16000,"maximum":0},"language":"en"}"#;
    let window = |seek: usize| {
        format!(
            r#"{{"seek":{seek},"segments":[],"clip":0,"prompt_reset_since":0,"last_speech_timestamp":0,"tokens":[],"batches":null,"left_out":[]}}"#
        )
    };
    let head = fs::read_to_string(&path).unwrap();
    let whole = format!("{head}{plan}\n{}\n{}\n", window(10), window(20));
    for torn in ["", "{\"seek\":30", &window(30), "\0\0\0\0\n"] {
        fs::write(&path, format!("{whole}{torn}")).unwrap();
        let (journal, found) = Journal::open(&path, &mark).unwrap();
        assert_eq!(found, Found::Windows(2), "{torn}");
        assert_eq!(journal.plan().unwrap().extent.n_samples, 16_000);
        drop(journal);
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    }
    fs::write(&path, &head[..head.len() / 2]).unwrap();
    assert_eq!(Journal::open(&path, &mark).unwrap().1, Found::Nothing);
}

#[test]
fn a_recordings_hash_is_of_all_of_it() {
    let mut bytes = std::io::Cursor::new(b"abc".to_vec());
    bytes.set_position(2);
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(mark::of_all(&mut bytes).unwrap(), expected);
}
