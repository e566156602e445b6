//! Recordings shared between several models, as between several GPUs: each hears the next one, and what becomes of them comes
//! in their order.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Condvar, Mutex};

use candle_core::Device;
use candle_whisper::engine::Loaded;
use candle_whisper::interrupt::Stop;
use candle_whisper::job::Job;
use candle_whisper::journal::Journal;
use candle_whisper::load::{self, ModelFiles, Numbers};
use candle_whisper::run::{Engine, Outcome, run_on_several};
use candle_whisper_core::{Error, Event, Observer, Recording, Segment, TranscribeOptions, Transcript};

use crate::data::tests;
use crate::flags::job;
use crate::run::{duration, silence};

/// Says how long a recording is; what it does before is up to `script`, which hears the model's number and the recording's seconds.
struct Fake<'a> {
    number: usize,
    script: &'a (dyn Fn(usize, usize) -> candle_whisper_core::Result<()> + Sync),
}

impl Engine for Fake<'_> {
    fn is_multilingual(&self) -> bool {
        false
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
        let seconds = duration(recording)?;
        (self.script)(self.number, seconds as usize)?;
        let segment = Segment { end: seconds, text: format!(" {seconds} s."), ..Segment::default() };
        let _ = observer.event(Event::Segment(&segment));
        // Before its end, if somebody stopped it.
        let end = Event::Window { seek: 50, content_frames: 100 };
        let _: ControlFlow<()> = observer.event(end);
        Ok(Transcript { segments: vec![segment], language: "en".into(), ..Transcript::default() })
    }
}

/// A folder with recordings of 1, 2, 3, … seconds.
struct Room {
    root: tempfile::TempDir,
    recordings: Vec<String>,
}

impl Room {
    fn new(n: u32) -> Self {
        let root = tempfile::tempdir().unwrap();
        let recordings = (1..=n).map(|seconds| {
            let path = root.path().join(format!("{seconds}.wav"));
            silence(&path, seconds);
            path.display().to_string()
        });
        let recordings = recordings.collect();
        Self { root, recordings }
    }

    fn out(&self) -> PathBuf {
        self.root.path().join("out")
    }

    fn job(&self) -> Job {
        let out = self.out().display().to_string();
        job(&format!("-o {out} -f txt --verbose None {}", self.recordings.join(" "))).unwrap()
    }

    fn outputs(&self) -> Vec<String> {
        let entries = fs::read_dir(self.out()).into_iter().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Tells others how many recordings were heard.
#[derive(Default)]
struct Heard(Mutex<Vec<(usize, usize)>>, Condvar);

impl Heard {
    fn push(&self, model: usize, seconds: usize) {
        self.0.lock().unwrap().push((model, seconds));
        self.1.notify_all();
    }

    fn wait_for(&self, n: usize) {
        drop(self.1.wait_while(self.0.lock().unwrap(), |heard| heard.len() < n).unwrap());
    }
}

fn fakes<'a>(
    n: usize,
    script: &'a (dyn Fn(usize, usize) -> candle_whisper_core::Result<()> + Sync),
) -> Vec<Fake<'a>> {
    (0..n).map(|number| Fake { number, script }).collect()
}

#[test]
fn who_is_done_takes_the_next_recording_and_nothing_is_delivered_before_those_before_it() {
    let room = Room::new(5);
    let heard = Heard::default();
    let script = |model: usize, seconds: usize| {
        if seconds == 1 {
            // The others do all the rest meanwhile, and find the first one's output missing.
            heard.wait_for(4);
            assert_eq!(room.outputs(), Vec::<String>::new());
        }
        heard.push(model, seconds);
        Ok(())
    };
    let outcome = run_on_several(&room.job(), |_| Ok(fakes(2, &script)), &Stop::default()).unwrap();
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(room.outputs(), ["1.txt", "2.txt", "3.txt", "4.txt", "5.txt"]);
    assert_eq!(fs::read_to_string(room.out().join("3.txt")).unwrap(), "3 s.\n");
    let heard = heard.0.into_inner().unwrap();
    let models: BTreeSet<usize> = heard[..4].iter().map(|&(model, _)| model).collect();
    assert_eq!(models.len(), 1, "one waits, the other works: {heard:?}");
    assert!(!models.contains(&heard[4].0), "{heard:?}");
}

