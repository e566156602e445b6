//! What the program takes against what was estimated, and what it says where that is too much.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use candle_core::DType;
use candle_whisper::load::{ModelFiles, describe};
use candle_whisper::memory::{Bytes, Fit, MOST_ON_CPU, MOST_ON_GPU, Memory, compare, windows_at_once};
use candle_whisper_core::dims::ModelDimensions;
use candle_whisper_core::memory::{PerNumber, Processor, SHAPES, Usage, estimate};
use candle_whisper_core::weights::Matrices;

use crate::cli::program;
use crate::data;

fn shape(name: &str) -> ModelDimensions {
    SHAPES.iter().find(|(known, _)| *known == name).unwrap().1.clone()
}

/// The most resident memory that the program has, transcribing jfk.flac (11 s); Linux alone says it.
#[cfg(target_os = "linux")]
fn measured(model: &Path, typed: &[&str]) -> u64 {
    assert!(model.is_dir(), "{} is missing: `tests/run native` fetches it", model.display());
    let mut child = Command::new(env!("CARGO_BIN_EXE_candle-whisper"))
        .arg("--model")
        .arg(model)
        // The estimate is of whole windows.
        .args([
            "--device",
            "cpu",
            "--temperature_increment_on_fallback",
            "None",
            "--threads",
            "2",
            "--audio_ctx",
            "full",
        ])
        .args(typed)
        .arg(data::tests().join("data/jfk.flac"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) * 1024);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return peak;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Estimate and measurement, a tenth apart at most.
#[cfg(target_os = "linux")]
fn near(name: &str, model: &Path, usage: Usage, typed: &[&str]) {
    let described = describe(&ModelFiles::in_folder(model).unwrap()).unwrap();
    let kind = if typed.contains(&"f32") { Matrices::Floats } else { Matrices::Blocks };
    let matrices = PerNumber::of(&described.checkpoint, kind, Processor::Cpu, DType::F32);
    let usage = Usage { seconds: 11.0, matrices, integers: kind == Matrices::Blocks, ..usage };
    let estimated = estimate(&described.dims, &usage).peak();
    let measured = measured(model, typed);
    let off = estimated as f64 / measured as f64 - 1.0;
    println!("{name}: estimated {}, measured {}, {:+.1} %", Bytes(estimated), Bytes(measured), 100.0 * off);
    assert!(off.abs() < 0.1, "{name}: estimated {estimated}, measured {measured}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_estimate_is_within_a_tenth_of_the_peak() {
    let bundled = data::tests().join("../native/models/tiny.en");
    for dtype in ["quantised", "f32"] {
        for (name, heads) in [("tiny.en", 8), ("base", 8)] {
            let model = data::tests().join("models").join(name);
            let (greedy, typed) = (Usage::default(), ["--dtype", dtype, "--beam_size"]);
            let (words, beams) =
                (Usage { n_alignment_heads: heads, ..greedy }, Usage { n_group: 5, ..greedy });
            near(&format!("{name}, greedy"), &model, greedy, &[&typed[..], &["None"]].concat());
            let typed_words = [&typed[..], &["None", "--word_timestamps", "True"]].concat();
            near(&format!("{name}, words"), &model, words, &typed_words);
            near(&format!("{name}, beam 5"), &model, beams, &[&typed[..], &["5"]].concat());
        }
        near("tiny.en, bundled", &bundled, Usage::default(), &["--dtype", dtype, "--beam_size", "None"]);
    }
}

/// A model of these sizes that hears nothing and ends at once: its weights are zero, which takes no place on the disk,
/// but that the decoder's last state is all ones, and so is the embedding of the end of the text.
#[cfg(target_os = "linux")]
fn of_zeros(folder: &Path, dims: &ModelDimensions) {
    use std::io::{Seek, SeekFrom, Write};
    const EOT: usize = 50257;
    let mut config = serde_json::to_value(dims).unwrap();
    config["model_type"] = "whisper".into();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let base = data::tests().join("models/base");
    assert!(base.is_dir(), "{} is missing: `tests/run native` fetches it", base.display());
    fs::copy(base.join("tokenizer.json"), folder.join("tokenizer.json")).unwrap();
    let mut header = serde_json::Map::new();
    let mut ones = Vec::new();
    let mut end = 0;
    for (name, shape) in tensors(dims) {
        let start = end;
        end += shape.iter().product::<usize>() * 2;
        match name.as_str() {
            "decoder.embed_tokens.weight" => ones.push(start + EOT * dims.n_state * 2),
            "decoder.layer_norm.bias" => ones.push(start),
            _ => {}
        }
        let tensor = serde_json::json!({"dtype": "F16", "shape": shape, "data_offsets": [start, end]});
        header.insert(name, tensor);
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = fs::File::create(folder.join("model.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(&header).unwrap();
    let begin = 8 + header.len();
    file.set_len((begin + end) as u64).unwrap();
    for start in ones {
        file.seek(SeekFrom::Start((begin + start) as u64)).unwrap();
        file.write_all(&[0x00, 0x3c].repeat(dims.n_state)).unwrap();
    }
}

#[cfg(target_os = "linux")]
fn tensors(d: &ModelDimensions) -> Vec<(String, Vec<usize>)> {
    let n = d.n_state;
    let mut all = vec![
        ("encoder.conv1.weight".to_owned(), vec![n, d.n_mels, 3]),
        ("encoder.conv1.bias".to_owned(), vec![n]),
        ("encoder.conv2.weight".to_owned(), vec![n, n, 3]),
        ("encoder.conv2.bias".to_owned(), vec![n]),
        ("encoder.embed_positions.weight".to_owned(), vec![d.n_audio_ctx, n]),
        ("decoder.embed_positions.weight".to_owned(), vec![d.n_text_ctx, n]),
        ("decoder.embed_tokens.weight".to_owned(), vec![d.n_vocab, n]),
    ];
    let mut pair = |name: String, n_out: usize, n_in: Option<usize>| {
        all.push((format!("{name}.weight"), [n_out].into_iter().chain(n_in).collect()));
        all.push((format!("{name}.bias"), vec![n_out]));
    };
    for (side, layers, attentions) in [
        ("encoder", d.n_audio_layer, &["self_attn"][..]),
        ("decoder", d.n_text_layer, &["self_attn", "encoder_attn"][..]),
    ] {
        pair(format!("{side}.layer_norm"), n, None);
        for layer in (0..layers).map(|i| format!("{side}.layers.{i}")) {
            for attention in attentions {
                for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                    pair(format!("{layer}.{attention}.{part}"), n, Some(n));
                }
                pair(format!("{layer}.{attention}_layer_norm"), n, None);
            }
            pair(format!("{layer}.final_layer_norm"), n, None);
            pair(format!("{layer}.fc1"), 4 * n, Some(n));
            pair(format!("{layer}.fc2"), n, Some(4 * n));
        }
    }
    all
}

/// Larger models, made as this one and measured by hand, greedy, on 2 cores: `medium` 3.42 GB (estimated 3.44),
/// `turbo` 3.39 GB (3.35), `large-v3` 6.76 GB (6.78).
#[cfg(target_os = "linux")]
#[test]
fn the_estimate_is_within_a_tenth_of_the_peak_of_a_larger_model() {
    let here = tempfile::tempdir().unwrap();
    of_zeros(here.path(), &shape("small"));
    for dtype in ["quantised", "f32"] {
        let typed = ["--dtype", dtype, "--beam_size", "None", "--language", "en"];
        near("small, zeros", here.path(), Usage::default(), &typed);
    }
}

fn memory(total: u64, available: u64) -> Memory {
    Memory { total: total * 1_000_000, available: available * 1_000_000 }
}

fn complaint(fit: &Fit) -> String {
    match fit {
        Fit::Fits => String::new(),
        Fit::Tight(shortage) | Fit::Impossible(shortage) => shortage.to_string(),
    }
}

#[test]
fn what_exceeds_the_free_memory_is_tight_and_what_exceeds_all_is_impossible() {
    let (large, usage) = (shape("large-v3"), Usage { n_group: 5, ..Usage::default() });
    assert_eq!(compare(&large, &usage, memory(64_000, 32_000)), Fit::Fits);
    let tight = compare(&large, &usage, memory(64_000, 2_000));
    assert!(matches!(tight, Fit::Tight(_)));
    let impossible = compare(&large, &usage, memory(4_000, 2_000));
    assert!(matches!(impossible, Fit::Impossible(_)));
    let words = complaint(&impossible);
    assert!(words.contains("this machine has 4.0 GB, of which 2.0 GB are free"), "{words}");
    assert!(words.ends_with("a model of the size of `small` would fit (1.2 GB)"), "{words}");
}

#[test]
fn the_remedy_is_the_smallest_change_that_helps() {
    let shape = shape("large-v3");
    let on_gpu = |n_audio, n_group| Usage { processor: Processor::Gpu, n_audio, n_group, ..Usage::default() };
    let words = |usage: Usage, free| complaint(&compare(&shape, &usage, memory(80_000, free)));
    let batch = words(on_gpu(8, 5), 9_000);
    assert!(batch.contains("; one window at a time would fit"), "{batch}");
    let beams = words(Usage { n_group: 50, ..Usage::default() }, 7_500);
    assert!(beams.contains("; `--beam_size None --best_of None` would fit"), "{beams}");
    let precision = words(on_gpu(1, 1), 6_000);
    assert!(precision.contains("; `--dtype f16` would fit") && precision.contains("the GPU"), "{precision}");
    let model = words(Usage { dtype: DType::F16, ..on_gpu(1, 1) }, 3_300);
    assert!(model.contains("; a model of the size of `turbo` would fit"), "{model}");
    let nothing = words(on_gpu(1, 1), 100);
    assert!(nothing.ends_with("are free"), "{nothing}");
}

#[test]
fn as_many_windows_at_once_are_chosen_as_nine_tenths_of_the_free_memory_have_room_for() {
    let usage = Usage { processor: Processor::Gpu, dtype: DType::F16, n_group: 5, ..Usage::default() };
    let windows = |name, usage: &Usage, free: u64| windows_at_once(&shape(name), usage, free);
    let needed = |name, n_audio| estimate(&shape(name), &Usage { n_audio, ..usage }).peak();
    for name in ["large-v3", "turbo", "tiny"] {
        assert_eq!(windows(name, &usage, 1 << 40), MOST_ON_GPU, "{name}");
        assert_eq!(windows(name, &usage, 0), 1, "{name}: less than one window is none");
        // Room for seven, and not for the eighth.
        let free = needed(name, 7) * 10 / 9 + 10;
        assert!(free < needed(name, 8) * 10 / 9, "{name}");
        assert_eq!(windows(name, &usage, free), 7, "{name}");
        let narrow = windows(name, &Usage { n_group: 1, ..usage }, free);
        assert!(narrow >= 7, "{name}: {narrow} without beams");
    }
    // A card of 24 GB.
    assert!((8..MOST_ON_GPU).contains(&windows("large-v3", &usage, 23_000_000_000)));
    let cpu = Usage::default();
    assert_eq!(windows("tiny", &cpu, 1 << 40), MOST_ON_CPU);
    assert!(windows("large-v3", &cpu, 8_000_000_000) < MOST_ON_CPU);
}

#[cfg(target_os = "linux")]
#[test]
fn the_batch_that_the_memory_chooses_is_said_and_writes_what_its_number_writes() {
    let here = tempfile::tempdir().unwrap();
    let clip = data::tests().join("data/long-72s.flac");
    let transcribe = |batch: &str, more: &[&str]| {
        let out = here.path().join(batch);
        let mut typed = vec!["--device", "cpu", "--beam_size", "None", "--batch", batch, "-f", "json", "-o"];
        typed.push(out.to_str().unwrap());
        let output = program(&[&typed[..], more, &[clip.to_str().unwrap()]].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        (fs::read_to_string(out.join("long-72s.json")).unwrap(), said)
    };
    let (auto, said) = transcribe("auto", &[]);
    assert!(said.starts_with("note: "), "{said}");
    let note = said.lines().next().unwrap();
    assert!(note.contains(": the model needs ") && note.ends_with(" are free"), "{note}");
    let number = note["note: ".len()..].split(' ').next().unwrap();
    let number = if number == "one" { "1" } else { number };
    assert!((1..=MOST_ON_CPU).contains(&number.parse().unwrap()), "{note}");
    assert_eq!(transcribe(number, &[]).0, auto);
    // On integers, with any other number too: what `--resume` keeps may go on with it.
    assert_eq!(transcribe("3", &[]).0, auto);
    let (same, said) = transcribe("auto", &["--verbose", "None"]);
    assert_eq!((same, said.as_str()), (auto, ""));
}

#[test]
fn a_machine_has_memory_and_not_more_of_it_free_than_there_is() {
    let memory = Memory::of_machine().unwrap();
    assert!(memory.total > 1 << 28 && memory.available <= memory.total, "{memory:?}");
}

/// The bundled model's folder with other sizes.
fn resized(folder: &Path, sizes: &[(&str, usize)]) -> PathBuf {
    let bundled = data::tests().join("../native/models/tiny.en");
    for name in ["tokenizer.json", "model.gguf"] {
        fs::copy(bundled.join(name), folder.join(name)).unwrap();
    }
    let config = fs::read(bundled.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    sizes.iter().for_each(|&(name, size)| config[name] = size.into());
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    folder.into()
}

#[test]
fn a_model_that_can_never_fit_is_refused_before_it_is_loaded() {
    let here = tempfile::tempdir().unwrap();
    let heads = [("encoder_attention_heads", 64), ("decoder_attention_heads", 64)];
    let layers = [("encoder_layers", 1000), ("decoder_layers", 1000), ("d_model", 1 << 14)];
    let sizes = [heads.as_slice(), &layers].concat();
    let model = resized(here.path(), &sizes);
    let jfk = data::tests().join("data/jfk.flac");
    let output = program(&["--device", "cpu", "--model", model.to_str().unwrap(), jfk.to_str().unwrap()]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("error: could not load `"), "{stderr}");
    assert!(stderr.contains(": the model needs about 8752 GB"), "{stderr}");
    assert!(stderr.contains("a model of the size of"), "{stderr}");
}

#[test]
fn models_info_says_what_a_model_is_and_needs() {
    let output = program(&["models", "info", "tiny.en"]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    let line = |name: &str| {
        let line = stdout.lines().find(|line| line.starts_with(name));
        let words = line.map(|line| line[name.len()..].split_whitespace().collect::<Vec<_>>().join(" "));
        words.unwrap_or_else(|| panic!("no {name} in\n{stdout}"))
    };
    assert_eq!(line("n_audio_state"), "384");
    assert_eq!(line("n_vocab"), "51864");
    assert_eq!(line("parameters"), "37,760,256");
    assert_eq!(line("weights"), "model.gguf");
    assert_eq!(line("languages"), "1");
    assert_eq!(line("alignment heads"), "1.0 2.0 2.5 3.0 3.1 3.2 3.3 3.4");
    assert!(line("stored as").ends_with("MB in Q8_0, Q5_0, F16, F32"), "{stdout}");
    for row in ["cpu f32", "cpu quantised", "cuda f32", "cuda f16", "cuda bf16", "cuda quantised"] {
        assert_eq!(line(row).matches("MB").count() + line(row).matches("GB").count(), 3, "{stdout}");
    }
}

#[test]
fn models_info_as_json_has_the_same_numbers_in_full() {
    let output = program(&["models", "info", "tiny.en", "--json"]);
    let info: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(info["dims"]["n_text_layer"], 4);
    assert_eq!(info["parameters"], 37_760_256);
    assert_eq!(info["alignment_heads"][2], serde_json::json!([2, 5]));
    let cpu = &info["memory"][0];
    assert_eq!((&cpu["device"], &cpu["dtype"]), (&"cpu".into(), &"f32".into()));
    assert!(cpu["greedy"].as_u64() < cpu["beam_5"].as_u64());
    assert!(cpu["beam_5"].as_u64() < cpu["beam_5_batch_8"].as_u64());
}

#[test]
fn models_info_tells_of_a_model_before_it_is_fetched() {
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().display().to_string();
    let output = program(&["models", "info", "turbo", "--cache_dir", &folder]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("not here") && stdout.contains("808,878,080"), "{stdout}");
    assert!(stdout.lines().any(|line| line.starts_with("cuda f16")), "{stdout}");
    for (name, vocab) in [("medium.en", 51864), ("large-v2", 51865), ("large-v3", 51866)] {
        assert_eq!(candle_whisper_core::memory::dims_of(name).unwrap().n_vocab, vocab);
    }
    assert!(candle_whisper_core::memory::dims_of("turbo.en").is_none());
}

#[test]
fn models_info_of_nothing_names_it() {
    let output = program(&["models", "info", "no-such-model"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.starts_with("error: ") && stderr.contains("no-such-model"), "{stderr}");
}
