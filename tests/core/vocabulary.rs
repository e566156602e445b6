//! Tokenizers made from lists of tokens are those of `tokenizer.json`.

use candle_whisper_core::tokenizer::Tokenizer;

use crate::data::{Noise, golden, golden_bytes, model_file, tokenizer};

const SIZES: [usize; 3] = [51864, 51865, 51866];

/// The golden texts, what is said in every clip, and random characters of every plane.
fn texts() -> Vec<String> {
    let encode = golden("tokenizer/encode.json");
    let mut texts: Vec<String> = encode["encode"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| case["text"].as_str().unwrap().into())
        .collect();
    let spoken = String::from_utf8(golden_bytes("reference/base.jsonl")).unwrap();
    texts.extend(spoken.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["text"].as_str().unwrap().to_owned()
    }));
    let mut noise = Noise(5);
    for round in 0..2000 {
        let most = [0x80, 0x250, 0x3000, 0x11_0000][round % 4];
        let chars = (0..noise.below(24)).filter_map(|_| char::from_u32(noise.below(most) as u32));
        texts.push(chars.collect());
    }
    texts
}

#[test]
fn the_built_in_vocabularies_are_those_of_tokenizer_json() {
    let texts = texts();
    for n_vocab in SIZES {
        let (ours, theirs) = (Tokenizer::built_in(n_vocab).unwrap(), as_read(n_vocab));
        assert_eq!(ours.special(), theirs.special());
        assert_eq!(ours.languages(), theirs.languages());
        assert_eq!(ours.non_speech_tokens(), theirs.non_speech_tokens());
        assert_eq!(ours.blank_tokens(), theirs.blank_tokens());
        for text in &texts {
            assert_eq!(ours.encode(text).unwrap(), theirs.encode(text).unwrap(), "{n_vocab} {text:?}");
        }
        // Older files have other names for these two.
        let renamed = [ours.special().no_speech, ours.language_token("he").unwrap().0];
        for id in (0..n_vocab as u32).filter(|id| !renamed.contains(id)) {
            assert_eq!(ours.decode_with_timestamps(&[id]), theirs.decode_with_timestamps(&[id]), "{n_vocab}");
        }
        println!("{n_vocab}: {} texts and every id but two", texts.len());
    }
}

/// The tokenizer of `tokenizer.json`, none of it taken from what is built in: a rule that does nothing makes it one of its
/// own.
fn as_read(n_vocab: usize) -> Tokenizer {
    changed(n_vocab, by_tokenizers).unwrap()
}

fn changed(
    n_vocab: usize,
    change: impl FnOnce(&mut serde_json::Value),
) -> candle_whisper_core::Result<Tokenizer> {
    let name = ["tiny.en/tokenizer.json", "base/tokenizer.json", "v3-tokenizer.json"][n_vocab - SIZES[0]];
    let mut json = serde_json::from_slice(&model_file(name)).unwrap();
    change(&mut json);
    Tokenizer::from_json(json.to_string().as_bytes(), n_vocab)
}

#[test]
fn what_differs_from_openais_is_read_as_it_is() {
    let n_vocab = 51865;
    let openais = tokenizer(n_vocab);
    let swapped = changed(n_vocab, |json| {
        let vocab = &mut json["model"]["vocab"];
        (vocab["Ġtea"], vocab["Ġcup"]) = (vocab["Ġcup"].clone(), vocab["Ġtea"].clone());
    })
    .unwrap();
    let (tea, cup) = (openais.encode(" tea").unwrap(), openais.encode(" cup").unwrap());
    assert_eq!((swapped.encode(" tea").unwrap(), swapped.decode(&tea)), (cup, " cup".into()));
    let spaced = changed(n_vocab, |json| json["pre_tokenizer"]["add_prefix_space"] = true.into()).unwrap();
    assert_eq!(spaced.encode("tea").unwrap(), tea);
    let lower =
        changed(n_vocab, |json| json["normalizer"] = serde_json::json!({"type": "Lowercase"})).unwrap();
    assert_eq!(lower.encode(" TEA").unwrap(), tea);
    let lacking = changed(n_vocab, |json| drop(json["added_tokens"].as_array_mut().unwrap().pop()));
    assert!(lacking.unwrap_err().to_string().contains("<|notimestamps|>"));
}

/// A rule that does nothing has a file read by the crate `tokenizers`.
fn by_tokenizers(json: &mut serde_json::Value) {
    json["normalizer"] = serde_json::json!({"type": "Sequence", "normalizers": []});
}

