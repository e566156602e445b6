//! The memory that a transcription will take, from a request in JSON.

use candle_whisper_core::dims::{ModelDimensions, alignment_heads};
use candle_whisper_core::memory::{PerNumber, SHAPES, Usage, estimate, n_parameters};
use candle_whisper_core::weights::Matrices;
use candle_whisper_core::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

/// A network, and what is to be done with it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// A shape by the shortest name of a model that has it: `tiny`, `base`, `small`, `medium`, `turbo`, `large-v3`.
    shape: Option<String>,
    /// Mel bins, where they are not the shape's.
    n_mels: Option<usize>,
    /// Layers of the decoder, where they are not the shape's.
    n_text_layer: Option<usize>,
    /// The sizes themselves, as in `config.json`.
    dims: Option<Value>,
    /// Length of the recording; one window if not given.
    seconds: Option<f64>,
    /// As in [`crate::options::parse`].
    options: Option<Value>,
    /// Bytes of the weights' file, which tell what its numbers are; f32 if not given.
    size: Option<u64>,
    /// What becomes of them as they arrive: `f16` or `q8_0`.
    keep: Option<String>,
    /// What is multiplied, as in [`crate::model::matrices`]; small integers if not given, as where a model is loaded.
    dtype: Option<String>,
    /// Bytes of the file where it is read as a whole.
    held_by_loading: Option<u64>,
}

/// `{bytes, terms}`: the most that exists at once, and what it consists of.
///
/// # Errors
/// If the request is not JSON, names no network or one that is unknown, or has an unknown field.
pub fn of_json(request: &str) -> Result<Value> {
    let request: Request =
        serde_json::from_str(request).map_err(|error| Error::Options(format!("estimate: {error}")))?;
    let mut dims = match (&request.dims, &request.shape) {
        (Some(dims), _) => ModelDimensions::from_json(dims.to_string().as_bytes())?,
        (None, Some(shape)) => known(shape)?,
        (None, None) => return Err(Error::Options("estimate: give `model` or `dims`".into())),
    };
    dims.n_mels = request.n_mels.unwrap_or(dims.n_mels);
    dims.n_text_layer = request.n_text_layer.unwrap_or(dims.n_text_layer);
    let options = request.options.map_or_else(String::new, |options| options.to_string());
    let options = crate::options::parse(&options)?;
    let n_heads = alignment_heads(&dims, None)?.len();
    let matrices = request.dtype.as_deref().map_or(Ok(Matrices::Blocks), crate::model::matrices)?;
    let usage = Usage {
        integers: matrices == Matrices::Blocks,
        matrices: per_number(request.size, request.keep.as_deref(), matrices, &dims),
        held_by_loading: request.held_by_loading.unwrap_or(0),
        ..Usage::default()
    };
    let seconds = request.seconds.unwrap_or(usage.seconds);
    let estimate = estimate(&dims, &usage.with_options(&options, n_heads, seconds));
    Ok(json!({"bytes": estimate.peak(), "terms": estimate}))
}

/// What the numbers of large matrices take, from the size of their file and what becomes of them; none if they are f32.
fn per_number(
    size: Option<u64>,
    keep: Option<&str>,
    matrices: Matrices,
    dims: &ModelDimensions,
) -> Option<PerNumber> {
    // Q8_0: eight bits, and a scale in f32 for 32 of them.
    const Q8_0: f64 = 1.125;
    let sent = size.map_or(4.0, |size| size as f64 / n_parameters(dims) as f64);
    let bytes = match (sent, keep) {
        (1.5.., Some("q8_0")) => Q8_0,
        (1.5.., _) if matrices == Matrices::Blocks => Q8_0,
        (3.0.., Some("f16")) | (1.5..3.0, _) => 2.0,
        (3.0.., _) => return None,
        (1.0.., _) => Q8_0,
        // Of fewer bits some have smaller blocks, or something that is added.
        _ => 1.25,
    };
    Some(PerNumber { linear: bytes, embedding: bytes })
}

fn known(shape: &str) -> Result<ModelDimensions> {
    let found = SHAPES.iter().find(|(name, _)| *name == shape);
    found
        .map(|(_, dims)| dims.clone())
        .ok_or_else(|| Error::Options(format!("estimate: unknown shape `{shape}`")))
}
