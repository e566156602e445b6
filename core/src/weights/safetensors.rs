//! Hugging Face's safetensors: a header of JSON that says where each tensor lies.

use std::collections::BTreeMap;

use candle_core::DType;
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::checkpoint::Contents;
use super::cursor::{Cursor, cut_short};
use super::names::canonical;
use super::stored::{Encoding, Stored};
use crate::error::{Error, Result};

/// What a header says; `bytes` may end after it, in a file of `size` bytes.
pub(super) fn read(bytes: &[u8], size: usize) -> Result<Contents> {
    let mut file = Cursor::new(bytes);
    let header = file.len64()?;
    let metadata: Metadata = serde_json::from_slice(file.take(header)?)
        .map_err(|error| Error::Weights(format!("the safetensors header is damaged: {error}")))?;
    if (8 + header).checked_add(metadata.data_len()) != Some(size) {
        return Err(cut_short("its length is not what its header says"));
    }
    let (mut tensors, mut foreign) = (BTreeMap::new(), None);
    for (name, info) in metadata.tensors() {
        let (Some(canonical), Some(dtype)) = (canonical(&name), float(info.dtype)) else {
            foreign = Some(name);
            continue;
        };
        let start = 8 + header + info.data_offsets.0;
        let stored = Stored::new(&name, info.shape.clone(), Encoding::Float(dtype), start, size)?;
        if stored.size_in_bytes() != info.data_offsets.1 - info.data_offsets.0 {
            return Err(cut_short(format_args!("tensor `{name}` has not the size of its shape")));
        }
        tensors.insert(canonical, stored);
    }
    Ok(Contents { tensors, foreign, ..Contents::default() })
}

pub(super) fn float(dtype: Dtype) -> Option<DType> {
    match dtype {
        Dtype::F64 => Some(DType::F64),
        Dtype::F32 => Some(DType::F32),
        Dtype::F16 => Some(DType::F16),
        Dtype::BF16 => Some(DType::BF16),
        _ => None,
    }
}
