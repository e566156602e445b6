//! What goes wrong on the way, and that nothing half is ever taken for whole.

use std::fs;
use std::path::Path;
use std::time::Duration;

use candle_whisper::hub::trouble::{Kind, Trouble};
use candle_whisper::hub::{self, Wish};
use candle_whisper::load::ModelFiles;

use super::server::{Fault, File};
use super::{COMMIT, OTHER_COMMIT, etag, fetch, files, hub_with, listed, name, repo, settings, small};

/// Where the weights come from.
const STORAGE: &str = "?signed=yes";

fn weights() -> File {
    files().into_iter().find(|file| file.name == "model.safetensors").unwrap()
}

fn assert_whole(folder: &Path) {
    assert!(fs::read(folder.join("model.safetensors")).unwrap() == weights().bytes, "the weights differ");
    let blobs = folder.join("../../blobs");
    let half: Vec<String> = listed(&blobs).into_iter().filter(|name| name.ends_with(".incomplete")).collect();
    assert_eq!(half, Vec::<String>::new());
}

#[test]
fn a_cut_connection_goes_on_where_it_was_cut() {
    let hub = hub_with(files());
    hub.fail(STORAGE, Fault::Cut(100_000), 2);
    let cache = tempfile::tempdir().unwrap();
    assert_whole(&fetch(&hub, cache.path()).unwrap().folder);
    let seen = hub.seen().into_iter().filter(|seen| seen.storage);
    let from: Vec<Option<u64>> = seen.map(|seen| seen.from).collect();
    assert_eq!(from, [None, Some(100_000), Some(200_000)]);
}

#[test]
fn a_server_in_trouble_is_asked_again() {
    let hub = hub_with(files());
    for at in ["GET /api/models", "HEAD /somebody/tiny/resolve", STORAGE] {
        hub.fail(at, Fault::Status(503, ""), 2);
    }
    let cache = tempfile::tempdir().unwrap();
    assert_whole(&fetch(&hub, cache.path()).unwrap().folder);
}

#[test]
fn a_server_that_falls_silent_is_asked_again_for_the_rest() {
    let hub = hub_with(files());
    hub.fail(STORAGE, Fault::Stall(Duration::from_secs(60)), 1);
    let cache = tempfile::tempdir().unwrap();
    let mut hurried = settings(&hub, cache.path());
    hurried.read_timeout = Duration::from_secs(1);
    assert_whole(&hub::fetch(&name("somebody/tiny"), &hurried, Wish::default()).unwrap().folder);
    let from = hub.seen().into_iter().rfind(|seen| seen.storage).unwrap().from;
    assert_eq!(from, Some(weights().bytes.len() as u64 / 2));
}

#[test]
fn a_slow_server_is_waited_for() {
    let hub = hub_with(files());
    hub.fail(STORAGE, Fault::Slow(Duration::from_millis(100)), 1);
    let cache = tempfile::tempdir().unwrap();
    assert_whole(&fetch(&hub, cache.path()).unwrap().folder);
    assert_eq!(hub.seen().iter().filter(|seen| seen.storage).count(), 1);
}

#[test]
fn a_server_without_ranges_sends_all_again() {
    let hub = hub_with(files());
    hub.fail(STORAGE, Fault::Cut(100_000), 1);
    hub.fail(STORAGE, Fault::NoRange, 1);
    let cache = tempfile::tempdir().unwrap();
    assert_whole(&fetch(&hub, cache.path()).unwrap().folder);
}

#[test]
fn what_is_tampered_with_is_thrown_away() {
    let hub = hub_with(files());
    hub.fail(STORAGE, Fault::Tamper, usize::MAX);
    let cache = tempfile::tempdir().unwrap();
    let trouble = fetch(&hub, cache.path()).unwrap_err();
    assert_eq!(trouble.kind, Kind::Damaged, "{trouble}");
    assert!(trouble.words.contains("`model.safetensors` does not have the hash"), "{trouble}");
    let snapshot = repo(cache.path()).join("snapshots").join(COMMIT);
    assert!(ModelFiles::in_folder(&snapshot).is_err());
    assert!(!repo(cache.path()).join("blobs").join(weights().etag()).exists());
    assert!(!repo(cache.path()).join("refs").exists());
    hub.heal();
    assert_whole(&fetch(&hub, cache.path()).unwrap().folder);
}

#[test]
fn small_files_are_checked_too() {
    let hub = hub_with(files());
    hub.fail("GET /api/resolve-cache/models/somebody/tiny/", Fault::Tamper, usize::MAX);
    let cache = tempfile::tempdir().unwrap();
    let trouble = fetch(&hub, cache.path()).unwrap_err();
    assert!(trouble.words.contains("`config.json` does not have the hash"), "{trouble}");
}

