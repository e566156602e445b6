//! whisper.cpp's `ggml-*.bin`: sizes, mel filters, vocabulary, then tensors with openai/whisper's names.
//!
//! The mel filters are passed over: every Whisper hears through the same ones, which [`crate::mel`] computes.

use std::collections::BTreeMap;

use super::checkpoint::Contents;
use super::cursor::Cursor;
use super::names::canonical;
use super::stored::{Encoding, Stored};
use crate::dims::ModelDimensions;
use crate::error::{Error, Result};

/// Blocks have had scales of 16 bits since this version of ggml's blocks; older ones are laid out otherwise.
const BLOCK_VERSION: u32 = 2;

pub(super) fn read(bytes: &[u8]) -> Result<Contents> {
    let mut file = Cursor::new(bytes);
    file.skip(4)?;
    let (dims, ftype) = header(&mut file)?;
    let (n_mels, n_fft) = (file.len32()?, file.len32()?);
    file.skip(n_mels.saturating_mul(n_fft).saturating_mul(4))?;
    let n_tokens = file.u32()?;
    let mut vocabulary: Vec<Box<[u8]>> = Vec::new();
    for _ in 0..n_tokens {
        let n = file.len32()?;
        vocabulary.push(file.take(n)?.into());
    }
    let (mut tensors, mut foreign) = (BTreeMap::new(), None);
    while !file.is_at_end() {
        let (n_dims, n_name, kind) = (file.u32()?, file.len32()?, file.u32()?);
        if n_dims > 4 {
            return Err(Error::Weights(format!("a tensor has {n_dims} dimensions")));
        }
        let mut shape = (0..n_dims).map(|_| file.len32()).collect::<Result<Vec<_>>>()?;
        shape.reverse();
        let name = String::from_utf8_lossy(file.take(n_name)?).into_owned();
        let encoding = Encoding::from_ggml(kind).ok_or_else(|| {
            Error::Weights(format!("tensor `{name}` has ggml's type {kind}, which is unknown"))
        })?;
        if matches!(encoding, Encoding::Blocks(_)) && ftype / 1000 < BLOCK_VERSION {
            return Err(Error::Weights(
                "its blocks are of a ggml before May 2023; quantise the original again with whisper.cpp"
                    .into(),
            ));
        }
        // Biases of convolutions are columns.
        if name.ends_with(".bias") && shape.len() == 2 && shape[1] == 1 {
            shape.pop();
        }
        let stored = Stored::new(&name, shape, encoding, file.position(), bytes.len())?;
        file.skip(stored.size_in_bytes())?;
        match canonical(&name) {
            Some(canonical) => drop(tensors.insert(canonical, stored)),
            None => foreign = Some(name),
        }
    }
    Ok(Contents { tensors, foreign, dims: Some(dims), vocabulary: Some(vocabulary) })
}

/// The sizes, and the number of the type that most tensors have.
fn header(file: &mut Cursor<'_>) -> Result<(ModelDimensions, u32)> {
    let mut sizes = [0; 10];
    for size in &mut sizes {
        *size = file.len32()?;
    }
    let [n_vocab, n_audio_ctx, n_state, n_audio_head, n_audio_layer, ..] = sizes;
    let [.., n_text_ctx, n_text_state, n_text_head, n_text_layer, n_mels] = sizes;
    let dims = ModelDimensions {
        n_mels,
        n_audio_ctx,
        n_state,
        n_audio_head,
        n_audio_layer,
        n_vocab,
        n_text_ctx,
        n_text_head,
        n_text_layer,
    };
    dims.check("the ggml header")?;
    if n_text_state != n_state {
        return Err(Error::Weights(format!(
            "encoder and decoder differ in width: {n_state}, {n_text_state}"
        )));
    }
    Ok((dims, file.u32()?))
}
