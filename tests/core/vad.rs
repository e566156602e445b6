//! Voice activity against Silero's own network and rules, see `tests/golden/make_vad.py`.

use candle_whisper_core::audio::Waveform;
use candle_whisper_core::media;
use candle_whisper_core::transcript::{Segment, Word};
use candle_whisper_core::vad::{self, CHUNK, Span, Timeline, Vad, VadOptions};

use crate::data::{Noise, golden, numbers, tests};

fn clip(name: &str) -> Waveform {
    media::decode(std::fs::File::open(tests().join("data").join(name)).unwrap(), None).unwrap()
}

#[test]
fn probabilities_are_the_originals() {
    for case in golden("vad.json")["clips"].as_array().unwrap() {
        let name = case["clip"].as_str().unwrap();
        let expected: Vec<f32> = numbers(&case["probabilities"]);
        let found = Vad::bundled().unwrap().probabilities(clip(name).samples()).unwrap();
        assert_eq!(found.len(), expected.len());
        let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{name}: {} probabilities, {off:.5} apart at most", found.len());
        assert!(off < 1e-3, "{name}: {off}");
    }
}

#[test]
fn a_recording_in_pieces_is_the_same_recording() {
    let audio = clip("jfk.flac");
    let whole = Vad::bundled().unwrap().probabilities(audio.samples()).unwrap();
    let (mut vad, mut pieces, mut rest) = (Vad::bundled().unwrap(), Vec::new(), audio.samples());
    let mut noise = Noise(5);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((CHUNK * (1 + noise.below(40))).min(rest.len()));
        pieces.extend(vad.probabilities(piece).unwrap());
        rest = after;
    }
    assert_eq!(whole.len(), pieces.len());
    assert!(whole.iter().zip(&pieces).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn spans_are_the_originals() {
    let mut n = 0;
    for case in golden("vad.json")["clips"].as_array().unwrap() {
        let name = case["clip"].as_str().unwrap();
        let probabilities: Vec<f32> = numbers(&case["probabilities"]);
        let n_samples = clip(name).samples().len();
        for spans in case["spans"].as_array().unwrap() {
            let mut options = VadOptions {
                min_speech_duration_ms: 250.0,
                min_silence_duration_ms: 100.0,
                speech_pad_ms: 30.0,
                ..VadOptions::default()
            };
            for (option, value) in spans["options"].as_object().unwrap() {
                let value = value.as_f64().unwrap();
                match option.as_str() {
                    "threshold" => options.threshold = value,
                    "min_speech_duration_ms" => options.min_speech_duration_ms = value,
                    "max_speech_duration_s" => options.max_speech_duration_s = Some(value),
                    "min_silence_duration_ms" => options.min_silence_duration_ms = value,
                    "speech_pad_ms" => options.speech_pad_ms = value,
                    other => panic!("{other}"),
                }
            }
            let expected: Vec<[usize; 2]> = numbers(&spans["spans"]);
            let found = vad::spans(&probabilities, n_samples, &options);
            let found: Vec<_> = found.iter().map(|span| [span.start, span.end]).collect();
            assert_eq!(found, expected, "{name}, {options:?}");
            n += expected.len();
        }
    }
    assert!(n > 50, "{n} spans");
}

#[test]
fn spans_never_overlap_whatever_the_probabilities() {
    let mut noise = Noise(6);
    for round in 0..2000 {
        let n = noise.below(200);
        let probabilities: Vec<f32> = (0..n).map(|_| noise.unit().abs()).collect();
        let n_samples = (n * CHUNK).saturating_sub(noise.below(CHUNK));
        let options = VadOptions {
            threshold: f64::from(noise.unit().abs()),
            min_speech_duration_ms: noise.below(500) as f64,
            max_speech_duration_s: (round % 2 == 0).then(|| 1.0 + noise.below(3) as f64),
            min_silence_duration_ms: noise.below(500) as f64,
            speech_pad_ms: noise.below(900) as f64,
        };
        let spans = vad::spans(&probabilities, n_samples, &options);
        let mut end = 0;
        for span in spans {
            assert!(
                end <= span.start && span.start < span.end && span.end <= n_samples,
                "{span:?} {options:?}"
            );
            end = span.end;
        }
    }
}

#[test]
fn times_are_those_of_the_whole_recording() {
    let audio = Waveform::new((0..160_000).map(|i| i as f32).collect());
    let spans = [Span { start: 16_000, end: 32_000 }, Span { start: 80_000, end: 112_000 }];
    let (speech, timeline) = Timeline::cut(&audio, &spans);
    assert_eq!(speech.samples().len(), 48_000);
    assert_eq!((speech.samples()[0], speech.samples()[16_000]), (16_000.0, 80_000.0));
    // One second of speech from 1 s on, two from 5 s on.
    assert_eq!((timeline.start(0.0), timeline.start(0.5), timeline.end(0.5)), (1.0, 1.5, 1.5));
    assert_eq!((timeline.start(1.0), timeline.end(1.0)), (5.0, 2.0));
    assert_eq!((timeline.end(3.0), timeline.end(9.0)), (7.0, 7.0));
    let word = |word: &str, start, end| Word { word: word.into(), start, end, probability: 1.0 };
    let words = vec![word("a", 0.2, 0.6), word("b", 0.7, 1.2), word("c", 1.2, 3.5)];
    let mut segment = Segment { start: 0.2, end: 3.5, words: Some(words), ..Segment::default() };
    timeline.place(&mut segment);
    let times: Vec<_> = segment.words.iter().flatten().map(|word| (word.start, word.end)).collect();
    assert_eq!(times, [(1.2, 1.6), (1.7, 2.0), (5.2, 7.0)]);
    assert_eq!((segment.start, segment.end), (1.2, 7.0));
}

#[test]
fn limits_out_of_range_are_named() {
    for (options, name) in [
        (VadOptions { threshold: 1.5, ..VadOptions::default() }, "threshold"),
        (VadOptions { speech_pad_ms: f64::NAN, ..VadOptions::default() }, "speech_pad_ms"),
        (VadOptions { max_speech_duration_s: Some(0.0), ..VadOptions::default() }, "max_speech_duration_s"),
    ] {
        assert!(options.validate().unwrap_err().to_string().contains(name));
    }
}

#[test]
fn weights_that_are_none_or_of_another_shape_are_an_error_that_says_so() {
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/silero_vad.safetensors")).unwrap();
    assert!(Vad::new(&file).is_ok());
    // The same length of header and of tensors, other shapes.
    let shape = file.windows(9).position(|bytes| bytes == b"[512,128]").unwrap();
    let reshaped = [&file[..shape], b"[128,512]", &file[shape + 9..]].concat();
    for weights in [&b""[..], b"no weights", &file[..file.len() - 1], &[0xff; 64], &reshaped] {
        let error = Vad::new(weights).unwrap_err().to_string();
        assert!(error.starts_with("weights: these are no weights of Silero VAD"), "{error}");
    }
}
