//! A given text and a recording: every word of the text gets its time.

use std::fs;
use std::process::{Command, Output, Stdio};

use candle_whisper_core::align::Given;
use candle_whisper_core::audio::SAMPLE_RATE;
use candle_whisper_core::observer::Silent;
use candle_whisper_core::recording::{Open, Recording};
use candle_whisper_core::transcript::Word;
use candle_whisper_core::vad::VadOptions;
use candle_whisper_core::{Error, Task, TranscribeOptions, Transcript, Waveform, media};

use crate::data::{bundled, tests};

const SENTENCE: &str = "And so, my fellow Americans: ask not what your country can do for you --\n\
                        ask what you can do for your country.";

fn jfk() -> Waveform {
    media::decode(fs::File::open(tests().join("data/jfk.flac")).unwrap(), None).unwrap()
}

fn words(transcript: &Transcript) -> Vec<Word> {
    transcript.segments.iter().flat_map(|segment| segment.words.clone().unwrap_or_default()).collect()
}

fn options() -> TranscribeOptions {
    TranscribeOptions { snap_to_speech: true, ..TranscribeOptions::default() }
}

#[test]
fn a_text_of_several_windows_is_found_where_it_is_said_and_a_stranger_nowhere() {
    let transcriber = bundled();
    let (once, silence) = (jfk(), vec![0f32; 2 * SAMPLE_RATE]);
    let audio = Waveform::new([once.samples(), &silence, once.samples(), &silence, once.samples()].concat());
    let stranger = "The quick brown foxes jumped over several very lazy dogs that slept beside an old \
                    wooden barn while heavy autumn rain kept falling upon yellow fields until midnight came.";
    let text = format!("{SENTENCE}\n\n{SENTENCE}\n{stranger}\n{SENTENCE}\n");
    let found = transcriber.align(&audio, &text, options(), &mut Silent).unwrap();
    assert_eq!(found.segments.len(), 7);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let segments: Vec<&str> = found.segments.iter().map(|segment| segment.text.trim()).collect();
    assert_eq!(segments, lines);
    assert_eq!(found.text, lines.iter().map(|line| format!(" {line}")).collect::<String>());
    let all = words(&found);
    assert!(all.windows(2).all(|two| two[0].start <= two[0].end && two[0].end <= two[1].start));
    let unheard: Vec<&Word> = all.iter().filter(|word| word.probability == 0.0).collect();
    assert_eq!(unheard.len(), stranger.split(' ').count());
    assert!(found.segments[4].words.iter().flatten().all(|word| word.probability == 0.0));

    // Each time the sentence is said, its words are as far from its start.
    let n = SENTENCE.split_whitespace().count();
    let said: Vec<&Word> = all.iter().filter(|word| word.probability > 0.0).collect();
    assert_eq!(said.len(), 3 * n);
    let shift = once.duration() + 2.0;
    for (i, word) in said.iter().enumerate() {
        let first = said[i % n];
        let expected = first.start + shift * (i / n) as f64;
        assert!((word.start - expected).abs() < 0.3, "{word:?} begins {expected} by the first time");
    }
    // As they are heard: "ask" after each of the pauses.
    let at = |i: usize| said[i].start;
    assert!((at(0) - 0.3).abs() < 0.3 && (at(5) - 3.6).abs() < 0.3 && (at(15) - 8.2).abs() < 0.3, "{said:?}");
}

#[test]
fn an_encoded_window_is_aligned_with_other_texts_and_gives_the_recordings_times() {
    let transcriber = bundled();
    let silence = vec![0f32; 40 * SAMPLE_RATE];
    let audio = Waveform::new([&silence, jfk().samples()].concat());
    let window = transcriber.encode_window(&audio, (40.0, 51.0), &options()).unwrap();
    let align = |text: &str| transcriber.align_window(&window, text, &TranscribeOptions::default());
    let first = align(SENTENCE).unwrap();
    let edited = align(&SENTENCE.replace("fellow Americans", "dear American friends")).unwrap();
    assert_eq!(edited.len(), first.len() + 1);
    for (before, after) in first[6..].iter().zip(&edited[7..]) {
        assert_eq!(before.word, after.word);
        assert!((before.start - after.start).abs() < 0.3, "{before:?} {after:?}");
    }
    assert!(first[0].start >= 40.0 && first[0].start < 40.7, "{first:?}");
    assert!(align(" \n").unwrap_err().to_string().contains("no words"));
    assert!(align(&"word ".repeat(500)).unwrap_err().to_string().contains("a window takes 440"));
    let outside = transcriber.encode_window(&audio, (0.0, 31.0), &options()).unwrap_err().to_string();
    assert!(outside.contains("at most 30 s"), "{outside}");
}

#[test]
fn texts_that_are_not_the_recordings_are_refused() {
    let transcriber = bundled();
    let said = |text: &str, options: TranscribeOptions| {
        transcriber.align(&jfk(), text, options, &mut Silent).unwrap_err().to_string()
    };
    let other = "Quick brown foxes jumped over several lazy dogs";
    assert!(said(other, options()).contains("nothing in common with what is heard (`and so my"));
    assert!(said("\n ", options()).contains("the text to align is empty"));
    assert!(said("-- !", options()).contains("no words"));
    let mut translate = options();
    translate.decode.task = Task::Translate;
    assert!(said(SENTENCE, translate).contains("can't be aligned with a translation"));
}

