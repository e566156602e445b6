//! What a window adds to a run, as plain data: all of them, one after the other, bring a run that starts anew to where it was.
//!
//! Numbers keep all their bits, for the run that goes on has to be the one that was broken off. Random numbers follow from the
//! seed and the place (`fallback`), so they have no state to keep.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Transcription;
use super::batch::Batches;
use crate::transcript::{Segment, Word};

/// Where a run is, and what it has added since the checkpoint before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Start of the next window, in mel frames.
    pub seek: usize,
    /// Segments, with the text they are made of.
    #[serde(serialize_with = "as_kept", deserialize_with = "from_kept")]
    pub segments: Vec<Segment>,
    clip: usize,
    prompt_reset_since: usize,
    #[serde(with = "bits")]
    last_speech_timestamp: f64,
    tokens: Vec<u32>,
    batches: Option<Batches>,
}

impl Transcription {
    /// What came since the last one, which the run then forgets: [`Transcriber::finish`](super::Transcriber::finish) gives
    /// the whole text, and only the segments of which there was no checkpoint.
    pub fn checkpoint(&mut self) -> Checkpoint {
        let segments = std::mem::take(&mut self.segments);
        self.n_kept += segments.len();
        let tokens = self.tokens[self.n_tokens_kept..].to_vec();
        self.n_tokens_kept = self.tokens.len();
        Checkpoint {
            seek: self.seek,
            segments,
            clip: self.clip,
            prompt_reset_since: self.prompt_reset_since,
            last_speech_timestamp: self.last_speech_timestamp,
            tokens,
            batches: self.batches.clone(),
        }
    }

    /// Goes to where a run with the same options was. Takes each of its checkpoints in their order; their segments are the
    /// caller's to keep.
    pub fn restore(&mut self, checkpoint: Checkpoint) {
        self.seek = checkpoint.seek;
        self.clip = checkpoint.clip;
        self.prompt_reset_since = checkpoint.prompt_reset_since;
        self.last_speech_timestamp = checkpoint.last_speech_timestamp;
        self.batches = checkpoint.batches;
        self.tokens.extend(checkpoint.tokens);
        self.n_tokens_kept = self.tokens.len();
        self.n_kept += checkpoint.segments.len();
    }
}

/// A [`Segment`] to the last bit, NaN and infinity too.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: usize,
    seek: usize,
    text: String,
    tokens: Vec<u32>,
    numbers: [u64; 6],
    words: Option<Vec<(String, [u64; 3])>>,
}

impl From<&Segment> for Kept {
    fn from(s: &Segment) -> Self {
        let word = |w: &Word| (w.word.clone(), [w.start, w.end, w.probability].map(f64::to_bits));
        let numbers = [s.start, s.end, s.temperature, s.avg_logprob, s.compression_ratio, s.no_speech_prob];
        Self {
            id: s.id,
            seek: s.seek,
            text: s.text.clone(),
            tokens: s.tokens.clone(),
            numbers: numbers.map(f64::to_bits),
            words: s.words.as_ref().map(|words| words.iter().map(word).collect()),
        }
    }
}

impl From<Kept> for Segment {
    fn from(kept: Kept) -> Self {
        let [start, end, temperature, avg_logprob, compression_ratio, no_speech_prob] =
            kept.numbers.map(f64::from_bits);
        let word = |(word, numbers): (String, [u64; 3])| {
            let [start, end, probability] = numbers.map(f64::from_bits);
            Word { word, start, end, probability }
        };
        Self {
            id: kept.id,
            seek: kept.seek,
            start,
            end,
            text: kept.text,
            tokens: kept.tokens,
            temperature,
            avg_logprob,
            compression_ratio,
            no_speech_prob,
            words: kept.words.map(|words| words.into_iter().map(word).collect()),
        }
    }
}

pub(super) fn as_kept<S: Serializer>(segments: &[Segment], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(segments.iter().map(Kept::from))
}

pub(super) fn from_kept<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Segment>, D::Error> {
    let kept = Vec::<Kept>::deserialize(from)?;
    Ok(kept.into_iter().map(Segment::from).collect())
}

/// A number by its bits.
pub(crate) mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(x: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(x.to_bits())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        u64::deserialize(from).map(f64::from_bits)
    }
}
