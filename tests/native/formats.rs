//! Real weights in every format: the same numbers, the same tokens.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use candle_core::quantized::{GgmlDType, gguf_file};
use candle_core::{DType, Device, Tensor};
use candle_whisper::load::{ModelFiles, Numbers, Opened, load, open};
use candle_whisper_core::TranscribeOptions;
use candle_whisper_core::observer::Silent;
use candle_whisper_core::options::AudioContext;
use candle_whisper_core::weights::{Format, Matrices};
use candle_whisper_core::{Waveform, media};

use crate::data::tests;

fn model(name: &str) -> PathBuf {
    let folder = tests().join("models").join(name);
    assert!(folder.is_dir(), "tests/models/{name} is missing: `tests/run native` fetches it");
    folder
}

fn tool(name: &str, arguments: &[&Path]) -> String {
    let mut command = Command::new(tests().join(".venv/bin/python"));
    let output = command.arg(tests().join("tools").join(name)).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// A file of another program's format, from `tests/tools/write-model`.
fn written(kind: &str, to: &Path) {
    let from = if kind.starts_with("ct2") { model("tiny.en-ct2") } else { model("tiny.en") };
    tool("write-model", &[kind.as_ref(), &from, to]);
}

/// The same, and the file of the numbers that a reader must find.
fn written_with_values(kind: &str, to: &Path, values: &Path) {
    let from = if kind.starts_with("ct2") { model("tiny.en-ct2") } else { model("tiny.en") };
    tool("write-model", &[kind.as_ref(), &from, to, "--values".as_ref(), values]);
}

fn program(arguments: &[&str], paths: [&Path; 2]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candle-whisper"));
    let output = command.arg("models").args(arguments).args(paths).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn opened(path: &Path) -> Opened {
    open(&ModelFiles::find(path).unwrap()).unwrap()
}

fn jfk() -> &'static Waveform {
    static JFK: OnceLock<Waveform> = OnceLock::new();
    JFK.get_or_init(|| media::decode(fs::File::open(tests().join("data/jfk.flac")).unwrap(), None).unwrap())
}

/// Tokens and text of a greedy run.
fn heard(path: &Path, matrices: Matrices) -> (Vec<u32>, String) {
    let whisper = load(path, &Device::Cpu, Numbers { dtype: None, matrices }).unwrap();
    let audio_ctx = AudioContext::Full; // as the reference hears it
    let options = TranscribeOptions { temperatures: vec![0.0], audio_ctx, ..Default::default() };
    let transcript = whisper.run(jfk(), options, &mut Silent).unwrap();
    (transcript.segments.into_iter().flat_map(|segment| segment.tokens).collect(), transcript.text)
}

/// What openai/whisper hears with the same floats.
fn reference() -> (Vec<u32>, String) {
    let lines = fs::read_to_string(tests().join("golden/reference/tiny.en.jsonl")).unwrap();
    let rows = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut ours = rows.filter(|row| row["id"] == "jfk");
    let row = ours.find(|row| row["mode"] == "greedy_words" || row["mode"] == "greedy").unwrap();
    let segments = row["segments"].as_array().unwrap();
    let tokens =
        segments.iter().flat_map(|s| serde_json::from_value::<Vec<u32>>(s["tokens"].clone()).unwrap());
    (tokens.collect(), row["text"].as_str().unwrap().into())
}

fn floats(model: &Opened, name: &str) -> Tensor {
    let stored = model.checkpoint.get(name).unwrap_or_else(|| panic!("no `{name}`"));
    model.checkpoint.tensor(stored, DType::F32, &Device::Cpu).unwrap()
}

/// The largest difference of a tensor, as a share of its largest number.
fn difference(a: &Opened, b: &Opened) -> f32 {
    let mut worst = 0f32;
    for (name, _) in b.checkpoint.tensors() {
        let (x, y) = (floats(a, name), floats(b, name));
        assert_eq!(x.dims(), y.dims(), "{name}");
        let largest =
            |t: Tensor| t.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
        worst = worst.max(largest((&x - &y).unwrap()) / largest(y).max(1e-9));
    }
    worst
}

#[test]
fn the_same_floats_in_every_format_give_the_references_tokens() {
    let here = tempfile::tempdir().unwrap();
    let path = |name: &str| here.path().join(name);
    let original = opened(&model("tiny.en"));
    let expected = reference();
    for (kind, format, runs) in [
        ("ggml-f16", Format::Ggml, true),
        ("ggml-f32", Format::Ggml, false),
        ("ct2-float32", Format::CTranslate2, false),
        ("pt-f16", Format::Torch, true),
        ("pt-f32", Format::Torch, false),
    ] {
        // Each alone in its folder: what is not in the file must be derived or built in.
        fs::create_dir(path(kind)).unwrap();
        let file = path(kind).join("a name that says nothing");
        written(kind, &file);
        let model = opened(&file);
        assert_eq!(model.checkpoint.format(), format);
        assert_eq!(
            (&model.dims, &model.alignment_heads),
            (&original.dims, &original.alignment_heads),
            "{kind}"
        );
        assert_eq!(difference(&model, &original), 0.0, "{kind}");
        if runs {
            assert_eq!(heard(&file, Matrices::Floats), expected, "{kind}");
        }
        fs::remove_dir_all(path(kind)).unwrap();
    }
}

#[test]
fn a_faster_whisper_folder_gives_the_references_tokens_with_and_without_its_tokenizer() {
    let original = opened(&model("tiny.en"));
    let folder = opened(&model("tiny.en-ct2"));
    assert_eq!(folder.checkpoint.format(), Format::CTranslate2);
    assert_eq!((&folder.dims, &folder.alignment_heads), (&original.dims, &original.alignment_heads));
    assert_eq!(difference(&folder, &original), 0.0);
    let here = tempfile::tempdir().unwrap();
    for name in ["model.bin", "config.json", "vocabulary.txt"] {
        fs::copy(model("tiny.en-ct2").join(name), here.path().join(name)).unwrap();
    }
    assert_eq!(heard(here.path(), Matrices::Floats), reference());
}

#[test]
fn blocks_and_scaled_integers_are_the_numbers_they_stand_for() {
    let here = tempfile::tempdir().unwrap();
    let (file, values) = (here.path().join("model"), here.path().join("values"));
    for kind in [
        "ggml-q4_0",
        "ggml-q4_1",
        "ggml-q5_0",
        "ggml-q5_1",
        "ggml-q8_0",
        "ct2-int8",
        "ct2-int16",
        "ct2-bfloat16",
    ] {
        written_with_values(kind, &file, &values);
        let difference = difference(&opened(&file), &opened(&values));
        // A scale, a product and a sum in f32 may be rounded in another order.
        assert!(difference <= 1e-6, "{kind}: {difference}");
    }
}

#[test]
fn whispercpp_hears_the_same_with_the_ggml_files_of_these_tests() {
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("model.bin");
    let plain = |text: &str| {
        let letters = text.chars().filter(|c| c.is_alphanumeric() || c.is_whitespace());
        letters.collect::<String>().split_whitespace().map(str::to_lowercase).collect::<Vec<_>>()
    };
    for kind in ["ggml-f16", "ggml-q5_0"] {
        written(kind, &file);
        let theirs = tool("whispercpp", &[&file, &tests().join("data/jfk.flac")]);
        assert_eq!(plain(&heard(&file, Matrices::Floats).1), plain(&theirs), "{kind}");
    }
}

#[test]
fn matrices_kept_in_blocks_transcribe() {
    let (_, expected) = reference();
    // Blocks of the file, and Q8_0 made of floats.
    for folder in [tests().join("../native/models/tiny.en"), model("tiny.en")] {
        assert_eq!(heard(&folder, Matrices::Blocks).1, expected, "{}", folder.display());
    }
}

#[test]
fn a_model_converted_there_and_back_is_the_same() {
    let here = tempfile::tempdir().unwrap();
    let path = |name: &str| here.path().join(name);
    let original = opened(&model("tiny.en"));
    assert_eq!(program(&["convert"], [&model("tiny.en-ct2"), &path("a")]).0, 0);
    assert_eq!(program(&["convert", "--format", "gguf"], [&path("a"), &path("b")]).0, 0);
    assert_eq!(program(&["convert", "--dtype", "f32"], [&path("b"), &path("c.safetensors")]).0, 0);
    for (name, format) in
        [("a", Format::Safetensors), ("b", Format::Gguf), ("c.safetensors", Format::Safetensors)]
    {
        let copy = opened(&path(name));
        assert_eq!(copy.checkpoint.format(), format);
        assert_eq!(copy.checkpoint.tensors().count(), original.checkpoint.tensors().count());
        assert_eq!(difference(&copy, &original), 0.0, "{name}");
        assert_eq!((&copy.dims, &copy.alignment_heads), (&original.dims, &original.alignment_heads));
    }
    // The folder has all that the original has, and is one for the program without what is built in.
    for name in ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"] {
        assert!(path("a").join(name).is_file(), "{name}");
    }
    assert_eq!(heard(&path("b"), Matrices::Floats), reference());
}

