//! The program against the hub.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::server::{Fault, File, Hub, Repo};
use super::{COMMIT, etag, files, hub_with, listed, repo};
use crate::data;

/// The program with nothing of this machine's settings for hubs.
pub fn program(hub: &str, home: &Path, typed: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candle-whisper"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().to_uppercase();
        if name.starts_with("HF_") || name.ends_with("_PROXY") || name.starts_with("SSL_") {
            command.env_remove(name);
        }
    }
    command.env("HF_ENDPOINT", hub).env("HF_HOME", home).args(typed);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn run(hub: &Hub, home: &Path, typed: &[&str]) -> (i32, String, String) {
    said(&program(&hub.url, home, typed).output().unwrap())
}

fn jfk() -> PathBuf {
    data::tests().join("data/jfk.flac")
}

#[test]
fn a_model_of_the_hub_transcribes() {
    let folder = data::tests().join("models/tiny.en");
    assert!(folder.is_dir(), "tests/models/tiny.en is missing: `tests/run native` fetches it");
    let read = |name: &str| File {
        name: name.into(),
        bytes: fs::read(folder.join(name)).unwrap(),
        large: name.ends_with("safetensors"),
    };
    let names = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"];
    let files = names.map(read).into_iter().collect();
    let hub = Hub::new(vec![Repo { id: "openai/whisper-tiny.en".into(), commit: COMMIT.into(), files }]);
    let home = tempfile::tempdir().unwrap();
    let jfk = jfk();
    let typed = [
        "--model",
        "openai/whisper-tiny.en",
        "--device",
        "cpu",
        "--beam_size",
        "None",
        "--audio_ctx",
        "full",
        jfk.to_str().unwrap(),
    ];
    let (code, stdout, stderr) = run(&hub, home.path(), &typed);
    let sentence = "And so my fellow Americans ask not what your country can do for you\n\
                    ask what you can do for your country\n";
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, sentence, ""));
    assert_eq!(
        listed(&home.path().join("hub/models--openai--whisper-tiny.en/snapshots").join(COMMIT)),
        names
    );
}

