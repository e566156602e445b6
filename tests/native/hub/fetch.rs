//! What is fetched, and how it lies in the cache.

use std::fs;

use candle_whisper::hub::settings::Settings;
use candle_whisper::hub::trouble::Kind;
use candle_whisper::hub::{self, Wish};
use candle_whisper::load::ModelFiles;

use super::server::Fault;
use super::{
    COMMIT, OTHER_COMMIT, etag, fetch, files, full, hub_with, listed, name, repo, settings, small, weights,
};

#[test]
fn only_what_is_needed_is_fetched_and_lies_as_python_has_it() {
    let hub = hub_with(files());
    let cache = tempfile::tempdir().unwrap();
    let fetched = fetch(&hub, cache.path()).unwrap();
    assert_eq!(fetched.warning, None);
    let folder = repo(cache.path());
    assert_eq!(fetched.folder, folder.join("snapshots").join(COMMIT));
    let needed = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"];
    assert_eq!(listed(&fetched.folder), needed);
    let mut etags: Vec<String> = needed.iter().map(|name| etag(&files(), name)).collect();
    for (name, etag) in needed.iter().zip(&etags) {
        let link = fs::read_link(fetched.folder.join(name)).unwrap();
        assert_eq!(link.to_str().unwrap(), format!("../../blobs/{etag}"));
    }
    etags.sort();
    assert_eq!(listed(&folder.join("blobs")), etags);
    assert_eq!(fs::read_to_string(folder.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(listed(&folder), ["blobs", "refs", "snapshots"]);
    let locks = listed(&cache.path().join(".locks/models--somebody--tiny"));
    assert_eq!(locks, etags.iter().map(|etag| format!("{etag}.lock")).collect::<Vec<_>>());
    let weights = files().into_iter().find(|file| file.name == "model.safetensors").unwrap();
    assert!(fs::read(fetched.folder.join("model.safetensors")).unwrap() == weights.bytes);
}

#[test]
fn what_is_here_is_asked_for_once_and_a_commit_not_at_all() {
    let hub = hub_with(files());
    let cache = tempfile::tempdir().unwrap();
    let first = fetch(&hub, cache.path()).unwrap();
    hub.forget();
    assert_eq!(fetch(&hub, cache.path()).unwrap(), first);
    let lines: Vec<String> = hub.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(lines, ["GET /api/models/somebody/tiny/revision/main"]);
    hub.forget();
    let commit = name(&format!("somebody/tiny@{COMMIT}"));
    assert_eq!(hub::fetch(&commit, &settings(&hub, cache.path()), Wish::default()).unwrap(), first);
    assert_eq!(hub.seen(), []);
}

#[test]
fn a_new_commit_fetches_what_changed_and_leaves_the_old_one() {
    let hub = hub_with(files());
    let cache = tempfile::tempdir().unwrap();
    let old = fetch(&hub, cache.path()).unwrap().folder;
    let mut changed = files();
    changed.retain(|file| file.name != "generation_config.json");
    changed.push(small("generation_config.json", r#"{"alignment_heads": [[1, 2]]}"#));
    hub.push("somebody/tiny", OTHER_COMMIT, changed);
    hub.forget();
    let new = fetch(&hub, cache.path()).unwrap().folder;
    assert_ne!(old, new);
    assert_eq!(listed(&old), listed(&new));
    assert_eq!(fs::read_to_string(repo(cache.path()).join("refs/main")).unwrap(), OTHER_COMMIT);
    assert!(hub.seen().iter().all(|seen| !seen.storage), "the weights came again: {:?}", hub.seen());
}

#[test]
fn a_tag_is_noted_under_its_own_name() {
    let hub = hub_with(files());
    let cache = tempfile::tempdir().unwrap();
    hub::fetch(&name("somebody/tiny@v1"), &settings(&hub, cache.path()), Wish::default()).unwrap();
    assert_eq!(listed(&repo(cache.path()).join("refs")), ["v1"]);
}

#[test]
fn sixteen_bits_are_taken_where_offered_unless_all_are_asked_for() {
    let mut offered = files();
    offered.push(weights("model.fp16.safetensors", 1000, 4));
    let hub = hub_with(offered);
    let cache = tempfile::tempdir().unwrap();
    let settings = settings(&hub, cache.path());
    let weights = |folder: &std::path::Path| {
        let paths = ModelFiles::in_folder(folder).unwrap().weights;
        paths[0].file_name().unwrap().to_str().unwrap().to_owned()
    };
    let folder = fetch(&hub, cache.path()).unwrap().folder;
    assert!(!listed(&folder).contains(&"model.safetensors".into()));
    assert_eq!(weights(&folder), "model.fp16.safetensors");
    let offline = Settings { offline: true, ..settings.clone() };
    let fetched = hub::fetch(&name("somebody/tiny"), &offline, full()).unwrap();
    assert_eq!(fetched.warning.as_deref(), Some("only 16 bits of `somebody/tiny` are in the cache"));
    // The same commit, and yet not all that is wanted.
    let commit = name(&format!("somebody/tiny@{COMMIT}"));
    let folder = hub::fetch(&commit, &settings, full()).unwrap().folder;
    assert_eq!(weights(&folder), "model.safetensors");
}

#[test]
fn weights_in_parts_come_with_their_index() {
    let mut parts = files();
    parts.retain(|file| file.name != "model.safetensors");
    let index = r#"{"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}"#;
    parts.push(small("model.safetensors.index.json", index));
    parts.push(weights("model-1-of-2.safetensors", 50_000, 5));
    parts.push(weights("model-2-of-2.safetensors", 60_000, 6));
    let hub = hub_with(parts);
    let cache = tempfile::tempdir().unwrap();
    let folder = fetch(&hub, cache.path()).unwrap().folder;
    assert_eq!(ModelFiles::in_folder(&folder).unwrap().weights.len(), 2);
    assert_eq!(fetch(&hub, cache.path()).unwrap().folder, folder);
}

#[test]
fn an_index_can_not_name_files_elsewhere() {
    let mut parts = files();
    parts.retain(|file| file.name != "model.safetensors");
    parts.push(small("model.safetensors.index.json", r#"{"weight_map": {"a": "../../../../x"}}"#));
    let hub = hub_with(parts);
    let cache = tempfile::tempdir().unwrap();
    let trouble = fetch(&hub, cache.path()).unwrap_err();
    assert_eq!(trouble.kind, Kind::Unusable, "{trouble}");
    assert!(trouble.words.contains("the index of its weights is broken"), "{trouble}");
}

#[test]
fn the_token_is_for_the_hub_and_not_for_where_it_sends_one() {
    let hub = hub_with(files());
    let cache = tempfile::tempdir().unwrap();
    let mut settings = settings(&hub, cache.path());
    settings.token = Some("hf_secret".into());
    hub::fetch(&name("somebody/tiny"), &settings, Wish::default()).unwrap();
    let seen = hub.seen();
    assert!(seen.iter().any(|seen| seen.storage) && seen.iter().any(|seen| !seen.storage));
    for seen in seen {
        let expected = (!seen.storage).then(|| "Bearer hf_secret".to_owned());
        assert_eq!(seen.token, expected, "{}", seen.line);
    }
}

#[test]
fn another_host_that_the_hub_sends_to_does_not_see_the_token() {
    let (hub, other) = (hub_with(files()), hub_with(files()));
    let elsewhere = format!("{}/api/models/somebody/tiny/revision/main", other.url);
    hub.fail("GET /api/models", Fault::Moved(elsewhere.leak()), 1);
    let cache = tempfile::tempdir().unwrap();
    let mut settings = settings(&hub, cache.path());
    settings.token = Some("hf_secret".into());
    hub::fetch(&name("somebody/tiny"), &settings, Wish::default()).unwrap();
    let tokens: Vec<Option<String>> = other.seen().into_iter().map(|seen| seen.token).collect();
    assert_eq!(tokens, [None]);
}

#[test]
fn a_renamed_model_is_found_by_its_old_name() {
    let hub = hub_with(files());
    let cache = tempfile::tempdir().unwrap();
    let fetched = hub::fetch(&name("old/name"), &settings(&hub, cache.path()), Wish::default()).unwrap();
    assert_eq!(fetched.folder, cache.path().join("models--old--name/snapshots").join(COMMIT));
    assert_eq!(listed(&fetched.folder).len(), 4);
}

#[test]
fn offline_the_cache_is_all_there_is_and_what_misses_is_named() {
    let hub = hub_with(files());
    let cache = tempfile::tempdir().unwrap();
    let mut offline = settings(&hub, cache.path());
    offline.offline = true;
    let refused = hub::fetch(&name("somebody/tiny"), &offline, Wish::default()).unwrap_err();
    assert_eq!(refused.kind, Kind::NotCached);
    assert!(refused.words.contains("`somebody/tiny` is not in the cache"), "{refused}");
    assert_eq!(hub.seen(), []);
    let folder = fetch(&hub, cache.path()).unwrap().folder;
    hub.forget();
    assert_eq!(hub::fetch(&name("somebody/tiny"), &offline, Wish::default()).unwrap().folder, folder);
    fs::remove_file(folder.join("tokenizer.json")).unwrap();
    let refused = hub::fetch(&name("somebody/tiny"), &offline, Wish::default()).unwrap_err();
    assert!(refused.words.contains("no `tokenizer.json`"), "{refused}");
    assert_eq!(hub.seen(), []);
}

#[test]
fn without_a_network_the_cache_is_used_with_a_warning() {
    let hub = hub_with(files());
    let cache = tempfile::tempdir().unwrap();
    let here = fetch(&hub, cache.path()).unwrap().folder;
    hub.fail("GET /api/models", Fault::Status(503, ""), usize::MAX);
    let fetched = fetch(&hub, cache.path()).unwrap();
    assert_eq!(fetched.folder, here);
    let warning = fetched.warning.unwrap();
    assert!(warning.starts_with("using `somebody/tiny` as it is in the cache: "), "{warning}");
    // Nothing listens at this address.
    let mut nowhere = settings(&hub, cache.path());
    nowhere.endpoint = "http://127.0.0.1:9".into();
    let fetched = hub::fetch(&name("somebody/tiny"), &nowhere, Wish::default()).unwrap();
    assert!(fetched.warning.unwrap().contains("no connection to http://127.0.0.1:9"));
}
