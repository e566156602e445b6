//! The cache of loaded models: its promises with values of no weight, then with a model.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use anyhow::bail;
use candle_whisper::cache::{self, Cache, ModelRequest};
use candle_whisper::device::{DeviceRequest, Precision};
use candle_whisper_core::observer::Silent;
use candle_whisper_core::{TranscribeOptions, Transcriber, Waveform, media};

use crate::data;

#[test]
fn eight_who_ask_at_once_share_one_load() {
    let cache = Cache::default();
    let loads = AtomicUsize::new(0);
    let (started, wait) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..8 {
            let (cache, loads, started) = (&cache, &loads, started.clone());
            scope.spawn(move || {
                started.send(()).unwrap();
                let value = cache.get_or_load("model", || {
                    thread::sleep(std::time::Duration::from_millis(50));
                    Ok(loads.fetch_add(1, Ordering::SeqCst))
                });
                assert_eq!(value.unwrap(), 0);
            });
        }
        wait.iter().take(8).for_each(drop);
    });
    assert_eq!(loads.into_inner(), 1);
}

#[test]
fn while_one_model_loads_others_are_loaded_given_and_forgotten() {
    let cache = Cache::default();
    let (inside, is_inside) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    thread::scope(|scope| {
        let slow = scope.spawn(|| {
            cache.get_or_load("slow", move || {
                inside.send(()).unwrap();
                may_go_on.recv().unwrap();
                Ok(1)
            })
        });
        is_inside.recv().unwrap();
        assert_eq!(cache.get_or_load("other", || Ok(2)).unwrap(), 2);
        assert_eq!(cache.get(&"other"), Some(2));
        assert_eq!((cache.get(&"slow"), cache.contains(&"slow")), (None, true));
        assert!(cache.evict(&"other"));
        go_on.send(()).unwrap();
        assert_eq!(slow.join().unwrap().unwrap(), 1);
    });
    assert_eq!(cache.get(&"slow"), Some(1));
}

#[test]
fn a_load_that_fails_is_an_error_for_all_who_waited_and_tried_again_by_the_next() {
    let cache: Cache<&str, usize> = Cache::default();
    let (inside, is_inside) = mpsc::channel();
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            cache.get_or_load("model", move || {
                inside.send(()).unwrap();
                thread::sleep(std::time::Duration::from_millis(100));
                bail!("the disk is gone")
            })
        });
        is_inside.recv().unwrap();
        let second = scope.spawn(|| cache.get_or_load("model", || bail!("loaded twice")));
        for caller in [first, second] {
            assert_eq!(caller.join().unwrap().unwrap_err().to_string(), "the disk is gone");
        }
    });
    assert!(!cache.contains(&"model"));
    assert_eq!(cache.get_or_load("model", || Ok(3)).unwrap(), 3);
}

#[test]
fn a_load_that_panics_can_be_tried_again() {
    let cache = Cache::default();
    thread::scope(|scope| {
        let panicked = scope.spawn(|| cache.get_or_load("model", || std::panic::resume_unwind(Box::new(()))));
        assert!(panicked.join().is_err());
    });
    assert_eq!(cache.get(&"model"), None);
    assert_eq!(cache.get_or_load("model", || Ok(4)).unwrap(), 4);
}

#[test]
fn what_is_evicted_while_it_loads_goes_to_those_who_wait_and_is_not_kept() {
    let cache = Cache::default();
    let value = cache.get_or_load("model", || {
        assert!(!cache.evict(&"model"));
        Ok(5)
    });
    assert_eq!((value.unwrap(), cache.get(&"model")), (5, None));
}

fn same(a: &Transcriber, b: &Transcriber) -> bool {
    std::ptr::addr_eq(a.model(), b.model())
}

/// A folder with the bundled model's files, so that no other test has the same model.
fn model(folder: &Path) -> ModelRequest {
    let bundled = data::tests().join("../native/models/tiny.en");
    for name in ["config.json", "generation_config.json", "tokenizer.json", "model.gguf"] {
        fs::copy(bundled.join(name), folder.join(name)).unwrap();
    }
    folder.to_str().unwrap().into()
}

#[test]
fn a_model_is_shared_by_folder_device_and_number_format_until_it_is_evicted() {
    let here = tempfile::tempdir().unwrap();
    let request = model(here.path());
    assert!(cache::get(&request).is_none());
    let loaded: Vec<Transcriber> = thread::scope(|scope| {
        let callers: Vec<_> = (0..8).map(|_| scope.spawn(|| cache::preload(&request).unwrap())).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert!(loaded.iter().all(|other| same(&loaded[0], other)));
    let by_other_words = ModelRequest {
        model: here.path().join(".").to_str().unwrap().into(),
        precision: Precision::Quantised,
        ..request.clone()
    };
    assert!(same(&cache::get(&by_other_words).unwrap(), &loaded[0]));
    assert!(cache::get(&ModelRequest { precision: Precision::F32, ..request.clone() }).is_none());
    assert!(cache::evict(&request) && !cache::evict(&request));
    assert!(!same(&cache::preload(&request).unwrap(), &loaded[0]));
    assert!(cache::evict(&request));
}

#[test]
fn a_broken_model_loads_once_it_is_mended() {
    let here = tempfile::tempdir().unwrap();
    let request = model(here.path());
    let config = here.path().join("config.json");
    let whole = fs::read(&config).unwrap();
    fs::write(&config, "{}").unwrap();
    assert!(cache::preload(&request).is_err());
    fs::write(&config, whole).unwrap();
    assert!(cache::preload(&request).is_ok());
    assert!(cache::evict(&request));
}

#[test]
fn a_device_that_is_not_there_is_an_error_and_no_other_device_instead() {
    let request = ModelRequest { device: DeviceRequest::Cuda(99), ..ModelRequest::from("tiny.en") };
    assert!(cache::preload(&request).is_err());
    assert!(cache::preload(&ModelRequest::from("no-such-model")).is_err());
    assert!(!cache::evict(&"no-such-model".into()));
}

#[test]
fn two_transcriptions_at_once_give_what_they_give_one_after_the_other() {
    let here = tempfile::tempdir().unwrap();
    let request = model(here.path());
    let whisper = cache::preload(&request).unwrap();
    let options = TranscribeOptions { word_timestamps: true, ..Default::default() };
    let clips = ["jfk.flac", "ls-other-1688-142285-0002.flac"].map(|name| {
        let file = fs::File::open(data::tests().join("data").join(name)).unwrap();
        media::decode(file, Some("flac")).unwrap()
    });
    let transcribe = |clip: &Waveform| whisper.run(clip, options.clone(), &mut Silent).unwrap();
    let one_by_one: Vec<_> = clips.iter().map(transcribe).collect();
    let at_once: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = clips.iter().map(|clip| scope.spawn(move || transcribe(clip))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(at_once, one_by_one);
    assert!(at_once[0].text.contains("your country"));
    assert!(cache::evict(&request));
}