#[test]
fn a_wrong_beginning_from_before_is_fetched_anew() {
    let hub = hub_with(files());
    let cache = tempfile::tempdir().unwrap();
    let blobs = repo(cache.path()).join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    for (name, length) in [("model.safetensors", 1000), ("tokenizer.json", 1_000_000)] {
        fs::write(blobs.join(format!("{}.incomplete", etag(&files(), name))), vec![7; length]).unwrap();
    }
    assert_whole(&fetch(&hub, cache.path()).unwrap().folder);
    let from: Vec<Option<u64>> =
        hub.seen().into_iter().filter(|seen| seen.storage).map(|seen| seen.from).collect();
    assert_eq!(from, [Some(1000), None]);
}

#[test]
fn a_file_of_another_length_than_announced_is_refused() {
    let hub = hub_with(files());
    hub.fail(STORAGE, Fault::Short(10), usize::MAX);
    let cache = tempfile::tempdir().unwrap();
    let trouble = fetch(&hub, cache.path()).unwrap_err();
    assert_eq!(trouble.kind, Kind::Damaged, "{trouble}");
    let length = weights().bytes.len();
    let expected = format!("is {} bytes long where {} announced {length}", length - 10, hub.url);
    assert!(trouble.words.contains(&expected), "{trouble}");
}

#[test]
fn a_download_that_never_ends_well_keeps_what_came_for_the_next_run() {
    let hub = hub_with(files());
    hub.fail(STORAGE, Fault::Cut(100_000), 1);
    hub.fail(STORAGE, Fault::Cut(0), usize::MAX);
    let cache = tempfile::tempdir().unwrap();
    let trouble = fetch(&hub, cache.path()).unwrap_err();
    assert_eq!(trouble.kind, Kind::Unreachable, "{trouble}");
    assert!(trouble.words.contains("100000 bytes of `model.safetensors` are kept"), "{trouble}");
    let mut offline = settings(&hub, cache.path());
    offline.offline = true;
    let refused = hub::fetch(&name(&format!("somebody/tiny@{COMMIT}")), &offline, Wish::default());
    assert_eq!(refused.unwrap_err().kind, Kind::NotCached);
    hub.heal();
    hub.forget();
    assert_whole(&fetch(&hub, cache.path()).unwrap().folder);
    let from: Vec<Option<u64>> =
        hub.seen().into_iter().filter(|seen| seen.storage).map(|seen| seen.from).collect();
    assert_eq!(from, [Some(100_000)]);
}

#[test]
fn a_cached_file_cut_short_since_is_fetched_again() {
    let hub = hub_with(files());
    let cache = tempfile::tempdir().unwrap();
    let folder = fetch(&hub, cache.path()).unwrap().folder;
    let blob = repo(cache.path()).join("blobs").join(weights().etag());
    fs::File::options().write(true).open(&blob).unwrap().set_len(1000).unwrap();
    assert_eq!(fetch(&hub, cache.path()).unwrap().folder, folder);
    assert_whole(&folder);
}

#[test]
fn a_new_commit_that_does_not_come_leaves_the_old_one_in_use() {
    let hub = hub_with(files());
    let cache = tempfile::tempdir().unwrap();
    let old = fetch(&hub, cache.path()).unwrap();
    let mut changed = files();
    changed.retain(|file| file.name != "model.safetensors");
    changed.push(super::weights("model.safetensors", 1000, 9));
    hub.push("somebody/tiny", OTHER_COMMIT, changed);
    hub.fail(STORAGE, Fault::Cut(0), usize::MAX);
    let fetched = fetch(&hub, cache.path()).unwrap();
    assert_eq!(fetched.folder, old.folder);
    assert!(fetched.warning.unwrap().starts_with("using `somebody/tiny` as it is in the cache: "));
    assert_eq!(fs::read_to_string(repo(cache.path()).join("refs/main")).unwrap(), COMMIT);
}

