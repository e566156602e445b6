//! What typed flags become.

use candle_whisper::cli::{self, Args};
use candle_whisper::device::{DeviceRequest, Precision};
use candle_whisper::hub::names::HubName;
use candle_whisper::job::{Job, Terminals};
use candle_whisper::locate::Location;
use candle_whisper::options::{BadUsage, for_model, transcribe_options};
use candle_whisper_core::options::{DecodingOptions, Task, TranscribeOptions};
use candle_whisper_core::vad::VadOptions;

pub fn args(typed: &str) -> Args {
    let words = std::iter::once("candle-whisper").chain(typed.split_whitespace());
    match cli::parse(words.map(Into::into)) {
        Ok(cli) => cli.args,
        Err(error) => panic!("`{typed}`: {error}"),
    }
}

fn refused_by_clap(typed: &str) -> String {
    let words = std::iter::once("candle-whisper").chain(typed.split_whitespace());
    match cli::parse(words.map(Into::into)) {
        Ok(_) => panic!("`{typed}` was taken"),
        Err(error) => error.to_string(),
    }
}

pub fn job(typed: &str) -> Result<Job, BadUsage> {
    let folder = env!("CARGO_MANIFEST_DIR");
    Job::new(&args(&format!("--model {folder} {typed}")), Terminals::default())
}

fn refused(typed: &str) -> String {
    match job(typed) {
        Ok(_) => panic!("`{typed}` was taken"),
        Err(complaint) => complaint.what,
    }
}

fn the_reference_programs_defaults() -> TranscribeOptions {
    TranscribeOptions {
        clip_timestamps: vec![0.0],
        decode: DecodingOptions { beam_size: Some(5), best_of: Some(5), ..DecodingOptions::default() },
        ..TranscribeOptions::default()
    }
}

#[test]
fn no_flags_mean_the_reference_programs_defaults() {
    assert_eq!(transcribe_options(&args("a.wav")).unwrap(), the_reference_programs_defaults());
}

#[test]
fn each_flag_changes_what_it_names_and_nothing_else() {
    type Change = fn(&mut TranscribeOptions);
    let table: &[(&str, Change)] = &[
        ("--task translate", |o| o.decode.task = Task::Translate),
        ("--language de", |o| o.decode.language = Some("de".into())),
        ("--language German", |o| o.decode.language = Some("de".into())),
        ("--language cASTILIAN", |o| o.decode.language = Some("es".into())),
        ("--language None", |_| ()),
        ("--temperature 0.4", |o| o.temperatures = vec![0.4, 0.6000000000000001, 0.8, 1.0]),
        ("--temperature 0.5 --temperature_increment_on_fallback None", |o| o.temperatures = vec![0.5]),
        ("--temperature 1.5", |o| o.temperatures = vec![1.5]),
        ("--temperature_increment_on_fallback 0.5", |o| o.temperatures = vec![0.0, 0.5, 1.0]),
        ("--best_of None", |o| o.decode.best_of = None),
        ("--best_of 3", |o| o.decode.best_of = Some(3)),
        ("--beam_size None", |o| o.decode.beam_size = None),
        ("--beam_size 2 --patience 1.5", |o| {
            o.decode.beam_size = Some(2);
            o.decode.patience = Some(1.5);
        }),
        ("--patience None", |_| ()),
        ("--length_penalty 0.6", |o| o.decode.length_penalty = Some(0.6)),
        ("--suppress_tokens -1,50,7", |o| o.decode.suppress_tokens = Some(vec![-1, 50, 7])),
        ("--suppress_tokens=", |o| o.decode.suppress_tokens = None),
        ("--suppress_tokens None", |o| o.decode.suppress_tokens = None),
        ("--initial_prompt Candle", |o| o.initial_prompt = Some("Candle".into())),
        ("--initial_prompt Candle --carry_initial_prompt True", |o| {
            o.initial_prompt = Some("Candle".into());
            o.carry_initial_prompt = true;
        }),
        ("--batch 4", |o| (o.batch, o.condition_on_previous_text) = (Some(4), false)),
        // As many as the device has room for, which is not known yet.
        ("--batch auto", |o| (o.batch, o.condition_on_previous_text) = (Some(1), false)),
        ("--batch 4 --vad_threshold 0.3", |o| {
            (o.batch, o.condition_on_previous_text) = (Some(4), false);
            o.vad = Some(VadOptions { threshold: 0.3, ..VadOptions::default() });
        }),
        ("--condition_on_previous_text False", |o| o.condition_on_previous_text = false),
        ("--compression_ratio_threshold None", |o| o.compression_ratio_threshold = None),
        ("--compression_ratio_threshold inf", |o| o.compression_ratio_threshold = Some(f64::INFINITY)),
        ("--logprob_threshold None", |o| o.logprob_threshold = None),
        ("--logprob_threshold -0.5", |o| o.logprob_threshold = Some(-0.5)),
        ("--no_speech_threshold None", |o| o.no_speech_threshold = None),
        ("--word_timestamps True", |o| o.word_timestamps = true),
        ("--word_timestamps true", |o| o.word_timestamps = true),
        ("--prepend_punctuations -", |o| o.prepend_punctuations = "-".into()),
        ("--append_punctuations .,", |o| o.append_punctuations = ".,".into()),
        ("--clip_timestamps 1.5,20,30", |o| o.clip_timestamps = vec![1.5, 20.0, 30.0]),
        ("--clip_timestamps=", |o| o.clip_timestamps = Vec::new()),
        ("--hallucination_silence_threshold 2", |_| ()),
        ("--hallucination_silence_threshold 2 --word_timestamps True", |o| {
            o.hallucination_silence_threshold = Some(2.0);
            o.word_timestamps = true;
        }),
        ("--hallucination_silence_threshold None", |_| ()),
        ("--seed 7", |o| o.seed = 7),
        ("--vad True", |o| o.vad = Some(VadOptions::default())),
        ("--vad True --vad_threshold 0.3 --vad_max_speech_duration_s 20 --vad-speech-pad-ms 0", |o| {
            o.vad = Some(VadOptions {
                threshold: 0.3,
                max_speech_duration_s: Some(20.0),
                speech_pad_ms: 0.0,
                ..VadOptions::default()
            });
        }),
        ("--word-timestamps True --beam-size None", |o| {
            o.word_timestamps = true;
            o.decode.beam_size = None;
        }),
        ("--lang de --word True", |o| {
            o.decode.language = Some("de".into());
            o.word_timestamps = true;
        }),
    ];
    for (typed, change) in table {
        let mut expected = the_reference_programs_defaults();
        change(&mut expected);
        let options = transcribe_options(&args(&format!("{typed} a.wav")));
        assert_eq!(options.unwrap(), expected, "{typed}");
    }
}

