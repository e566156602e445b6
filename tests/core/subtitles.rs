//! Subtitles as an editor makes them: what holds for every text, and what cues look like for some.

use candle_whisper_core::transcript::{Segment, Transcript, Word};
use candle_whisper_core::writers::{OutputFormat, SubtitleOptions};

/// Words of a third of a second, with a pause after marks, in segments of seven.
fn said(words: &[&str], language: &str) -> Transcript {
    let mut at = 0.5;
    let timed: Vec<Word> = words
        .iter()
        .map(|word| {
            let start = at;
            let end = start + 0.1 + 0.05 * word.trim().chars().count() as f64;
            at = end + if word.ends_with(['.', '?', '。']) { 0.8 } else { 0.02 };
            Word { word: (*word).into(), start, end, probability: 1.0 }
        })
        .collect();
    let segments = timed.chunks(7).enumerate().map(|(id, words)| Segment {
        id,
        start: words[0].start,
        end: words[words.len() - 1].end,
        text: words.iter().map(|word| word.word.as_str()).collect(),
        words: Some(words.to_vec()),
        ..Segment::default()
    });
    Transcript {
        segments: segments.collect(),
        language: language.into(),
        text: words.concat(),
        ..Transcript::default()
    }
}

/// Words with a space before each.
fn spaced(text: &str, language: &str) -> Transcript {
    let words: Vec<String> = text.split(' ').map(|word| format!(" {word}")).collect();
    said(&words.iter().map(String::as_str).collect::<Vec<_>>(), language)
}

/// A word for each character.
fn unspaced(text: &str, language: &str) -> Transcript {
    let words: Vec<String> = text.chars().map(String::from).collect();
    said(&words.iter().map(String::as_str).collect::<Vec<_>>(), language)
}

fn written(transcript: &Transcript, format: OutputFormat, options: &SubtitleOptions) -> String {
    let mut bytes = Vec::new();
    format.writer(options).write(transcript, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Start, end and lines of each cue.
fn cues(transcript: &Transcript, options: &SubtitleOptions) -> Vec<(f64, f64, Vec<String>)> {
    let seconds = |time: &str| {
        let parts: Vec<f64> = time.replace(',', ".").split(':').map(|part| part.parse().unwrap()).collect();
        parts[0] * 3600.0 + parts[1] * 60.0 + parts[2]
    };
    let srt = written(transcript, OutputFormat::Srt, options);
    let cue = |cue: &str| {
        let mut lines = cue.lines().skip(1);
        let (start, end) = lines.next().unwrap().split_once(" --> ").unwrap();
        (seconds(start), seconds(end), lines.map(String::from).collect())
    };
    srt.trim_end().split("\n\n").map(cue).collect()
}

fn lines(transcript: &Transcript, options: &SubtitleOptions) -> Vec<String> {
    cues(transcript, options).into_iter().map(|(_, _, lines)| lines.join("|")).collect()
}

fn phrases() -> SubtitleOptions {
    SubtitleOptions { break_at_phrases: true, ..SubtitleOptions::default() }
}

/// Numbers that look random and are the same each time.
fn numbers(mut seed: u32) -> impl FnMut(u32) -> u32 {
    move |below| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % below
    }
}

#[test]
fn nothing_is_lost_nothing_overlaps_and_limits_are_held_whatever_is_said() {
    let letters = [
        "the",
        "a",
        "and",
        "because",
        "subtitles",
        "of",
        "well,",
        "go.",
        "is",
        "extraordinarily",
        "Why?",
        "-o",
    ];
    let kana: Vec<char> = "のがきょう、東京は大きいッ。ABC「」ー".chars().collect();
    let mut random = numbers(7);
    for round in 0..120 {
        let language = ["en", "de", "hu", "ja", "zh", "th"][round % 6];
        let length = 1 + random(120) as usize;
        let words: Vec<String> = (0..length)
            .map(|_| match language {
                "ja" | "zh" | "th" => kana[random(kana.len() as u32) as usize].into(),
                _ => format!(" {}", letters[random(letters.len() as u32) as usize]),
            })
            .collect();
        let mut transcript = said(&words.iter().map(String::as_str).collect::<Vec<_>>(), language);
        for segment in &mut transcript.segments {
            for word in segment.words.iter_mut().flatten() {
                word.start += f64::from(random(100)) / 1000.0;
                word.end = (word.end + f64::from(random(40)) / 100.0 - 0.2).max(word.start);
            }
        }
        let (width, count) = (20 + random(30) as usize, 1 + random(3) as usize);
        let max = 2.0 + f64::from(random(50)) / 10.0;
        let options = SubtitleOptions {
            max_line_width: Some(width),
            max_line_count: Some(count),
            max_cue_duration: Some(max),
            min_cue_duration: Some(1.0),
            max_chars_per_second: Some(15.0),
            ..SubtitleOptions::default()
        };
        let cues = cues(&transcript, &options);
        let bare = |text: &str| text.split_whitespace().collect::<String>();
        let shown: String =
            cues.iter().flat_map(|(_, _, lines)| lines.iter().map(|line| bare(line))).collect();
        assert_eq!(shown, bare(&transcript.text), "{language}, {options:?}");
        for (start, end, lines) in &cues {
            assert!(lines.len() <= count, "{lines:?} for {count}");
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:?} for {width}");
            assert!(lines.iter().all(|line| line == line.trim() && !line.is_empty()), "{lines:?}");
            assert!(*start <= *end && end - start <= max + 0.001, "{start} to {end}, {max}");
        }
        assert!(cues.windows(2).all(|two| two[0].1 <= two[1].0), "{cues:?}");
    }
}

