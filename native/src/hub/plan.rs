//! Which files of a repository make a model: as few as will do, the smaller variant of the weights where there is one.

use serde_json::Value;

use super::names::is_part;
use super::trouble::{Kind, Trouble};
use crate::load::SAFETENSORS;

/// Which weights to take where a repository offers several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Variant {
    /// 16 bits if they are offered.
    #[default]
    Small,
    /// Those published as the model, in whatever format.
    Full,
}

/// What to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Files beside the weights.
    pub small: Vec<String>,
    /// The file of weights, or their index.
    pub weights: String,
}

/// The file that says what a model is.
pub const CONFIG: &str = "config.json";
/// The file with its words.
pub const TOKENIZER: &str = "tokenizer.json";

impl Plan {
    /// Chooses among the names of a repository's files.
    ///
    /// # Errors
    /// If something needed is not there; the message names it and what helps.
    pub fn of(names: &[String], variant: Variant) -> Result<Self, Trouble> {
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        let mut order = SAFETENSORS;
        if variant == Variant::Small {
            order.rotate_left(2);
        }
        let mut gguf = names.iter().filter(|name| name.ends_with(".gguf") && is_part(name));
        let weights = order.into_iter().find(|name| has(name)).map(str::to_owned);
        let weights = weights.or_else(|| gguf.next().filter(|_| gguf.next().is_none()).cloned());
        if !has(CONFIG) {
            let words = "it has no `config.json`, so it is no model in Hugging Face layout; `candle-whisper models \
                         list` shows models that are";
            return Err(Trouble::new(Kind::Unusable, words));
        }
        let Some(weights) = weights else {
            return Err(Trouble::new(Kind::Unusable, no_weights(names)));
        };
        if !has(TOKENIZER) {
            let words = "it has no `tokenizer.json`; transformers makes one from the other tokenizer files: \
                         WhisperTokenizerFast.from_pretrained(NAME).save_pretrained(FOLDER)";
            return Err(Trouble::new(Kind::Unusable, words));
        }
        let small = [CONFIG, "generation_config.json", TOKENIZER];
        let small = small.into_iter().filter(|name| has(name)).map(str::to_owned).collect();
        Ok(Self { small, weights })
    }

    /// Whether the weights are in several files that an index names.
    pub fn has_index(&self) -> bool {
        self.weights.ends_with(".json")
    }
}

/// The files that an index of safetensors names, each once.
///
/// # Errors
/// If it is not an index, or names what can't be a file beside it.
pub fn shards(index: &[u8]) -> Result<Vec<String>, Trouble> {
    let broken = || Trouble::new(Kind::Unusable, "the index of its weights is broken");
    let index: Value = serde_json::from_slice(index).map_err(|_| broken())?;
    let map = index.get("weight_map").and_then(Value::as_object).ok_or_else(broken)?;
    let mut names = Vec::new();
    for name in map.values() {
        let name = name.as_str().filter(|name| is_part(name)).ok_or_else(broken)?;
        names.push(name.to_owned());
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Complains if a `config.json` is not a Whisper's.
///
/// # Errors
/// What it is instead.
pub fn check_kind(config: &[u8]) -> Result<(), Trouble> {
    let config: Value = serde_json::from_slice(config)
        .map_err(|_| Trouble::new(Kind::Unusable, "its `config.json` is not JSON"))?;
    let what = match config.get("model_type").and_then(Value::as_str) {
        Some("whisper") => return Ok(()),
        Some(other) => format!("it is a `{other}` model, not a Whisper"),
        None => "its `config.json` does not say that it is a Whisper (`model_type`)".into(),
    };
    let words = format!("{what}; `candle-whisper models list` shows names of models that are");
    Err(Trouble::new(Kind::Unusable, words))
}

/// Says what is there instead of weights that can be read.
fn no_weights(names: &[String]) -> String {
    let kinds = [".bin", ".pt", ".gguf", ".h5", ".msgpack", ".onnx"];
    let there = kinds.iter().find_map(|kind| names.iter().find(|name| name.ends_with(kind)));
    let instead = there.map_or_else(String::new, |name| format!(", only such as `{name}`"));
    format!(
        "it has no weights as safetensors or as one GGUF file{instead}; take another repository, or convert it with \
         transformers: WhisperForConditionalGeneration.from_pretrained(NAME).save_pretrained(FOLDER)"
    )
}
