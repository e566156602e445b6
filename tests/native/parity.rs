//! Token for token what openai/whisper says: every clip, every mode recorded, in f32. The clips of `tests/data` always;
//! those of `../shared/data/dev` too where they are, as the samples that ffmpeg makes of them: with CANDLE_WHISPER_DEV_STEP=12
//! every twelfth, and with `tiny.en` the long recording in one mode.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use candle_core::{Device, Tensor};
use candle_whisper::load::{ModelFiles, Numbers, load_parts};
use candle_whisper_core::model::{AudioFeatures, Model};
use candle_whisper_core::observer::Silent;
use candle_whisper_core::options::{Task, TranscribeOptions};
use candle_whisper_core::transcript::{Segment, Transcript, Word};
use candle_whisper_core::{Result, Transcriber, Waveform, media};

use crate::around::{Around, Differs};
use crate::data::tests;

/// Where two tokens are numerically equal, and the gap between their logits: (model, id, mode, gap).
const NUMERICALLY_EQUAL: [(&str, &str, &str, f32); 0] = [];

/// A network that remembers what it encoded, so that the modes of one clip share the work.
struct Remembering {
    inner: Arc<dyn Model>,
    encoded: Mutex<HashMap<Vec<u32>, AudioFeatures>>,
}

impl Differs for Remembering {
    fn inner(&self) -> &dyn Model {
        &*self.inner
    }

    fn encode(&self, mel: &Tensor) -> Result<AudioFeatures> {
        // Every 17th value: enough to tell one window of a recording from another.
        let key: Vec<u32> =
            mel.flatten_all()?.to_vec1::<f32>()?.iter().step_by(17).map(|x| x.to_bits()).collect();
        if let Some(found) = self.encoded.lock().unwrap().get(&key) {
            return Ok(found.clone());
        }
        let encoded = self.inner.encode(mel)?;
        self.encoded.lock().unwrap().insert(key, encoded.clone());
        Ok(encoded)
    }
}

/// A set of recordings, with what the reference makes of them.
struct Set {
    name: &'static str,
    reference: fn(&str) -> PathBuf,
    audio: fn(&str) -> PathBuf,
}

const OURS: Set = Set {
    name: "tests/data",
    reference: |model| tests().join(format!("golden/reference/{model}.jsonl")),
    audio: |id| tests().join(format!("data/{id}.flac")),
};

const DEV: Set = Set {
    name: "DEV",
    reference: |model| tests().join(format!("../../shared/reference/dev.{model}.jsonl")),
    audio: |id| tests().join(format!(".cache/dev16k/{id}.wav")),
};

#[derive(serde::Deserialize)]
struct Expected {
    id: String,
    mode: String,
    #[serde(flatten)]
    transcript: Transcript0,
}

/// The reference's transcript; its segments have no `id`.
#[derive(serde::Deserialize)]
struct Transcript0 {
    language: String,
    text: String,
    segments: Vec<serde_json::Value>,
}

fn options(mode: &str) -> TranscribeOptions {
    let mut options = TranscribeOptions { temperatures: vec![0.0], ..Default::default() };
    match mode {
        "greedy" => {}
        "greedy_words" => options.word_timestamps = true,
        "beam5" => options.decode.beam_size = Some(5),
        "translate" => options.decode.task = Task::Translate,
        other => panic!("unknown mode {other}"),
    }
    options
}

#[derive(Default)]
struct Tally {
    rows: usize,
    different: Vec<String>,
    /// Those that differ where two tokens are numerically equal.
    equal: Vec<String>,
    words: usize,
    late_words: usize,
}

