//! Where the test data lies, and the model that comes with the program.

use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_whisper::load::{ModelFiles, Numbers, load_files};
use candle_whisper_core::{Transcriber, Waveform, media};

pub fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests")
}

/// A recording of `tests/data`.
pub fn clip(name: &str) -> Waveform {
    media::decode(std::fs::File::open(tests().join("data").join(name)).unwrap(), None).unwrap()
}

/// The model that comes with the program, in f32 on the CPU.
pub fn bundled() -> Transcriber {
    let files = ModelFiles::in_folder(&tests().join("../native/models/tiny.en")).unwrap();
    load_files(&files, &Device::Cpu, Numbers::default()).unwrap()
}
