//! Weights that are converted and hashed while they arrive, with what an interruption has to remember.

use candle_whisper_core::Error;
use candle_whisper_core::weights::arriving::{self, Keep, head_length};
use sha2::digest::common::hazmat::SerializableState;
use sha2::{Digest, Sha256};
use wasm_bindgen::prelude::*;

use crate::error::thrown;

/// A file on its way: its bytes go in by their order, what is to be kept of them comes out.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Arriving {
    file: arriving::Arriving,
    hash: Sha256,
}

#[wasm_bindgen]
impl Arriving {
    /// Bytes of the head of a file that can be converted and begins so; nine bytes suffice.
    #[wasm_bindgen(js_name = headLength)]
    pub fn head_length(first: &[u8]) -> Option<f64> {
        head_length(first).map(|length| length as f64)
    }

    /// A file that begins with `head`; its floats become `f16` or `q8_0`. None if it is best kept as it is.
    ///
    /// # Errors
    /// If the head is damaged, or `keep` is neither.
    pub fn of(head: &[u8], keep: &str) -> Result<Option<Arriving>, JsValue> {
        let keep = match keep {
            "f16" => Keep::F16,
            "q8_0" => Keep::Q8_0,
            other => return Err(thrown(&Error::Options(format!("weights can't be kept as `{other}`")))),
        };
        let file = arriving::Arriving::new(head, keep).map_err(|error| thrown(&error))?;
        Ok(file.map(|file| Self { file, hash: Sha256::new_with_prefix(head) }))
    }

    /// Goes on after an interruption, with what [`Self::taken`] and [`Self::state`] were.
    ///
    /// # Errors
    /// If the state is damaged.
    pub fn resume(&mut self, taken: f64, state: &[u8]) -> Result<(), JsValue> {
        let hash = state.try_into().ok().and_then(|state| Sha256::deserialize(state).ok());
        self.hash = hash.ok_or_else(|| thrown(&Error::Weights("what is kept of it is damaged".into())))?;
        self.file.resume(taken as usize);
        Ok(())
    }

    /// The head of the file to keep.
    pub fn head(&self) -> Vec<u8> {
        self.file.head().to_vec()
    }

    /// Bytes of the file to keep.
    pub fn size(&self) -> f64 {
        self.file.size() as f64
    }

    /// What is to be kept of the next bytes. Some at their end may be left for the next call: [`Self::taken`] tells.
    ///
    /// # Errors
    /// If there are more than the head says, or a number is too large for its new type.
    pub fn convert(&mut self, bytes: &[u8]) -> Result<Vec<u8>, JsValue> {
        let before = self.file.taken();
        let kept = self.file.convert(bytes).map_err(|error| thrown(&error))?;
        self.hash.update(&bytes[..self.file.taken() - before]);
        Ok(kept)
    }

    /// Bytes of the file that arrives, its head among them, that were used.
    pub fn taken(&self) -> f64 {
        self.file.taken() as f64
    }

    /// Whether the whole file was taken.
    #[wasm_bindgen(js_name = isWhole)]
    pub fn is_whole(&self) -> bool {
        self.file.is_whole()
    }

    /// Numbers since it was begun or resumed that 16 bits did not hold to the last bit.
    pub fn rounded(&self) -> f64 {
        self.file.rounded() as f64
    }

    /// The hash so far, to go on with.
    pub fn state(&self) -> Vec<u8> {
        self.hash.serialize().to_vec()
    }

    /// SHA-256 of the bytes as they came, in hexadecimal.
    pub fn sha256(&self) -> String {
        self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