#[test]
fn complaints_name_the_flag() {
    let table = [
        ("--highlight_words True", "--highlight_words requires --word_timestamps True"),
        ("--timed-words True", "--timed_words requires --word_timestamps True"),
        ("--snap_to_speech True", "--snap_to_speech requires --word_timestamps True"),
        ("--word_timestamps True --max_cue_duration -1", "`--max_cue_duration` must be above 0, not -1"),
        ("--max_line_count 2", "--max_line_count requires --word_timestamps True"),
        ("--max_line_width 20", "--max_line_width requires --word_timestamps True"),
        ("--max_words_per_line 2", "--max_words_per_line requires --word_timestamps True"),
        ("--beam_size None --patience 2", "`--patience` requires `--beam_size` to be given"),
        ("--patience 0", "`--patience` must be above 0, not 0"),
        ("--beam_size 0", "`--beam_size` must be None or at least 1"),
        ("--best_of 0", "`--best_of` must be None or at least 1"),
        ("--length_penalty 1.5", "`--length_penalty` should be a value between 0 and 1, not 1.5"),
        ("--length_penalty nan", "`--length_penalty` should be a value between 0 and 1, not NaN"),
        ("--temperature -1", "`--temperature` must be 0 or above, not -1"),
        ("--temperature nan", "`--temperature` must be 0 or above, not NaN"),
        (
            "--temperature_increment_on_fallback 1e-9",
            "`--temperature_increment_on_fallback` must be None, 0 or at least 0.001",
        ),
        ("--logprob_threshold nan", "`--logprob_threshold` must be a number"),
        ("--clip_timestamps 1,b", "`--clip_timestamps` takes seconds between commas, not `b`"),
        ("--clip_timestamps 1,-2", "`--clip_timestamps` takes seconds between commas, not `-2`"),
        ("--clip_timestamps 3,2", "`--clip_timestamps`: each clip must end after it starts"),
        ("--suppress_tokens 5,,6", "`--suppress_tokens` takes token ids between commas, not ``"),
        ("--suppress_tokens -2", "`--suppress_tokens` takes token ids between commas, not `-2`"),
        ("--vad True --vad_threshold 2", "`--vad_threshold` must be from 0 to 1, not 2"),
        (
            "--vad True --vad_min_silence_duration_ms -1",
            "`--vad_min_silence_duration_ms` must be 0 or more, not -1",
        ),
        ("--batch 0", "`--batch` must be 1 to 256 windows, not 0"),
        (
            "--batch 4 --condition_on_previous_text True",
            "`--batch` and `--condition_on_previous_text` can't be given together",
        ),
        (
            "--batch AUTO --word_timestamps True --hallucination_silence_threshold 2",
            "`--batch` and `--hallucination_silence_threshold` can't be given together",
        ),
        ("--batch 4 --clip_timestamps 1,2", "`--batch` and `--clip_timestamps` can't be given together"),
        ("--batch 4 --vad_threshold 2", "`--vad_threshold` must be from 0 to 1, not 2"),
        ("--vad True --clip_timestamps 1,2", "`--vad` and `--clip_timestamps` can't be given together"),
        ("--language Klingon", "unknown language `Klingon` for `--language`"),
        ("--fp16 True --dtype f32", "`--fp16` and `--dtype` say different things"),
        ("-o - -f srt,vtt", "`--output_dir -` takes one `--output_format`, for stdout can hold only one"),
        ("-o - -f srt b.wav", "`--output_dir -` with `--output_format srt` takes one recording"),
        ("-o out x/a.mp3", "`a.wav` and `x/a.mp3` would both be written to `out/a.txt`"),
        ("-f srt - stdin.wav -", "stdin and `stdin.wav` would both be written to `./stdin.srt`"),
    ];
    for (typed, complaint) in table {
        // The recording comes first, for the one with two of a name.
        assert_eq!(refused(&format!("a.wav {typed}")), complaint, "{typed}");
    }
}

