//! A small network of the v3 kind (128 mels, 51866 tokens, Cantonese), its weights generated as
//! `tests/golden/v3/README.md` says, against what openai/whisper found in it.

use std::collections::HashMap;
use std::ops::ControlFlow;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_whisper_core::decoding::{DecodingTask, detect_language};
use candle_whisper_core::dims::{ModelDimensions, alignment_heads};
use candle_whisper_core::kv_cache::KvCache;
use candle_whisper_core::model::{AudioFeatures, Model, Whisper};
use candle_whisper_core::options::{DecodingOptions, Task};
use candle_whisper_core::weights::Weights;
use serde_json::Value;

use crate::data::{Noise, golden, golden_f32, numbers, tokenizer};

fn generated(name: &str, n: usize, scale: f32, centre: f32) -> Vec<f32> {
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut noise = Noise(seed);
    (0..n).map(|_| centre + scale * noise.unit()).collect()
}

fn model(index: &Value) -> Whisper {
    let dims = ModelDimensions::from_json(index["config"].to_string().as_bytes()).unwrap();
    let heads = alignment_heads(&dims, Some(index["generation_config"].to_string().as_bytes())).unwrap();
    let tensors: HashMap<String, Tensor> = index["generator_check"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, spec)| {
            let shape: Vec<usize> = numbers(&spec["shape"]);
            let f32 = |key: &str| spec[key].as_f64().unwrap() as f32;
            let values = generated(name, shape.iter().product(), f32("scale"), f32("centre"));
            assert_eq!(values[..4], numbers::<f32>(&spec["first"]), "{name}");
            (name.clone(), Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
        })
        .collect();
    let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    Whisper::load(dims, heads, &Weights::from_var_builder(vb)).unwrap()
}

fn mel(n_audio: usize) -> Tensor {
    let mel = Tensor::from_vec(generated("mel", 128 * 3000, 1.0, 0.0), (1, 128, 3000), &Device::Cpu).unwrap();
    mel.repeat((n_audio, 1, 1)).unwrap()
}

fn assert_close(ours: &[f32], golden: &[f32], what: &str) {
    assert_eq!(ours.len(), golden.len());
    let worst = ours.iter().zip(golden).fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(worst <= 1e-3, "{what}: {worst}");
}

#[test]
fn encoder_and_logits_are_the_references() {
    let index = golden("v3/index.json");
    let model = model(&index);
    let xa = model.encode(&mel(1)).unwrap();
    let output: Vec<Vec<f32>> = xa.tensor().unwrap().squeeze(0).unwrap().to_vec2().unwrap();
    let kept: Vec<f32> = output.into_iter().step_by(50).flatten().collect();
    assert_close(&kept, &golden_f32("v3/encoder.f32"), "encoder");

    let tokens: Vec<u32> = numbers(&index["logits"]["tokens"]);
    let n = tokens.len();
    let tokens = Tensor::from_vec(tokens, (1, n), &Device::Cpu).unwrap();
    let hidden = model.decode(&tokens, &xa, &mut model.new_cache(1, n).unwrap()).unwrap();
    let logits: Vec<Vec<f32>> = model.project(&hidden.squeeze(0).unwrap()).unwrap().to_vec2().unwrap();
    let best = |row: &Vec<f32>| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    assert_eq!(logits.iter().map(best).collect::<Vec<_>>(), numbers::<usize>(&index["logits"]["argmax"]));
    let kept: Vec<f32> = logits.into_iter().flat_map(|row| row.into_iter().step_by(97)).collect();
    assert_close(&kept, &golden_f32("v3/logits.f32"), "logits");
}

