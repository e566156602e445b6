//! A loaded model at work on one recording: window by window, each kept in the journal before the next one begins.

use std::path::Path;

use anyhow::Result;
use candle_whisper_core::{Observer, Recording, TranscribeOptions, Transcriber, Transcript};

use crate::journal::Journal;
use crate::load::ModelFiles;
use crate::mark;
use crate::run::Engine;

/// A model, and what it is known by.
#[derive(Debug)]
pub struct Loaded {
    /// The network and its tokenizer.
    pub transcriber: Transcriber,
    /// Where it is from.
    pub files: ModelFiles,
    /// What it computes in.
    pub numbers: String,
}

impl Engine for Loaded {
    fn is_multilingual(&self) -> bool {
        self.transcriber.tokenizer().is_multilingual()
    }

    fn mark(&self) -> Result<Vec<(String, String)>> {
        let files = &self.files;
        let beside = [&files.config, &files.generation_config, &files.tokenizer, &files.vocabulary];
        let all = files.weights.iter().chain(beside.into_iter().flatten());
        let marks = all.map(|path| Ok((name(path), mark::of_ends(path)?)));
        let mut marks: Vec<_> = marks.collect::<Result<_>>()?;
        marks.push(("device and dtype".into(), self.numbers.clone()));
        Ok(marks)
    }

    fn transcribe(
        &self,
        recording: Recording,
        options: TranscribeOptions,
        journal: &mut Journal,
        observer: &mut dyn Observer,
    ) -> Result<Transcript> {
        let plan = journal.plan().cloned();
        let run = self.transcriber.start_recording(recording, options, plan, observer)?;
        let Some(mut run) = run else { return Ok(Transcript::default()) };
        journal.go_on(&mut run)?;
        loop {
            let flow = self.transcriber.next_window(&mut run, observer)?;
            journal.push(&run.checkpoint())?;
            if flow.is_break() {
                break;
            }
        }
        let mut transcript = self.transcriber.finish(run);
        let rest = std::mem::replace(&mut transcript.segments, journal.segments()?);
        transcript.segments.extend(rest);
        Ok(transcript)
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