#[test]
fn another_kind_of_model_is_refused_before_its_weights_come() {
    let mut bert = files();
    bert.retain(|file| file.name != "config.json");
    bert.push(small("config.json", r#"{"model_type": "bert"}"#));
    let hub = hub_with(bert);
    let cache = tempfile::tempdir().unwrap();
    let trouble = fetch(&hub, cache.path()).unwrap_err();
    assert_eq!(trouble.kind, Kind::Unusable);
    let words = "could not fetch `somebody/tiny`: it is a `bert` model, not a Whisper";
    assert!(trouble.words.starts_with(words), "{trouble}");
    assert_eq!(hub.count("safetensors") + hub.count("tokenizer"), 0);
}

#[test]
fn what_a_repository_lacks_is_named_with_a_remedy() {
    let table = [
        ("config.json", "it has no `config.json`"),
        ("tokenizer.json", "it has no `tokenizer.json`"),
        (
            "model.safetensors",
            "it has no weights as safetensors or as one GGUF file, only such as `pytorch_model.bin`",
        ),
    ];
    for (missing, expected) in table {
        let mut less = files();
        less.retain(|file| file.name != missing);
        let hub = hub_with(less);
        let cache = tempfile::tempdir().unwrap();
        let trouble = fetch(&hub, cache.path()).unwrap_err();
        assert_eq!(trouble.kind, Kind::Unusable);
        assert!(trouble.words.contains(expected), "{trouble}");
        assert_eq!(hub.count("HEAD /somebody/tiny/resolve/main/model.safetensors"), 0);
    }
}

#[test]
fn refusals_say_what_to_do() {
    let table = [
        ("HEAD", Fault::Status(403, "GatedRepo"), Kind::Denied, "accept its terms at"),
        ("HEAD", Fault::Status(401, "GatedRepo"), Kind::Denied, "set HF_TOKEN to a token of that account"),
        ("GET /api", Fault::Status(401, "RepoNotFound"), Kind::Missing, "no such model, or it is private"),
        ("GET /api", Fault::Status(404, "RevisionNotFound"), Kind::Missing, "it has no revision `main`"),
        ("HEAD", Fault::Status(404, "EntryNotFound"), Kind::Missing, "lists a file that it does not have"),
        ("GET /api", Fault::Status(403, "No"), Kind::Denied, "refuses it (the hub's words for No)"),
        ("GET /api", Fault::Status(429, ""), Kind::Unreachable, "asked too often from here"),
        ("GET /api", Fault::Status(500, "Oops"), Kind::Unreachable, "answers 500 (the hub's words for Oops)"),
        ("GET /api", Fault::Page, Kind::Unreachable, "does not answer as a hub does"),
        (
            "HEAD",
            Fault::Moved("/somebody/tiny/resolve/main/x"),
            Kind::Unreachable,
            "from one address to the next",
        ),
    ];
    std::thread::scope(|scope| {
        for (at, fault, kind, expected) in table {
            scope.spawn(move || {
                let hub = hub_with(files());
                hub.fail(at, fault, usize::MAX);
                let cache = tempfile::tempdir().unwrap();
                let trouble = fetch(&hub, cache.path()).unwrap_err();
                assert_eq!(trouble.kind, kind, "{fault:?}: {trouble}");
                assert!(trouble.words.contains(expected), "{fault:?}: {trouble}");
                assert!(trouble.words.starts_with("could not fetch `somebody/tiny`: "), "{trouble}");
            });
        }
    });
}

#[test]
fn an_endpoint_that_is_no_address_is_named() {
    let hub = hub_with(files());
    let cache = tempfile::tempdir().unwrap();
    let mut settings = settings(&hub, cache.path());
    settings.endpoint = "huggingface.co".into();
    let trouble = hub::fetch(&name("somebody/tiny"), &settings, Wish::default()).unwrap_err();
    assert!(trouble.words.contains("HF_ENDPOINT is `huggingface.co`, which is no address"), "{trouble}");
}

/// Writing to /dev/full fails as on a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_called_so() {
    let hub = hub_with(files());
    let cache = tempfile::tempdir().unwrap();
    let blobs = repo(cache.path()).join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    let partial = blobs.join(format!("{}.incomplete", weights().etag()));
    std::os::unix::fs::symlink("/dev/full", &partial).unwrap();
    let trouble = fetch(&hub, cache.path()).unwrap_err();
    assert_eq!(trouble.kind, Kind::Disk, "{trouble}");
    assert!(
        trouble.words.contains("the disk is full") && trouble.words.contains("`--cache_dir`"),
        "{trouble}"
    );
}

#[test]
fn a_cache_that_can_not_be_written_is_named() {
    let hub = hub_with(files());
    let cache = tempfile::tempdir().unwrap();
    let file = cache.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    let trouble = fetch(&hub, &file).unwrap_err();
    assert_eq!(trouble.kind, Kind::Disk, "{trouble}");
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let trouble = Trouble::disk(&denied, Path::new("/c/blobs/x"));
    assert!(trouble.words.contains("make `/c/blobs` writable"), "{trouble}");
}