#[test]
fn no_more_models_are_loaded_than_there_are_recordings() {
    let room = Room::new(2);
    let script = |_: usize, _: usize| Ok(());
    let load = |n: usize| {
        assert_eq!(n, 2);
        Ok(fakes(n, &script))
    };
    assert_eq!(run_on_several(&room.job(), load, &Stop::default()).unwrap(), Outcome::Done);
    assert!(job("--device cuda:0,1,4 a.wav").unwrap().devices.at_most(2) == "cuda:0,1".parse().unwrap());
}

#[test]
fn a_recording_that_one_model_fails_on_costs_no_other() {
    let room = Room::new(6);
    fs::write(&room.recordings[4], "RIFF nothing of the kind").unwrap();
    let script = |_: usize, seconds: usize| match seconds {
        2 => Err(Error::Options("no".into())),
        _ => Ok(()),
    };
    let outcome = run_on_several(&room.job(), |_| Ok(fakes(3, &script)), &Stop::default()).unwrap();
    assert_eq!(outcome, Outcome::SomeFailed);
    assert_eq!(room.outputs(), ["1.txt", "3.txt", "4.txt", "6.txt"]);
}

#[test]
fn all_that_is_under_way_is_written_when_someone_interrupts_and_nothing_is_begun_after_it() {
    let room = Room::new(6);
    let stop = Stop::default();
    let heard = Heard::default();
    let script = |model: usize, seconds: usize| {
        heard.push(model, seconds);
        // All three are under way.
        heard.wait_for(3);
        stop.ask();
        Ok(())
    };
    let outcome = run_on_several(&room.job(), |_| Ok(fakes(3, &script)), &stop).unwrap();
    assert_eq!(outcome, Outcome::Interrupted);
    assert_eq!(room.outputs(), ["1.txt", "2.txt", "3.txt"]);
}

/// The bundled model, as often as asked for.
fn loaded(n: usize) -> Vec<Loaded> {
    let files = ModelFiles::find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny.en")).unwrap();
    let load = |_| Loaded {
        transcriber: load::load_files(&files, &Device::Cpu, Numbers::default()).unwrap(),
        files: files.clone(),
        numbers: "test".into(),
        windows: None,
        same_in_any_batch: true,
    };
    (0..n).map(load).collect()
}

#[test]
fn two_models_write_what_one_writes_in_batches_and_one_by_one() {
    let names = ["jfk.flac", "long-72s.flac", "jfk.flac", "jfk.flac"];
    let root = tempfile::tempdir().unwrap();
    let copies: Vec<String> = (0..)
        .zip(names)
        .map(|(i, name)| {
            let copy = root.path().join(format!("{i}.flac"));
            fs::copy(tests().join("data").join(name), &copy).unwrap();
            copy.display().to_string()
        })
        .collect();
    for flags in ["--batch 2", "--word_timestamps True"] {
        let outputs = [1, 2].map(|n| {
            let out = root.path().join(format!("{n}{flags}"));
            let typed = format!("-f srt --verbose None --beam_size None {flags} {}", copies.join(" "));
            let mut job = job(&typed).unwrap();
            job.outputs.place = candle_whisper::output::Place::Folder(out.clone());
            let done = run_on_several(&job, |_| Ok(loaded(n)), &Stop::default()).unwrap();
            assert_eq!(done, Outcome::Done, "{n} {flags}");
            (0..names.len())
                .map(|i| fs::read_to_string(out.join(format!("{i}.srt"))).unwrap())
                .collect::<Vec<_>>()
        });
        assert_eq!(outputs[0], outputs[1], "{flags}");
        assert!(outputs[0][3].contains("what your country can do for you"));
    }
}

#[test]
fn gpus_that_are_not_there_are_said_in_one_line_and_the_cpu_does_the_work() {
    let output = Command::new(env!("CARGO_BIN_EXE_candle-whisper"))
        .args(["--device", "cuda:98,99", "--beam_size", "None"])
        .args([tests().join("data/jfk.flac"), tests().join("data/jfk.flac")])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("warning:")).count(), 1, "{said}");
    assert!(said.contains("computing on the CPU"), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("ask what you can do for your country").count(), 2, "{text}");
}
