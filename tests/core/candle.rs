//! Our network beside candle-transformers': the same weights through another's code. That code takes GELU's tanh
//! approximation where Whisper has the exact one, so numbers are near and not equal; tokens are the same.

use std::io::Cursor;

use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use candle_core::{DType, Device, Tensor, safetensors};
use candle_nn::VarBuilder;
use candle_transformers::models::whisper::{Config, model, quantized_model};
use candle_transformers::quantized_var_builder::VarBuilder as QuantisedVarBuilder;
use candle_whisper_core::dims::ModelDimensions;
use candle_whisper_core::media;
use candle_whisper_core::mel::LogMel;
use candle_whisper_core::model::{Model, Whisper};
use candle_whisper_core::weights::{Checkpoint, Weights};

use crate::data::{model_file, tests, tokenizer};

const CLIP: &str = "data/jfk.flac";
const TEXT: &str = " And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your \
                    country.";

/// Start, no timestamps, the text. (1, n)
fn tokens() -> Tensor {
    let tokenizer = tokenizer(51864);
    let special = tokenizer.special();
    let mut ids = vec![special.sot, special.no_timestamps];
    ids.extend(tokenizer.encode(TEXT).unwrap());
    Tensor::new(&ids[..], &Device::Cpu).unwrap().unsqueeze(0).unwrap()
}

/// (1, 80, 3000)
fn mel() -> Tensor {
    let audio = media::decode(std::fs::File::open(tests().join(CLIP)).unwrap(), None).unwrap();
    let mel = LogMel::new(80).unwrap().compute(&audio).unwrap();
    Tensor::from_vec(mel.window(0, 3000), (1, 80, 3000), &Device::Cpu).unwrap()
}

/// What the audio becomes, and the logits of each token. (1, 1500, n_state), (n, n_vocab)
fn ours(weights: &Weights) -> (Tensor, Tensor) {
    let dims = ModelDimensions::from_json(&model_file("tiny.en/config.json")).unwrap();
    let whisper = Whisper::load(dims, Vec::new(), weights).unwrap();
    let xa = whisper.encode(&mel()).unwrap();
    let tokens = tokens();
    let mut cache = whisper.new_cache(1, tokens.dim(1).unwrap()).unwrap();
    let hidden = whisper.decode(&tokens, &xa, &mut cache).unwrap();
    (xa.tensor().unwrap(), whisper.project(&hidden.squeeze(0).unwrap()).unwrap())
}

fn config() -> Config {
    serde_json::from_slice(&model_file("tiny.en/config.json")).unwrap()
}

/// Length of the difference to the length of what is expected.
fn apart(found: &Tensor, expected: &Tensor) -> f32 {
    let length = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
    length(&(found - expected).unwrap()) / length(expected)
}

fn best(logits: &Tensor) -> Vec<u32> {
    logits.argmax(1).unwrap().to_vec1().unwrap()
}

#[test]
fn the_network_computes_what_candle_transformers_does() {
    let vb = VarBuilder::from_buffered_safetensors(
        model_file("tiny.en/model.safetensors"),
        DType::F32,
        &Device::Cpu,
    )
    .unwrap();
    let mut theirs = model::Whisper::load(&vb, config()).unwrap();
    let xa = theirs.encoder.forward(&mel(), true).unwrap();
    let hidden = theirs.decoder.forward(&tokens(), &xa, true).unwrap();
    let logits = theirs.decoder.final_linear(&hidden).unwrap().squeeze(0).unwrap();

    let (our_xa, our_logits) = ours(&Weights::from_var_builder(vb));
    let (audio, words) = (apart(&our_xa, &xa), apart(&our_logits, &logits));
    println!("apart by {audio:.5} in what the audio becomes, {words:.5} in the logits");
    assert!(audio < 0.01 && words < 0.01, "{audio} {words}");
    assert_eq!(best(&our_logits), best(&logits));
}

#[test]
fn blocks_computed_as_floats_give_what_candle_transformers_makes_of_them() {
    let floats = safetensors::load_buffer(&model_file("tiny.en/model.safetensors"), &Device::Cpu).unwrap();
    let quantised: Vec<_> = floats
        .iter()
        .map(|(name, tensor)| {
            let matrix = tensor.rank() == 2 && !name.contains("positions");
            let dtype = if matrix { GgmlDType::Q8_0 } else { GgmlDType::F32 };
            let tensor = tensor.to_dtype(DType::F32).unwrap();
            (name.as_str(), QTensor::quantize(&tensor, dtype).unwrap())
        })
        .collect();
    let tensors: Vec<_> = quantised.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let mut file = Cursor::new(Vec::new());
    gguf_file::write(&mut file, &[], &tensors).unwrap();
    let vb = QuantisedVarBuilder::from_gguf_buffer(file.get_ref(), &Device::Cpu).unwrap();

    let mut theirs = quantized_model::Whisper::load(&vb, config()).unwrap();
    let xa = theirs.encoder.forward(&mel(), true).unwrap();
    let hidden = theirs.decoder.forward(&tokens(), &xa, true).unwrap();
    let logits = theirs.decoder.final_linear(&hidden).unwrap().squeeze(0).unwrap();

    let checkpoint = Checkpoint::open(vec![Box::new(file.into_inner())]).unwrap();
    let _level = crate::kernels::on_one_level();
    let (our_xa, our_logits) = ours(&Weights::from_checkpoint(checkpoint.into(), DType::F32, &Device::Cpu));
    let (_, handed_over) = ours(&Weights::from_quantised(vb, DType::F32, &Device::Cpu));
    assert_eq!(apart(&handed_over, &our_logits), 0.0, "their reader of the file and ours");
    // Theirs rounds what it multiplies the blocks by to eight bits too.
    let (audio, words) = (apart(&our_xa, &xa), apart(&our_logits, &logits));
    println!("apart by {audio:.5} in what the audio becomes, {words:.5} in the logits");
    assert!(audio < 0.03 && words < 0.03, "{audio} {words}");
    assert_eq!(best(&our_logits), best(&logits));
}
