//! The sizes of a Whisper network and the heads that follow the audio, from Hugging Face's `config.json` and
//! `generation_config.json`.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

mod alignment_heads;

use alignment_heads::published;

/// The sizes of a network, by openai/whisper's names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelDimensions {
    /// Mel bins per frame: 80 or 128.
    #[serde(rename = "num_mel_bins")]
    pub n_mels: usize,
    /// Encoder positions: 1500, 20 ms each.
    #[serde(rename = "max_source_positions")]
    pub n_audio_ctx: usize,
    /// Width of the encoder, and of the decoder.
    #[serde(rename = "d_model")]
    pub n_state: usize,
    /// Attention heads of the encoder.
    #[serde(rename = "encoder_attention_heads")]
    pub n_audio_head: usize,
    /// Layers of the encoder.
    #[serde(rename = "encoder_layers")]
    pub n_audio_layer: usize,
    /// Tokens in the vocabulary: 51864 English-only, 51865, or 51866 with Cantonese.
    #[serde(rename = "vocab_size")]
    pub n_vocab: usize,
    /// Decoder positions: 448.
    #[serde(rename = "max_target_positions")]
    pub n_text_ctx: usize,
    /// Attention heads of the decoder.
    #[serde(rename = "decoder_attention_heads")]
    pub n_text_head: usize,
    /// Layers of the decoder.
    #[serde(rename = "decoder_layers")]
    pub n_text_layer: usize,
}

#[derive(Deserialize)]
struct Kind {
    model_type: Option<String>,
}

impl ModelDimensions {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// If it is not JSON, not a Whisper's, or its sizes do not fit together.
    pub fn from_json(config: &[u8]) -> Result<Self> {
        let json = |e: serde_json::Error| Error::Config(format!("`config.json`: {e}"));
        let kind: Kind = serde_json::from_slice(config).map_err(json)?;
        match kind.model_type.as_deref() {
            None | Some("whisper") => {}
            Some(other) => {
                return Err(Error::Config(format!(
                    "this is a `{other}` model; only Whisper models can be loaded"
                )));
            }
        }
        let dims: Self = serde_json::from_slice(config).map_err(json)?;
        dims.check("`config.json`")?;
        Ok(dims)
    }