#[test]
fn what_no_value_of_a_flag_can_be_is_refused_by_name() {
    let table = [
        ("--word_timestamps yes", "--word_timestamps"),
        ("--beam_size -3", "--beam_size"),
        ("--beam_size five", "--beam_size"),
        ("--temperature hot", "--temperature"),
        ("--task sing", "--task"),
        ("--output_format docx", "--output_format"),
        ("--batch some", "'--batch <N|auto>': expected auto, None or how many windows"),
        ("--batch -2", "'--batch <N|auto>': expected auto, None or how many windows"),
        ("--device mps", "--device"),
        ("--device cuda:x", "--device"),
        ("--device cuda:0,", "--device"),
        ("--device cuda:,1", "--device"),
        ("--device cpu,cuda", "--device"),
        ("--dtype int8", "--dtype"),
        ("--verbose maybe", "--verbose"),
        ("--threads -1", "--threads"),
        ("--seed -1", "--seed"),
        ("--output x", "--output"),
        ("--nonsense", "--nonsense"),
    ];
    for (typed, flag) in table {
        let message = refused_by_clap(&format!("a.wav {typed}"));
        assert!(message.contains(flag), "{typed}: {message}");
    }
}

#[test]
fn the_reference_programs_warnings_are_given() {
    let table = [
        ("", ""),
        (
            "--word_timestamps True --max_line_count 2",
            "--max_line_count has no effect without --max_line_width",
        ),
        (
            "--word_timestamps True --max_line_width 20 --max_words_per_line 2",
            "--max_words_per_line has no effect with --max_line_width",
        ),
        (
            "--word_timestamps True --task translate",
            "Word-level timestamps on translations may not be reliable.",
        ),
        (
            "--hallucination_silence_threshold 1",
            "--hallucination_silence_threshold has no effect without --word_timestamps True",
        ),
        ("--carry_initial_prompt True", "--carry_initial_prompt has no effect without --initial_prompt"),
        ("--vad_threshold 0.3", "the limits of --vad have no effect without --vad True or --batch"),
        ("--max_line_width 0 --max_line_count None --highlight_words False", ""),
        // An editor's layout has a width of its own, and heeds every limit.
        ("--word_timestamps True --max_line_count 1 --min_cue_gap 0.1", ""),
        ("--word_timestamps True --max_line_width 20 --max_words_per_line 2 --break_at_phrases True", ""),
    ];
    for (typed, warning) in table {
        assert_eq!(job(&format!("a.wav {typed}")).unwrap().warnings.join("\n"), warning, "{typed}");
    }
}