#[test]
fn language_and_greedy_tokens_are_the_references() {
    let index = golden("v3/index.json");
    let (model, tokenizer) = (model(&index), tokenizer(51866));
    let xa = model.encode(&mel(1)).unwrap();
    let languages = detect_language(&model, &tokenizer, &xa).unwrap().swap_remove(0);
    assert_eq!(languages.len(), 100);
    for best in index["language"]["best"].as_array().unwrap() {
        let ours = languages.iter().find(|l| l.code == best[0]).unwrap();
        assert!((f64::from(ours.probability) - best[1].as_f64().unwrap()).abs() < 1e-4, "{best}");
    }
    for case in index["greedy"].as_array().unwrap() {
        let options = DecodingOptions {
            language: case["language"].as_str().map(str::to_owned),
            task: if case["task"] == "translate" { Task::Translate } else { Task::Transcribe },
            without_timestamps: case["without_timestamps"].as_bool().unwrap(),
            sample_len: Some(case["sample_len"].as_u64().unwrap() as usize),
            ..Default::default()
        };
        let task = DecodingTask::new(&model, &tokenizer, &options).unwrap();
        let result = task.run(&xa, &[0], &mut |_| ControlFlow::Continue(())).unwrap().unwrap().swap_remove(0);
        assert_eq!(result.tokens, numbers::<u32>(&case["tokens"]), "{case}");
        assert_eq!(result.language, case["result_language"].as_str().unwrap());
        assert!((result.avg_logprob - case["avg_logprob"].as_f64().unwrap()).abs() < 1e-3);
    }
}

#[test]
fn a_batch_of_eight_is_eight_times_one() {
    let index = golden("v3/index.json");
    let (model, tokenizer) = (model(&index), tokenizer(51866));
    for beam_size in [None, Some(3)] {
        let options = DecodingOptions {
            language: Some("en".into()),
            sample_len: Some(12),
            beam_size,
            ..Default::default()
        };
        let task = DecodingTask::new(&model, &tokenizer, &options).unwrap();
        // Eight different windows: the same noise, louder each time.
        let mels: Vec<Tensor> = (0..8).map(|i| (mel(1) * (1.0 + 0.2 * f64::from(i))).unwrap()).collect();
        let together = model.encode(&Tensor::cat(&mels, 0).unwrap()).unwrap();
        let together = task.run(&together, &[0; 8], &mut |_| ControlFlow::Continue(())).unwrap().unwrap();
        assert_eq!(together.len(), 8);
        for (mel, batched) in mels.iter().zip(&together) {
            let xa = model.encode(mel).unwrap();
            let alone =
                task.run(&xa, &[0], &mut |_| ControlFlow::Continue(())).unwrap().unwrap().swap_remove(0);
            assert_eq!(alone.tokens, batched.tokens);
            assert!((alone.avg_logprob - batched.avg_logprob).abs() < 1e-4);
            assert!((alone.no_speech_prob - batched.no_speech_prob).abs() < 1e-5);
        }
    }
}

#[test]
fn token_by_token_with_the_cache_equals_one_shot() {
    let index = golden("v3/index.json");
    let model = model(&index);
    let xa = model.encode(&mel(1)).unwrap();
    let tokens: Vec<u32> = (0..20).map(|i| 50258 + i * 7).map(|t| t % 51866).collect();
    let hidden = |parts: &[&[u32]]| -> Vec<f32> {
        let mut cache = model.new_cache(1, tokens.len()).unwrap();
        let mut last = None;
        for part in parts {
            let part = Tensor::from_vec(part.to_vec(), (1, part.len()), &Device::Cpu).unwrap();
            last = Some(model.decode(&part, &xa, &mut cache).unwrap());
        }
        let last = last.unwrap();
        last.narrow(1, last.dim(1).unwrap() - 1, 1).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    };
    let at_once = hidden(&[&tokens]);
    assert_close(&hidden(&tokens.chunks(1).collect::<Vec<_>>()), &at_once, "one by one");
    assert_close(&hidden(&tokens.chunks(7).collect::<Vec<_>>()), &at_once, "in sevens");
}

#[test]
fn rows_can_be_reordered_between_steps() {
    let index = golden("v3/index.json");
    let model = model(&index);
    let xa = model.encode(&mel(1)).unwrap();
    let put = |rows: &[&[u32]], cache: &mut _| -> Vec<Vec<f32>> {
        let n = rows[0].len();
        let tokens = Tensor::from_vec(rows.concat(), (rows.len(), n), &Device::Cpu).unwrap();
        let hidden = model.decode(&tokens, &xa, cache).unwrap();
        hidden.narrow(1, n - 1, 1).unwrap().squeeze(1).unwrap().to_vec2().unwrap()
    };
    let mut cache = model.new_cache(3, 8).unwrap();
    put(&[&[1, 2], &[3, 4], &[5, 6]], &mut cache);
    cache.reorder(&[2, 0, 2]).unwrap();
    let ours = put(&[&[7], &[8], &[9]], &mut cache);
    let mut fresh = model.new_cache(3, 8).unwrap();
    let expected = put(&[&[5, 6, 7], &[1, 2, 8], &[5, 6, 9]], &mut fresh);
    for (a, b) in ours.iter().zip(&expected) {
        assert_close(a, b, "after reorder");
    }
    assert!(put_too_much(&model, &xa, &mut cache));
}

