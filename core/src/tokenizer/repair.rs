//! Reading a `tokenizer.json`, with the one defect mended that files made by converters have: the first merge was
//! taken for a comment, so that every word with a space and a `t` before it falls apart when it is encoded.

use serde_json::Value;
use tokenizers::Tokenizer;

use crate::error::{Error, Result};

/// Byte-level BPE begins with a token per byte; this is the first that merges two.
const FIRST_MERGED: u32 = 256;

pub(super) fn read(json: &[u8]) -> Result<Tokenizer> {
    let bad = |e: String| Error::Tokenizer(format!("`tokenizer.json`: {e}"));
    let tokenizer = Tokenizer::from_bytes(json).map_err(|e| bad(e.to_string()))?;
    if first_merge_works(&tokenizer) {
        return Ok(tokenizer);
    }
    let mut file: Value = serde_json::from_slice(json).map_err(|e| bad(e.to_string()))?;
    let pair =
        tokenizer.id_to_token(FIRST_MERGED).map(|token| token.chars().map(String::from).collect::<Vec<_>>());
    let (Some(merges), Some([first, second])) = (file["model"]["merges"].as_array_mut(), pair.as_deref())
    else {
        return Ok(tokenizer);
    };
    let merge = match merges.first() {
        Some(Value::Array(_)) => serde_json::json!([first, second]),
        _ => format!("{first} {second}").into(),
    };
    merges.insert(0, merge);
    Tokenizer::from_bytes(file.to_string()).map_err(|e| bad(e.to_string()))
}

/// Whether the first token of two bytes encodes to itself.
fn first_merge_works(tokenizer: &Tokenizer) -> bool {
    let text = tokenizer.decode(&[FIRST_MERGED], false).unwrap_or_default();
    tokenizer.encode_fast(text, false).is_ok_and(|encoding| encoding.get_ids() == [FIRST_MERGED])
}
