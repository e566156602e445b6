//! A recording that is read several times is decoded once, and nothing else changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_whisper::ahead::decoded_ahead;
use candle_whisper::input::{Input, Opened};
use candle_whisper::kept::kept;
use candle_whisper_core::media::MediaReader;
use candle_whisper_core::observer::Silent;
use candle_whisper_core::options::TranscribeOptions;
use candle_whisper_core::recording::{Blocks, Open};
use candle_whisper_core::{Error, Recording, Result};

use crate::data::{bundled, tests};

fn open(recording: Recording) -> Open {
    match recording {
        Recording::Again(open) => open,
        Recording::Once(_) => panic!("it can be read again"),
    }
}

fn file(name: &str) -> Recording {
    Opened::new(&Input::File(tests().join("data").join(name))).unwrap().recording()
}

/// The same, and how often it was begun and how many samples were decoded.
fn counted(recording: Recording) -> (Recording, Arc<[AtomicUsize; 2]>) {
    let (open, counts) = (open(recording), Arc::<[AtomicUsize; 2]>::default());
    let shared = Arc::clone(&counts);
    let recording = Recording::again(move || {
        shared[0].fetch_add(1, Ordering::SeqCst);
        Ok(Counted { blocks: open()?, counts: Arc::clone(&shared) })
    });
    (recording, counts)
}

struct Counted {
    blocks: Box<dyn Blocks>,
    counts: Arc<[AtomicUsize; 2]>,
}

impl Blocks for Counted {
    fn next_block(&mut self) -> Result<Option<&[f32]>> {
        let block = self.blocks.next_block()?;
        self.counts[1].fetch_add(block.map_or(0, <[f32]>::len), Ordering::SeqCst);
        Ok(block)
    }
}

fn bits(blocks: &mut dyn Blocks) -> Vec<u32> {
    let mut bits = Vec::new();
    while let Some(block) = blocks.next_block().unwrap() {
        assert!(!block.is_empty());
        bits.extend(block.iter().map(|x| x.to_bits()));
    }
    bits
}

fn counts(counts: &[AtomicUsize; 2]) -> [usize; 2] {
    [0, 1].map(|i| counts[i].load(Ordering::SeqCst))
}

#[test]
fn a_recording_is_decoded_once_whatever_is_to_be_known_of_it() {
    let whisper = bundled();
    let n = file("jfk.flac").whole().unwrap().samples().len();
    let plain = TranscribeOptions { temperatures: vec![0.0], ..TranscribeOptions::default() };
    let batch = TranscribeOptions {
        batch: Some(2),
        condition_on_previous_text: false,
        snap_to_speech: true,
        word_timestamps: true,
        ..plain.clone()
    };
    for options in [plain, batch] {
        let expected = whisper.run_recording(file("jfk.flac"), options.clone(), &mut Silent).unwrap();
        for in_thread in [false, true] {
            let (recording, count) = counted(file("jfk.flac"));
            let recording = if in_thread { decoded_ahead(kept(recording)) } else { kept(recording) };
            let transcript = whisper.run_recording(recording, options.clone(), &mut Silent).unwrap();
            assert_eq!(transcript, expected);
            assert_eq!(counts(&count), [1, n], "begun so often, and so many samples");
        }
    }
}

#[test]
fn samples_are_the_decoded_ones_to_the_last_bit() {
    let expected = bits(&mut *open(file("long-72s.flac"))().unwrap());
    // Whoever reads has a file of his own: of one file only one reads at a time.
    let name = tests().join("data/long-72s.flac");
    let apart = Recording::again(move || MediaReader::open(std::fs::File::open(&name)?, None));
    let (recording, count) = counted(apart);
    let open = open(kept(recording));
    // One that is given up leaves nothing to those that come after it.
    let mut given_up = open().unwrap();
    given_up.next_block().unwrap();
    drop(given_up);
    // Two at once write both; those that come later share one file.
    let (mut first, mut second) = (open().unwrap(), open().unwrap());
    assert_eq!(bits(&mut *first), expected);
    assert_eq!(counts(&count)[0], 3);
    let (mut third, mut fourth) = (open().unwrap(), open().unwrap());
    third.next_block().unwrap();
    assert_eq!(bits(&mut *second), expected);
    assert_eq!(bits(&mut *fourth), expected);
    assert_eq!(bits(&mut *third), expected[16_000..]);
    assert!(third.next_block().unwrap().is_none(), "the end stays the end");
    assert_eq!(counts(&count)[0], 3);
}

/// Samples in blocks of 1000, and then perhaps what a broken disk says.
struct Given {
    samples: Vec<f32>,
    at: usize,
    breaks: bool,
}

impl Blocks for Given {
    fn next_block(&mut self) -> Result<Option<&[f32]>> {
        let block = &self.samples[self.at..self.samples.len().min(self.at + 1000)];
        self.at += block.len();
        match block {
            [] if self.breaks => Err(Error::Audio("the disk is broken".into())),
            [] => Ok(None),
            _ => Ok(Some(block)),
        }
    }
}

fn given(samples: Vec<f32>, breaks: bool) -> (Recording, Arc<[AtomicUsize; 2]>) {
    counted(Recording::again(move || Ok(Given { samples: samples.clone(), at: 0, breaks })))
}

#[test]
fn what_sixteen_bits_can_not_keep_is_decoded_again() {
    for odd in [1.0, -0.0, 1e-5, f32::NAN, f32::INFINITY, -1.5] {
        let mut samples = vec![0.25; 5000];
        samples[4321] = odd;
        let expected: Vec<u32> = samples.iter().map(|x| x.to_bits()).collect();
        let (recording, count) = given(samples, false);
        let open = open(kept(recording));
        assert_eq!(bits(&mut *open().unwrap()), expected, "{odd}");
        assert_eq!(bits(&mut *open().unwrap()), expected, "{odd}");
        assert_eq!(counts(&count), [2, 10_000], "{odd}");
    }
    let (recording, count) = given(vec![-1.0, 32767.0 / 32768.0, 0.0], false);
    let open = open(kept(recording));
    assert_eq!(bits(&mut *open().unwrap()), bits(&mut *open().unwrap()));
    assert_eq!(counts(&count), [1, 3]);
}

#[test]
fn what_breaks_breaks_again() {
    let (recording, count) = given(vec![0.25; 2500], true);
    let open = open(kept(recording));
    for turn in 1..3 {
        let mut blocks = open().unwrap();
        for n in [1000, 1000, 500] {
            assert_eq!(blocks.next_block().unwrap().unwrap().len(), n);
        }
        for _ in 0..2 {
            assert_eq!(blocks.next_block().unwrap_err().to_string(), "the disk is broken");
        }
        assert_eq!(counts(&count)[0], turn);
    }
}

#[test]
fn a_recording_without_samples_has_none_the_next_time() {
    let (recording, count) = given(Vec::new(), false);
    let open = open(kept(recording));
    assert!(bits(&mut *open().unwrap()).is_empty());
    assert!(bits(&mut *open().unwrap()).is_empty());
    assert_eq!(counts(&count)[0], 1);
}