/// Each row's last hidden state after its tokens, all of them decoded by caches of their own.
fn apart(model: &Whisper, xa: &AudioFeatures, rows: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let last = |row: &Vec<u32>| {
        let tokens = Tensor::from_vec(row.clone(), (1, row.len()), &Device::Cpu).unwrap();
        let hidden = model.decode(&tokens, xa, &mut model.new_cache(1, 16).unwrap()).unwrap();
        hidden.narrow(1, row.len() - 1, 1).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    };
    rows.iter().map(last).collect()
}

#[test]
fn rows_of_different_lengths_are_rows_of_their_own() {
    let index = golden("v3/index.json");
    let model = model(&index);
    let xa = model.encode(&mel(1)).unwrap();
    let mut rows: Vec<Vec<u32>> = vec![vec![1, 2, 3, 4], vec![5], vec![6, 7]];
    let prompted = |rows: &[Vec<u32>]| {
        let mut cache = model.new_cache(rows.len(), rows[0].len()).unwrap();
        let tokens = Tensor::from_vec(rows.concat(), (rows.len(), rows[0].len()), &Device::Cpu).unwrap();
        model.decode(&tokens, &xa.select(&vec![0; rows.len()]).unwrap(), &mut cache).unwrap();
        cache
    };
    let mut cache = model.new_cache(4, 16).unwrap();
    cache.clear();
    for (i, row) in rows.iter().enumerate() {
        cache.put(&[i], &prompted(std::slice::from_ref(row)), &[0]).unwrap();
    }
    let step = |rows: &mut [Vec<u32>], cache: &mut KvCache, token: u32| {
        rows.iter_mut().enumerate().for_each(|(i, row)| row.push(token + i as u32));
        let last: Vec<u32> = rows.iter().map(|row| row[row.len() - 1]).collect();
        let n = last.len();
        let tokens = Tensor::from_vec(last, (n, 1), &Device::Cpu).unwrap();
        let hidden = model.decode(&tokens, &xa.select(&vec![0; n]).unwrap(), cache).unwrap();
        let ours: Vec<Vec<f32>> = hidden.squeeze(1).unwrap().to_vec2().unwrap();
        for (ours, apart) in ours.iter().zip(apart(&model, &xa, rows)) {
            assert_close(ours, &apart, "ragged");
        }
    };
    step(&mut rows, &mut cache, 20);
    step(&mut rows, &mut cache, 30);
    assert_eq!(cache.lens(), [6, 3, 4]);
    // One is done and another takes its place, one joins, and beams change.
    let new = [vec![40, 41], vec![50, 51]];
    cache.put(&[1, 3], &prompted(&new), &[0, 1]).unwrap();
    rows.push(new[1].clone());
    rows[1] = new[0].clone();
    step(&mut rows, &mut cache, 60);
    cache.reorder(&[3, 1, 0]).unwrap();
    rows = vec![rows[3].clone(), rows[1].clone(), rows[0].clone()];
    step(&mut rows, &mut cache, 70);
    assert_eq!(cache.lens(), [4, 4, 8]);
    let several = Tensor::zeros((3, 2), DType::U32, &Device::Cpu).unwrap();
    let refused = model.decode(&several, &xa.select(&[0; 3]).unwrap(), &mut cache).unwrap_err();
    assert!(refused.to_string().contains("take one token each"), "{refused}");
    // In their former places they go on as before.
    cache.reorder(&[2]).unwrap();
    rows = vec![rows[2].clone()];
    step(&mut rows, &mut cache, 80);
}

fn put_too_much(model: &Whisper, xa: &AudioFeatures, cache: &mut KvCache) -> bool {
    let tokens = Tensor::zeros((3, 6), DType::U32, &Device::Cpu).unwrap();
    model.decode(&tokens, xa, cache).is_err()
}
