//! Names of models, and what the environment says.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use candle_whisper::hub::names::{HubName, KNOWN};
use candle_whisper::hub::settings::Settings;

#[test]
fn short_names_are_repositories() {
    let table = [
        ("tiny.en", "openai/whisper-tiny.en"),
        ("base", "openai/whisper-base"),
        ("large", "openai/whisper-large-v3"),
        ("turbo", "openai/whisper-large-v3-turbo"),
        ("distil-large-v3.5", "distil-whisper/distil-large-v3.5"),
        ("tiny@v1", "openai/whisper-tiny@v1"),
        ("somebody/whisper-x", "somebody/whisper-x"),
        ("somebody/whisper-x@refs/pr/7", "somebody/whisper-x@refs/pr/7"),
        ("somebody/whisper-x@main", "somebody/whisper-x"),
    ];
    for (typed, expected) in table {
        assert_eq!(HubName::parse(typed).unwrap().to_string(), expected, "{typed}");
    }
    assert!(KNOWN.iter().all(|known| HubName::parse(known.name).unwrap().repo() == known.repo));
}

#[test]
fn what_could_leave_the_cache_is_no_name() {
    let bad = [
        "", "x", "turbot", "a/b/c", "/a", "a/", "./a", "../a", "a/..", "a/.b", "a/b@", "a/b@../c", "a/b@/c",
        "a/b@c//d", "a\\b/c", "a b/c", "~/a", "a/b?c", "a/b#c", "a/b%2e", "-a/b",
    ];
    for typed in bad {
        assert_eq!(HubName::parse(typed), None, "{typed}");
    }
}

fn settings(variables: &[(&str, &str)], cache: Option<&Path>) -> Settings {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    Settings::from_variables(cache, |name| variables.get(name).map(OsString::from))
}

#[test]
fn the_cache_is_where_python_has_it() {
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[], "/u/.cache/huggingface/hub"),
        (&[("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
        (&[("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/h")], "/h/hub"),
        (&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")], "/c"),
        (&[("HUGGINGFACE_HUB_CACHE", "/old")], "/old"),
        (&[("HF_HUB_CACHE", "~/models")], "/u/models"),
        (&[("HF_HUB_CACHE", "")], "/u/.cache/huggingface/hub"),
    ];
    for (variables, expected) in table {
        let variables = [&[("HOME", "/u")], *variables].concat();
        assert_eq!(settings(&variables, None).cache, PathBuf::from(expected), "{variables:?}");
        assert_eq!(settings(&variables, Some(Path::new("/flag"))).cache, PathBuf::from("/flag"));
    }
}

#[test]
fn the_token_comes_from_a_variable_or_the_file_that_logging_in_leaves() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().to_str().unwrap();
    assert_eq!(settings(&[("HF_HOME", path)], None).token, None);
    fs::write(home.path().join("token"), "hf_file\n").unwrap();
    let token = |more: &[(&str, &str)]| settings(&[&[("HF_HOME", path)], more].concat(), None).token;
    assert_eq!(token(&[]).as_deref(), Some("hf_file"));
    assert_eq!(token(&[("HF_TOKEN", " hf_set ")]).as_deref(), Some("hf_set"));
    assert_eq!(token(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
    assert!(!format!("{:?}", settings(&[("HF_TOKEN", "hf_secret")], None)).contains("hf_secret"));
}

#[test]
fn the_other_variables_are_those_of_python() {
    let plain = settings(&[], None);
    assert_eq!((plain.endpoint.as_str(), plain.offline), ("https://huggingface.co", false));
    assert_eq!(
        (plain.connect_timeout, plain.read_timeout),
        (Duration::from_secs(10), Duration::from_secs(10))
    );
    for (value, expected) in
        [("1", true), ("ON", true), ("yes", true), ("True", true), ("0", false), ("no", false)]
    {
        assert_eq!(settings(&[("HF_HUB_OFFLINE", value)], None).offline, expected, "{value}");
    }
    let other =
        settings(&[("HF_ENDPOINT", "https://mirror.example/"), ("HF_HUB_DOWNLOAD_TIMEOUT", "3")], None);
    assert_eq!(
        (other.endpoint.as_str(), other.read_timeout),
        ("https://mirror.example", Duration::from_secs(3))
    );
}
