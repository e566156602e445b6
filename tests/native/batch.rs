//! Windows decoded several at a time: what is said depends neither on how many there are at once nor on the others.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use candle_core::Tensor;
use candle_whisper_core::audio::SAMPLE_RATE;
use candle_whisper_core::kv_cache::KvCache;
use candle_whisper_core::model::{AudioFeatures, Model};
use candle_whisper_core::observer::{Event, Silent};
use candle_whisper_core::options::{DecodingOptions, TranscribeOptions};
use candle_whisper_core::tokenizer::Tokenizer;
use candle_whisper_core::transcribe::Recordings;
use candle_whisper_core::transcript::{Segment, Transcript};
use candle_whisper_core::{Result, Transcriber, Transcription, Waveform};

use crate::around::{Around, Differs};
use crate::data::{bundled, clip};

/// Three times the sentence and 72 s of others, with silence before and between them: three windows.
fn recording() -> Waveform {
    let (jfk, long) = (clip("jfk.flac"), clip("long-72s.flac"));
    let silence = vec![0f32; 4 * SAMPLE_RATE];
    let parts = [&jfk, &long, &jfk, &jfk].map(|part| [&silence, part.samples()].concat());
    Waveform::new(parts.concat())
}

fn options(batch: usize) -> TranscribeOptions {
    TranscribeOptions {
        batch: Some(batch),
        condition_on_previous_text: false,
        ..TranscribeOptions::default()
    }
}

type Change = fn(&mut TranscribeOptions);

fn texts(transcript: &Transcript) -> Vec<&str> {
    transcript.segments.iter().map(|segment| segment.text.as_str()).collect()
}

#[test]
fn any_number_at_once_says_the_same() {
    let (transcriber, audio) = (bundled(), recording());
    let greedy: Change = |_: &mut TranscribeOptions| {};
    let words: Change = |o: &mut TranscribeOptions| o.word_timestamps = true;
    let beams: Change = |o: &mut TranscribeOptions| o.decode.beam_size = Some(3);
    // No decoding is good enough, so that every window goes up the whole ladder, with random numbers of its own.
    let ladder: Change = |o: &mut TranscribeOptions| {
        (o.temperatures, o.logprob_threshold) = (vec![0.0, 0.3, 0.6], Some(0.0));
        o.no_speech_threshold = None;
        o.decode.best_of = Some(2);
    };
    let prompted: Change =
        |o: &mut TranscribeOptions| o.initial_prompt = Some("Mr. Hale speaks of the poor.".into());
    let modes: [(&str, Change); 5] =
        [("greedy", greedy), ("words", words), ("beams", beams), ("ladder", ladder), ("prompt", prompted)];
    for (name, change) in modes {
        let run = |batch| {
            let mut options = options(batch);
            change(&mut options);
            transcriber.run(&audio, options, &mut Silent).unwrap()
        };
        let alone = run(1);
        let found = alone.text.matches("not what your country can do for you").count();
        assert!(found == 3 || name == "ladder", "{name}: {}", alone.text);
        let together = run(2);
        assert_eq!(texts(&alone), texts(&together), "{name}");
        for (a, b) in alone.segments.iter().zip(&together.segments) {
            assert!((a.start - b.start).abs() < 0.05 && (a.end - b.end).abs() < 0.05, "{name}: {a:?} {b:?}");
            assert_eq!((a.id, a.seek, a.temperature), (b.id, b.seek, b.temperature), "{name}");
        }
    }
}

/// The bundled network as one that encodes windows while it decodes others.
struct Beside {
    inner: Transcriber,
    /// Windows that were encoded so, and how many of them before the first token.
    encoded: AtomicUsize,
    first: OnceLock<usize>,
}

impl Differs for Beside {
    fn inner(&self) -> &dyn Model {
        self.inner.model()
    }

    fn encodes_beside(&self) -> bool {
        true
    }

    fn encode_beside(&self, mel: &Tensor) -> Result<AudioFeatures> {
        assert_eq!(mel.dim(0)?, 1, "a quarter of the windows at once");
        self.encoded.fetch_add(1, Ordering::Relaxed);
        self.inner().encode(mel)
    }

    fn decode(&self, tokens: &Tensor, xa: &AudioFeatures, cache: &mut KvCache) -> Result<Tensor> {
        self.first.get_or_init(|| self.encoded.load(Ordering::Relaxed));
        self.inner().decode(tokens, xa, cache)
    }
}

