//! One stretch of a recording that stays encoded, so that a text that is edited is aligned again without the encoder.

use super::text::{Item, Text};
use crate::audio::{CHUNK_LENGTH, FRAMES_PER_SECOND, HOP_LENGTH, Waveform};
use crate::error::{Error, Result};
use crate::model::AudioFeatures;
use crate::options::TranscribeOptions;
use crate::timing;
use crate::transcribe::Transcriber;
use crate::transcript::Word;
use crate::vad::Span;

/// Up to 30 s of a recording as the encoder gives them, and where somebody speaks in them.
#[derive(Debug, Clone)]
pub struct EncodedWindow {
    xa: AudioFeatures,
    /// First mel frame (10 ms) in the recording, and how many.
    frames: (usize, usize),
    /// In the recording.
    speech: Vec<Span>,
}

impl Transcriber {
    /// Encodes a stretch of a recording, from and to in seconds, for [`Transcriber::align_window`]. Of the options only
    /// `snap_to_speech` matters: whether to listen where somebody speaks.
    ///
    /// # Errors
    /// If the stretch is empty, longer than 30 s or not in the recording, or the device fails.
    pub fn encode_window(
        &self,
        audio: &Waveform,
        (start, end): (f64, f64),
        options: &TranscribeOptions,
    ) -> Result<EncodedWindow> {
        let duration = audio.duration();
        let end = end.min(duration);
        if !(start >= 0.0 && end > start && end - start <= CHUNK_LENGTH as f64) {
            return Err(Error::Options(format!(
                "a window to align with has at most {CHUNK_LENGTH} s of the recording's {duration:.2}, not {start:.2} to {end:.2}"
            )));
        }
        let frame = |seconds: f64| (seconds * FRAMES_PER_SECOND as f64).round() as usize;
        let (first, last) = (frame(start), frame(end));
        let samples = first * HOP_LENGTH..(last * HOP_LENGTH).min(audio.samples().len());
        let cut = Waveform::new(audio.samples()[samples.clone()].to_vec());
        let mut speech = match options.snap_to_speech {
            true => self.speech(&cut, &timing::snap_options())?,
            false => Vec::new(),
        };
        for span in &mut speech {
            (span.start, span.end) = (span.start + samples.start, span.end + samples.start);
        }
        let mel = self.mel(&cut)?;
        let size = mel.content_frames().min(last - first);
        let xa = self.encode(mel.window(0, size), 1)?;
        Ok(EncodedWindow { xa, frames: (first, size), speech })
    }

    /// When each word of `text`, which is what is said in the window and nothing else, is said in the recording. Of the options
    /// `language`, which a network for many languages must be given, and the two of punctuation matter.
    ///
    /// # Errors
    /// If the text has no words or too many, the language is missing or unknown, or the device fails.
    pub fn align_window(
        &self,
        window: &EncodedWindow,
        text: &str,
        options: &TranscribeOptions,
    ) -> Result<Vec<Word>> {
        let language = match options.decode.language.as_deref() {
            Some(language) if self.tokenizer().is_multilingual() => {
                self.tokenizer().language_token(language)?.1
            }
            None if self.tokenizer().is_multilingual() => {
                return Err(Error::Options("aligning a window needs its `language`".into()));
            }
            _ => "en",
        };
        let text = Text::new(text, self.tokenizer(), language, options)?;
        let tokens: usize = text.items.iter().map(|item| item.tokens.len()).sum();
        let most = self.model().dims().n_text_ctx - super::AROUND_TEXT;
        if tokens > most {
            return Err(Error::Options(format!("the text has {tokens} tokens, a window takes {most}")));
        }
        let items: Vec<&Item> = text.items.iter().collect();
        let mut words = self.align_items(&window.xa, &items, window.frames, language, options)?;
        timing::snap_words(&mut words, &window.speech, 0.0);
        super::in_order(words.iter_mut());
        Ok(words)
    }
}
