//! Files of weights, made here byte by byte: what the readers find in them, and what they say of broken ones.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use candle_core::{DType, Device, Tensor};
use candle_whisper_core::Result;
use candle_whisper_core::weights::{Checkpoint, Encoding, Format};

use crate::bad_audio::mutate;
use crate::data::golden_bytes;
use crate::heap;

fn open(bytes: &[u8]) -> Result<Checkpoint> {
    Checkpoint::open(vec![Box::new(bytes.to_vec())])
}

fn values(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    let stored = checkpoint.get(name).unwrap_or_else(|| panic!("no `{name}`"));
    let tensor = checkpoint.tensor(stored, DType::F32, &Device::Cpu).unwrap();
    assert_eq!(tensor.dims(), stored.shape);
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn counting(n: usize) -> Vec<f32> {
    (0..n).map(|i| i as f32 - 7.0).collect()
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

const CONV: &str = "model.encoder.conv1.weight";
const FC1: &str = "model.decoder.layers.0.fc1.weight";

fn safetensors() -> Vec<u8> {
    let head = format!(
        r#"{{"{CONV}":{{"dtype":"F32","shape":[2,3,2],"data_offsets":[0,48]}},"{FC1}":{{"dtype":"BF16","shape":[1,2],"data_offsets":[48,52]}}}}"#
    );
    let mut file = (head.len() as u64).to_le_bytes().to_vec();
    file.extend(head.as_bytes());
    file.extend(f32_bytes(&counting(12)));
    file.extend([0x80, 0x3f, 0x00, 0xc0]);
    file
}

/// As candle's tools write it: no architecture is named.
fn gguf(metadata: &[(&str, gguf_file::Value)]) -> Vec<u8> {
    let conv = Tensor::from_vec(counting(12), (2, 3, 2), &Device::Cpu).unwrap();
    let linear = Tensor::from_vec(counting(64), (2, 32), &Device::Cpu).unwrap();
    let conv = QTensor::quantize(&conv, GgmlDType::F16).unwrap();
    let linear = QTensor::quantize(&linear, GgmlDType::Q5_0).unwrap();
    let metadata: Vec<_> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let mut file = std::io::Cursor::new(Vec::new());
    gguf_file::write(&mut file, &metadata, &[(CONV, &conv), (FC1, &linear)]).unwrap();
    file.into_inner()
}

fn ggml(ftype: u32) -> Vec<u8> {
    let mut file = b"lmgg".to_vec();
    for size in [51864, 1500, 384, 6, 4, 448, 384, 6, 4, 80, ftype, 1, 2] {
        file.extend(size.to_le_bytes());
    }
    file.extend([0; 8]);
    file.extend(2u32.to_le_bytes());
    for token in [&b"a"[..], b"bc"] {
        file.extend((token.len() as u32).to_le_bytes());
        file.extend(token);
    }
    let mut tensor = |name: &str, kind: u32, dims: &[u32], data: &[u8]| {
        for n in [dims.len() as u32, name.len() as u32, kind].iter().chain(dims) {
            file.extend(n.to_le_bytes());
        }
        file.extend(name.as_bytes());
        file.extend(data);
    };
    tensor("encoder.conv1.weight", 0, &[2, 3, 2], &f32_bytes(&counting(12)));
    tensor("encoder.conv1.bias", 0, &[1, 3], &f32_bytes(&counting(3)));
    // One block: scale 2, then -8 to 7 twice, the halves in the two halves of each byte.
    let block: Vec<u8> = [0x00, 0x40].into_iter().chain((0..16).map(|q| q << 4 | q)).collect();
    tensor("decoder.blocks.0.mlp.0.weight", 2, &[32, 1], &block);
    file
}

fn ct2(spec: &str) -> Vec<u8> {
    fn text(file: &mut Vec<u8>, text: &str) {
        file.extend((text.len() as u16 + 1).to_le_bytes());
        file.extend(text.as_bytes());
        file.push(0);
    }
    fn variable(file: &mut Vec<u8>, name: &str, shape: &[u32], kind: u8, data: &[u8]) {
        text(file, name);
        file.push(shape.len() as u8);
        shape.iter().for_each(|n| file.extend(n.to_le_bytes()));
        file.push(kind);
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(data);
    }
    let mut file = 6u32.to_le_bytes().to_vec();
    text(&mut file, spec);
    file.extend(3u32.to_le_bytes());
    file.extend(5u32.to_le_bytes());
    variable(&mut file, "encoder/conv1/weight", &[2, 3, 2], 0, &f32_bytes(&counting(12)));
    variable(&mut file, "encoder/layer_0/ffn/linear_0/weight", &[1, 2], 2, &[10, 0, 0xf6, 0xff]);
    variable(&mut file, "encoder/layer_0/ffn/linear_0/weight_scale", &[], 0, &2f32.to_le_bytes());
    let rows: Vec<u8> = (0..6).flat_map(|row: i8| [row as u8, -row as u8]).collect();
    variable(&mut file, "encoder/layer_0/self_attention/linear_0/weight", &[6, 2], 1, &rows);
    let scales = f32_bytes(&[1.0, 1.0, 2.0, 2.0, 4.0, 4.0]);
    variable(&mut file, "encoder/layer_0/self_attention/linear_0/weight_scale", &[6], 0, &scales);
    file.extend(0u32.to_le_bytes());
    file
}

#[test]
fn safetensors_give_their_tensors() {
    let file = open(&safetensors()).unwrap();
    assert_eq!((file.format(), file.tensors().count()), (Format::Safetensors, 2));
    assert_eq!(values(&file, CONV), counting(12));
    assert_eq!(values(&file, FC1), [1.0, -2.0]);
}

#[test]
fn gguf_gives_what_candle_reads_from_it() {
    let bytes = gguf(&[("general.alignment", gguf_file::Value::U32(32))]);
    let file = open(&bytes).unwrap();
    assert_eq!(
        (file.format(), file.get(FC1).unwrap().encoding),
        (Format::Gguf, Encoding::Blocks(GgmlDType::Q5_0))
    );
    assert_eq!(values(&file, CONV), counting(12));
    let mut reader = std::io::Cursor::new(&bytes);
    let candle = gguf_file::Content::read(&mut reader).unwrap();
    let tensor = candle.tensor(&mut reader, FC1, &Device::Cpu).unwrap().dequantize(&Device::Cpu).unwrap();
    assert_eq!(values(&file, FC1), tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    let blocks = file.blocks(file.get(FC1).unwrap(), &Device::Cpu).unwrap().unwrap();
    assert_eq!(blocks.dtype(), GgmlDType::Q5_0);
}

#[test]
fn metadata_of_every_kind_is_passed_over() {
    use gguf_file::Value;
    let nested = Value::Array(vec![Value::Array(vec![Value::String("a".into())]), Value::Array(vec![])]);
    let metadata = [
        ("general.architecture", Value::String("whisper".into())),
        ("a", Value::U8(1)),
        ("b", Value::I16(-1)),
        ("c", Value::F32(0.5)),
        ("d", Value::Bool(true)),
        ("e", Value::F64(0.5)),
        ("f", Value::Array(vec![Value::U16(1), Value::U16(2)])),
        ("g", nested),
    ];
    assert_eq!(values(&open(&gguf(&metadata)).unwrap(), CONV), counting(12));
}

#[test]
fn ggml_gives_its_tensors_sizes_and_tokens() {
    let file = open(&ggml(2002)).unwrap();
    assert_eq!(file.dims().unwrap().n_vocab, 51864);
    assert_eq!(file.vocabulary().unwrap(), [Box::from(*b"a"), Box::from(*b"bc")]);
    assert_eq!(file.get("model.encoder.conv1.bias").unwrap().shape, [3]);
    let expected: Vec<f32> = (0..32).map(|i| 2.0 * ((i % 16) as f32 - 8.0)).collect();
    assert_eq!(values(&file, FC1), expected);
}

#[test]
fn ctranslate2_gives_shares_of_rows_and_divides_by_scales() {
    let file = open(&ct2("WhisperSpec")).unwrap();
    let layer = "model.encoder.layers.0";
    assert_eq!(values(&file, &format!("{layer}.fc1.weight")), [5.0, -5.0]);
    for (name, expected) in
        [("q", [0.0, 0.0, 1.0, -1.0]), ("k", [1.0, -1.0, 1.5, -1.5]), ("v", [1.0, -1.0, 1.25, -1.25])]
    {
        assert_eq!(values(&file, &format!("{layer}.self_attn.{name}_proj.weight")), expected, "{name}");
    }
}

#[test]
fn checkpoints_of_pytorch_give_their_tensors() {
    let file = open(&golden_bytes("weights/torch.pt")).unwrap();
    assert_eq!((file.format(), file.tensors().count()), (Format::Torch, 7));
    let dims = file.dims().unwrap();
    assert_eq!((dims.n_mels, dims.n_state, dims.n_text_head, dims.n_vocab), (80, 384, 6, 51864));
    let counting = |n: usize| (0..n).map(|i| i as f32).collect::<Vec<_>>();
    for (name, n) in [
        (CONV, 12),
        ("model.encoder.conv1.bias", 4),
        ("model.encoder.layer_norm.weight", 3),
        ("model.encoder.layer_norm.bias", 3),
        ("model.decoder.embed_tokens.weight", 4),
    ] {
        assert_eq!(values(&file, name), counting(n), "{name}");
    }
    assert_eq!(values(&file, "model.decoder.embed_positions.weight"), [4.0, 5.0]);
}

#[test]
fn what_is_no_whisper_is_named() {
    use gguf_file::Value;
    // Of the same length, so that nothing else changes.
    let mut bert = safetensors();
    let at = bert.windows(CONV.len()).position(|name| name == CONV.as_bytes()).unwrap();
    bert[at..at + CONV.len()].copy_from_slice(b"bert.embeddings.word.weigh");
    let llama = gguf(&[("general.architecture", Value::String("llama".into()))]);
    let mut vad = ggml(1);
    vad[8..12].fill(7);
    let mut version_5 = ct2("WhisperSpec");
    version_5[0] = 5;
    for (bytes, words) in [
        (&b""[..], "an empty file"),
        (b"once upon a time", "this is text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "a pointer of Git LFS"),
        (b"\x80\x02}q\x00", "PyTorch before 1.6"),
        (b"tjgg\x01\0\0\0", "an old ggml model of another kind"),
        (b"\x7fELF\x02\x01\x01", "an unknown format"),
        (&bert, "not a Whisper's: it has tensors such as `bert.embeddings.word.weigh`"),
        (&llama, "a GGUF of a `llama` model"),
        (&vad, "the ggml header: `max_source_positions` is"),
        (&ggml(2), "before May 2023"),
        (&ct2("TransformerSpec"), "a CTranslate2 model with a `TransformerSpec`"),
        (&version_5, "CTranslate2's version 5"),
        (&golden_bytes("weights/transposed.pt"), "`encoder.conv1.weight` was saved transposed"),
    ] {
        let error = open(bytes).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
        assert!(!error.ends_with('.'), "{error}");
    }
}

#[test]
fn a_file_that_breaks_off_says_so() {
    for (what, file) in every_format() {
        // GGUF ends in up to 31 zeros that nobody misses.
        for keep in [file.len() - 32, file.len() * 2 / 3, file.len() / 3] {
            let error = open(&file[..keep]).unwrap_err().to_string();
            assert!(error.contains("cut short"), "{what}, {keep} bytes: {error}");
        }
    }
}

#[test]
fn lengths_that_lie_take_no_memory() {
    let mut ggml = ggml(1);
    ggml[60..64].fill(0xff);
    let mut gguf = gguf(&[]);
    gguf[8..16].fill(0x7f);
    let mut ct2 = ct2("WhisperSpec");
    ct2[26..28].fill(0xff);
    let mut header = vec![0xff; 5];
    header.extend([0, 0, 0, b'{']);
    for file in [ggml, gguf, ct2, header] {
        let (outcome, peak) = heap::peak(|| open(&file).map(drop));
        assert!(outcome.is_err());
        assert!(peak < 1 << 16, "{peak} bytes");
    }
}

fn every_format() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("safetensors", safetensors()),
        ("GGUF", gguf(&[("general.architecture", gguf_file::Value::String("whisper".into()))])),
        ("ggml", ggml(2002)),
        ("CTranslate2", ct2("WhisperSpec")),
        ("PyTorch", golden_bytes("weights/torch.pt")),
    ]
}

/// Deterministic: the same mutations on every machine, as many as the time allows.
#[test]
fn mutated_weights_neither_panic_nor_hang_nor_fill_the_memory() {
    let files = every_format();
    let begin = Instant::now();
    let (mut runs, mut opened) = (0, 0);
    for round in 0_u64.. {
        if begin.elapsed() > Duration::from_secs(3) {
            println!("{runs} mutated files, {opened} of them could be opened");
            assert!(round > 100 && opened > 0, "{round} rounds");
            return;
        }
        for (index, (what, file)) in files.iter().enumerate() {
            let mut bytes = file.clone();
            let seed = round << 8 | index as u64;
            mutate(&mut bytes, seed);
            let (outcome, peak) = heap::peak(|| catch_unwind(AssertUnwindSafe(|| read_all(&bytes))));
            let is_open = outcome.unwrap_or_else(|_| panic!("{what} with the seed {seed} panics"));
            assert!(peak < (1 << 18) + 64 * bytes.len(), "{what} with the seed {seed} takes {peak} bytes");
            opened += usize::from(is_open);
            runs += 1;
        }
    }
}

/// Every tensor one after the other; an error is as good as numbers.
fn read_all(bytes: &[u8]) -> bool {
    let Ok(file) = open(bytes) else { return false };
    for (_, stored) in file.tensors() {
        let _ = file.tensor(stored, DType::F32, &Device::Cpu);
    }
    let _ = file.dims_of_tensors();
    true
}

#[test]
fn a_pickle_that_grows_or_nests_without_bound_is_read_in_its_own_size() {
    // Tuples of themselves, a billion times over; and a hundred thousand in each other.
    let mut grows = b"\x80\x02)q\x00".to_vec();
    grows.extend(b"h\x00h\x00\x86q\x00".repeat(30));
    grows.push(b'.');
    let mut nests = b"\x80\x02)".to_vec();
    nests.extend([0x85].repeat(100_000));
    nests.push(b'.');
    for pickle in [grows, nests] {
        let file = zip_of(&pickle);
        let (outcome, peak) = heap::peak(|| open(&file).map(drop));
        assert!(outcome.unwrap_err().to_string().contains("no dictionary of tensors"));
        assert!(peak < (1 << 16) + 200 * pickle.len(), "{peak} bytes");
    }
}

/// A zip archive with `x/data.pkl` and nothing else, stored.
fn zip_of(pickle: &[u8]) -> Vec<u8> {
    let name = b"x/data.pkl";
    let mut crc = flate2::Crc::new();
    crc.update(pickle);
    let size = (pickle.len() as u32).to_le_bytes();
    let mut about = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    about.extend(crc.sum().to_le_bytes());
    about.extend(size);
    about.extend(size);
    about.extend((name.len() as u16).to_le_bytes());
    about.extend([0, 0]);
    let mut file = b"PK\x03\x04".to_vec();
    file.extend(&about);
    file.extend(name);
    file.extend(pickle);
    let directory = file.len() as u32;
    file.extend(b"PK\x01\x02\x14\0");
    file.extend(&about);
    file.extend([0; 14]);
    file.extend(name);
    let length = file.len() as u32 - directory;
    file.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    file.extend(length.to_le_bytes());
    file.extend(directory.to_le_bytes());
    file.extend([0, 0]);
    file
}

#[test]
fn the_sizes_follow_from_the_tensors() {
    let shapes = [
        ("encoder.conv1.weight", vec![384, 80, 3]),
        ("encoder.layers.0.fc1.bias", vec![1]),
        ("encoder.layers.3.fc1.bias", vec![1]),
        ("decoder.layers.11.fc1.bias", vec![1]),
        ("decoder.embed_tokens.weight", vec![51866, 384]),
        ("decoder.embed_positions.weight", vec![448, 384]),
    ];
    let mut head = serde_json::Map::new();
    let mut offset = 0;
    for (name, shape) in &shapes {
        let size = 2 * shape.iter().product::<usize>();
        let info =
            serde_json::json!({"dtype": "F16", "shape": shape, "data_offsets": [offset, offset + size]});
        head.insert((*name).into(), info);
        offset += size;
    }
    let head = serde_json::Value::Object(head).to_string();
    let mut bytes = (head.len() as u64).to_le_bytes().to_vec();
    bytes.extend(head.as_bytes());
    bytes.resize(bytes.len() + offset, 0);
    let dims = open(&bytes).unwrap().dims_of_tensors().unwrap();
    assert_eq!((dims.n_mels, dims.n_state, dims.n_audio_head, dims.n_audio_ctx), (80, 384, 6, 1500));
    assert_eq!((dims.n_audio_layer, dims.n_text_layer, dims.n_vocab, dims.n_text_ctx), (4, 12, 51866, 448));
}
