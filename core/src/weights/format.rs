//! Which kind of file this is, from how it begins.

use crate::error::{Error, Result};

/// Files that hold a Whisper's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Hugging Face's safetensors.
    Safetensors,
    /// ggml's GGUF.
    Gguf,
    /// whisper.cpp's `ggml-*.bin`.
    Ggml,
    /// `model.bin` of CTranslate2, as faster-whisper has it.
    CTranslate2,
    /// A checkpoint that PyTorch saved, as OpenAI published its models.
    Torch,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::Gguf => "GGUF",
            Self::Ggml => "whisper.cpp's ggml",
            Self::CTranslate2 => "CTranslate2",
            Self::Torch => "PyTorch",
        })
    }
}

/// As many of a file's first bytes as [`Format::of`] looks at.
pub const N_FIRST_BYTES: usize = 64;

impl Format {
    /// The format of a file that begins so; [`N_FIRST_BYTES`] are enough.
    ///
    /// # Errors
    /// If it is none of them; the message says what it seems to be instead.
    pub fn of(first: &[u8]) -> Result<Self> {
        let head: [u8; 4] = first.get(..4).and_then(|head| head.try_into().ok()).unwrap_or_default();
        let seems = match &head {
            b"GGUF" => return Ok(Self::Gguf),
            b"lmgg" => return Ok(Self::Ggml),
            b"PK\x03\x04" => return Ok(Self::Torch),
            _ if is_safetensors(first) => return Ok(Self::Safetensors),
            _ if is_ctranslate2(first) => return Ok(Self::CTranslate2),
            _ if first.is_empty() => "an empty file",
            [0x80, 2..=5, ..] => "a checkpoint of a PyTorch before 1.6; save it again with a newer one",
            b"tjgg" | b"algg" | b"fmgg" => "an old ggml model of another kind",
            [b'v', b'e', b'r', b's'] if first.starts_with(b"version https://git-lfs") => {
                "a pointer of Git LFS; `git lfs pull` fetches the file itself"
            }
            _ if first.iter().all(|&byte| byte >= b' ' || byte.is_ascii_whitespace()) => "text",
            _ => "an unknown format",
        };
        Err(Error::Weights(format!(
            "this is {seems}; known are safetensors, GGUF, whisper.cpp's ggml, CTranslate2's `model.bin` and \
             PyTorch checkpoints"
        )))
    }
}

/// The length of a header of JSON, then the header.
fn is_safetensors(first: &[u8]) -> bool {
    let length = first.first_chunk().map(|length| u64::from_le_bytes(*length));
    length.is_some_and(|length| (2..=100_000_000).contains(&length)) && first.get(8) == Some(&b'{')
}

/// A small version, then a name with its length and a zero at its end.
fn is_ctranslate2(first: &[u8]) -> bool {
    let version = first.first_chunk().map(|version| u32::from_le_bytes(*version));
    let length = first.get(4..6).map(|length| usize::from(u16::from_le_bytes([length[0], length[1]])));
    let (Some(1..=32), Some(length @ 2..=48)) = (version, length) else { return false };
    matches!(first.get(6..6 + length), Some([name @ .., 0]) if name.iter().all(u8::is_ascii_alphanumeric))
}
