//! Checkpoints that PyTorch saved: a zip archive with a pickle that describes the tensors, and their bytes beside it.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::ops::Range;

use candle_core::DType;
use zip::{CompressionMethod, ZipArchive};

use super::checkpoint::Contents;
use super::cursor::cut_short;
use super::names::canonical;
use super::pickle::{Id, Value, Values};
use super::stored::{Encoding, Stored};
use crate::dims::ModelDimensions;
use crate::error::{Error, Result};

pub(super) fn read(bytes: &[u8]) -> Result<Contents> {
    let mut archive = Archive::open(bytes)?;
    let pickle = archive.place("data.pkl")?;
    let (values, root) = Values::read(&bytes[pickle])?;
    if archive.text("byteorder")?.is_some_and(|order| order.trim() != "little") {
        return Err(Error::Weights(
            "the checkpoint was saved on a machine with its bytes the other way round".into(),
        ));
    }
    // OpenAI's checkpoints have sizes beside the tensors; Hugging Face's are the tensors alone.
    let state = values.item(root, "model_state_dict").unwrap_or(root);
    let items = values.dict(state).ok_or_else(|| {
        Error::Weights("the checkpoint is no dictionary of tensors; is it a whole pickled model?".into())
    })?;
    let (mut tensors, mut foreign) = (BTreeMap::new(), None);
    for &(name, value) in items {
        let Some(name) = values.text(name) else { continue };
        match canonical(name) {
            None => foreign = Some(name.to_owned()),
            Some(canonical) => {
                let tensor = Tensor::of(&values, value).ok_or_else(|| {
                    Error::Weights(format!("`{name}` in the checkpoint is no plain tensor of floats"))
                })?;
                tensors.insert(canonical, tensor.stored(name, &mut archive)?);
            }
        }
    }
    let dims = values.item(root, "dims").map(|dims| sizes(&values, dims)).transpose()?;
    Ok(Contents { tensors, foreign, dims, vocabulary: None })
}

struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// The folder in which everything lies.
    root: String,
    /// Bytes of the whole archive.
    length: usize,
}

impl<'a> Archive<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self> {
        let zip = ZipArchive::new(Cursor::new(bytes))
            .map_err(|error| cut_short(format_args!("as a zip archive it has no directory ({error})")))?;
        let root = (0..zip.len())
            .filter_map(|index| zip.name_for_index(index)?.ok()?.strip_suffix("data.pkl").map(String::from))
            .next()
            .ok_or_else(|| Error::Weights("this is a zip archive, not a PyTorch checkpoint".into()))?;
        Ok(Self { zip, root, length: bytes.len() })
    }

    /// Where a file of the archive lies in it; PyTorch never compresses.
    fn place(&mut self, name: &str) -> Result<Range<usize>> {
        let name = format!("{}{name}", self.root);
        let damaged = |why: &str| cut_short(format_args!("`{name}` in the archive {why}"));
        let entry = self.zip.by_name(&name).map_err(|error| damaged(&format!("can't be read ({error})")))?;
        if entry.compression() != CompressionMethod::Stored {
            return Err(Error::Weights(format!(
                "`{name}` in the archive is compressed; unpack and save it again"
            )));
        }
        let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
        let size = usize::try_from(entry.size()).ok();
        drop(entry);
        let place = start.zip(size).and_then(|(start, size)| Some(start..start.checked_add(size)?));
        place.filter(|place| place.end <= self.length).ok_or_else(|| damaged("ends outside it"))
    }

    /// A small file of the archive, if it is there.
    fn text(&mut self, name: &str) -> Result<Option<String>> {
        let Ok(entry) = self.zip.by_name(&format!("{}{name}", self.root)) else { return Ok(None) };
        let mut text = String::new();
        entry.take(64).read_to_string(&mut text)?;
        Ok(Some(text))
    }
}

/// A tensor as the pickle describes it.
struct Tensor<'a> {
    /// The file that holds it.
    key: &'a str,
    dtype: DType,
    /// Numbers before it in that file.
    offset: usize,
    shape: Vec<usize>,
    stride: Vec<usize>,
}

impl<'a> Tensor<'a> {
    fn of(values: &'a Values, id: Id) -> Option<Self> {
        let Value::Call { callable, args } = values.get(id) else { return None };
        let Value::Class(module, name) = values.get(*callable) else { return None };
        let args = values.tuple(*args)?;
        match (module.as_str(), name.as_str()) {
            // A parameter is a tensor and what training needs.
            ("torch._utils", "_rebuild_parameter") => match values.get(*args.first()?) {
                Value::Call { callable, args } => Self::rebuilt(values, *callable, values.tuple(*args)?),
                _ => None,
            },
            _ => Self::rebuilt(values, *callable, args),
        }
    }

    fn rebuilt(values: &'a Values, callable: Id, args: &[Id]) -> Option<Self> {
        let Value::Class(module, name) = values.get(callable) else { return None };
        let ("torch._utils", "_rebuild_tensor_v2") = (module.as_str(), name.as_str()) else { return None };
        let [storage, offset, shape, stride, ..] = *args else { return None };
        let Value::Persistent(storage) = values.get(storage) else { return None };
        let [_, class, key, ..] = *values.tuple(*storage)? else { return None };
        let Value::Class(_, class) = values.get(class) else { return None };
        let sizes = |id: Id| values.tuple(id)?.iter().map(|&n| values.size(n)).collect::<Option<Vec<_>>>();
        Some(Self {
            key: values.text(key)?,
            dtype: match class.as_str() {
                "FloatStorage" => DType::F32,
                "HalfStorage" => DType::F16,
                "BFloat16Storage" => DType::BF16,
                "DoubleStorage" => DType::F64,
                _ => return None,
            },
            offset: values.size(offset)?,
            shape: sizes(shape)?,
            stride: sizes(stride)?,
        })
    }

    fn stored(self, name: &str, archive: &mut Archive<'_>) -> Result<Stored> {
        let mut step = 1usize;
        for (&n, &stride) in self.shape.iter().zip(&self.stride).rev() {
            if n > 1 && stride != step {
                return Err(Error::Weights(format!(
                    "tensor `{name}` was saved transposed or with gaps; save it again after `.contiguous()`"
                )));
            }
            step = step.saturating_mul(n);
        }
        let place = archive.place(&format!("data/{}", self.key))?;
        let offset = self.offset.saturating_mul(self.dtype.size_in_bytes());
        let start = place.start.saturating_add(offset);
        Stored::new(name, self.shape, Encoding::Float(self.dtype), start, place.end)
    }
}

/// The sizes that OpenAI's checkpoints carry.
fn sizes(values: &Values, dims: Id) -> Result<ModelDimensions> {
    let size = |name: &str| {
        values
            .item(dims, name)
            .and_then(|id| values.size(id))
            .ok_or_else(|| Error::Weights(format!("the checkpoint's `dims` have no `{name}`")))
    };
    let dims = ModelDimensions {
        n_mels: size("n_mels")?,
        n_audio_ctx: size("n_audio_ctx")?,
        n_state: size("n_audio_state")?,
        n_audio_head: size("n_audio_head")?,
        n_audio_layer: size("n_audio_layer")?,
        n_vocab: size("n_vocab")?,
        n_text_ctx: size("n_text_ctx")?,
        n_text_head: size("n_text_head")?,
        n_text_layer: size("n_text_layer")?,
    };
    dims.check("the checkpoint's `dims`")?;
    Ok(dims)
}
