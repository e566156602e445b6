//! Every official size: its shape loads and makes a step. The weights are zeros, so that memory stays small.

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_whisper_core::Error;
use candle_whisper_core::dims::{ModelDimensions, alignment_heads};
use candle_whisper_core::kv_cache::KvCache;
use candle_whisper_core::model::{Model, Whisper};
use candle_whisper_core::weights::Weights;

/// name, width, heads, encoder layers, decoder layers, mels, vocabulary
const SIZES: [(&str, usize, usize, usize, usize, usize, usize); 14] = [
    ("tiny.en", 384, 6, 4, 4, 80, 51864),
    ("tiny", 384, 6, 4, 4, 80, 51865),
    ("base.en", 512, 8, 6, 6, 80, 51864),
    ("base", 512, 8, 6, 6, 80, 51865),
    ("small.en", 768, 12, 12, 12, 80, 51864),
    ("small", 768, 12, 12, 12, 80, 51865),
    ("medium.en", 1024, 16, 24, 24, 80, 51864),
    ("medium", 1024, 16, 24, 24, 80, 51865),
    ("large-v2", 1280, 20, 32, 32, 80, 51865),
    ("large-v3", 1280, 20, 32, 32, 128, 51866),
    ("large-v3-turbo", 1280, 20, 32, 4, 128, 51866),
    ("distil-small.en", 768, 12, 12, 4, 80, 51864),
    ("distil-medium.en", 1024, 16, 24, 2, 80, 51864),
    ("distil-large-v3", 1280, 20, 32, 2, 128, 51866),
];

fn config(size: &(&str, usize, usize, usize, usize, usize, usize)) -> String {
    let (_, width, heads, encoder, decoder, mels, vocabulary) = *size;
    serde_json::json!({
        "model_type": "whisper", "d_model": width, "num_mel_bins": mels, "vocab_size": vocabulary,
        "encoder_attention_heads": heads, "decoder_attention_heads": heads, "encoder_layers": encoder,
        "decoder_layers": decoder, "max_source_positions": 1500, "max_target_positions": 448
    })
    .to_string()
}

#[test]
fn every_official_size_loads_and_makes_one_step() {
    for size in &SIZES {
        let dims = ModelDimensions::from_json(config(size).as_bytes()).unwrap();
        let heads = alignment_heads(&dims, None).unwrap();
        // Width and depth decide time and memory, so large ones are cut to a layer a side; their shapes stay.
        let small = size.1 <= 384;
        let cut = ModelDimensions {
            n_audio_layer: if small { dims.n_audio_layer } else { 1 },
            n_text_layer: if small { dims.n_text_layer } else { 1 },
            ..dims.clone()
        };
        let vb = VarBuilder::zeros(DType::F32, &Device::Cpu);
        let model = Whisper::load(cut, heads, &Weights::from_var_builder(vb)).unwrap();
        let mel = Tensor::zeros((1, dims.n_mels, 3000), DType::F32, &Device::Cpu).unwrap();
        let xa = model.encode(&mel).unwrap();
        assert_eq!(xa.tensor().unwrap().dims(), [1, 1500, dims.n_state], "{}", size.0);
        let tokens = Tensor::new(&[[50257u32]], &Device::Cpu).unwrap();
        let hidden = model.decode(&tokens, &xa, &mut model.new_cache(1, 1).unwrap()).unwrap();
        let logits = model.project(&hidden.squeeze(1).unwrap()).unwrap();
        assert_eq!(logits.dims(), [1, dims.n_vocab], "{}", size.0);
    }
}

