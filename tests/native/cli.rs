//! The program itself, without a model.

use std::process::{Command, Output, Stdio};

pub fn program(typed: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candle-whisper"));
    command.args(typed).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn help_names_every_flag_of_the_reference_and_the_exit_codes() {
    let (code, stdout, stderr) = said(&program(&["--help"]));
    assert_eq!((code, stderr.as_str()), (0, ""));
    let flags = "model model_dir device output_dir output_format verbose task language temperature best_of \
                 beam_size patience length_penalty suppress_tokens initial_prompt carry_initial_prompt \
                 condition_on_previous_text fp16 temperature_increment_on_fallback \
                 compression_ratio_threshold logprob_threshold no_speech_threshold word_timestamps \
                 prepend_punctuations append_punctuations highlight_words max_line_width max_line_count \
                 max_words_per_line threads clip_timestamps hallucination_silence_threshold";
    for flag in flags.split_whitespace() {
        assert!(stdout.contains(&format!("--{flag} ")), "--{flag} is not in the help");
    }
    for code in ["0  ", "1  ", "2  ", "130  "] {
        assert!(stdout.contains(&format!("\n  {code}")), "exit code {code} is not in the help");
    }
}

#[test]
fn the_version_is_the_packages() {
    let (code, stdout, _) = said(&program(&["--version"]));
    assert_eq!((code, stdout), (0, format!("candle-whisper {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn bad_usage_is_2_with_nothing_on_stdout() {
    let model = env!("CARGO_MANIFEST_DIR");
    let table: [&[&str]; 6] = [
        &[],
        &["--nonsense", "a.wav"],
        &["--beam_size", "x", "a.wav"],
        &["--model", model, "--highlight_words", "True", "a.wav"],
        &["--model", "turbot", "--model_dir", model, "a.wav"],
        &["--model", model, "-o", "out", "a.wav", "b/a.wav"],
    ];
    for typed in table {
        let (code, stdout, stderr) = said(&program(typed));
        assert_eq!((code, stdout.as_str()), (2, ""), "{typed:?}: {stderr}");
        assert!(stderr.starts_with("error: "), "{typed:?}: {stderr}");
    }
}

#[test]
fn a_complaint_comes_with_a_hint_and_without_colours_in_a_pipe() {
    let (code, _, stderr) = said(&program(&["--language", "Klingon", "a.wav"]));
    let expected = "error: unknown language `Klingon` for `--language`\n\
                    hint: `candle-whisper languages` lists every code and name\n";
    assert_eq!((code, stderr.as_str()), (2, expected));
}

#[test]
fn missing_recordings_are_named_one_by_one_before_a_model_is_loaded() {
    let model = env!("CARGO_MANIFEST_DIR");
    let (code, stdout, stderr) = said(&program(&["--model", model, "no-1.wav", "no-2.wav"]));
    assert_eq!((code, stdout.as_str()), (1, ""));
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(lines[0].starts_with("error: could not read `no-1.wav`: "), "{stderr}");
    assert!(lines[1].starts_with("error: could not read `no-2.wav`: "), "{stderr}");
}

#[test]
fn languages_are_listed_by_code_and_name() {
    let (code, stdout, _) = said(&program(&["languages"]));
    assert_eq!((code, stdout.lines().count()), (0, 100));
    assert!(stdout.contains("de\tgerman\n") && stdout.contains("yue\tcantonese\n"));
}

#[test]
fn completions_are_there_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, stdout, stderr) = said(&program(&["completions", shell]));
        assert_eq!((code, stderr.as_str()), (0, ""));
        assert!(stdout.contains("word_timestamps") && stdout.contains("candle-whisper"), "{shell}");
    }
}

#[test]
fn the_manual_page_names_the_flags_and_exit_codes() {
    let (code, stdout, _) = said(&program(&["man"]));
    assert_eq!(code, 0);
    assert!(stdout.contains(".TH candle-whisper 1"), "{stdout}");
    assert!(stdout.contains("word_timestamps") && stdout.contains("130"), "{stdout}");
}

#[test]
fn a_recording_may_be_called_like_a_subcommand() {
    let model = env!("CARGO_MANIFEST_DIR");
    for typed in [["./man", "--model", model], ["--model", model, "man"]] {
        let (code, stdout, stderr) = said(&program(&typed));
        assert_eq!((code, stdout.as_str()), (1, ""), "{typed:?}");
        assert!(stderr.contains("could not read"), "{typed:?}: {stderr}");
    }
}

#[cfg(unix)]
#[test]
fn a_reader_who_goes_is_no_failure() {
    let mut command = Command::new("sh");
    let script = "{ \"$0\" completions bash; echo $? >&2; } | true";
    command.args(["-c", script, env!("CARGO_BIN_EXE_candle-whisper")]);
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "0\n");
}
