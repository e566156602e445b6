//! What is done ahead of a GPU changes nothing of what is heard.

use std::ops::ControlFlow;
use std::sync::Arc;

use candle_whisper::ahead::{Look, decoded_ahead};
use candle_whisper::input::{Input, Opened};
use candle_whisper::interrupt::Stop;
use candle_whisper_core::observer::{Event, Silent};
use candle_whisper_core::options::TranscribeOptions;
use candle_whisper_core::recording::{Blocks, Open};
use candle_whisper_core::{Error, Recording, Result};

use crate::data::{bundled, tests};

fn recording(name: &str) -> Recording {
    Opened::new(&Input::File(tests().join("data").join(name))).unwrap().recording()
}

fn open(recording: Recording) -> Open {
    match recording {
        Recording::Again(open) => open,
        Recording::Once(_) => panic!("it can be read again"),
    }
}

fn samples(blocks: &mut dyn Blocks) -> Result<Vec<f32>> {
    let mut samples = Vec::new();
    while let Some(block) = blocks.next_block()? {
        assert!(!block.is_empty());
        samples.extend_from_slice(block);
    }
    Ok(samples)
}

fn options() -> TranscribeOptions {
    TranscribeOptions {
        batch: Some(4),
        word_timestamps: true,
        snap_to_speech: true,
        condition_on_previous_text: false,
        ..TranscribeOptions::default()
    }
}

#[test]
fn a_thread_that_decodes_ahead_gives_the_same_samples_each_time() {
    let (plain, ahead) = (open(recording("long-72s.flac")), open(decoded_ahead(recording("long-72s.flac"))));
    let expected = samples(&mut *plain().unwrap()).unwrap();
    assert_eq!(samples(&mut *ahead().unwrap()).unwrap(), expected);
    // One that is given up early does not read where the next one does.
    for seconds in [0, 1, 3] {
        let mut given_up = ahead().unwrap();
        for _ in 0..seconds {
            assert!(given_up.next_block().unwrap().is_some());
        }
        drop(given_up);
        assert_eq!(samples(&mut *ahead().unwrap()).unwrap(), expected, "after {seconds} s");
    }
    let mut blocks = ahead().unwrap();
    while blocks.next_block().unwrap().is_some() {}
    assert!(blocks.next_block().unwrap().is_none(), "the end stays the end");
}

/// Some samples, and then what a broken disk says.
struct Broken(Vec<f32>, bool);

impl Blocks for Broken {
    fn next_block(&mut self) -> Result<Option<&[f32]>> {
        if std::mem::replace(&mut self.1, true) {
            return Err(Error::Audio("the disk is broken".into()));
        }
        Ok(Some(&self.0))
    }
}

#[test]
fn an_error_comes_after_what_was_decoded_before_it() {
    let broken = open(decoded_ahead(Recording::again(|| Ok(Broken(vec![0.5; 10_000], false)))));
    let mut blocks = broken().unwrap();
    assert_eq!(blocks.next_block().unwrap().unwrap().len(), 10_000);
    let error = blocks.next_block().unwrap_err().to_string();
    assert!(error.contains("the disk is broken"), "{error}");
}

#[test]
fn a_recording_that_was_looked_through_beforehand_starts_as_any_other() {
    let (transcriber, stop) = (bundled(), Stop::default());
    let files = ["long-72s.flac", "jfk.flac", "nonspeech-silence-10s.flac"];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let plans = pool.in_place_scope(|scope| {
        let begin = |name: &&str| {
            let open = open(decoded_ahead(recording(name)));
            Look::begin(scope, open, options(), &transcriber, &stop)
        };
        let looks: Vec<_> = files.iter().map(begin).collect();
        let mut frames = 0;
        let mut observer = |event: Event<'_>| {
            if let Event::Reading { frames: n } = event {
                frames += n;
            }
            ControlFlow::Continue(())
        };
        let plans: Vec<_> =
            looks.into_iter().map(|look| look.wait(&mut observer).unwrap().unwrap()).collect();
        assert!(frames > 7200, "how far it is was told: {frames}");
        plans
    });
    for (name, plan) in files.iter().zip(plans) {
        let start = |plan| transcriber.start_recording(recording(name), options(), plan, &mut Silent);
        let (plain, ahead) = (start(None).unwrap().unwrap(), start(Some(plan)).unwrap().unwrap());
        assert!(plain.plan().is_some());
        assert_eq!(ahead.plan(), plain.plan(), "{name}");
    }
}

#[test]
fn who_stops_or_goes_away_stops_the_threads_that_read() {
    let (transcriber, stop) = (bundled(), Stop::default());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    // Ends only if somebody stops it.
    let endless = || {
        let long = Recording::again(|| Ok(Endless(vec![0.1; 16_000])));
        open(decoded_ahead(long))
    };
    pool.in_place_scope(|scope| drop(Look::begin(scope, endless(), options(), &transcriber, &stop)));
    pool.in_place_scope(|scope| {
        let look = Look::begin(scope, endless(), options(), &transcriber, &stop);
        stop.ask();
        assert_eq!(look.wait(&mut Silent).unwrap(), None);
    });
}

struct Endless(Vec<f32>);

impl Blocks for Endless {
    fn next_block(&mut self) -> Result<Option<&[f32]>> {
        Ok(Some(&self.0))
    }
}

#[test]
fn a_recording_that_can_not_be_read_says_so_when_its_turn_comes() {
    let (transcriber, stop) = (bundled(), Stop::default());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let broken: Open = Arc::new(|| Ok(Box::new(Broken(vec![0.5; 16_000], false))));
    let error = pool.in_place_scope(|scope| {
        Look::begin(scope, broken, options(), &transcriber, &stop).wait(&mut Silent).unwrap_err()
    });
    assert!(error.to_string().contains("the disk is broken"), "{error:#}");
}
