//! Writers against the bytes that openai/whisper's own writers made (tests/golden/writers/make.py).

use std::path::{Path, PathBuf};

use candle_whisper_core::transcript::{Segment, Transcript, Word};
use candle_whisper_core::writers::{OutputFormat, SubtitleOptions, format_timestamp};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    transcript: Transcript,
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    format: OutputFormat,
    options: SubtitleOptions,
    text: String,
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/writers")
}

fn cases() -> Vec<(String, Case)> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(golden()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let case = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            cases.push((name, case));
        }
    }
    cases
}

fn written(transcript: &Transcript, format: OutputFormat, options: &SubtitleOptions) -> String {
    let mut bytes = Vec::new();
    let writer = format.writer(options);
    assert_eq!(writer.extension(), format.name());
    writer.write(transcript, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn every_output_is_the_reference_programs_byte_for_byte() {
    let mut compared = 0;
    for (name, case) in cases() {
        for Output { format, options, text } in &case.outputs {
            let ours = written(&case.transcript, *format, options);
            assert_eq!(&ours, text, "{name}, {format:?}, {options:?}");
            compared += 1;
        }
    }
    assert!(compared >= 200, "only {compared} outputs were compared");
}

#[test]
fn json_reads_back_as_the_same_transcript() {
    for (name, Case { transcript, .. }) in cases() {
        let json = written(&transcript, OutputFormat::Json, &SubtitleOptions::default());
        assert_eq!(serde_json::from_str::<Transcript>(&json).unwrap(), transcript, "{name}");
    }
}

#[test]
fn floats_and_timestamps_are_spelt_as_python_spells_them() {
    let table = std::fs::read_to_string(golden().join("numbers.tsv")).unwrap();
    let mut rows = 0;
    for line in table.lines().skip(1) {
        let [bits, repr, timestamp, with_hours]: [&str; 4] =
            line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let value: f64 = repr.parse().unwrap();
        for (signed, spelling) in [(value, repr.to_string()), (-value, format!("-{repr}"))] {
            let segment = Segment { avg_logprob: signed, ..Segment::default() };
            let transcript = Transcript { segments: vec![segment], ..Transcript::default() };
            let json = written(&transcript, OutputFormat::Json, &SubtitleOptions::default());
            let expected = format!("\"avg_logprob\": {spelling}, ");
            assert!(json.contains(&expected), "{bits}: {json} lacks {expected}");
        }
        if !timestamp.is_empty() {
            assert_eq!(format_timestamp(value, false, '.'), timestamp, "{bits}");
            assert_eq!(format_timestamp(value, true, ','), with_hours, "{bits}");
        }
        rows += 1;
    }
    assert!(rows > 200);
}

#[test]
fn not_a_number_and_infinity_are_spelt_as_json_dump_spells_them() {
    let segment = Segment {
        avg_logprob: f64::NAN,
        compression_ratio: f64::INFINITY,
        no_speech_prob: f64::NEG_INFINITY,
        ..Segment::default()
    };
    let transcript = Transcript { segments: vec![segment], ..Transcript::default() };
    let json = written(&transcript, OutputFormat::Json, &SubtitleOptions::default());
    let expected = r#""avg_logprob": NaN, "compression_ratio": Infinity, "no_speech_prob": -Infinity}"#;
    assert!(json.contains(expected), "{json}");
}

#[test]
fn negative_and_undefined_times_are_written_as_zero() {
    assert_eq!(format_timestamp(-3.0, false, '.'), "00:00.000");
    assert_eq!(format_timestamp(f64::NAN, true, ','), "00:00:00,000");
}

#[test]
fn a_segment_without_words_makes_every_segment_a_cue() {
    let word = Word { word: " one".into(), end: 1.0, ..Word::default() };
    let segments = vec![
        Segment { text: " one".into(), end: 1.0, words: Some(vec![word]), ..Segment::default() },
        Segment { text: " two".into(), start: 1.0, end: 2.0, ..Segment::default() },
    ];
    let transcript = Transcript { segments, ..Transcript::default() };
    let srt = written(&transcript, OutputFormat::Srt, &SubtitleOptions::default());
    assert_eq!(srt, "1\n00:00:00,000 --> 00:00:01,000\none\n\n2\n00:00:01,000 --> 00:00:02,000\ntwo\n\n");
}

fn three_segments() -> Transcript {
    let segment = |start, end, text: &str| Segment { start, end, text: text.into(), ..Segment::default() };
    let segments = vec![
        segment(0.004, 1.5, " say \"cheese\", please"),
        segment(1.5, 1.5, ""),
        segment(1.503, 61.0, " two\nlines\t"),
        segment(3725.125, 3726.0, " later"),
    ];
    Transcript { segments, ..Transcript::default() }
}

#[test]
fn csv_doubles_quotes_and_keeps_line_breaks_inside_them() {
    let csv = written(&three_segments(), OutputFormat::Csv, &SubtitleOptions::default());
    let expected = "start,end,text\n4,1500,\"say \"\"cheese\"\", please\"\n1500,1500,\"\"\n\
                    1503,61000,\"two\nlines\"\n3725125,3726000,\"later\"\n";
    assert_eq!(csv, expected);
}

#[test]
fn lrc_counts_minutes_past_the_hour_and_clears_the_screen_in_pauses() {
    let lrc = written(&three_segments(), OutputFormat::Lrc, &SubtitleOptions::default());
    let expected =
        "[00:00.00]say \"cheese\", please\n[00:01.50]two lines\n[01:01.00]\n[62:05.12]later\n[62:06.00]\n";
    assert_eq!(lrc, expected);
}

#[test]
fn formats_are_known_by_name_alone() {
    for format in OutputFormat::ALL {
        assert_eq!(format.name().parse::<OutputFormat>().unwrap(), format);
        assert_eq!(serde_json::to_string(&format).unwrap(), format!("\"{}\"", format.name()));
    }
    let refused = "docx".parse::<OutputFormat>().unwrap_err().to_string();
    assert_eq!(refused, "unknown output format `docx`; known are txt, vtt, srt, tsv, json, lrc, csv, ass");
}

#[test]
fn unknown_subtitle_options_are_refused() {
    assert!(serde_json::from_str::<SubtitleOptions>(r#"{"max_line_with": 3}"#).is_err());
}