#[test]
fn windows_encoded_beside_others_say_the_same() {
    let (transcriber, audio) = (bundled(), recording());
    let audio = Waveform::new(audio.samples().repeat(2));
    let words = TranscribeOptions { word_timestamps: true, ..options(4) };
    let expected = transcriber.run(&audio, words.clone(), &mut Silent).unwrap();
    let beside = Arc::new(Around(Beside { inner: transcriber, encoded: 0.into(), first: OnceLock::new() }));
    let tokenizer = Tokenizer::built_in(51864).unwrap();
    let other = Transcriber::new(Arc::clone(&beside) as Arc<dyn Model>, tokenizer).unwrap();
    assert_eq!(other.run(&audio, words, &mut Silent).unwrap().segments, expected.segments);
    assert_eq!(beside.0.first.get(), Some(&5), "four windows to decode, and one for the first that is done");
    assert!(beside.0.encoded.load(Ordering::Relaxed) > 5);
}

/// Recordings in memory, and what becomes of them.
struct Shelf<'t> {
    transcriber: &'t Transcriber,
    left: Vec<(Waveform, TranscribeOptions)>,
    ended: Vec<(usize, Transcript)>,
    checkpoints: Vec<usize>,
    windows: Vec<usize>,
    stop_after: usize,
}

impl<'t> Shelf<'t> {
    fn new(transcriber: &'t Transcriber, recordings: &[(Waveform, TranscribeOptions)]) -> Self {
        Self {
            transcriber,
            left: recordings.iter().rev().cloned().collect(),
            ended: Vec::new(),
            checkpoints: vec![0; recordings.len()],
            windows: Vec::new(),
            stop_after: usize::MAX,
        }
    }
}

impl Recordings for Shelf<'_> {
    fn next(&mut self) -> Option<Transcription> {
        let (audio, options) = self.left.pop()?;
        Some(self.transcriber.start(&audio, options).unwrap())
    }

    fn event(&mut self, number: usize, event: Event<'_>) -> ControlFlow<()> {
        if matches!(event, Event::Window { .. }) {
            self.windows.push(number);
        }
        if self.windows.len() < self.stop_after { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn windows_done(&mut self, number: usize, _run: &mut Transcription) -> bool {
        self.checkpoints[number] += 1;
        true
    }

    fn ended(&mut self, number: usize, run: Result<Transcription>) -> ControlFlow<()> {
        let transcript = run.map(|run| self.transcriber.finish(run));
        self.ended.push((number, transcript.unwrap_or_default()));
        ControlFlow::Continue(())
    }
}

#[test]
fn several_recordings_in_one_batch_are_what_each_is_alone() {
    let transcriber = bundled();
    let words = TranscribeOptions { word_timestamps: true, ..options(3) };
    // The second is silent; the third knows another prompt, and its candidates are more.
    let prompt = Some("Speeches of the president.".to_owned());
    let mut other = TranscribeOptions { initial_prompt: prompt, ..options(3) };
    other.decode.beam_size = Some(2);
    let not_in_batches = TranscribeOptions { batch: None, ..options(3) };
    let recordings = [
        (clip("jfk.flac"), words.clone()),
        (clip("nonspeech-silence-10s.flac"), words.clone()),
        (clip("jfk.flac"), other),
        (clip("jfk.flac"), not_in_batches),
        (clip("fleurs-es-003.flac"), words),
    ];
    let mut shelf = Shelf::new(&transcriber, &recordings);
    transcriber.run_together(3, &mut shelf).unwrap();
    shelf.ended.sort_by_key(|(number, _)| *number);
    assert_eq!(shelf.ended.len(), recordings.len());
    for ((number, together), (audio, options)) in shelf.ended.iter().zip(&recordings) {
        if options.batch.is_none() {
            assert_eq!(*together, Transcript::default(), "that one is refused alone");
            continue;
        }
        let alone = transcriber.run(audio, options.clone(), &mut Silent).unwrap();
        assert_eq!(texts(&alone), texts(together), "{number}");
        assert!(shelf.checkpoints[*number] > 0 || *number == 3, "{number}");
    }

    let mut stopped = Shelf::new(&transcriber, &recordings[..1]);
    stopped.stop_after = 1;
    transcriber.run_together(3, &mut stopped).unwrap();
    assert_eq!(stopped.ended.len(), 1);
}

/// Those of a shelf a few windows at a time; what is left after them is given again.
struct InSteps<'t> {
    transcriber: &'t Transcriber,
    left: Vec<(usize, Transcription)>,
    given: Vec<usize>,
    undone: Vec<(usize, Transcription)>,
    ended: Vec<(usize, Transcript)>,
}

