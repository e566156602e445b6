//! The estimate of memory: its arithmetic. `tests/native/memory.rs` compares it with the program's.

use candle_core::DType;
use candle_whisper_core::dims::ModelDimensions;
use candle_whisper_core::memory::{PerNumber, Processor, SHAPES, Usage, estimate, n_parameters};
use candle_whisper_core::options::{DecodingOptions, TranscribeOptions};

fn shape(name: &str) -> ModelDimensions {
    SHAPES.iter().find(|(known, _)| *known == name).unwrap().1.clone()
}

fn peak(name: &str, usage: Usage) -> u64 {
    estimate(&shape(name), &usage).peak()
}

#[test]
fn parameters_are_those_that_hugging_face_counts() {
    let table = [
        ("tiny", 37_760_640),
        ("base", 72_593_920),
        ("small", 241_734_912),
        ("medium", 763_857_920),
        ("turbo", 808_878_080),
        ("large-v3", 1_543_490_560),
    ];
    for (name, parameters) in table {
        assert_eq!(n_parameters(&shape(name)), parameters, "{name}");
    }
}

#[test]
fn weights_are_the_parameters_in_the_networks_type_with_norms_in_f32() {
    let base = shape("base");
    let weights = |dtype| estimate(&base, &Usage { dtype, ..Usage::default() }).weights;
    // Six encoder layers with two norms, six decoder layers with three, two last ones; a zero bias for each key.
    let (norms, zeros) = ((6 * 2 + 6 * 3 + 2) * 2 * 512, (6 + 2 * 6) * 512);
    assert_eq!(weights(DType::F32), (72_593_920 + zeros) * 4);
    assert_eq!(weights(DType::F16), (72_593_920 + zeros - norms) * 2 + norms * 4);
}

#[test]
fn matrices_kept_in_another_type_take_what_that_takes() {
    let tiny = shape("tiny");
    let matrices = Some(PerNumber { linear: 2.0, embedding: 1.125 });
    let weights = |matrices| estimate(&tiny, &Usage { matrices, ..Usage::default() }).weights;
    let linear = 384 * 384 * (12 * 4 + 16 * 4);
    let embedding = 51865 * 384;
    assert_eq!(weights(None) - weights(matrices), linear * 2 + embedding * 23 / 8);
}

#[test]
fn the_cache_is_two_numbers_for_each_layer_row_position_and_state() {
    let base = shape("base");
    let cache = |processor, n_group, prompted| {
        estimate(&base, &Usage { processor, n_group, prompted, ..Usage::default() }).cache
    };
    assert_eq!(cache(Processor::Gpu, 5, true), 2 * 6 * 5 * 448 * 512 * 4);
    assert_eq!(cache(Processor::Gpu, 1, false), 2 * 6 * (224 + 4) * 512 * 4);
    // On a CPU what is touched by a text of 134 tokens counts.
    assert_eq!(cache(Processor::Cpu, 5, true), 2 * 6 * 5 * (224 + 134) * 512 * 4);
    assert_eq!(cache(Processor::Cpu, 1, false), 2 * 6 * (4 + 134) * 512 * 4);
}

#[test]
fn an_hour_of_recording_is_its_samples_and_its_frames() {
    let hour = |name| estimate(&shape(name), &Usage { seconds: 3600.0, ..Usage::default() }).recording;
    assert_eq!(hour("base"), 3600 * (16_000 + 100 * 80) * 4);
    assert_eq!(hour("large-v3"), 3600 * (16_000 + 100 * 128) * 4);
}

#[test]
fn a_file_held_while_loading_counts_only_where_it_exceeds_the_work_after_it() {
    let with = |held_by_loading| peak("base", Usage { held_by_loading, ..Usage::default() });
    assert_eq!(with(0), with(10_000_000));
    assert_eq!(with(300_000_000) - with(200_000_000), 100_000_000);
}

#[test]
fn more_beams_windows_words_and_precision_never_take_less() {
    for (name, _) in SHAPES {
        let plain = Usage::default();
        let more = [
            Usage { n_group: 5, ..plain },
            Usage { n_audio: 8, ..plain },
            Usage { n_alignment_heads: 1000, ..plain },
            Usage { seconds: 3600.0, ..plain },
            Usage { prompted: true, ..plain },
        ];
        for usage in more {
            assert!(peak(name, usage) >= peak(name, plain), "{name} {usage:?}");
        }
        let gpu = |dtype| peak(name, Usage { processor: Processor::Gpu, dtype, ..plain });
        assert!(gpu(DType::F32) > gpu(DType::F16) && gpu(DType::F16) == gpu(DType::BF16), "{name}");
    }
}