    /// From the shapes of the tensors with Hugging Face's names; heads are 64 wide, as in every Whisper.
    pub(crate) fn from_shapes<'a>(
        shape: impl Fn(&str) -> Option<&'a [usize]>,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<Self> {
        let sizes = |name: &str| {
            shape(name).filter(|sizes| sizes.len() >= 2).ok_or_else(|| {
                Error::Weights(format!(
                    "there is no tensor `{name}` of two dimensions; is this a Whisper model?"
                ))
            })
        };
        let (mut n_audio_layer, mut n_text_layer) = (0, 0);
        for name in names {
            for (side, n) in
                [("model.encoder.layers.", &mut n_audio_layer), ("model.decoder.layers.", &mut n_text_layer)]
            {
                let index =
                    name.strip_prefix(side).and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
                *n = index.map_or(*n, |index| index.saturating_add(1).max(*n));
            }
        }
        let conv = sizes("model.encoder.conv1.weight")?;
        let (n_state, n_mels) = (conv[0], conv[1]);
        let positions = shape("model.encoder.embed_positions.weight");
        let dims = Self {
            n_mels,
            // A file may leave out what is always the same.
            n_audio_ctx: positions
                .and_then(|sizes| sizes.first().copied())
                .unwrap_or(crate::audio::N_FRAMES / 2),
            n_state,
            n_audio_head: n_state / 64,
            n_audio_layer,
            n_vocab: sizes("model.decoder.embed_tokens.weight")?[0],
            n_text_ctx: sizes("model.decoder.embed_positions.weight")?[0],
            n_text_head: n_state / 64,
            n_text_layer,
        };
        dims.check("the shapes of the tensors")?;
        Ok(dims)
    }

    /// The same as Hugging Face's `config.json`.
    pub fn to_json(&self) -> serde_json::Value {
        let mut config = serde_json::json!({
            "architectures": ["WhisperForConditionalGeneration"],
            "model_type": "whisper",
            "activation_function": "gelu",
            "encoder_ffn_dim": 4 * self.n_state,
            "decoder_ffn_dim": 4 * self.n_state,
            "is_encoder_decoder": true,
            "scale_embedding": false,
        });
        if let (Some(config), Ok(serde_json::Value::Object(sizes))) =
            (config.as_object_mut(), serde_json::to_value(self))
        {
            config.extend(sizes);
        }
        config
    }

    /// Whether the sizes fit together; errors begin with where they are from.
    pub(crate) fn check(&self, source: &str) -> Result<()> {
        let bad = |what: String| Err(Error::Config(format!("{source}: {what}")));
        for (name, heads) in
            [("encoder_attention_heads", self.n_audio_head), ("decoder_attention_heads", self.n_text_head)]
        {
            if heads == 0 || !self.n_state.is_multiple_of(heads) {
                return bad(format!("`{name}` {heads} does not divide `d_model` {}", self.n_state));
            }
        }
        if !self.n_state.is_multiple_of(2) || self.n_state < 4 || self.n_state > 1 << 16 {
            return bad(format!("`d_model` is {}", self.n_state));
        }
        if self.n_audio_ctx != crate::audio::N_FRAMES / 2 {
            return bad(format!("`max_source_positions` is {}, not 1500", self.n_audio_ctx));
        }
        if !(8..=1 << 16).contains(&self.n_text_ctx) {
            return bad(format!("`max_target_positions` is {}", self.n_text_ctx));
        }
        if !(51864..=1 << 20).contains(&self.n_vocab) {
            return bad(format!("`vocab_size` is {}; Whisper has 51864 or more", self.n_vocab));
        }
        if self.n_audio_layer > 1024 || self.n_text_layer > 1024 || self.n_text_layer == 0 {
            return bad("an impossible number of layers".into());
        }
        Ok(())
    }

    /// Whether the vocabulary has language and task tokens that mean something.
    pub fn is_multilingual(&self) -> bool {
        self.n_vocab >= 51865
    }

    /// Language tokens in the vocabulary: 99, or 100 with Cantonese.
    pub fn num_languages(&self) -> usize {
        if self.n_vocab >= 51866 { 100 } else { 99 }
    }
}

/// A decoder layer and a head in it.
pub type Head = (usize, usize);

/// The heads whose cross-attention follows the audio: those named in `generation_config.json`, those that OpenAI found
/// for a network of these sizes, or all heads of the top half of the layers.
///
/// # Errors
/// If the file is not JSON, or names a head that the network does not have.
pub fn alignment_heads(dims: &ModelDimensions, generation_config: Option<&[u8]>) -> Result<Vec<Head>> {
    #[derive(Deserialize)]
    struct GenerationConfig {
        alignment_heads: Option<Vec<Head>>,
    }
    let named = match generation_config {
        None => None,
        Some(json) => {
            serde_json::from_slice::<GenerationConfig>(json)
                .map_err(|e| Error::Config(format!("`generation_config.json`: {e}")))?
                .alignment_heads
        }
    };
    match named {
        Some(heads) if !heads.is_empty() => {
            let known = |&(l, h): &Head| l < dims.n_text_layer && h < dims.n_text_head;
            match heads.iter().find(|head| !known(head)) {
                None => Ok(heads),
                Some((l, h)) => {
                    Err(Error::Config(format!("`generation_config.json`: there is no head {h} in layer {l}")))
                }
            }
        }
        _ => match published(dims) {
            Some(heads) => Ok(heads.to_vec()),
            None => Ok((dims.n_text_layer / 2..dims.n_text_layer)
                .flat_map(|l| (0..dims.n_text_head).map(move |h| (l, h)))
                .collect()),
        },
    }
}