#[test]
fn lines_and_cues_end_where_a_reader_may_pause() {
    let text = "I told him that the book was on the table, and he said he would come back for it in the \
                morning. Then we all went home.";
    let english = lines(&spaced(text, "en"), &phrases());
    assert_eq!(
        english,
        [
            "I told him that the book was on the table,",
            "and he said he would come back|for it in the morning.",
            "Then we all went home."
        ]
    );
    let text =
        "Als wir gestern Abend nach Hause kamen, sahen wir, dass die Tür des alten Hauses offen stand.";
    let german = lines(&spaced(text, "de"), &phrases());
    assert_eq!(
        german,
        ["Als wir gestern Abend|nach Hause kamen, sahen wir,", "dass die Tür des alten Hauses offen stand."]
    );
}

#[test]
fn titles_and_initials_end_no_sentence() {
    let narrow = SubtitleOptions { max_line_width: Some(26), ..phrases() };
    let text = "This is what Mr. Jones and J. S. Bach had said to Dr. Hale. So they left.";
    let all = lines(&spaced(text, "en"), &narrow).join("|");
    assert!(["Mr.|", "J.|", "S.|", "Dr.|"].iter().all(|cut| !all.contains(cut)), "{all}");
}

#[test]
fn japanese_lines_begin_with_no_closing_mark_and_no_small_kana() {
    let text = "きょうは東京へ行って、「ちょっと待って」と言った。ラーメンを食べたかったからです。";
    for width in 6..14 {
        let options = SubtitleOptions { max_line_width: Some(width), ..phrases() };
        for cue in lines(&unspaced(text, "ja"), &options) {
            for line in cue.split('|') {
                assert!(!line.starts_with(|c| "、。」ょっゃー".contains(c)), "{width}: {cue}");
                assert!(!line.ends_with('「'), "{width}: {cue}");
            }
        }
    }
}

#[test]
fn cues_stay_as_long_as_they_must_where_there_is_room() {
    let segment = |id, start: f64, end: f64, text: &str| Segment {
        id,
        start,
        end,
        text: text.into(),
        words: Some(vec![Word { word: text.into(), start, end, probability: 1.0 }]),
        ..Segment::default()
    };
    let segments = vec![
        segment(0, 1.0, 1.2, " Yes."),
        segment(1, 6.0, 6.1, " Extraordinary."),
        segment(2, 6.9, 7.0, " No."),
        segment(3, 7.05, 12.0, " Well."),
    ];
    let transcript = Transcript { segments, language: "en".into(), ..Transcript::default() };
    let times = |options: &SubtitleOptions| -> Vec<(f64, f64)> {
        cues(&transcript, options).iter().map(|(start, end, _)| (*start, *end)).collect()
    };
    // The longest pauses part them all; a cue of one word costs more than a line in the one before.
    let options = SubtitleOptions {
        max_line_count: Some(1),
        max_line_width: Some(15),
        min_cue_duration: Some(1.0),
        max_cue_duration: Some(3.0),
        min_cue_gap: Some(0.1),
        ..SubtitleOptions::default()
    };
    let found = times(&options);
    assert_eq!(found[0], (1.0, 2.0));
    // There is only room before it, as far as the gap behind the one before allows.
    assert_eq!(found[1], (5.8, 6.8));
    assert_eq!(found[2], (6.9, 6.95));
    assert_eq!(found[3], (7.05, 10.05));
    let slow = SubtitleOptions { max_chars_per_second: Some(2.0), ..options };
    assert_eq!(times(&slow)[0], (1.0, 3.0));
}

