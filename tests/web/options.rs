//! Options from JSON.

use candle_whisper_core::vad::VadOptions;
use candle_whisper_core::writers::SubtitleOptions;
use candle_whisper_core::{Task, TranscribeOptions};
use candle_whisper_web::options::parse;

fn complaint(options: &str) -> String {
    parse(options).unwrap_err().to_string()
}

#[test]
fn options_of_a_window_stand_among_the_others_or_in_decode() {
    let flat = parse(r#"{"word_timestamps": true, "beam_size": 5, "task": "translate"}"#).unwrap();
    assert!(flat.word_timestamps);
    assert_eq!((flat.decode.beam_size, flat.decode.task), (Some(5), Task::Translate));
    assert_eq!(
        flat,
        parse(r#"{"word_timestamps": true, "decode": {"beam_size": 5, "task": "translate"}}"#).unwrap()
    );
    assert_eq!(parse("").unwrap(), TranscribeOptions::default());
    assert_eq!(parse("{}").unwrap(), TranscribeOptions::default());
}

#[test]
fn temperature_is_a_number_or_several_as_in_the_reference() {
    assert_eq!(parse(r#"{"temperature": 0}"#).unwrap().temperatures, [0.0]);
    assert_eq!(parse(r#"{"temperature": [0, 0.5]}"#).unwrap().temperatures, [0.0, 0.5]);
    assert_eq!(parse(r#"{"temperatures": [0.2]}"#).unwrap().temperatures, [0.2]);
    assert!(complaint(r#"{"temperature": 0, "temperatures": [0]}"#).contains("twice"));
}

#[test]
fn vad_is_true_for_the_defaults_or_an_object_with_limits() {
    let vad = |options: &str| parse(options).unwrap().vad;
    assert_eq!(vad(r#"{"vad": true}"#), Some(VadOptions::default()));
    assert_eq!(vad(r#"{"vad": {}}"#), Some(VadOptions::default()));
    assert_eq!((vad(r#"{"vad": false}"#), vad(r#"{"vad": null}"#), vad("{}")), (None, None, None));
    let limits = vad(r#"{"vad": {"threshold": 0.3, "max_speech_duration_s": 20}}"#);
    let expected = VadOptions { threshold: 0.3, max_speech_duration_s: Some(20.0), ..VadOptions::default() };
    assert_eq!(limits, Some(expected));
    assert!(complaint(r#"{"vad": {"treshold": 0.3}}"#).contains("option `vad`: unknown field `treshold`"));
    assert!(complaint(r#"{"vad": 1}"#).contains("option `vad`"));
}

#[test]
fn an_option_that_is_unknown_has_no_effect_or_is_of_another_type_is_an_error_that_names_it() {
    assert!(complaint(r#"{"wordTimestamps": true}"#).contains("unknown option `wordTimestamps`"));
    assert!(complaint(r#"{"decode": {"beamSize": 5}}"#).contains("unknown option `beamSize`"));
    assert!(complaint(r#"{"beam_size": "5"}"#).contains("`beam_size`: invalid type"));
    assert!(complaint(r#"{"prompt": "x"}"#).contains("`initial_prompt`"));
    assert!(complaint(r#"{"decode": {"temperature": 0.5}}"#).contains("give `temperature`"));
    assert!(complaint("[1]").contains("options"));
}

/// `json_full` is of a transcript that the page has as a whole.
#[test]
fn every_option_of_subtitles_is_in_the_packages_types_and_on_the_page_by_its_name() {
    let page = include_str!("../../www/js/subtitles.js");
    let types = include_str!("../../web/js/types.js");
    let options = serde_json::to_value(SubtitleOptions::default()).unwrap();
    for name in options.as_object().unwrap().keys().filter(|name| *name != "json_full") {
        assert!(page.contains(&format!("name: \"{name}\"")), "{name}");
        assert!(types.contains(&format!("[{name}]")), "{name}");
    }
}