#[test]
fn a_recording_that_is_read_block_by_block_has_the_times_of_the_whole() {
    let transcriber = bundled();
    let silence = vec![0f32; 9 * SAMPLE_RATE];
    let audio = Waveform::new([&silence, jfk().samples(), &silence, jfk().samples()].concat());
    let text = format!("{SENTENCE}\n{SENTENCE}");
    for vad in [None, Some(VadOptions::default())] {
        let options = TranscribeOptions { vad, ..options() };
        let streamed = transcriber.align(&audio, &text, options.clone(), &mut Silent).unwrap();
        // Heard in memory as a whole, and then found with what is known of the whole.
        let open: Open = match Recording::from(audio.clone()) {
            Recording::Again(open) => open,
            Recording::Once(_) => panic!("samples can be read again"),
        };
        let given = Given::new(&text, options).unwrap();
        let whole = transcriber.align_by(&given, &open, &mut Silent, |options, observer| {
            let heard = transcriber.run(&audio, options.clone(), observer)?;
            Ok::<_, Error>(transcriber.look_through(&open, options, observer)?.map(|plan| (plan, heard)))
        });
        assert_eq!(streamed, whole.unwrap());
        assert!(words(&streamed).iter().all(|word| word.probability > 0.0 && word.start > 8.5));
    }
    let once = Recording::once(
        media::MediaReader::open_passing(fs::File::open(tests().join("data/jfk.flac")).unwrap(), None)
            .unwrap(),
    );
    let refused = transcriber.align_recording(once, &text, options(), &mut Silent).unwrap_err().to_string();
    assert!(refused.contains("a recording that can be read again"), "{refused}");
}

#[test]
fn a_run_that_is_killed_goes_on_and_writes_what_it_would_have_written() {
    let here = tempfile::tempdir().unwrap();
    let clip = tests().join("data/long-72s.flac");
    let audio = media::decode(fs::File::open(&clip).unwrap(), None).unwrap();
    let text = bundled().run(&audio, TranscribeOptions::default(), &mut Silent);
    fs::write(here.path().join("text.txt"), text.unwrap().text).unwrap();
    let start = |out: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_candle-whisper"));
        command
            .current_dir(here.path())
            .arg("align")
            .arg(&clip)
            .arg("text.txt")
            .args(["--resume", "-o", out]);
        command.args(["-f", "json", "--beam_size", "None", "--verbose", "None", "--device", "cpu"]);
        command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let said = |out: &str| {
        let output = start(out).wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        (fs::read_to_string(here.path().join(out).join("long-72s.json")).unwrap(), said)
    };
    let (whole, _) = said("whole");
    let mut killed = start("killed");
    let state = here.path().join("killed/long-72s.candle-whisper.resume");
    // The mark, the plan and a window.
    let windows = || fs::read(&state).map_or(0, |lines| lines.iter().filter(|&&byte| byte == b'\n').count());
    while windows() < 3 {
        assert!(killed.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let (same, note) = said("killed");
    assert!(note.contains("goes on after"), "{note}");
    assert_eq!(same, whole);
    assert!(!state.exists());
}

fn program(arguments: &[&str], text: &[u8]) -> (i32, String, String) {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("text.txt"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_candle-whisper"));
    command.current_dir(here.path()).stdin(Stdio::null()).arg("align").args(arguments);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let words = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), words(stdout), words(stderr))
}

#[test]
fn the_program_writes_a_texts_subtitles_and_names_what_it_can_not_use() {
    let clip = tests().join("data/jfk.flac");
    let clip = clip.to_str().unwrap();
    let (code, srt, said) = program(
        &[clip, "text.txt", "--beam-size", "None", "-f", "srt", "-o", "-", "--break_at_phrases", "True"],
        SENTENCE.as_bytes(),
    );
    assert_eq!((code, said.as_str()), (0, ""));
    assert!(srt.contains("And so, my fellow Americans:\n") && srt.contains("do for you --\n"), "{srt}");

    let refused = |arguments: &[&str], text: &[u8], code: i32, expected: &str| {
        let (found, _, said) = program(arguments, text);
        assert!(found == code && said.contains(expected), "{found}: {said}");
    };
    refused(&[clip, "text.txt"], b" \n", 1, "is empty: there is nothing to align");
    refused(&[clip, "text.txt"], b"\xff\xfe", 1, "the text `text.txt` is not UTF-8");
    refused(&[clip, "none.txt"], b"", 1, "could not read the text `none.txt`");
    refused(&["--device", "cuda:0,1", clip, "text.txt"], b"Some words.", 2, "`align` computes on one device");
    let once = "`align` has no `--running_maximum`: it reads the recording again";
    refused(&["--running_maximum", "True", clip, "text.txt"], b"Some words.", 2, once);
    refused(&["-", "-"], b"", 2, "both the recording and the text from stdin");
    refused(&[clip, clip, "text.txt"], b"", 2, "`align` takes one recording and its text");
}