impl Recordings for InSteps<'_> {
    fn next(&mut self) -> Option<Transcription> {
        let (number, run) = (!self.left.is_empty()).then(|| self.left.remove(0))?;
        self.given.push(number);
        Some(run)
    }

    fn event(&mut self, _number: usize, _event: Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn windows_done(&mut self, _number: usize, _run: &mut Transcription) -> bool {
        true
    }

    fn ended(&mut self, number: usize, run: Result<Transcription>) -> ControlFlow<()> {
        let (number, run) = (self.given[number], run.unwrap());
        if run.is_done() {
            assert_eq!(run.windows_left(), 0);
            self.ended.push((number, self.transcriber.finish(run)));
        } else {
            self.undone.push((number, run));
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn recordings_a_few_windows_at_a_time_are_what_each_is_alone() {
    let transcriber = bundled();
    let clips = [clip("jfk.flac"), recording(), clip("jfk.flac")];
    let start = |audio| transcriber.start(audio, options(3)).unwrap();
    let mut steps = InSteps {
        transcriber: &transcriber,
        left: clips.iter().map(start).enumerate().collect(),
        given: Vec::new(),
        undone: Vec::new(),
        ended: Vec::new(),
    };
    let windows =
        |runs: &[(usize, Transcription)]| runs.iter().map(|(_, run)| run.windows_left()).sum::<usize>();
    let (mut n_steps, mut before) = (0, windows(&steps.left));
    while !steps.left.is_empty() {
        transcriber.run_some_together(3, 2, &mut steps).unwrap();
        steps.given.clear();
        let mut undone = std::mem::take(&mut steps.undone);
        undone.append(&mut steps.left);
        steps.left = undone;
        let now = windows(&steps.left);
        assert!(before - now <= 2, "{before} windows, then {now}");
        (n_steps, before) = (n_steps + 1, now);
    }
    assert!(n_steps > 2, "{n_steps}");
    steps.ended.sort_by_key(|(number, _)| *number);
    assert_eq!(steps.ended.len(), 3);
    for ((number, together), audio) in steps.ended.iter().zip(&clips) {
        let alone = transcriber.run(audio, options(3), &mut Silent).unwrap();
        assert_eq!(texts(&alone), texts(together), "{number}");
    }
}

#[test]
fn times_are_the_recordings_and_in_their_order() {
    let mut words = options(4);
    words.word_timestamps = true;
    let transcript = bundled().run(&recording(), words, &mut Silent).unwrap();
    let words: Vec<_> =
        transcript.segments.iter().flat_map(|s| s.words.clone().unwrap_or_default()).collect();
    assert!(words.windows(2).all(|pair| pair[0].start <= pair[1].start + 1e-9), "{words:?}");
    let fellow: Vec<f64> =
        words.iter().filter(|word| word.word.trim() == "fellow").map(|word| word.start).collect();
    // In the clip alone it begins at 1.1 s; before its second time are two silences, the clip and the long one.
    let silence = 4.0;
    for (found, before) in
        fellow.iter().zip([0.0, 11.0 + 72.25 + 2.0 * silence, 22.0 + 72.25 + 3.0 * silence])
    {
        assert!((found - (before + silence + 1.1)).abs() < 0.5, "{found} after {before}");
    }
    assert_eq!(fellow.len(), 3);
}

#[test]
fn whoever_stops_it_keeps_what_is_done() {
    let transcriber = bundled();
    let audio = recording();
    let mut heard: Vec<Segment> = Vec::new();
    let mut observer = |event: Event<'_>| match event {
        Event::Segment(segment) => {
            heard.push(segment.clone());
            if heard.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        _ => ControlFlow::Continue(()),
    };
    let stopped = transcriber.run(&audio, options(2), &mut observer).unwrap();
    let whole = transcriber.run(&audio, options(2), &mut Silent).unwrap();
    assert!(stopped.segments.len() >= 2 && stopped.segments.len() < whole.segments.len());
    assert_eq!(texts(&stopped), texts(&whole)[..stopped.segments.len()]);
    assert_eq!(heard[..2], whole.segments[..2]);
}

#[test]
fn silence_has_no_words_and_what_does_not_go_together_is_said() {
    let transcriber = bundled();
    let silent = transcriber.run(&clip("nonspeech-silence-10s.flac"), options(8), &mut Silent).unwrap();
    assert_eq!((silent.text.as_str(), silent.segments.len()), ("", 0));
    let refused = |change: fn(&mut TranscribeOptions)| {
        let mut options = options(4);
        change(&mut options);
        transcriber.run(&Waveform::new(vec![0.0; 16_000]), options, &mut Silent).unwrap_err().to_string()
    };
    assert!(refused(|o| o.batch = Some(0)).contains("`batch` must be 1 to 256 windows, not 0"));
    for (name, words) in [
        ("condition_on_previous_text", refused(|o| o.condition_on_previous_text = true)),
        ("clip_timestamps", refused(|o| o.clip_timestamps = vec![1.0, 2.0])),
        (
            "hallucination_silence_threshold",
            refused(|o| {
                (o.word_timestamps, o.hallucination_silence_threshold) = (true, Some(2.0));
            }),
        ),
    ] {
        assert!(words.contains(&format!("`batch` and `{name}` can't be given together")), "{words}");
    }
    // What a window's decoding refuses is refused here too.
    let both = DecodingOptions { beam_size: Some(2), patience: Some(-1.0), ..DecodingOptions::default() };
    let options = TranscribeOptions { decode: both, ..options(2) };
    assert!(transcriber.run(&clip("jfk.flac"), options, &mut Silent).is_err());
}
