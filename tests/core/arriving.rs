//! Files that are converted while they arrive, in pieces of any length, against the same converted at once.

use candle_core::DType;
use candle_whisper_core::weights::arriving::{Arriving, Keep, head_length};
use candle_whisper_core::weights::{Checkpoint, Encoding};
use half::f16;

use crate::data::Noise;

/// A safetensors file of a few tensors of a Whisper, one of them not needed, and its head's length.
fn file(dtype: &str, number: impl Fn(usize) -> Vec<u8>) -> (Vec<u8>, usize) {
    let tensors = [
        ("model.decoder.embed_tokens.weight", vec![7, 64]),
        ("model.encoder.conv1.weight", vec![5, 3, 3]),
        ("model.encoder.embed_positions.weight", vec![4, 8]),
        ("model.encoder.layer_norm.weight", vec![3]),
        ("model.encoder.layers.0.fc1.weight", vec![6, 33]),
        ("proj_out.weight", vec![7, 64]),
    ];
    let (mut head, mut data) = (serde_json::json!({}), Vec::new());
    for (name, shape) in tensors {
        let start = data.len();
        data.extend((0..shape.iter().product()).flat_map(&number));
        head[name] = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]});
    }
    let head = head.to_string().into_bytes();
    let file = [(head.len() as u64).to_le_bytes().as_slice(), &head, &data].concat();
    (file, 8 + head.len())
}

fn value(i: usize) -> f32 {
    ((i * 37 % 101) as f32 - 50.0) / 64.0
}

fn f32s() -> (Vec<u8>, usize) {
    file("F32", |i| value(i).to_le_bytes().to_vec())
}

/// All of it in pieces of so many bytes; what a call leaves is given again.
fn converted(file: &[u8], head: usize, keep: Keep, piece: usize) -> Vec<u8> {
    let mut arriving = Arriving::new(&file[..head], keep).unwrap().unwrap();
    let mut kept = arriving.head().to_vec();
    let mut end = head;
    while !arriving.is_whole() {
        end = (end + piece).min(file.len());
        kept.extend(arriving.convert(&file[arriving.taken()..end]).unwrap());
    }
    assert_eq!(kept.len(), arriving.size());
    kept
}

#[test]
fn f32_becomes_f16_and_what_is_not_needed_goes() {
    let (file, head) = f32s();
    assert_eq!(head_length(&file[..9]), Some(head));
    let kept = converted(&file, head, Keep::F16, file.len());
    let checkpoint = Checkpoint::open(vec![Box::new(kept)]).unwrap();
    assert_eq!(checkpoint.tensors().count(), 5);
    for (name, stored) in checkpoint.tensors() {
        assert_eq!(stored.encoding, Encoding::Float(DType::F16), "{name}");
        let numbers = checkpoint.tensor(stored, DType::F32, &candle_core::Device::Cpu).unwrap();
        let numbers = numbers.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(numbers.iter().enumerate().all(|(i, &number)| number == value(i)), "{name}");
    }
}

#[test]
fn matrices_become_blocks_of_8_bits_and_sinusoids_go() {
    let (file, head) = f32s();
    let checkpoint = Checkpoint::open(vec![Box::new(converted(&file, head, Keep::Q8_0, 1000))]).unwrap();
    let encoding = |name: &str| checkpoint.get(name).map(|stored| stored.encoding.to_string());
    assert_eq!(encoding("model.decoder.embed_tokens.weight").as_deref(), Some("Q8_0"));
    assert_eq!(encoding("model.encoder.conv1.weight").as_deref(), Some("F16"));
    assert_eq!(encoding("model.encoder.layer_norm.weight").as_deref(), Some("F32"));
    // Its rows are no whole blocks.
    assert_eq!(encoding("model.encoder.layers.0.fc1.weight").as_deref(), Some("F16"));
    assert_eq!(encoding("model.encoder.embed_positions.weight"), None);
    let stored = checkpoint.get("model.decoder.embed_tokens.weight").unwrap();
    let numbers = checkpoint.tensor(stored, DType::F32, &candle_core::Device::Cpu).unwrap();
    for (i, number) in numbers.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().enumerate() {
        // Half a step of 1/127 of the largest number, which is 50/64.
        assert!((number - value(i)).abs() < 0.5 * 50.0 / 64.0 / 127.0 + 1e-3, "{i}");
    }
}

#[test]
fn pieces_of_any_length_and_interruptions_give_the_same() {
    let (file, head) = f32s();
    for keep in [Keep::F16, Keep::Q8_0] {
        let whole = converted(&file, head, keep, file.len());
        for piece in [1, 3, 130, 1021] {
            assert_eq!(converted(&file, head, keep, piece), whole, "{keep:?} in pieces of {piece}");
        }
        let mut first = Arriving::new(&file[..head], keep).unwrap().unwrap();
        let mut kept = first.head().to_vec();
        kept.extend(first.convert(&file[head..head + 1003]).unwrap());
        let mut second = Arriving::new(&file[..head], keep).unwrap().unwrap();
        second.resume(first.taken());
        kept.extend(second.convert(&file[first.taken()..]).unwrap());
        assert_eq!(kept, whole);
    }
}

#[test]
fn files_that_are_small_already_or_not_a_whispers_stay_as_they_are() {
    let (short, head) = file("F16", |i| f16::from_f32(value(i)).to_le_bytes().to_vec());
    assert!(Arriving::new(&short[..head], Keep::F16).unwrap().is_none());
    assert!(Arriving::new(&short[..head], Keep::Q8_0).unwrap().is_some());
    let other = br#"{"bert.weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}"#;
    let other = [(other.len() as u64).to_le_bytes().as_slice(), other].concat();
    assert!(Arriving::new(&other, Keep::F16).unwrap().is_none());
    assert!(Arriving::new(&other[..40], Keep::F16).is_err());
    assert_eq!(head_length(b"GGUF\x03\0\0\0\0"), None);
}

#[test]
fn rounding_is_counted_and_what_16_bits_can_not_hold_is_an_error() {
    let (file_, head) = file("F32", |i| (if i == 2 { 0.1f32 } else { value(i) }).to_le_bytes().to_vec());
    let mut arriving = Arriving::new(&file_[..head], Keep::F16).unwrap().unwrap();
    arriving.convert(&file_[head..]).unwrap();
    // One in each of the five tensors that are kept.
    assert_eq!(arriving.rounded(), 5);
    let (file_, head) = file("F32", |_| 70_000f32.to_le_bytes().to_vec());
    let mut arriving = Arriving::new(&file_[..head], Keep::F16).unwrap().unwrap();
    assert!(arriving.convert(&file_[head..]).unwrap_err().to_string().contains("too large for 16 bits"));
}

#[test]
fn heads_that_lie_are_refused_or_harmless() {
    let (file, length) = f32s();
    let mut noise = Noise(21);
    let mut refused = 0;
    for _ in 0..3000 {
        let mut head = file[..length].to_vec();
        for _ in 0..=noise.below(3) {
            let at = 8 + noise.below(length - 8);
            // Numbers become other numbers, so that most stay JSON.
            head[at] = if head[at].is_ascii_digit() { b'0' + noise.below(10) as u8 } else { head[at] };
        }
        for keep in [Keep::F16, Keep::Q8_0] {
            match Arriving::new(&head, keep) {
                Err(_) => refused += 1,
                Ok(None) => {}
                Ok(Some(mut arriving)) => drop(arriving.convert(&file[length..])),
            }
        }
    }
    assert!(refused > 500, "{refused}");
    assert_eq!(head_length(&[0xff; 16]), None);
}
