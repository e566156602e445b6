//! CTranslate2's `model.bin`, as faster-whisper has it: variables by name. Queries, keys and values lie in one matrix,
//! and integers have a scale for each row.

use std::collections::BTreeMap;

use candle_core::DType;

use super::checkpoint::Contents;
use super::cursor::Cursor;
use super::stored::{Encoding, Stored};
use crate::error::{Error, Result};

/// The version of the layout; it has not changed since CTranslate2 knows Whisper.
const VERSION: u32 = 6;

type Variables = BTreeMap<String, Stored>;

pub(super) fn read(bytes: &[u8]) -> Result<Contents> {
    let mut file = Cursor::new(bytes);
    let version = file.u32()?;
    if version != VERSION {
        return Err(Error::Weights(format!(
            "CTranslate2's version {version} is unknown; {VERSION} can be read"
        )));
    }
    let spec = text(&mut file)?;
    if spec != "WhisperSpec" {
        return Err(Error::Weights(format!(
            "this is a CTranslate2 model with a `{spec}`; only Whisper models can be loaded"
        )));
    }
    let (_revision, n_variables) = (file.u32()?, file.u32()?);
    let mut variables = Variables::new();
    for _ in 0..n_variables {
        let name = text(&mut file)?;
        let n_dims = file.u8()?;
        let shape = (0..n_dims).map(|_| file.len32()).collect::<Result<Vec<_>>>()?;
        let (kind, size) = (file.u8()?, file.len32()?);
        let start = file.skip(size)?.start;
        // Integers of 32 bits are settings, not weights.
        let encoding = match kind {
            0 => Encoding::Float(DType::F32),
            1 => Encoding::Scaled(1),
            2 => Encoding::Scaled(2),
            4 => Encoding::Float(DType::F16),
            5 => Encoding::Float(DType::BF16),
            _ => continue,
        };
        let stored = Stored::new(&name, shape, encoding, start, start + size)?;
        variables.insert(name, stored);
    }
    let mut tensors = BTreeMap::new();
    for side in ["encoder", "decoder"] {
        let mut side = Side { variables: &variables, tensors: &mut tensors, name: side };
        side.read()?;
    }
    Ok(Contents { tensors, foreign: variables.into_keys().next(), ..Contents::default() })
}

/// With a zero at its end.
fn text(file: &mut Cursor<'_>) -> Result<String> {
    let n = usize::from(file.u16()?);
    let bytes = file.take(n)?;
    Ok(String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(bytes)).into_owned())
}

/// The encoder or the decoder, on the way to its names in the network.
struct Side<'a> {
    variables: &'a Variables,
    tensors: &'a mut Variables,
    name: &'static str,
}

impl Side<'_> {
    fn read(&mut self) -> Result<()> {
        self.put("position_encodings/encodings", "embed_positions.weight", None)?;
        self.put("embeddings/weight", "embed_tokens.weight", None)?;
        self.norm("layer_norm", "layer_norm")?;
        for conv in ["conv1", "conv2"] {
            self.linear(conv, conv, None)?;
        }
        for i in 0.. {
            let (theirs, ours) = (format!("layer_{i}"), format!("layers.{i}"));
            let part = |name: &str| format!("{theirs}/{name}");
            if !self.variables.contains_key(&format!("{}/{}", self.name, part("ffn/linear_0/weight"))) {
                break;
            }
            for (index, name) in ["q_proj", "k_proj", "v_proj"].into_iter().enumerate() {
                let third = Some((index, 3));
                self.linear(&part("self_attention/linear_0"), &format!("{ours}.self_attn.{name}"), third)?;
            }
            self.linear(&part("self_attention/linear_1"), &format!("{ours}.self_attn.out_proj"), None)?;
            self.norm(&part("self_attention/layer_norm"), &format!("{ours}.self_attn_layer_norm"))?;
            self.linear(&part("attention/linear_0"), &format!("{ours}.encoder_attn.q_proj"), None)?;
            for (index, name) in ["k_proj", "v_proj"].into_iter().enumerate() {
                let half = Some((index, 2));
                self.linear(&part("attention/linear_1"), &format!("{ours}.encoder_attn.{name}"), half)?;
            }
            self.linear(&part("attention/linear_2"), &format!("{ours}.encoder_attn.out_proj"), None)?;
            self.norm(&part("attention/layer_norm"), &format!("{ours}.encoder_attn_layer_norm"))?;
            self.linear(&part("ffn/linear_0"), &format!("{ours}.fc1"), None)?;
            self.linear(&part("ffn/linear_1"), &format!("{ours}.fc2"), None)?;
            self.norm(&part("ffn/layer_norm"), &format!("{ours}.final_layer_norm"))?;
        }
        Ok(())
    }

    fn norm(&mut self, theirs: &str, ours: &str) -> Result<()> {
        self.put(&format!("{theirs}/gamma"), &format!("{ours}.weight"), None)?;
        self.put(&format!("{theirs}/beta"), &format!("{ours}.bias"), None)
    }

    fn linear(&mut self, theirs: &str, ours: &str, share: Option<(usize, usize)>) -> Result<()> {
        self.put(&format!("{theirs}/weight"), &format!("{ours}.weight"), share)?;
        // Whisper's keys have no bias; here they have zeros.
        if ours.ends_with("k_proj") {
            return Ok(());
        }
        self.put(&format!("{theirs}/bias"), &format!("{ours}.bias"), share)
    }

    /// Names a variable as the network does, or (index, of) equal shares of its rows. What the file lacks is missed when the
    /// network asks for it.
    fn put(&mut self, theirs: &str, ours: &str, share: Option<(usize, usize)>) -> Result<()> {
        let theirs = format!("{}/{theirs}", self.name);
        let Some(variable) = self.variables.get(&theirs) else { return Ok(()) };
        let mut stored = variable.clone();
        if matches!(stored.encoding, Encoding::Scaled(_)) {
            let scale = self.variables.get(&format!("{theirs}_scale"));
            let fits = |scale: &&Stored| {
                matches!(scale.encoding, Encoding::Float(_)) && [1, stored.n_rows()].contains(&scale.count())
            };
            let scale = scale.filter(fits).ok_or_else(|| {
                Error::Weights(format!("`{theirs}` is of integers without the scale of each row"))
            })?;
            stored.scale = Some(Box::new(scale.clone()));
        }
        if let Some((index, of)) = share {
            let n = stored.n_rows() / of;
            stored = stored.rows(index * n..(index + 1) * n).ok_or_else(|| {
                Error::Weights(format!("`{theirs}` can't be cut in {of}: its shape is {:?}", variable.shape))
            })?;
        }
        self.tensors.insert(format!("model.{}.{ours}", self.name), stored);
        Ok(())
    }
}