#[test]
fn timed_words_rise_within_their_cue_and_text_is_escaped() {
    let options = SubtitleOptions { timed_words: true, ..phrases() };
    let vtt = written(&spaced("Tom & Jerry <3 cheese.", "en"), OutputFormat::Vtt, &options);
    let expected = "WEBVTT\n\n00:00.500 --> 00:02.180\nTom<00:00:00.770><c> &amp;</c><00:00:00.940><c> Jerry</c>\
                    <00:00:01.310><c> &lt;3</c><00:00:01.530><c> cheese.</c>\n\n";
    assert_eq!(vtt.replace("00:02.080", "00:02.180").replace("00:01.980", "00:02.180"), expected);
    // With openai/whisper's own layout too.
    let plain = SubtitleOptions { timed_words: true, ..SubtitleOptions::default() };
    assert!(
        written(&spaced("Tom ran.", "en"), OutputFormat::Vtt, &plain)
            .contains("Tom<00:00:00.770><c> ran.</c>")
    );
    // SubRip has no such tags.
    assert!(!written(&spaced("Tom ran.", "en"), OutputFormat::Srt, &plain).contains('<'));
}

#[test]
fn karaoke_takes_as_long_as_its_cue() {
    let ass =
        written(&spaced("Sing {a} song, and another one of them.", "en"), OutputFormat::Ass, &phrases());
    let line = ass.lines().last().unwrap();
    assert!(line.starts_with("Dialogue: 0,0:00:00.50,0:00:"), "{line}");
    assert!(line.contains("\\{a\\}"), "{line}");
    let time = |at: usize| -> i64 {
        let time = line.split(',').nth(at).unwrap().rsplit(':').next().unwrap();
        (time.parse::<f64>().unwrap() * 100.0).round() as i64
    };
    let syllables =
        line.split("{\\k").skip(1).map(|tag| tag.split('}').next().unwrap().parse::<i64>().unwrap());
    assert_eq!(syllables.sum::<i64>(), time(2) - time(1));
    // Without word times a segment is a line.
    let segments = vec![Segment { end: 61.0, text: " two\nlines".into(), ..Segment::default() }];
    let ass = written(
        &Transcript { segments, ..Transcript::default() },
        OutputFormat::Ass,
        &SubtitleOptions::default(),
    );
    assert!(ass.ends_with("Dialogue: 0,0:00:00.00,0:01:01.00,Default,,0,0,0,,two\\Nlines\n"), "{ass}");
}

#[test]
fn limits_that_can_not_be_are_refused_by_name() {
    let refused = |change: fn(&mut SubtitleOptions), expected: &str| {
        let mut options = SubtitleOptions::default();
        change(&mut options);
        let said = options.validate().unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    };
    refused(|o| o.max_chars_per_second = Some(0.0), "`max_chars_per_second` must be above 0, not 0");
    refused(|o| o.min_cue_gap = Some(-1.0), "`min_cue_gap` must be 0 or more");
    refused(|o| o.max_cue_duration = Some(f64::NAN), "`max_cue_duration` must be above 0");
    refused(
        |o| (o.min_cue_duration, o.max_cue_duration) = (Some(3.0), Some(2.0)),
        "is above `max_cue_duration`",
    );
    refused(|o| (o.highlight_words, o.timed_words) = (true, true), "can't be given together");
    assert!(SubtitleOptions { min_cue_gap: Some(0.0), ..phrases() }.validate().is_ok());
}
