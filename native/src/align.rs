//! `candle-whisper align`: a given text instead of a transcript, with everything else as for a transcription.

use std::cell::Cell;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use candle_whisper_core::align::Given;
use candle_whisper_core::{Observer, Recording, TranscribeOptions, Transcript};

use crate::cli::Args;
use crate::engine::Loaded;
use crate::journal::Journal;
use crate::options::BadUsage;
use crate::run::Engine;

/// What was typed behind `align`.
#[derive(Debug, Clone, clap::Args)]
pub struct AlignArgs {
    /// The recording and how to hear it.
    #[command(flatten)]
    pub args: Args,
    /// The text that is said in it, in UTF-8, each line a segment; `-` reads it from stdin
    #[arg(required = true, value_name = "TEXT")]
    pub text: PathBuf,
}

impl AlignArgs {
    /// The flags as a transcription has them: with word times, of one recording.
    ///
    /// # Errors
    /// If they can't be used.
    pub fn transcription(&self) -> Result<Args, BadUsage> {
        let [audio] = self.args.audio.as_slice() else {
            return Err(BadUsage::new("`align` takes one recording and its text"));
        };
        if audio.as_os_str() == "-" && self.text.as_os_str() == "-" {
            return Err(BadUsage::new("`align` can't read both the recording and the text from stdin"));
        }
        if self.args.running_maximum {
            return Err(BadUsage::new(
                "`align` has no `--running_maximum`: it reads the recording again for the words of the text",
            ));
        }
        let mut args = Args { word_timestamps: true, ..self.args.clone() };
        args.subtitles.snap_to_speech.get_or_insert(true);
        Ok(args)
    }
}

/// Reads the text.
///
/// # Errors
/// If it can't be read, is no UTF-8 or is empty.
pub fn read_text(path: &Path) -> anyhow::Result<String> {
    let name = if path.as_os_str() == "-" { "stdin".into() } else { format!("`{}`", path.display()) };
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().lock().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    }
    .with_context(|| format!("could not read the text {name}"))?;
    let text = String::from_utf8(bytes).with_context(|| format!("the text {name} is not UTF-8"))?;
    if text.trim().is_empty() {
        bail!("the text {name} is empty: there is nothing to align");
    }
    Ok(text)
}

/// A network that finds a text instead of writing one.
#[derive(Debug)]
pub struct Aligner<'a> {
    /// The network.
    pub loaded: Loaded,
    /// What to find.
    pub text: &'a str,
    /// Words that were not heard, and how many there are.
    pub unheard: &'a Cell<(usize, usize)>,
}

impl Engine for Aligner<'_> {
    fn is_multilingual(&self) -> bool {
        self.loaded.is_multilingual()
    }

    fn bound_windows(&self) -> Option<usize> {
        self.loaded.bound_windows()
    }

    fn mark(&self) -> anyhow::Result<Vec<(String, String)>> {
        self.loaded.mark()
    }

    fn transcribe(
        &self,
        recording: Recording,
        options: TranscribeOptions,
        journal: &mut Journal,
        observer: &mut dyn Observer,
    ) -> anyhow::Result<Transcript> {
        let Recording::Again(open) = recording else {
            bail!(
                "the recording can be read only once, and `align` reads it again for the words of the text"
            );
        };
        let given = Given::new(self.text, options)?;
        let transcript = self.loaded.transcriber.align_by(&given, &open, observer, |options, observer| {
            let recording = Recording::Again(Arc::clone(&open));
            let heard = self.loaded.hear(recording, options.clone(), journal, observer)?;
            anyhow::Ok(heard.and_then(|(transcript, plan)| Some((plan?, transcript))))
        })?;
        let words = transcript.segments.iter().flat_map(|segment| segment.words.iter().flatten());
        let (mut unheard, mut all) = (0, 0);
        for word in words {
            all += 1;
            unheard += usize::from(word.probability == 0.0);
        }
        self.unheard.set((unheard, all));
        Ok(transcript)
    }
}