/// A step at the end of a long text against one at its start: the fastest of some, so that other work does not count.
/// Only attention over the text grows, from 20 keys to 440 beside 1500 of the audio; without a cache it would be twenty
/// times the work.
#[test]
fn a_token_costs_the_same_at_every_position() {
    let dims = ModelDimensions::from_json(config(&SIZES[0]).as_bytes()).unwrap();
    let vb = VarBuilder::zeros(DType::F32, &Device::Cpu);
    let model = Whisper::load(dims.clone(), Vec::new(), &Weights::from_var_builder(vb)).unwrap();
    let xa = model.encode(&Tensor::zeros((1, 80, 3000), DType::F32, &Device::Cpu).unwrap()).unwrap();
    let tokens = |n: usize| Tensor::zeros((1, n), DType::U32, &Device::Cpu).unwrap();
    let fastest = |position: usize| {
        let mut cache = model.new_cache(1, position + 8).unwrap();
        model.decode(&tokens(position), &xa, &mut cache).unwrap();
        let step = || {
            let start = std::time::Instant::now();
            let hidden = model.decode(&tokens(1), &xa, &mut cache).unwrap();
            model.project(&hidden.squeeze(1).unwrap()).unwrap();
            start.elapsed()
        };
        std::iter::repeat_with(step).take(8).min().unwrap()
    };
    let (mut near, mut far) = (fastest(20), fastest(440));
    for _ in 0..5 {
        (near, far) = (near.min(fastest(20)), far.min(fastest(440)));
    }
    println!("a token at position 20 takes {near:?}, at position 440 {far:?}");
    assert!(far < near * 2, "{near:?} {far:?}");
}

#[test]
fn half_precision_computes_too() {
    let dims = ModelDimensions::from_json(config(&SIZES[0]).as_bytes()).unwrap();
    for dtype in [DType::F16, DType::BF16] {
        let vb = VarBuilder::zeros(dtype, &Device::Cpu);
        let weights = Weights::from_var_builder(vb);
        let model = Whisper::load(dims.clone(), vec![(0, 0)], &weights).unwrap();
        let mel = Tensor::zeros((2, 80, 3000), DType::F32, &Device::Cpu).unwrap();
        let xa = model.encode(&mel).unwrap();
        let tokens = Tensor::new(&[[50257u32, 3], [50257, 4]], &Device::Cpu).unwrap();
        let (hidden, scores) = model.cross_attention(&tokens, &xa, &[(0, 0), (3, 5)]).unwrap();
        assert_eq!(hidden.dtype(), dtype);
        assert_eq!((scores.len(), scores[1].dims()), (2, &[2, 2, 1500][..]));
        assert_eq!(
            model
                .project(&hidden.squeeze(0).unwrap_or(hidden).narrow(1, 0, 1).unwrap().squeeze(1).unwrap())
                .unwrap()
                .dtype(),
            DType::F32
        );
    }
}

#[test]
fn a_missing_tensor_is_named() {
    let dims = ModelDimensions::from_json(config(&SIZES[0]).as_bytes()).unwrap();
    let vb = VarBuilder::from_tensors(Default::default(), DType::F32, &Device::Cpu);
    let error = Whisper::load(dims, vec![], &Weights::from_var_builder(vb)).unwrap_err();
    assert!(matches!(&error, Error::Weights(_)));
    assert!(error.to_string().contains("encoder.conv1.weight"), "{error}");
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both_shapes() {
    let dims = ModelDimensions::from_json(config(&SIZES[0]).as_bytes()).unwrap();
    let wrong = Tensor::zeros((384, 80, 5), DType::F32, &Device::Cpu).unwrap();
    let tensors = [("model.encoder.conv1.weight".to_owned(), wrong)].into_iter().collect();
    let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let error = Whisper::load(dims, vec![], &Weights::from_var_builder(vb)).unwrap_err().to_string();
    assert!(error.contains("[384, 80, 5]") && error.contains("[384, 80, 3]"), "{error}");
}

#[test]
fn a_cache_has_the_size_its_shape_says() {
    let dims = ModelDimensions::from_json(config(&SIZES[1]).as_bytes()).unwrap();
    let cache = KvCache::new(&dims, 5, 100, DType::F16, &Device::Cpu).unwrap();
    assert_eq!(cache.size_in_bytes(), 2 * 4 * 5 * 100 * 384 * 2);
    assert!(cache.is_empty());
}