#[test]
fn beams_asked_for_beyond_all_measure_do_not_overflow() {
    let usage = Usage { n_group: usize::MAX, n_audio: usize::MAX, ..Usage::default() };
    assert!(estimate(&shape("large-v3"), &usage).cache > 1 << 60);
}

#[test]
fn the_candidates_are_the_most_that_any_temperature_has() {
    let options = |beam_size, best_of, temperatures: &[f64]| TranscribeOptions {
        temperatures: temperatures.to_vec(),
        decode: DecodingOptions { beam_size, best_of, ..DecodingOptions::default() },
        word_timestamps: beam_size.is_some(),
        ..TranscribeOptions::default()
    };
    let usage = |o: TranscribeOptions| Usage::default().with_options(&o, 6, 60.0);
    assert_eq!(usage(options(None, Some(5), &[0.0])).n_group, 1);
    assert_eq!(usage(options(None, Some(5), &[0.0, 0.2])).n_group, 5);
    assert_eq!(usage(options(Some(3), Some(5), &[0.0])).n_group, 3);
    assert_eq!(usage(options(Some(3), None, &[0.0])).n_alignment_heads, 6);
    assert_eq!(usage(options(None, None, &[0.0])).n_alignment_heads, 0);
    assert!(usage(options(None, None, &[0.0])).prompted);
}

/// What networks of zeros took on an H200 (driver 580, CUDA 13.0), in MB, and on an H100 where several windows do not matter: the most that the
/// driver said was in use while a window or several were encoded and 224 tokens decoded (`gpu memory`), 2026-11-27.
/// (shape, type, windows, rows of each, MB)
const ON_A_GPU: [(&str, &str, usize, usize, u64); 30] = [
    ("tiny", "f32", 1, 1, 1024),
    ("tiny", "f16", 1, 1, 729),
    ("tiny", "f16", 1, 5, 729),
    ("tiny", "f16", 8, 1, 930),
    ("tiny", "f16", 32, 1, 1333),
    ("base", "f32", 1, 1, 1293),
    ("base", "f16", 1, 1, 829),
    ("base", "f16", 1, 5, 829),
    ("base", "f16", 8, 1, 1131),
    ("base", "f16", 32, 1, 1937),
    ("small", "f32", 1, 1, 2165),
    ("small", "f16", 1, 1, 1198),
    ("small", "f16", 1, 5, 1265),
    ("small", "f16", 8, 1, 1970),
    ("small", "f16", 32, 1, 4285),
    ("medium", "f32", 1, 1, 4581),
    ("medium", "f16", 1, 1, 2406),
    ("medium", "f16", 1, 5, 2541),
    ("medium", "f16", 8, 1, 4319),
    ("medium", "f16", 32, 1, 10292),
    ("turbo", "f32", 1, 1, 4849),
    ("turbo", "f16", 1, 1, 2406),
    ("turbo", "f16", 1, 5, 2406),
    ("turbo", "f16", 8, 1, 2910),
    ("turbo", "f16", 32, 1, 4285),
    ("large-v3", "f32", 1, 1, 8138),
    ("large-v3", "f16", 1, 1, 4185),
    ("large-v3", "f16", 1, 5, 4185),
    ("large-v3", "f16", 8, 1, 7305),
    ("large-v3", "f16", 32, 1, 17204),
];

#[test]
fn the_estimate_is_within_a_tenth_of_what_was_measured_on_a_gpu() {
    for (name, dtype, n_audio, n_group, measured) in ON_A_GPU {
        let dtype = if dtype == "f32" { DType::F32 } else { DType::F16 };
        let usage = Usage { processor: Processor::Gpu, dtype, n_audio, n_group, ..Usage::default() };
        let off = peak(name, usage) as f64 / 1e6 / measured as f64 - 1.0;
        println!("{name} {dtype:?} {n_audio} {n_group}: {:+.1} %", 100.0 * off);
        assert!(off.abs() < 0.1, "{name} {dtype:?} {n_audio} {n_group}: {off}");
    }
}