fn check(model: &str, set: &Set) {
    let path = (set.reference)(model);
    let Ok(lines) = std::fs::read_to_string(&path) else {
        assert_eq!(set.name, "DEV", "{} is missing", path.display());
        println!("{model}: 0 DEV clips checked: no ../shared/reference");
        return;
    };
    let folder = tests().join("models").join(model);
    let files = ModelFiles::in_folder(&folder).expect("`tests/tools/get-models` fetches the weights");
    let (network, tokenizer) = load_parts(&files, &Device::Cpu, Numbers::default()).unwrap();
    let network = Arc::new(Around(Remembering { inner: network, encoded: Mutex::default() }));
    let transcriber = Transcriber::new(network.clone(), tokenizer).unwrap();

    let step = std::env::var("CANDLE_WHISPER_DEV_STEP").ok().filter(|_| set.name == "DEV");
    let step: usize = step.map_or(1, |step| step.parse().expect("CANDLE_WHISPER_DEV_STEP is a number"));
    let rows: Vec<Expected> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_clips = rows.chunk_by(|a, b| a.id == b.id).enumerate();
    let is_long = |row: &Expected| row.id == "longform_dev";
    let wanted = of_clips.filter(|(i, rows)| i % step == 0 || is_long(&rows[0]));
    let wanted = wanted.flat_map(|(_, rows)| rows);
    let long_mode = if model == "tiny.en" { "greedy_words" } else { "" };
    let wanted = wanted.filter(|row| step == 1 || !is_long(row) || row.mode == long_mode);

    let mut tally = Tally::default();
    let mut ids = Vec::new();
    let mut audio = Waveform::default();
    for expected in wanted {
        if ids.last() != Some(&expected.id) {
            let path = (set.audio)(&expected.id);
            let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            audio = media::decode(file, None).unwrap();
            network.0.encoded.lock().unwrap().clear();
            ids.push(expected.id.clone());
        }
        let ours = transcriber.run(&audio, options(&expected.mode), &mut Silent).unwrap();
        tally.rows += 1;
        if let Err(why) = compare(&ours, expected, &mut tally) {
            let known =
                NUMERICALLY_EQUAL.iter().any(|k| (k.0, k.1, k.2) == (model, &expected.id, &expected.mode));
            println!(
                "{model} {} {}: {why}{}",
                expected.id,
                expected.mode,
                if known { " (known)" } else { "" }
            );
            let list = if known { &mut tally.equal } else { &mut tally.different };
            list.push(format!("{} {}", expected.id, expected.mode));
        }
    }
    ids.dedup();
    println!(
        "{model}: {} {} clips checked in {} runs, {} words",
        ids.len(),
        set.name,
        tally.rows,
        tally.words
    );
    assert!(tally.different.is_empty(), "{} runs differ: {:?}", tally.different.len(), tally.different);
    assert!(
        tally.late_words * 100 <= tally.words,
        "{} of {} word times differ",
        tally.late_words,
        tally.words
    );
    assert!(tally.equal.len() * 50 <= tally.rows, "too many are excused: {:?}", tally.equal);
}

fn compare(ours: &Transcript, expected: &Expected, tally: &mut Tally) -> Result<(), String> {
    if ours.language != expected.transcript.language {
        return Err(format!("language {} for {}", ours.language, expected.transcript.language));
    }
    let theirs: Vec<Segment> = expected
        .transcript
        .segments
        .iter()
        .enumerate()
        .map(|(id, segment)| {
            let mut segment = segment.clone();
            segment["id"] = id.into();
            serde_json::from_value(segment).unwrap()
        })
        .collect();
    for (a, b) in ours.segments.iter().zip(&theirs) {
        if a.tokens != b.tokens {
            let at = a.tokens.iter().zip(&b.tokens).take_while(|(a, b)| a == b).count();
            return Err(format!(
                "segment {} token {at} of {}: {:?} for {:?}\n  {}\n  {}",
                a.id,
                b.tokens.len(),
                a.tokens.get(at),
                b.tokens.get(at),
                a.text,
                b.text
            ));
        }
        let near = |x: f64, y: f64, by: f64| (x - y).abs() <= by || (x.is_nan() && y.is_nan());
        if a.text != b.text || a.seek != b.seek {
            return Err(format!("segment {}: seek {} for {}", a.id, a.seek, b.seek));
        }
        // With word timestamps a segment's ends are its words', which have a tolerance of their own.
        let by = if a.words.is_some() { 0.0201 } else { 1e-6 };
        if a.words.is_none() && !(near(a.start, b.start, by) && near(a.end, b.end, by)) {
            return Err(format!("segment {}: {}-{} for {}-{}", a.id, a.start, a.end, b.start, b.end));
        }
        for (what, x, y) in [
            ("avg_logprob", a.avg_logprob, b.avg_logprob),
            ("no_speech_prob", a.no_speech_prob, b.no_speech_prob),
            ("compression_ratio", a.compression_ratio, b.compression_ratio),
        ] {
            if !near(x, y, 1e-3) {
                return Err(format!("segment {}: {what} {x} for {y}", a.id));
            }
        }
        compare_words(a.words.as_deref().unwrap_or_default(), b.words.as_deref().unwrap_or_default(), tally)?;
    }
    if ours.segments.len() != theirs.len() || ours.text != expected.transcript.text {
        return Err(format!("{} segments for {}", ours.segments.len(), theirs.len()));
    }
    Ok(())
}

fn compare_words(ours: &[Word], theirs: &[Word], tally: &mut Tally) -> Result<(), String> {
    let texts = |words: &[Word]| words.iter().map(|w| w.word.clone()).collect::<Vec<_>>();
    if texts(ours) != texts(theirs) {
        return Err(format!("words {:?} for {:?}", texts(ours), texts(theirs)));
    }
    for (a, b) in ours.iter().zip(theirs) {
        tally.words += 1;
        let late = (a.start - b.start).abs() > 0.0201 || (a.end - b.end).abs() > 0.0201;
        tally.late_words += usize::from(late);
        if (a.probability - b.probability).abs() > 1e-3 {
            return Err(format!("word {:?}: probability {} for {}", a.word, a.probability, b.probability));
        }
    }
    Ok(())
}

#[test]
fn tiny_en_says_what_the_reference_says() {
    check("tiny.en", &OURS);
}

#[test]
fn base_says_what_the_reference_says() {
    check("base", &OURS);
}

#[test]
fn tiny_en_says_what_the_reference_says_on_dev() {
    check("tiny.en", &DEV);
}

#[test]
fn base_says_what_the_reference_says_on_dev() {
    check("base", &DEV);
}