#[test]
fn devices_and_number_formats_are_read() {
    let table = [
        ("", DeviceRequest::Auto, Precision::Auto, 0),
        ("--device cpu --fp16 False", DeviceRequest::Cpu, Precision::F32, 0),
        ("--device cuda --fp16 True", DeviceRequest::Cuda(0), Precision::F16, 0),
        ("--device cuda:3 --dtype bf16", DeviceRequest::Cuda(3), Precision::Bf16, 0),
        ("--dtype quantised", DeviceRequest::Auto, Precision::Quantised, 0),
        ("--dtype tf32", DeviceRequest::Auto, Precision::Tf32, 0),
        ("--fp16 True --dtype f16 --threads 4", DeviceRequest::Auto, Precision::F16, 4),
        ("--threads None", DeviceRequest::Auto, Precision::Auto, 0),
    ];
    for (typed, device, precision, threads) in table {
        let job = job(&format!("a.wav {typed}")).unwrap();
        assert_eq!((job.devices, job.precision, job.threads), (device.into(), precision, threads), "{typed}");
    }
}

#[test]
fn several_gpus_are_named_by_their_numbers() {
    let devices = |typed: &str| job(&format!("a.wav --device {typed}")).unwrap().devices;
    assert_eq!(devices("cuda:2,0,1").count(), 3);
    assert_eq!((devices("cuda:2,0").only(), devices("cuda:2").only()), (None, Some(DeviceRequest::Cuda(2))));
    assert_eq!(devices("cuda:2,0,1").at_most(1), DeviceRequest::Cuda(2).into());
    let live = cli::parse(["candle-whisper", "live", "--device", "cuda:0,1"].map(Into::into)).unwrap();
    let Some(cli::Command::Live(args)) = live.command else { panic!("no `live`") };
    let refused = args.network.only_device("live").unwrap_err();
    assert!(refused.what.starts_with("`live` computes on one device"), "{}", refused.what);
}

#[test]
fn a_model_of_english_alone_hears_english() {
    let options = transcribe_options(&args("a.wav --language fr --task translate")).unwrap();
    let (same, warnings) = for_model(options.clone(), true);
    assert_eq!((same, warnings.len()), (options.clone(), 0));
    let (english, warnings) = for_model(options, false);
    assert_eq!(english.decode.language.as_deref(), Some("en"));
    assert_eq!(english.decode.task, Task::Transcribe);
    assert!(warnings[0].contains("--language fr") && warnings[1].contains("--task translate"));
    let unasked = transcribe_options(&args("a.wav")).unwrap();
    assert_eq!(for_model(unasked, false).1, Vec::<String>::new());
}

#[test]
fn models_are_found_by_name_in_model_dir_by_path_or_on_the_hub() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("base");
    std::fs::create_dir(&folder).unwrap();
    let dir = root.path().display();
    let location = |typed: &str| Job::new(&args(typed), Terminals::default()).unwrap().model;
    let here = Location::Path(folder.clone());
    assert_eq!(location(&format!("--model base --model_dir {dir} a.wav")), here);
    assert_eq!(location(&format!("--model {} a.wav", folder.display())), here);
    let hub = |name: &str| Location::Hub(HubName::parse(name).unwrap());
    assert_eq!(
        location(&format!("--model turbo --model_dir {dir} a.wav")),
        hub("openai/whisper-large-v3-turbo")
    );
    assert_eq!(location("--model somebody/whisper@v1 a.wav"), hub("somebody/whisper@v1"));
    // What ships with the program needs no hub; its copy there is asked for by its whole name.
    assert!(matches!(location("a.wav"), Location::Path(_)));
    assert_eq!(location("--model openai/whisper-tiny.en a.wav"), hub("openai/whisper-tiny.en"));

    let refused = |typed: &str| Job::new(&args(typed), Terminals::default()).unwrap_err().what;
    assert!(
        refused("--model turbot a.wav")
            .starts_with("there is no folder, no file and no model called `turbot`")
    );
    let unknown = refused("--model ./nowhere a.wav");
    assert_eq!(unknown, "there is no folder, no file and no model called `./nowhere` for `--model`");
    let file = folder.join("model.pt");
    std::fs::write(&file, "x").unwrap();
    assert_eq!(location(&format!("--model {} a.wav", file.display())), Location::Path(file));
}

#[test]
fn reading_once_and_going_on_need_what_they_need() {
    assert!(job("a.wav -o out --resume").unwrap().resume);
    assert!(job("a.wav --running_maximum True").unwrap().running_maximum);
    assert!(refused("a.wav --resume").starts_with("`--resume` keeps its state beside the outputs"));
    for flag in ["--resume", "--batch 2", "--batch auto", "--vad True"] {
        let complaint = refused(&format!("a.wav -o out --running_maximum True {flag}"));
        let name = flag.split(' ').next().unwrap();
        assert_eq!(complaint, format!("`--running_maximum` and `{name}` can't be given together"));
    }
}
