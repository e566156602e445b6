//! A run over several recordings, with an engine that makes its transcripts up.

use std::cell::{Cell, RefCell};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use candle_whisper::interrupt::Stop;
use candle_whisper::job::Job;
use candle_whisper::journal::Journal;
use candle_whisper::run::{Engine, Outcome, run};
use candle_whisper_core::audio::SAMPLE_RATE;
use candle_whisper_core::{
    Error, Event, Observer, Recording, Result, Segment, TranscribeOptions, Transcript,
};

use crate::flags::job;

/// Makes one segment of each whole second, a window each; `script` may meddle after each.
struct Fake<'a> {
    script: &'a dyn Fn(usize) -> Result<()>,
    heard: RefCell<Vec<f64>>,
}

impl<'a> Fake<'a> {
    fn new(script: &'a dyn Fn(usize) -> Result<()>) -> Self {
        Self { script, heard: RefCell::default() }
    }
}

impl Engine for &Fake<'_> {
    fn is_multilingual(&self) -> bool {
        true
    }

    fn mark(&self) -> anyhow::Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    fn transcribe(
        &self,
        recording: Recording,
        _options: TranscribeOptions,
        _journal: &mut Journal,
        observer: &mut dyn Observer,
    ) -> anyhow::Result<Transcript> {
        let duration = duration(recording)?;
        self.heard.borrow_mut().push(duration);
        let mut transcript = Transcript { language: "en".into(), ..Transcript::default() };
        for second in 0..duration as usize {
            (self.script)(second)?;
            if observer.event(Event::Text { so_far: " sec" }) == ControlFlow::Break(()) {
                break;
            }
            let segment = Segment {
                start: second as f64,
                end: second as f64 + 1.0,
                text: format!(" second {second}."),
                ..Segment::default()
            };
            let segment_heard = observer.event(Event::Segment(&segment));
            transcript.segments.push(segment);
            let window = Event::Window { seek: 100 * (second + 1), content_frames: 1000 };
            let window_heard = observer.event(window);
            if segment_heard.is_break() || window_heard.is_break() {
                break;
            }
        }
        Ok(transcript)
    }
}

/// Seconds in a recording.
pub fn duration(recording: Recording) -> Result<f64> {
    let mut blocks = match recording {
        Recording::Again(open) => open()?,
        Recording::Once(blocks) => blocks,
    };
    let mut n_samples = 0;
    while let Some(block) = blocks.next_block()? {
        n_samples += block.len();
    }
    Ok(n_samples as f64 / SAMPLE_RATE as f64)
}

/// A WAV file of so many seconds of silence.
pub fn silence(path: &Path, seconds: u32) {
    let bytes = seconds * 32_000;
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + bytes).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16u32.to_le_bytes());
    wav.extend([1, 0, 1, 0]);
    wav.extend(16_000u32.to_le_bytes());
    wav.extend(32_000u32.to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(bytes.to_le_bytes());
    wav.resize(44 + bytes as usize, 0);
    fs::write(path, wav).unwrap();
}

struct Room {
    root: tempfile::TempDir,
    stop: Stop,
}

impl Room {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), stop: Stop::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn job(&self, recordings: &[&str]) -> Job {
        let paths: Vec<_> = recordings.iter().map(|r| self.path(r).display().to_string()).collect();
        let out = self.path("out").display().to_string();
        job(&format!("-o {out} -f txt,json --verbose None {}", paths.join(" "))).unwrap()
    }

    fn outputs(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("out")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path("out").join(name)).unwrap()
    }
}

#[test]
fn a_broken_recording_is_skipped_and_the_others_are_done() {
    let room = Room::new();
    silence(&room.path("good.wav"), 2);
    fs::write(room.path("broken.wav"), "RIFF nothing of the kind").unwrap();
    silence(&room.path("last.wav"), 1);
    let fake = Fake::new(&|_| Ok(()));
    let job = room.job(&["broken.wav", "missing.wav", "good.wav", "last.wav"]);
    assert_eq!(run(&job, || Ok(&fake), &room.stop).unwrap(), Outcome::SomeFailed);
    assert_eq!(room.outputs(), ["good.json", "good.txt", "last.json", "last.txt"]);
    assert_eq!(room.text("good.txt"), "second 0.\nsecond 1.\n");
    assert_eq!(*fake.heard.borrow(), [2.0, 1.0]);
}

#[test]
fn a_recording_the_engine_fails_on_leaves_no_output() {
    let room = Room::new();
    silence(&room.path("a.wav"), 3);
    silence(&room.path("b.wav"), 1);
    let fake = Fake::new(&|second| match second {
        2 => Err(Error::Options("no".into())),
        _ => Ok(()),
    });
    let outcome = run(&room.job(&["a.wav", "b.wav"]), || Ok(&fake), &room.stop).unwrap();
    assert_eq!(outcome, Outcome::SomeFailed);
    assert_eq!(room.outputs(), ["b.json", "b.txt"]);
}

#[test]
fn what_is_done_when_someone_interrupts_is_written_and_nothing_after_it() {
    let room = Room::new();
    silence(&room.path("a.wav"), 1);
    silence(&room.path("b.wav"), 5);
    silence(&room.path("c.wav"), 1);
    let seconds = Cell::new(0);
    let ask = |_| {
        seconds.set(seconds.get() + 1);
        if seconds.get() == 3 {
            room.stop.ask();
        }
        Ok(())
    };
    let fake = Fake::new(&ask);
    let job = room.job(&["a.wav", "b.wav", "c.wav"]);
    assert_eq!(run(&job, || Ok(&fake), &room.stop).unwrap(), Outcome::Interrupted);
    assert_eq!(room.outputs(), ["a.json", "a.txt", "b.json", "b.txt"]);
    assert_eq!(room.text("b.txt"), "second 0.\n");
}

#[test]
fn an_interrupt_before_the_first_segment_leaves_an_earlier_output_alone() {
    let room = Room::new();
    silence(&room.path("a.wav"), 2);
    fs::create_dir(room.path("out")).unwrap();
    fs::write(room.path("out/a.txt"), "of yesterday").unwrap();
    let ask = |_| {
        room.stop.ask();
        Ok(())
    };
    let fake = Fake::new(&ask);
    let outcome = run(&room.job(&["a.wav"]), || Ok(&fake), &room.stop).unwrap();
    assert_eq!(outcome, Outcome::Interrupted);
    assert_eq!(room.outputs(), ["a.txt"]);
    assert_eq!(room.text("a.txt"), "of yesterday");
}

#[test]
fn no_model_is_loaded_when_there_is_nothing_to_read() {
    let room = Room::new();
    let loaded = Cell::new(false);
    let fake = Fake::new(&|_| Ok(()));
    let load = || {
        loaded.set(true);
        Ok(&fake)
    };
    let outcome = run(&room.job(&["missing.wav"]), load, &room.stop).unwrap();
    assert_eq!((outcome, loaded.get()), (Outcome::SomeFailed, false));
}
