//! SHA-256 of what arrives in pieces: the browser's own takes only wholes.

use sha2::{Digest, Sha256};
use wasm_bindgen::prelude::*;

/// A hash under way.
#[wasm_bindgen]
#[derive(Debug, Default, Clone)]
pub struct Hash(Sha256);

#[wasm_bindgen]
impl Hash {
    /// Of nothing yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// In hexadecimal.
    pub fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
