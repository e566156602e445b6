//! Where the test data lies, and how it is read.

use std::path::{Path, PathBuf};

use candle_whisper_core::tokenizer::Tokenizer;

pub fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests")
}

pub fn golden(name: &str) -> serde_json::Value {
    let path = tests().join("golden").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap()
}

pub fn golden_bytes(name: &str) -> Vec<u8> {
    std::fs::read(tests().join("golden").join(name)).unwrap()
}

pub fn golden_f32(name: &str) -> Vec<f32> {
    golden_bytes(name).chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

pub fn numbers<T: serde::de::DeserializeOwned>(value: &serde_json::Value) -> Vec<T> {
    serde_json::from_value(value.clone()).unwrap()
}

/// A file of `tests/tools/get-models`.
pub fn model_file(name: &str) -> Vec<u8> {
    let path = tests().join("models").join(name);
    std::fs::read(&path).unwrap_or_else(|e| {
        panic!("{}: {e}\nhint: `tests/tools/get-models` fetches the weights", path.display())
    })
}

/// The tokenizer for a vocabulary of 51864, 51865 or 51866 tokens.
pub fn tokenizer(n_vocab: usize) -> Tokenizer {
    let name = match n_vocab {
        51864 => "tiny.en/tokenizer.json",
        51865 => "base/tokenizer.json",
        _ => "v3-tokenizer.json",
    };
    Tokenizer::from_json(&model_file(name), n_vocab).unwrap()
}

/// Numbers that look random and are the same everywhere.
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In -1..1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 8_388_608.0 - 1.0
    }

    pub fn vec(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|_| self.unit() * scale).collect()
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}
