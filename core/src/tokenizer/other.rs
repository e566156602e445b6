//! A `tokenizer.json` with other rules than GPT-2's, read by the crate `tokenizers`; with the defect mended that `gpt2` mends.

use serde_json::Value;
use tokenizers::Tokenizer;

use super::gpt2::FIRST_MERGED;
use crate::error::{Error, Result};

pub(super) fn read(json: &[u8]) -> Result<Tokenizer> {
    let mut read = with_first_merge(json)?;
    // `<|endoftext|>` in a prompt is nine characters, not a command.
    read.set_encode_special_tokens(true);
    Ok(read)
}

pub(super) fn encode(inner: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    let encoding = inner
        .encode_fast(text, false)
        .map_err(|e| Error::Tokenizer(format!("could not encode `{text}`: {e}")))?;
    Ok(encoding.get_ids().to_vec())
}

fn with_first_merge(json: &[u8]) -> Result<Tokenizer> {
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
