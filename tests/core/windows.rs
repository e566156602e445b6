//! Windows, fallback, seeking, prompts and observers, by a network that says what it is told to.

use std::ops::ControlFlow;

use candle_whisper_core::observer::{Event, FallbackReason, Silent};
use candle_whisper_core::options::TranscribeOptions;

use crate::scripted::{AGAIN, Attempt, EOT, HELLO, SOT_PREV, Scripted, T0, WORLD, audio, sure, unsure};

/// What is heard is a tone: nobody speaks, which only the guards would notice.
fn unguarded() -> TranscribeOptions {
    TranscribeOptions { guards: false, ..TranscribeOptions::default() }
}

#[test]
fn the_next_window_starts_at_the_last_timestamp_and_knows_the_text_so_far() {
    let first = [T0, HELLO, T0 + 500, T0 + 500, WORLD, T0 + 1000, T0 + 1000];
    let model = Scripted::new(&[&[sure(&first)], &[sure(&[T0, AGAIN, T0 + 400])]]);
    let transcript = model.run(40, TranscribeOptions::default());
    let times: Vec<_> = transcript.segments.iter().map(|s| (s.seek, s.start, s.end)).collect();
    assert_eq!(times, [(0, 0.0, 10.0), (0, 10.0, 20.0), (2000, 20.0, 28.0)]);
    assert_eq!(transcript.text, " Hello world again");
    assert_eq!(transcript.language, "en");
    assert_eq!(transcript.segments.iter().map(|s| s.id).collect::<Vec<_>>(), [0, 1, 2]);
    // The pair's second timestamp begins a segment that is not there yet.
    let said = &first[..6];
    assert_eq!(model.prompts(), [vec![50257], [&[SOT_PREV], said, &[50257]].concat()]);
}