#[test]
fn other_tokens_by_gpt2s_rules_are_those_of_the_crate_tokenizers() {
    let n_vocab = 51865;
    let other = |json: &mut serde_json::Value| {
        let vocab = &mut json["model"]["vocab"];
        (vocab["Ġtea"], vocab["Ġcup"]) = (vocab["Ġcup"].clone(), vocab["Ġtea"].clone());
        // As a converter leaves it that takes the first merge for a comment.
        json["model"]["merges"].as_array_mut().unwrap().remove(0);
        for (id, content, normalized) in [(50364, "<|0.00|>", true), (50365, "<|0.00|>+", false)] {
            let token = serde_json::json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": normalized, "special": false});
            json["added_tokens"].as_array_mut().unwrap().push(token);
        }
    };
    let ours = changed(n_vocab, other).unwrap();
    let theirs = changed(n_vocab, |json| {
        other(json);
        by_tokenizers(json);
    })
    .unwrap();
    let again = Tokenizer::from_json(ours.to_json().unwrap().as_bytes(), n_vocab).unwrap();
    let long = "a".repeat(2000) + &" ".repeat(2000) + "b";
    let added = " tea <|0.00|> the<|0.00|>+cup<|endoftext|>";
    for text in texts().iter().map(String::as_str).chain([&*long, added]) {
        assert_eq!(ours.encode(text).unwrap(), theirs.encode(text).unwrap(), "{text:?}");
        assert_eq!(ours.encode(text).unwrap(), again.encode(text).unwrap(), "{text:?}");
    }
    assert_eq!(ours.non_speech_tokens(), theirs.non_speech_tokens());
    for id in 0..n_vocab as u32 {
        assert_eq!(ours.decode_with_timestamps(&[id]), theirs.decode_with_timestamps(&[id]));
    }
}

#[test]
fn texts_are_cut_at_every_character_as_by_the_crate_tokenizers() {
    let (ours, theirs) = (Tokenizer::built_in(51865).unwrap(), as_read(51865));
    let all: Vec<char> = ('\0'..=char::MAX).collect();
    for some in all.chunks(100) {
        let beside = |c: &char| format!("a{c}b1{c}2!{c}?{c}{c}  {c} {c}'s");
        let text: String = some.iter().map(beside).collect();
        assert_eq!(ours.encode(&text).unwrap(), theirs.encode(&text).unwrap(), "{text:?}");
    }
}

#[test]
fn a_tokenizer_written_as_json_is_read_back_the_same() {
    for n_vocab in SIZES {
        let ours = Tokenizer::built_in(n_vocab).unwrap();
        let again = Tokenizer::from_json(ours.to_json().unwrap().as_bytes(), n_vocab).unwrap();
        assert_eq!(ours.special(), again.special());
        for text in ["", " the t", "Grüße, 世界!", "a  b\n\t1234 <|en|>"] {
            assert_eq!(ours.encode(text).unwrap(), again.encode(text).unwrap());
        }
    }
}

/// `vocabulary.txt` as faster-whisper's folders have it: every token of `tokenizer.json`, one a line.
fn lines() -> Vec<String> {
    let json: serde_json::Value = serde_json::from_slice(&model_file("base/tokenizer.json")).unwrap();
    let mut tokens: Vec<(u64, String)> = json["model"]["vocab"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(token, id)| (id.as_u64().unwrap(), token.clone()))
        .collect();
    tokens.sort();
    tokens.into_iter().map(|(_, token)| token).collect()
}

#[test]
fn the_vocabulary_of_faster_whisper_is_a_list_in_either_form() {
    let lines = lines();
    let text = lines.join("\n") + "\n";
    let json = serde_json::to_string(&lines).unwrap();
    let theirs = tokenizer(51865);
    for file in [text, json] {
        let ours = Tokenizer::from_vocabulary(file.as_bytes(), 51865).unwrap();
        assert_eq!(ours.special(), theirs.special());
        assert_eq!(ours.encode(" the Zürich tea").unwrap(), theirs.encode(" the Zürich tea").unwrap());
    }
}

#[test]
fn what_is_no_vocabulary_is_refused() {
    let bytes: Vec<Box<[u8]>> = (0..=255u8).map(|byte| Box::from([byte])).collect();
    let long = |id: u32| -> Box<[u8]> { id.to_be_bytes().into() };
    let mut unordered = bytes.clone();
    unordered.extend((256..50257).map(long));
    let mut twice = bytes.clone();
    twice.resize(50257, Box::from(*b"a"));
    let mut without_bytes: Vec<Box<[u8]>> = (0..50257).map(long).collect();
    let mut endless = bytes.clone();
    endless.push(vec![b'a'; 1 << 20].into());
    endless.extend((257..50257).map(long));
    without_bytes[0] = Box::from([]);
    for (tokens, words) in [
        (&bytes, "has 256 entries"),
        (&unordered, "is not in the order of merges"),
        (&twice, "has the same token twice"),
        (&without_bytes, "lacks the byte 0x00"),
        (&endless, "has a token 256 of 1048576 bytes"),
    ] {
        let error = Tokenizer::from_tokens(tokens, 51865).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
    let error = Tokenizer::built_in(60000).unwrap_err().to_string();
    assert!(error.contains("`tokenizer.json`"), "{error}");
    let error = Tokenizer::from_vocabulary("ok\n\u{4e16}".as_bytes(), 51865).unwrap_err().to_string();
    assert!(error.contains("`世` for token 1"), "{error}");
}
