//! Models of the hub, from a server on this machine that speaks its protocol.

mod commands;
mod faults;
mod fetch;
mod names;
mod python;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use candle_whisper::hub::names::HubName;
use candle_whisper::hub::plan::Variant;
use candle_whisper::hub::settings::Settings;
use candle_whisper::hub::trouble::Trouble;
use candle_whisper::hub::{self, Fetched, Wish};
use server::{File, Hub, Repo};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER_COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";

fn small(name: &str, text: &str) -> File {
    File { name: name.into(), bytes: text.into(), large: false }
}

/// Safetensors of one tensor of so many bytes, which differ with `seed`.
fn weights(name: &str, bytes: usize, seed: u32) -> File {
    let head = format!(r#"{{"t":{{"dtype":"U8","shape":[{bytes}],"data_offsets":[0,{bytes}]}}}}"#);
    let mut file = (head.len() as u64).to_le_bytes().to_vec();
    file.extend(head.bytes());
    let mut state = seed;
    file.extend((0..bytes).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    }));
    File { name: name.into(), bytes: file, large: true }
}

const WEIGHTS: usize = 300_000;

/// Files as they lie in a repository, most of which nobody needs.
fn files() -> Vec<File> {
    vec![
        small(".gitattributes", "*.safetensors filter=lfs"),
        small("README.md", "# a model"),
        small("config.json", r#"{"model_type": "whisper"}"#),
        small("generation_config.json", r#"{"alignment_heads": []}"#),
        small("tokenizer.json", r#"{"model": {}}"#),
        small("vocab.json", "{}"),
        weights("flax_model.msgpack", 1000, 1),
        weights("model.safetensors", WEIGHTS, 2),
        weights("pytorch_model.bin", 1000, 3),
    ]
}

fn hub_with(files: Vec<File>) -> Hub {
    Hub::new(vec![Repo { id: "somebody/tiny".into(), commit: COMMIT.into(), files }])
}

fn settings(hub: &Hub, cache: &Path) -> Settings {
    Settings {
        endpoint: hub.url.clone(),
        cache: cache.into(),
        token: None,
        offline: false,
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(10),
    }
}

fn name(typed: &str) -> HubName {
    HubName::parse(typed).unwrap()
}

fn fetch(hub: &Hub, cache: &Path) -> Result<Fetched, Trouble> {
    hub::fetch(&name("somebody/tiny"), &settings(hub, cache), Wish::default())
}

fn full() -> Wish {
    Wish { variant: Variant::Full, bar: false }
}

fn repo(cache: &Path) -> PathBuf {
    cache.join("models--somebody--tiny")
}

/// The names in a folder, sorted; none if it isn't there.
fn listed(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn etag(files: &[File], name: &str) -> String {
    files.iter().find(|file| file.name == name).unwrap().etag()
}
