use candle_whisper_core::languages::{LANGUAGES, code_of, has_spaces, name_of};
use candle_whisper_core::options::{Task, TextOrTokens};
use candle_whisper_core::tokenizer::Tokenizer;

use crate::data::{golden, model_file, numbers, tokenizer};

const VOCABULARIES: [(&str, usize); 2] = [("gpt2", 51864), ("multilingual", 51865)];

#[test]
fn texts_encode_to_the_references_ids_and_back() {
    let golden = golden("tokenizer/encode.json");
    for (name, n_vocab) in VOCABULARIES {
        let tokenizer = tokenizer(n_vocab);
        for case in golden["encode"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(ids, numbers::<u32>(&case[name]), "{name} {text:?}");
            assert_eq!(tokenizer.decode(&ids), text);
        }
    }
}

#[test]
fn characters_cut_in_two_decode_as_in_the_reference() {
    let golden = golden("tokenizer/decode.json");
    for (name, n_vocab) in VOCABULARIES {
        let tokenizer = tokenizer(n_vocab);
        for case in golden["decode"].as_array().unwrap().iter().filter(|c| c["vocabulary"] == name) {
            let ids: Vec<u32> = numbers(&case["tokens"]);
            assert_eq!(tokenizer.decode(&ids), case["text"].as_str().unwrap());
            assert_eq!(
                tokenizer.decode_with_timestamps(&ids),
                case["text_with_timestamps"].as_str().unwrap()
            );
        }
    }
}

#[test]
fn words_are_the_references() {
    let golden = golden("tokenizer/words.json");
    for (name, n_vocab) in [("gpt2", 51864), ("multilingual", 51865), ("v3", 51866)] {
        let tokenizer = tokenizer(n_vocab);
        for case in golden["words"].as_array().unwrap().iter().filter(|c| c["vocabulary"] == name) {
            let language = case["language"].as_str().unwrap_or("en");
            let (words, tokens): (Vec<String>, Vec<Vec<u32>>) = tokenizer
                .split_to_word_tokens(&numbers::<u32>(&case["tokens"]), language)
                .into_iter()
                .unzip();
            assert_eq!(words, numbers::<String>(&case["words"]), "{name} {language}");
            assert_eq!(tokens, numbers::<Vec<u32>>(&case["word_tokens"]));
        }
    }
}

#[test]
fn special_ids_are_right_for_all_three_vocabularies() {
    let golden = golden("tokenizer/special.json");
    for n_vocab in [51864usize, 51865, 51866] {
        let tokenizer = tokenizer(n_vocab);
        let expected = &golden[n_vocab.to_string()];
        let s = tokenizer.special();
        for (name, id) in [
            ("eot", s.eot),
            ("sot", s.sot),
            ("translate", s.translate),
            ("transcribe", s.transcribe),
            ("sot_lm", s.sot_lm),
            ("sot_prev", s.sot_prev),
            ("no_speech", s.no_speech),
            ("no_timestamps", s.no_timestamps),
            ("timestamp_begin", s.timestamp_begin),
        ] {
            assert_eq!(u64::from(id), expected[name].as_u64().unwrap(), "{n_vocab} {name}");
        }
        assert_eq!(tokenizer.languages().len() as u64, expected["num_languages"].as_u64().unwrap());
        for (token, code) in tokenizer.languages() {
            assert_eq!(u64::from(*token), expected["language_tokens"][code].as_u64().unwrap(), "{code}");
        }
        assert_eq!(tokenizer.non_speech_tokens(), numbers::<u32>(&expected["non_speech_tokens"]));
    }
}

#[test]
fn an_english_only_transcript_begins_with_the_start_alone() {
    let english = tokenizer(51864);
    assert_eq!(english.sot_sequence("en", Task::Transcribe).unwrap(), [50257]);
    let v3 = tokenizer(51866);
    assert_eq!(v3.sot_sequence("Cantonese", Task::Translate).unwrap(), [50258, 50358, 50359]);
}

#[test]
fn cantonese_is_refused_by_a_model_that_lacks_it() {
    let error = tokenizer(51865).sot_sequence("yue", Task::Transcribe).unwrap_err();
    assert_eq!(error.to_string(), "this model has no token for the language `yue`");
}

#[test]
fn special_tokens_in_a_prompt_are_text() {
    let tokenizer = tokenizer(51865);
    let ids = tokenizer.encode_given(&TextOrTokens::Text(" <|endoftext|> ".into())).unwrap();
    assert!(ids.iter().all(|&id| id < tokenizer.special().eot));
    assert_eq!(tokenizer.decode(&ids), " <|endoftext|>");
}

#[test]
fn ids_outside_the_vocabulary_are_refused() {
    let error = tokenizer(51865).encode_given(&TextOrTokens::Tokens(vec![51865])).unwrap_err();
    assert!(error.to_string().contains("`51865` is outside"));
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let error = Tokenizer::from_json(&model_file("tiny.en/tokenizer.json"), 51865).unwrap_err();
    assert!(error.to_string().contains("belong to different models"), "{error}");
    assert!(Tokenizer::from_json(b"{}", 51865).is_err());
}

#[test]
fn languages_are_found_by_code_name_and_alias() {
    let golden = golden("tokenizer/special.json");
    for (i, (code, name)) in golden["language_names"].as_object().unwrap().iter().enumerate() {
        assert_eq!(code_of(code), code_of(name.as_str().unwrap()), "{i}");
        assert_eq!(name_of(code), name.as_str());
    }
    for (name, code) in golden["language_aliases"].as_object().unwrap() {
        assert_eq!(code_of(&name.to_uppercase()), code.as_str(), "{name}");
    }
    assert_eq!(LANGUAGES.len(), golden["language_names"].as_object().unwrap().len());
    assert!(!has_spaces("th") && has_spaces("ko"));
}
