//! What each tensor of a quantised model becomes.

use candle_core::quantized::GgmlDType;

/// Small integers where most of the bytes are, and floats where precision decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// Matrices of linear layers.
    pub linear: GgmlDType,
    /// The token embedding, which is the last layer too: half of a small model's bytes.
    pub embedding: GgmlDType,
    /// The embedding of special tokens and of this many of the most frequent ones, whose ids come first; `None` if all
    /// tokens are alike.
    pub frequent: Option<(usize, GgmlDType)>,
}

/// With Q5_0 for every token, `tiny.en` made 6 more errors in 960 words than with Q8_0; with Q8_0 for the first 14,000,
/// none. So many keep the bundled model's folder under 36 MB.
const N_FREQUENT: usize = 10_000;

impl Default for Recipe {
    fn default() -> Self {
        let frequent = Some((N_FREQUENT, GgmlDType::Q8_0));
        Self { linear: GgmlDType::Q8_0, embedding: GgmlDType::Q5_0, frequent }
    }
}

impl Recipe {
    /// The same for all large matrices.
    pub fn of(dtype: GgmlDType) -> Self {
        Self { linear: dtype, embedding: dtype, frequent: None }
    }

    /// The type of one tensor: the one wanted, or the next better one whose blocks fill its rows.
    pub fn dtype(&self, name: &str, shape: &[usize]) -> GgmlDType {
        let fits = |dtype: &GgmlDType| shape.last().is_some_and(|n| n.is_multiple_of(dtype.block_size()));
        let wanted = self.wanted(name, shape);
        let smaller_blocks = match wanted {
            GgmlDType::Q6K => GgmlDType::Q8_0,
            GgmlDType::Q5K => GgmlDType::Q5_1,
            GgmlDType::Q4K => GgmlDType::Q5_0,
            other => other,
        };
        [wanted, smaller_blocks].into_iter().find(fits).unwrap_or(GgmlDType::F16)
    }

    /// The type of one tensor, whether or not its rows are whole blocks of it.
    pub fn wanted(&self, name: &str, shape: &[usize]) -> GgmlDType {
        match (name, shape.len()) {
            (_, 0 | 1) => GgmlDType::F32,
            (name, _) if name.ends_with("embed_positions.weight") => GgmlDType::F16,
            (name, 2) if name.contains("embed_tokens.weight") => self.embedding,
            (_, 2) => self.linear,
            _ => GgmlDType::F16,
        }
    }
}

/// Whether loading computes a tensor: the encoder's positions are sinusoids, and quantised files leave them out.
pub fn is_computed(name: &str) -> bool {
    name.ends_with("encoder.embed_positions.weight")
}