#[test]
fn safetensors_in_parts_are_one_model() {
    let here = tempfile::tempdir().unwrap();
    let whole = fs::read(model("tiny.en").join("model.safetensors")).unwrap();
    let length = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let head: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&whole[8..8 + length]).unwrap();
    let mut weight_map = serde_json::Map::new();
    for part in 0..2 {
        let name = format!("model-0000{}-of-00002.safetensors", part + 1);
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        for (tensor, info) in head.iter().filter(|(tensor, _)| *tensor != "__metadata__") {
            if tensor.contains("encoder.layers") != (part == 0) {
                continue;
            }
            let place: [usize; 2] = serde_json::from_value(info["data_offsets"].clone()).unwrap();
            let mut info = info.clone();
            info["data_offsets"] = serde_json::json!([data.len(), data.len() + place[1] - place[0]]);
            data.extend(&whole[8 + length + place[0]..8 + length + place[1]]);
            header.insert(tensor.clone(), info);
            weight_map.insert(tensor.clone(), name.clone().into());
        }
        let header = serde_json::Value::Object(header).to_string().into_bytes();
        let file = [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat();
        fs::write(here.path().join(name), file).unwrap();
    }
    let index = serde_json::json!({"weight_map": weight_map});
    fs::write(here.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    assert_eq!(difference(&opened(here.path()), &opened(&model("tiny.en"))), 0.0);
    fs::remove_file(here.path().join("model-00002-of-00002.safetensors")).unwrap();
    let error = format!("{:#}", ModelFiles::find(here.path()).unwrap_err());
    assert!(error.contains("model-00002-of-00002.safetensors` is missing"), "{error}");
}

#[test]
fn quantised_copies_have_the_types_asked_for_where_rows_are_whole_blocks() {
    let here = tempfile::tempdir().unwrap();
    const LINEAR: &str = "model.encoder.layers.0.fc2.weight";
    const SHORT: &str = "model.encoder.layers.0.fc1.weight";
    const EMBEDDING: &str = "model.decoder.embed_tokens.weight";
    use GgmlDType::{Q4_0, Q4K, Q5_0, Q6K, Q8_0};
    // tiny.en's rows of 384 are no whole blocks of 256; those of fc2, 1536, are.
    for (kind, linear, short, embedding) in [
        ("q8_0", Q8_0, Q8_0, Q8_0),
        ("q4_0", Q4_0, Q4_0, Q4_0),
        ("q6k", Q6K, Q8_0, Q8_0),
        ("q4k", Q4K, Q5_0, Q5_0),
    ] {
        let out = here.path().join(format!("{kind}.gguf"));
        let (code, said, _) = program(&["quantise", "--verbose", "--type", kind], [&model("tiny.en"), &out]);
        assert_eq!(code, 0);
        let mut reader = fs::File::open(&out).unwrap();
        let candle = gguf_file::Content::read(&mut reader).unwrap();
        for (name, dtype) in [(LINEAR, linear), (SHORT, short), (EMBEDDING, embedding)] {
            assert_eq!(candle.tensor_infos[name].ggml_dtype, dtype, "{kind} {name}");
            let theirs = candle.tensor(&mut reader, name, &Device::Cpu).unwrap();
            let theirs =
                theirs.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let ours = floats(&opened(&out), name).flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert!(theirs == ours, "{kind} {name}");
            let line = said.lines().find(|line| line.contains(name)).unwrap();
            assert!(line.contains(&format!("-> {dtype:?}")), "{line}");
            assert_eq!(line.contains("no whole blocks"), kind.ends_with('k') && name != LINEAR, "{line}");
        }
        let length = fs::metadata(&out).unwrap().len();
        assert!(said.starts_with(&format!("{}: {:.1} MB", out.display(), length as f64 / 1e6)), "{said}");
    }
}

#[test]
fn the_mixed_copy_keeps_frequent_and_special_tokens_in_eight_bits() {
    let here = tempfile::tempdir().unwrap();
    let out = here.path().join("mixed.gguf");
    let (code, said, _) = program(&["quantise", "--verbose"], [&model("tiny.en"), &out]);
    assert_eq!(code, 0);
    const EMBEDDING: &str = "model.decoder.embed_tokens.weight";
    let mut reader = fs::File::open(&out).unwrap();
    let candle = gguf_file::Content::read(&mut reader).unwrap();
    let mut theirs: Vec<f32> = Vec::new();
    for (part, rows, dtype) in [
        (0, 10_000, GgmlDType::Q8_0),
        (1, 50_256 - 10_000, GgmlDType::Q5_0),
        (2, 51_864 - 50_256, GgmlDType::Q8_0),
    ] {
        let name = format!("{EMBEDDING}.{part}");
        let tensor = candle.tensor(&mut reader, &name, &Device::Cpu).unwrap();
        assert_eq!((tensor.dtype(), tensor.shape().dims()), (dtype, [rows, 384].as_slice()));
        let floats = tensor.dequantize(&Device::Cpu).unwrap();
        theirs.extend(floats.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        let line = said.lines().find(|line| line.contains(&name)).unwrap();
        assert!(line.contains(&format!("-> {dtype:?}")) && !line.contains("no whole blocks"), "{line}");
    }
    let opened = opened(&out);
    let whole = floats(&opened, EMBEDDING);
    assert_eq!(whole.dims(), [51_864, 384]);
    assert!(theirs == whole.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    // Any rows of it can be had, across the parts too.
    let stored = opened.checkpoint.get(EMBEDDING).unwrap();
    for rows in [9_990..10_010, 0..3, 50_000..51_864, 5_000..51_000] {
        let part = opened.checkpoint.tensor(&stored.rows(rows.clone()).unwrap(), DType::F32, &Device::Cpu);
        let part = part.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(part == theirs[rows.start * 384..rows.end * 384], "{rows:?}");
    }
    assert!(stored.rows(51_000..51_865).is_none());
}

#[test]
fn a_copy_that_can_not_be_made_leaves_nothing_and_replaces_nothing() {
    let here = tempfile::tempdir().unwrap();
    let path = |name: &str| here.path().join(name);
    fs::write(path("there.gguf"), "precious").unwrap();
    fs::write(path("notes.txt"), "not a model").unwrap();
    let tiny = model("tiny.en");
    let bundled = tests().join("../native/models/tiny.en");
    for (arguments, from, to, words) in [
        (&["convert"][..], &tiny, "there.gguf", "is there already"),
        (&["quantise"], &tiny, "a.safetensors", "quantised weights are GGUF"),
        (&["quantise"], &bundled, "b", "is quantised already"),
        (&["convert"], &path("notes.txt"), "c", "`notes.txt`: weights: this is text"),
        (&["convert", "--format", "gguf"], &tiny, "d.safetensors", "not a name for what `--format`"),
        (&["convert"], &path("missing"), "e", "there is no model"),
    ] {
        let (code, stdout, stderr) = program(arguments, [from, &path(to)]);
        assert_eq!((code, stdout.as_str()), (1, ""), "{words}");
        let said = stderr.replace(&format!("{}/", here.path().display()), "");
        assert!(said.contains(words), "{words}: {said}");
    }
    let mut left: Vec<_> =
        fs::read_dir(here.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["notes.txt", "there.gguf"]);
    assert_eq!(fs::read_to_string(path("there.gguf")).unwrap(), "precious");
}

#[test]
fn a_folder_with_several_models_or_none_says_so() {
    let here = tempfile::tempdir().unwrap();
    let find = || format!("{:#}", ModelFiles::find(here.path()).unwrap_err());
    assert!(find().contains("has no weights, such as `model.safetensors`"), "{}", find());
    fs::write(here.path().join("model.bin"), "<html>not found</html>").unwrap();
    assert!(find().contains("model.bin`: weights: this is text"), "{}", find());
    fs::write(here.path().join("a.gguf"), b"GGUF").unwrap();
    assert_eq!(ModelFiles::find(here.path()).unwrap().weights, [here.path().join("a.gguf")]);
    fs::write(here.path().join("b.bin"), b"lmgg").unwrap();
    let error = find();
    assert!(error.contains("a.gguf` and `") && error.contains("b.bin` lie in one folder"), "{error}");
}