#[test]
fn a_bad_command_line_and_a_missing_recording_fetch_nothing() {
    let hub = hub_with(files());
    let home = tempfile::tempdir().unwrap();
    let (code, _, stderr) =
        run(&hub, home.path(), &["--model", "somebody/tiny", "--beam_size", "0", "a.wav"]);
    assert_eq!(code, 2, "{stderr}");
    let (code, _, stderr) = run(&hub, home.path(), &["--model", "somebody/tiny", "no-such.wav"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("could not read `no-such.wav`"), "{stderr}");
    assert_eq!(hub.seen(), []);
}

#[test]
fn fetched_models_are_printed_listed_and_verified() {
    let hub = hub_with(files());
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join("elsewhere");
    let flag = ["--cache-dir", cache.to_str().unwrap()];
    let with_flag = |typed: &[&str]| run(&hub, home.path(), &[typed, &flag].concat());
    let folder = repo(&cache).join("snapshots").join(COMMIT);

    let (code, stdout, stderr) = with_flag(&["models", "fetch", "somebody/tiny"]);
    assert_eq!((code, stdout, stderr.as_str()), (0, format!("{}\n", folder.display()), ""));
    let (code, stdout, stderr) = with_flag(&["models", "list"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let line = stdout.lines().find(|line| line.starts_with("somebody/tiny ")).unwrap();
    assert!(line.ends_with("cached, 301 kB"), "{stdout}");
    let line = stdout.lines().find(|line| line.starts_with("tiny.en ")).unwrap();
    assert!(line.ends_with("on this machine") && line.contains("openai/whisper-tiny.en"), "{stdout}");
    let (_, json, _) = with_flag(&["models", "list", "--json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let row = rows.iter().find(|row| row["repo"] == "somebody/tiny").unwrap();
    assert_eq!(row["cached"], serde_json::json!(["main"]));

    let (code, stdout, stderr) = with_flag(&["models", "verify", "somebody/tiny"]);
    let all = "config.json: right, sha1 as git takes it\ngeneration_config.json: right, sha1 as git takes it\n\
               model.safetensors: right, sha256\ntokenizer.json: right, sha1 as git takes it\n";
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, all, ""));
    let blob = repo(&cache).join("blobs").join(etag(&files(), "model.safetensors"));
    let mut bytes = fs::read(&blob).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&blob, &bytes).unwrap();
    let (code, _, stderr) = with_flag(&["models", "verify", "somebody/tiny"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("model.safetensors` does not have its hash (sha256)"), "{stderr}");
    assert!(stderr.contains(&format!("delete `{}`", fs::canonicalize(&blob).unwrap().display())), "{stderr}");
    bytes.truncate(1000);
    fs::write(&blob, &bytes).unwrap();
    let (code, _, stderr) = with_flag(&["models", "verify", folder.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(stderr.contains("is 1000 bytes long where its head says"), "{stderr}");
    let (code, stdout, _) = with_flag(&["models", "list"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("incomplete, "), "{stdout}");
}

#[test]
fn a_folder_without_hashes_is_verified_as_far_as_it_tells() {
    let hub = hub_with(files());
    let home = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = run(&hub, home.path(), &["models", "verify", "tiny.en"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("model.gguf: whole as far as it tells, no hash is known"), "{stdout}");
    let (code, _, stderr) = run(&hub, home.path(), &["models", "verify", "somebody/tiny"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("`candle-whisper models fetch somebody/tiny` fetches it"), "{stderr}");
}

#[test]
fn of_several_models_those_that_can_be_had_are_fetched() {
    let hub = hub_with(files());
    let home = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) =
        run(&hub, home.path(), &["models", "fetch", "nobody/nothing", "somebody/tiny"]);
    assert_eq!((code, stdout.lines().count()), (1, 1), "{stderr}");
    assert!(stderr.contains("error: could not fetch `nobody/nothing`: "), "{stderr}");
    assert!(stderr.contains("error: 1 of 2 models could not be fetched"), "{stderr}");
}

#[test]
fn two_programs_that_fetch_the_same_model_do_not_harm_each_other() {
    let hub = hub_with(files());
    hub.fail("?signed=yes", Fault::Slow(Duration::from_millis(50)), usize::MAX);
    let home = tempfile::tempdir().unwrap();
    let start = || program(&hub.url, home.path(), &["models", "fetch", "somebody/tiny"]).spawn().unwrap();
    let programs = [start(), start(), start()];
    for child in programs {
        let (code, stdout, stderr) = said(&child.wait_with_output().unwrap());
        assert_eq!((code, stdout.lines().count(), stderr.as_str()), (0, 1, ""));
    }
    let cache = home.path().join("hub");
    let blobs = repo(&cache).join("blobs");
    let mut expected: Vec<String> = Vec::new();
    for file in files() {
        if listed(&repo(&cache).join("snapshots").join(COMMIT)).contains(&file.name) {
            assert!(fs::read(blobs.join(file.etag())).unwrap() == file.bytes, "{}", file.name);
            expected.push(file.etag());
        }
    }
    expected.sort();
    assert_eq!((listed(&blobs), expected.len()), (expected, 4));
    assert_eq!(hub.seen().iter().filter(|seen| seen.storage).count(), 1, "the weights came more than once");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_program_and_the_next_run_goes_on() {
    let hub = hub_with(files());
    hub.fail("?signed=yes", Fault::Slow(Duration::from_millis(500)), 1);
    let home = tempfile::tempdir().unwrap();
    let partial = repo(&home.path().join("hub"))
        .join("blobs")
        .join(format!("{}.incomplete", etag(&files(), "model.safetensors")));
    let typed = ["models", "fetch", "somebody/tiny"];
    let child = program(&hub.url, home.path(), &typed).spawn().unwrap();
    let begun = Instant::now();
    while fs::metadata(&partial).map_or(0, |partial| partial.len()) < 30_000 {
        assert!(begun.elapsed().as_secs() < 30, "nothing came");
        std::thread::sleep(Duration::from_millis(20));
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let (code, stdout, stderr) = said(&child.wait_with_output().unwrap());
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (130, "", "warning: interrupted\n"));
    let kept = fs::metadata(&partial).unwrap().len();
    hub.forget();
    let (code, _, stderr) = run(&hub, home.path(), &typed);
    assert_eq!(code, 0, "{stderr}");
    let from = hub.seen().into_iter().find(|seen| seen.storage).unwrap().from;
    assert_eq!(from, Some(kept));
}

#[test]
fn a_proxy_is_used_and_named_when_it_is_not_there() {
    let hub = hub_with(files());
    let home = tempfile::tempdir().unwrap();
    let typed = ["models", "fetch", "somebody/tiny"];
    let output =
        program("http://hub.invalid", home.path(), &typed).env("HTTP_PROXY", &hub.url).output().unwrap();
    assert_eq!(said(&output).0, 0, "{}", said(&output).2);
    let gone = program("http://hub.invalid", home.path(), &typed)
        .args(["--cache-dir", home.path().join("empty").to_str().unwrap()])
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .output()
        .unwrap();
    let (code, _, stderr) = said(&gone);
    assert_eq!(code, 1);
    assert!(stderr.contains("and the proxy that HTTP_PROXY names"), "{stderr}");
}

#[test]
fn no_network_is_said_in_one_line_with_what_helps() {
    let home = tempfile::tempdir().unwrap();
    let output = program("http://127.0.0.1:9", home.path(), &["models", "fetch", "tiny"]).output().unwrap();
    let (code, stdout, stderr) = said(&output);
    assert_eq!((code, stdout.as_str(), stderr.lines().count()), (1, "", 1), "{stderr}");
    assert!(stderr.starts_with("error: could not fetch `openai/whisper-tiny`: no connection to"), "{stderr}");
    assert!(stderr.contains("check the network"), "{stderr}");
}

/// Nothing but a fetch needs certificates.
#[cfg(target_os = "linux")]
#[test]
fn without_certificates_the_cache_can_be_used_and_listed() {
    let hub = hub_with(files());
    let home = tempfile::tempdir().unwrap();
    assert_eq!(run(&hub, home.path(), &["models", "fetch", "somebody/tiny"]).0, 0);
    let bare = |typed: &[&str]| {
        let mut command = program(&hub.url, home.path(), typed);
        command.env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
        said(&command.output().unwrap())
    };
    let (code, _, stderr) = bare(&["models", "fetch", "somebody/tiny"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.starts_with("warning: using `somebody/tiny` as it is in the cache: "), "{stderr}");
    assert!(stderr.contains("install the package `ca-certificates`"), "{stderr}");
    let (code, stdout, stderr) = bare(&["models", "list"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("somebody/tiny"), "{stdout}");
}