#[test]
fn repetition_is_tried_again_hotter() {
    let again = [&[T0][..], &[AGAIN; 60], &[T0 + 900]].concat();
    let model = Scripted::new(&[&[sure(&again), sure(&[T0, HELLO, T0 + 900])]]);
    let mut fallbacks = Vec::new();
    let transcript = model
        .transcriber()
        .run(&audio(20), unguarded(), &mut |event: Event<'_>| {
            if let Event::Fallback { temperature, reason } = event {
                fallbacks.push((temperature, reason));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(fallbacks, [(0.0, FallbackReason::Repetition)]);
    assert_eq!((transcript.text.as_str(), transcript.segments[0].temperature), (" Hello", 0.2));
}

#[test]
fn when_no_temperature_helps_the_last_decoding_stays() {
    let again = [&[T0][..], &[AGAIN; 60], &[T0 + 900]].concat();
    let model = Scripted::new(&[&[sure(&again)], &[sure(&[T0, HELLO, T0 + 100])]]);
    let transcript = model.run(40, unguarded());
    assert_eq!(transcript.segments[0].temperature, 1.0);
    assert_eq!(model.prompts().len(), 6 + 1);
    // So hot a text is no prompt for the next window.
    assert_eq!(model.prompts()[6], [50257]);
}

#[test]
fn improbable_text_is_tried_again_and_silence_is_not() {
    let doubtful = unsure(&[T0, HELLO, WORLD, T0 + 900]);
    let model = Scripted::new(&[&[doubtful.clone(), sure(&[T0, AGAIN, T0 + 900])]]);
    assert_eq!(model.run(20, unguarded()).text, " again");

    let silent = Attempt { no_speech: 0.9, ..doubtful };
    let model = Scripted::new(&[std::slice::from_ref(&silent)]);
    let transcript = model.run(20, unguarded());
    assert!(transcript.segments.is_empty());
    assert_eq!(model.prompts().len(), 1);

    // Without the threshold there is no silence; sure text is kept whatever it hears.
    let options = TranscribeOptions { no_speech_threshold: None, logprob_threshold: None, ..unguarded() };
    assert_eq!(Scripted::new(&[std::slice::from_ref(&silent)]).run(20, options).text, " Hello world");
    let loud = Attempt { margin: 40.0, ..silent };
    assert_eq!(Scripted::new(&[&[loud]]).run(20, unguarded()).text, " Hello world");
}

#[test]
fn prompts_follow_their_options() {
    let window = |token| sure(&[T0, token, T0 + 1500, T0 + 1500]);
    let windows = [window(HELLO), window(WORLD), window(AGAIN)];
    let windows: Vec<&[Attempt]> = windows.iter().map(std::slice::from_ref).collect();
    let begins = |options: TranscribeOptions| -> Vec<Vec<u32>> {
        let model = Scripted::new(&windows);
        model.run(90, options);
        model.prompts().into_iter().map(|p| p.into_iter().filter(|&t| t < EOT).collect()).collect()
    };
    let initial = Some("again".to_owned());
    assert_eq!(begins(TranscribeOptions::default()), [vec![], vec![HELLO], vec![HELLO, WORLD]]);
    let alone = TranscribeOptions { condition_on_previous_text: false, ..Default::default() };
    assert_eq!(begins(alone.clone()), vec![Vec::<u32>::new(); 3]);
    let first = TranscribeOptions { initial_prompt: initial.clone(), ..alone.clone() };
    assert_eq!(begins(first), [vec![AGAIN], vec![], vec![]]);
    let carried = TranscribeOptions { initial_prompt: initial, carry_initial_prompt: true, ..alone };
    assert_eq!(begins(carried.clone()), vec![vec![AGAIN]; 3]);
    let both = TranscribeOptions { condition_on_previous_text: true, ..carried };
    assert_eq!(begins(both), [vec![AGAIN], vec![AGAIN, HELLO], vec![AGAIN, HELLO, WORLD]]);
}

#[test]
fn hotwords_come_before_every_prompt() {
    let window = |token| sure(&[T0, token, T0 + 1500, T0 + 1500]);
    let windows = [window(HELLO), window(WORLD)];
    let windows: Vec<&[Attempt]> = windows.iter().map(std::slice::from_ref).collect();
    let model = Scripted::new(&windows);
    let options = TranscribeOptions { hotwords: Some(" again ".into()), ..Default::default() };
    assert_eq!(model.run(60, options).text, " Hello world");
    let begins: Vec<Vec<u32>> =
        model.prompts().into_iter().map(|p| p.into_iter().filter(|&t| t < EOT).collect()).collect();
    assert_eq!(begins, [vec![AGAIN], vec![AGAIN, HELLO]]);

    // However many they are, there is room for the transcript.
    let model = Scripted::new(&windows);
    let options = TranscribeOptions { hotwords: Some("again ".repeat(400)), ..Default::default() };
    model.run(60, options);
    assert!(model.prompts().iter().all(|prompt| prompt.len() == 1 + 223 + 1));
}

#[test]
fn the_initial_prompt_is_no_part_of_the_text() {
    let options = TranscribeOptions { initial_prompt: Some("  world ".into()), ..Default::default() };
    let transcript = Scripted::new(&[&[sure(&[T0, HELLO, T0 + 50])]]).run(5, options);
    assert_eq!(transcript.text, " Hello");
}

#[test]
fn an_observer_can_stop_and_keeps_what_is_done() {
    let first = [T0, HELLO, T0 + 500, T0 + 500, WORLD, T0 + 1000, T0 + 1000];
    let windows: [&[Attempt]; 2] = [&[sure(&first)], &[sure(&[T0, AGAIN, T0 + 400])]];
    let stop_at = |at: fn(&Event<'_>) -> bool| {
        let mut stop =
            |event: Event<'_>| if at(&event) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let run =
            Scripted::new(&windows).transcriber().run(&audio(40), TranscribeOptions::default(), &mut stop);
        run.unwrap().text
    };
    assert_eq!(stop_at(|e| matches!(e, Event::Text { .. })), "");
    assert_eq!(stop_at(|e| matches!(e, Event::Window { .. })), " Hello world");
    assert_eq!(stop_at(|e| matches!(e, Event::Segment(s) if s.text == " again")), " Hello world again");
    assert_eq!(stop_at(|_| false), " Hello world again");
}

#[test]
fn events_come_in_order() {
    let model = Scripted::new(&[&[sure(&[T0, HELLO, T0 + 50])]]);
    let mut seen = Vec::new();
    model
        .transcriber()
        .run(&audio(5), TranscribeOptions::default(), &mut |event: Event<'_>| {
            seen.push(match event {
                Event::Text { so_far } => format!("text {so_far:?}"),
                Event::Segment(s) => format!("segment {:?}", s.text),
                Event::Window { seek, content_frames } => format!("window {seek}/{content_frames}"),
                other => format!("{other:?}"),
            });
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen[1], r#"text " Hello""#);
    assert_eq!(seen[seen.len() - 2..], [r#"segment " Hello""#.to_owned(), "window 500/500".to_owned()]);
}

#[test]
fn windows_one_by_one_are_the_same_run() {
    let windows: [&[Attempt]; 2] =
        [&[sure(&[T0, HELLO, T0 + 1500, T0 + 1500])], &[sure(&[T0, AGAIN, T0 + 400])]];
    let transcriber = Scripted::new(&windows).transcriber();
    let mut run = transcriber.start(&audio(40), TranscribeOptions::default()).unwrap();
    assert!(transcriber.next_window(&mut run, &mut Silent).unwrap().is_continue());
    assert_eq!((run.seek(), run.segments().len(), run.content_frames()), (3000, 1, 4000));
    assert!(transcriber.next_window(&mut run, &mut Silent).unwrap().is_continue());
    assert!(transcriber.next_window(&mut run, &mut Silent).unwrap().is_break());
    assert_eq!(transcriber.finish(run), Scripted::new(&windows).run(40, TranscribeOptions::default()));
}

#[test]
fn only_the_clips_are_heard() {
    let window = || sure(&[T0, HELLO, T0 + 1500, T0 + 1500]);
    let model = Scripted::new(&[&[window()], &[window()], &[window()]]);
    let options = TranscribeOptions { clip_timestamps: vec![5.0, 10.0, 20.0], ..Default::default() };
    let transcript = model.run(55, options);
    assert_eq!(transcript.segments.iter().map(|s| s.seek).collect::<Vec<_>>(), [500, 2000, 5000]);
}

#[test]
fn words_get_their_times_and_move_their_segment() {
    let model = Scripted::new(&[&[sure(&[T0, HELLO, WORLD, AGAIN, T0 + 500])]]);
    let options = TranscribeOptions { word_timestamps: true, ..Default::default() };
    let transcript = model.run(20, options);
    let segment = &transcript.segments[0];
    let words = segment.words.as_ref().unwrap();
    assert_eq!(words.iter().map(|w| w.word.as_str()).collect::<Vec<_>>(), [" Hello", " world", " again"]);
    assert!(words.windows(2).all(|w| w[0].end <= w[1].start && w[0].start < w[0].end));
    assert_eq!((segment.start, segment.end), (words[0].start, words[2].end));
    assert!(words.iter().all(|w| (w.probability - 1.0 / f64::from(EOT)).abs() < 1e-6));
}

#[test]
fn beams_and_samples_end_with_the_same_sure_text() {
    for (temperature, beam_size, best_of) in
        [(0.0, Some(4), None), (0.4, None, Some(3)), (0.0, None, Some(5))]
    {
        let mut options = TranscribeOptions { temperatures: vec![temperature], ..Default::default() };
        (options.decode.beam_size, options.decode.best_of) = (beam_size, best_of);
        let model = Scripted::new(&[&[sure(&[T0, HELLO, WORLD, T0 + 500])]]);
        assert_eq!(model.run(10, options).text, " Hello world");
    }
}

#[test]
fn options_that_exclude_each_other_are_refused_before_any_work() {
    let check = |change: fn(&mut TranscribeOptions), expected: &str| {
        let mut options = TranscribeOptions::default();
        change(&mut options);
        let model = Scripted::new(&[]);
        let error = model.transcriber().start(&audio(1), options).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(|o| o.decode.patience = Some(1.0), "`patience` requires `beam_size`");
    check(|o| o.decode.length_penalty = Some(1.5), "between 0 and 1");
    check(
        |o| (o.decode.beam_size, o.decode.best_of, o.temperatures) = (Some(2), Some(2), vec![]),
        "is empty",
    );
    check(|o| o.temperatures = vec![-1.0], "must be 0 or more");
    check(|o| o.clip_timestamps = vec![3.0, 1.0], "must end after it starts");
    check(|o| o.hallucination_silence_threshold = Some(2.0), "requires `word_timestamps`");
    check(|o| o.decode.language = Some("de".into()), "knows only English");
    check(|o| o.decode.suppress_tokens = Some(vec![60_000]), "no token `60000`");
    check(|o| o.decode.task = candle_whisper_core::Task::Translate, "can't translate");
}
