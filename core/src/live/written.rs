//! The confirmed words: as segments for writers, as prefix of the window that they are in, as prompt of those after it.

use crate::audio::HOP_LENGTH;
use crate::decoding::DecodingResult;
use crate::transcript::{Segment, Transcript};

use super::hypothesis::Spoken;

/// A window longer than this begins anew after a sentence, in seconds.
const LONG: f64 = 12.0;
/// Longer than this, after a phrase or a pause.
const LONGER: f64 = 18.0;
/// Longer than this, after any word.
const LONGEST: f64 = 24.0;
/// So much stays before the end of a window that begins anew.
const KEPT: f64 = 2.0;
/// A pause between words, in seconds.
const PAUSE: f64 = 0.4;
/// A segment longer than this ends at a comma, longer than twice this at any word, in seconds.
const LONG_SEGMENT: f64 = 7.0;
/// Tokens that the network is prompted with.
const PROMPT: usize = 200;

const SENTENCE_ENDS: &str = ".?!。？！";
const PHRASE_ENDS: &str = ",;:，、；：";

/// What is confirmed so far.
#[derive(Debug)]
pub(super) struct Written {
    segments: Vec<Segment>,
    /// The segment that is not complete.
    open: Option<Segment>,
    tokens: Vec<u32>,
    /// Words of the window and the tokens before it.
    inside: Vec<Spoken>,
    prompt: Vec<u32>,
    end: f64,
}

fn ends_with(word: &str, marks: &str) -> bool {
    word.trim_end_matches(['"', '\'', '”', '’', ')', ']']).ends_with(|c| marks.contains(c))
}

impl Written {
    /// Nothing yet, prompted with these tokens.
    pub(super) fn new(prompt: Vec<u32>) -> Self {
        Self { segments: Vec::new(), open: None, tokens: Vec::new(), inside: Vec::new(), prompt, end: 0.0 }
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// End of the last word, in seconds.
    pub(super) fn end(&self) -> f64 {
        self.end
    }

    /// Lets words begin where the ones before end: a decoding may find a word a little before the end of one that an earlier
    /// decoding confirmed.
    pub(super) fn follow(&self, words: &mut [Spoken]) {
        let mut before = self.end;
        for Spoken { word, .. } in words {
            word.start = word.start.max(before);
            word.end = word.end.max(word.start);
            before = word.end;
        }
    }

    /// Tokens of the confirmed words of the window.
    pub(super) fn prefix(&self) -> Vec<u32> {
        self.inside.iter().flat_map(|spoken| &spoken.tokens).copied().collect()
    }

    /// Tokens before the window.
    pub(super) fn prompt(&self) -> &[u32] {
        &self.prompt
    }

    /// All of it, the open segment too.
    pub(super) fn transcript(&self, language: String, decode: impl Fn(&[u32]) -> String) -> Transcript {
        let mut segments = self.segments.clone();
        segments.extend(self.open.clone());
        Transcript { text: decode(&self.tokens), segments, language, ..Transcript::default() }
    }

    /// Adds words decoded together in the window that starts at this sample.
    pub(super) fn confirm(&mut self, words: Vec<Spoken>, result: &DecodingResult, window_start: u64) {
        for spoken in words {
            let word = &spoken.word;
            if self.open.as_ref().is_some_and(|open| complete(open) && word.word.starts_with(' ')) {
                self.close();
            }
            let n = self.segments.len();
            let open = self.open.get_or_insert_with(|| Segment {
                id: n,
                seek: window_start as usize / HOP_LENGTH,
                start: word.start,
                words: Some(Vec::new()),
                ..Segment::default()
            });
            open.end = word.end;
            open.text.push_str(&word.word);
            open.tokens.extend(&spoken.tokens);
            open.temperature = result.temperature;
            open.avg_logprob = result.avg_logprob;
            open.compression_ratio = result.compression_ratio;
            open.no_speech_prob = result.no_speech_prob;
            open.words.get_or_insert_default().push(word.clone());
            self.end = word.end;
            self.tokens.extend(&spoken.tokens);
            self.inside.push(spoken);
        }
    }

    /// The open segment is complete.
    pub(super) fn close(&mut self) {
        self.segments.extend(self.open.take());
    }

    /// Nobody speaks: the segment is complete, and a new window follows.
    pub(super) fn pause(&mut self) {
        self.close();
        self.leave(self.inside.len());
    }

    /// The window leaves these words behind.
    fn leave(&mut self, n: usize) {
        let left = self.inside.drain(..n).flat_map(|spoken| spoken.tokens);
        self.prompt.extend(left);
        let over = self.prompt.len().saturating_sub(PROMPT);
        self.prompt.drain(..over);
    }

    /// Where a window of so many seconds is to begin anew, if it is long enough for that.
    pub(super) fn cut(&mut self, start: f64, length: f64, full: bool) -> Option<f64> {
        if length < LONG {
            return None;
        }
        let latest = start + length - KEPT;
        let n = (0..self.inside.len()).rev().find(|&i| {
            let Spoken { word, .. } = &self.inside[i];
            let pause = self.inside.get(i + 1).is_some_and(|next| next.word.start - word.end > PAUSE);
            word.end <= latest
                && word.end > start
                && (ends_with(&word.word, SENTENCE_ENDS)
                    || length > LONGER && (pause || ends_with(&word.word, PHRASE_ENDS))
                    || length > LONGEST
                    || full)
        })?;
        let at = self.inside[n].word.end;
        self.leave(n + 1);
        Some(at)
    }
}

/// Whether a segment ends before the next word.
fn complete(segment: &Segment) -> bool {
    let length = segment.end - segment.start;
    ends_with(&segment.text, SENTENCE_ENDS)
        || length > LONG_SEGMENT && ends_with(&segment.text, PHRASE_ENDS)
        || length > 2.0 * LONG_SEGMENT
}
