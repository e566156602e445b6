//! A loaded model at work on one recording: window by window, each kept in the journal before the next one begins.

use std::path::Path;

use anyhow::Result;
use candle_whisper_core::transcribe::Plan;
use candle_whisper_core::{Observer, Recording, TranscribeOptions, Transcriber, Transcript, Transcription};

use crate::device::patience::{PATIENCE, Patient};
use crate::journal::Journal;
use crate::load::ModelFiles;
use crate::run::Engine;
use crate::{alone, mark, messages};

/// What is said when a GPU gives no word for long.
pub(crate) const COMPILING: &str = "the GPU's driver seems to compile the kernels, which takes up to half a minute at the first start; \
                         it keeps them for the next one";

/// A model, and what it is known by.
#[derive(Debug)]
pub struct Loaded {
    /// The network and its tokenizer.
    pub transcriber: Transcriber,
    /// Where it is from.
    pub files: ModelFiles,
    /// What it computes in.
    pub numbers: String,
    /// Windows at once, where its device's memory has chosen.
    pub windows: Option<usize>,
    /// Whether results are the same to the last bit with any number of windows at once: those of integers are, of floats
    /// log-probabilities differ in their seventh digit.
    pub same_in_any_batch: bool,
}

impl Loaded {
    /// These options with as many windows at once as there are here.
    pub fn with_windows(&self, options: TranscribeOptions) -> TranscribeOptions {
        TranscribeOptions { batch: self.windows.or(options.batch), ..options }
    }

    /// Begins a run, or goes on with the one in the journal; `None` if the observer broke meanwhile. `plan` is what was found out
    /// about the recording beforehand.
    ///
    /// # Errors
    /// If an option can't be used, or the recording or the journal can't be read.
    pub fn start(
        &self,
        recording: Recording,
        options: TranscribeOptions,
        plan: Option<Plan>,
        journal: &mut Journal,
        observer: &mut dyn Observer,
    ) -> Result<Option<Transcription>> {
        let plan = journal.plan().cloned().or(plan);
        let options = self.with_windows(options);
        let run = self.transcriber.start_recording(recording, options, plan, observer)?;
        let Some(mut run) = run else { return Ok(None) };
        journal.go_on(&mut run)?;
        Ok(Some(run))
    }

    /// The transcript, or what there is of it if the observer breaks, and what was found out about the recording before its first
    /// window. Windows go into the journal, and those that are in it are not heard again. `None` if there was no first window.
    ///
    /// # Errors
    /// As [`Loaded::start`], or if the device fails.
    pub fn hear(
        &self,
        recording: Recording,
        options: TranscribeOptions,
        journal: &mut Journal,
        observer: &mut dyn Observer,
    ) -> Result<Option<(Transcript, Option<Plan>)>> {
        let batch = self.windows.or(options.batch);
        let run = self.start(recording, options, None, journal, observer)?;
        let Some(mut run) = run else { return Ok(None) };
        let plan = run.plan().cloned();
        if let Some(n) = batch {
            run = alone::run(&self.transcriber, n, run, journal, observer)?;
        } else {
            loop {
                let flow = self.transcriber.next_window(&mut run, observer)?;
                journal.push(&run.checkpoint())?;
                if flow.is_break() {
                    break;
                }
            }
        }
        Ok(Some((self.finish(run, journal)?, plan)))
    }

    /// What there is of a run, all of whose windows are in the journal.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn finish(&self, run: Transcription, journal: &mut Journal) -> Result<Transcript> {
        let mut transcript = self.transcriber.finish(run);
        let (segments, left_out) = journal.done()?;
        let rest = std::mem::replace(&mut transcript.segments, segments);
        transcript.segments.extend(rest);
        let rest = std::mem::replace(&mut transcript.left_out, left_out);
        transcript.left_out.extend(rest);
        Ok(transcript)
    }
}

impl Engine for Loaded {
    fn loaded(&self) -> Option<&Self> {
        Some(self)
    }

    fn is_on_gpu(&self) -> bool {
        !self.transcriber.model().device().is_cpu()
    }

    fn is_multilingual(&self) -> bool {
        self.transcriber.tokenizer().is_multilingual()
    }

    fn bound_windows(&self) -> Option<usize> {
        self.windows.filter(|_| !self.same_in_any_batch)
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
        let mut patient;
        let observer: &mut dyn Observer = match self.transcriber.model().device().is_cpu() {
            true => observer,
            false => {
                patient = Patient::new(observer, PATIENCE, || messages::note(COMPILING));
                &mut patient
            }
        };
        let heard = self.hear(recording, options, journal, observer)?;
        Ok(heard.map(|(transcript, _)| transcript).unwrap_or_default())
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
