//! How much memory a transcription takes, worked out from the sizes of the network before anything is loaded.
//!
//! Every term follows the code that allocates it, and names it; [`Estimate::peak`] says which of them exist at
//! the same time. `tests/native/memory.rs` holds the sum against what the program takes: within a tenth.

use candle_core::DType;
use candle_core::quantized::GgmlDType;

use crate::audio::{CHUNK_LENGTH, FRAMES_PER_SECOND, N_FRAMES, SAMPLE_RATE};
use crate::dims::ModelDimensions;
use crate::kernels::{self, Kept, Level, Written};
use crate::options::TranscribeOptions;
use crate::timing::LOGIT_ROWS;
use crate::transcribe::encoded_beside;
use crate::weights::{Checkpoint, Encoding, Matrices};

/// Program, allocator, threads and vocabulary: 12 MB of code and about 7 MB besides, measured on Linux, 13 MB more once a
/// prompt is encoded; what the allocator keeps makes it up to 50 MB from one model to the next.
const PROGRAM: f64 = 19e6;
/// CUDA context, kernels and cuBLAS's workspace, measured on an H100 with driver 580.
const GPU_PROGRAM: f64 = 795e6;
/// What the driver's pool holds of a GPU's memory against what is in use of it, measured there too.
const POOL: f64 = 1.12;
/// The driver's part beside kernels of our own, cuBLAS's workspace and a step's room among it, measured in the same way.
const KERNEL_PROGRAM: f64 = 640e6;
/// What the driver's pool holds of weights there.
const KERNEL_POOL: f64 = 1.06;
/// Attention scores that exist at once where there is no kernel for attention: 2^26, `kernels::attention`.
const MOST_SCORES: f64 = 67_108_864.0;

/// Where the network computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processor {
    /// Attention in blocks, most operations in place.
    Cpu,
    /// The recording stays in the host's memory. In 16-bit floats kernels of our own (from compute capability 8.0 on, which is
    /// taken for granted), else candle's operations, each with an output of its own.
    Gpu,
}

/// What the memory depends on beside the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Where the network computes.
    pub processor: Processor,
    /// What it computes in, and what its weights are but for `matrices`.
    pub dtype: DType,
    /// Bytes for a number of its large matrices, where that is not `dtype`'s.
    pub matrices: Option<PerNumber>,
    /// Whether products are of integers: a CPU keeps keys and values of audio as integers of
    /// eight bits then, in blocks of 32 with a scale.
    pub integers: bool,
    /// Bytes that loading holds beside the weights: 0 for mapped files, the whole file for those read at once.
    pub held_by_loading: u64,
    /// Windows of 30 s decoded at once.
    pub n_audio: usize,
    /// Beams or candidates of each window; 1 for greedy decoding.
    pub n_group: usize,
    /// Heads that word times come from; 0 without word times.
    pub n_alignment_heads: usize,
    /// Whether a window is given text before it: an initial prompt's, or the window's before.
    pub prompted: bool,
    /// Length of the recording.
    pub seconds: f64,
}

/// Bytes that a number of a large matrix takes, scales included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PerNumber {
    /// Those of linear layers.
    pub linear: f64,
    /// The token embedding.
    pub embedding: f64,
}

impl PerNumber {
    /// Of matrices that are made `Q8_0` of floats.
    pub fn made(processor: Processor) -> Self {
        let q8_0 = GgmlDType::Q8_0;
        let each = match (processor, Kept::of([Written::Blocks(q8_0)])) {
            (Processor::Cpu, Some(kept)) => kept.bytes_per_number(),
            _ => q8_0.type_size() as f64 / q8_0.block_size() as f64,
        };
        Self { linear: each, embedding: each }
    }

    /// Of a checkpoint's matrices once they are loaded so; none if they become `dtype` like everything else.
    pub fn of(
        checkpoint: &Checkpoint,
        matrices: Matrices,
        processor: Processor,
        dtype: DType,
    ) -> Option<Self> {
        let one = |name: &str| {
            let stored = checkpoint.get(name)?;
            match processor {
                Processor::Cpu if dtype == DType::F32 => checkpoint.kept(stored, matrices),
                _ => (matrices == Matrices::Blocks).then(|| match stored.encoding {
                    Encoding::Blocks(blocks) => blocks.type_size() as f64 / blocks.block_size() as f64,
                    _ => Self::made(processor).linear,
                }),
            }
        };
        Some(Self {
            linear: one("model.decoder.layers.0.fc1.weight")?,
            embedding: one("model.decoder.embed_tokens.weight")?,
        })
    }
}

impl Default for Usage {
    /// One greedy window on the CPU in f32.
    fn default() -> Self {
        Self {
            processor: Processor::Cpu,
            dtype: DType::F32,
            matrices: None,
            integers: false,
            held_by_loading: 0,
            n_audio: 1,
            n_group: 1,
            n_alignment_heads: 0,
            prompted: false,
            seconds: CHUNK_LENGTH as f64,
        }
    }
}

impl Usage {
    /// The same for these options; `n_alignment_heads` are the model's, `seconds` the recording's length.
    #[must_use]
    pub fn with_options(self, options: &TranscribeOptions, n_alignment_heads: usize, seconds: f64) -> Self {
        let group = |temperature: f64| match temperature > 0.0 {
            true => options.decode.best_of,
            false => options.decode.beam_size,
        };
        let n_group = options.temperatures.iter().filter_map(|&t| group(t)).max();
        let previous = options.condition_on_previous_text && seconds > CHUNK_LENGTH as f64;
        Self {
            n_audio: options.batch.unwrap_or(1).min(((seconds / CHUNK_LENGTH as f64).ceil() as usize).max(1)),
            n_group: n_group.unwrap_or(1),
            n_alignment_heads: if options.word_timestamps { n_alignment_heads } else { 0 },
            prompted: previous || options.initial_prompt.is_some(),
            seconds,
            ..self
        }
    }
}

/// Bytes by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Estimate {
    /// The program itself, or on a GPU the driver's part.
    pub program: u64,
    /// The network.
    pub weights: u64,
    /// Beside the weights while they are loaded.
    pub loading: u64,
    /// Samples and mel of the whole recording.
    pub recording: u64,
    /// The encoder's work on windows that are encoded at once.
    pub encoder: u64,
    /// The same where it is done beside the decoder's.
    pub beside: u64,
    /// Encoded audio, and every decoder layer's keys and values of it.
    pub features: u64,
    /// Keys and values of the text so far.
    pub cache: u64,
    /// The decoder's work on a step, logits included.
    pub decoder: u64,
    /// Word times: scores of the alignment heads, and logits of some tokens.
    pub words: u64,
}

impl Estimate {
    /// The most that exists at once: loading, encoding, decoding and word times follow each other, but for what is encoded beside.
    pub fn peak(&self) -> u64 {
        let sum = |parts: &[u64]| parts.iter().fold(0u64, |sum, &part| sum.saturating_add(part));
        let decoding = sum(&[self.features, sum(&[self.cache, self.decoder]).max(self.words)]);
        let running = sum(&[self.recording, self.encoder.max(sum(&[decoding, self.beside]))]);
        sum(&[self.program, self.weights, self.loading.max(running)])
    }
}

/// Parameters of a network, the encoder's sinusoids among them.
///
/// With n states, an attention has four matrices (n, n) and three biases, a feed-forward part two of (4n, n), and
/// every layer norm 2n: 12 n² + 12 n for an encoder layer, 16 n² + 17 n for a decoder layer, which attends
/// twice. The rest is two convolutions, positions, and the token embedding, which is the last layer too.
pub fn n_parameters(dims: &ModelDimensions) -> u64 {
    parameters(&Sizes::of(dims)) as u64
}

fn parameters(d: &Sizes) -> f64 {
    let n = d.n_state;
    let attention = 4.0 * n * n + 3.0 * n;
    let mlp = 8.0 * n * n + 5.0 * n;
    let norm = 2.0 * n;
    let encoder_layer = attention + mlp + 2.0 * norm;
    let decoder_layer = 2.0 * attention + mlp + 3.0 * norm;
    let convolutions = 3.0 * (d.n_mels + n) * n + 2.0 * n;
    let embeddings = (d.n_audio_ctx + d.n_text_ctx + d.n_vocab) * n;
    d.n_audio_layer * encoder_layer + d.n_text_layer * decoder_layer + convolutions + embeddings + 2.0 * norm
}

/// The memory that a network of these sizes takes when it is used so.
pub fn estimate(dims: &ModelDimensions, usage: &Usage) -> Estimate {
    let d = Sizes::of(dims);
    let gpu = usage.processor == Processor::Gpu;
    let size = usage.dtype.size_in_bytes() as f64;
    let kernels = has_kernels(usage);
    let (program, pool, pool_of_encoder) = match (gpu, kernels) {
        (false, _) => (PROGRAM + if has_tiles(usage) { tiles(&d) } else { 0.0 }, 1.0, 1.0),
        (true, false) => (GPU_PROGRAM, POOL, POOL),
        (true, true) => (KERNEL_PROGRAM, KERNEL_POOL, 1.0),
    };
    let n_audio = usage.n_audio as f64;
    let rows = n_audio * usage.n_group as f64;
    // An encoded window, the unit of most of what follows: (n_audio_ctx, n_state).
    let unit = d.n_audio_ctx * d.n_state * size;
    // Of four bytes one, and an eighth for the scales.
    let kept = if usage.integers && !gpu { 1.125 / 4.0 } else { 1.0 };
    let of_one = unit * (1.0 + 2.0 * kept * d.n_text_layer);
    // Windows that are encoded at once while others are decoded; as many again may be ready.
    let beside = if kernels { encoded_beside(usage.n_audio) as f64 } else { 0.0 };
    let features = of_one * (n_audio + 2.0 * beside);
    let at_once = match usage.processor {
        Processor::Cpu => 1.0,
        Processor::Gpu if beside > 0.0 => beside,
        Processor::Gpu => n_audio,
    };
    let encoder = pool_of_encoder * encoder(&d, usage, at_once, at_once * unit);
    // Sampled tokens fill half the context, text before them the rest.
    let half = d.n_text_ctx / 2.0;
    let n_ctx = if usage.prompted { d.n_text_ctx } else { half + 4.0 };
    // Keys and values of one row.
    let cache = |n_tokens: f64| 2.0 * d.n_text_layer * n_tokens * d.n_state * size;
    // A window of dense speech has some 130 tokens of text. Room for more is touched on a GPU alone, where it is filled with zeros.
    let n_text = (0.6 * half).floor();
    let n_touched = if gpu { n_ctx } else { n_ctx - half + n_text };
    // The network's, in f32, and the host's copy.
    let per_logit = if gpu { size + 4.0 } else { 2.0 * 4.0 };
    let head = n_text * d.n_audio_ctx * 4.0;
    // Every head's scores stay until all are there; then logits, and after them one head three times.
    let words = usage.n_alignment_heads as f64 * head + (LOGIT_ROWS as f64 * d.n_vocab * 8.0).max(3.0 * head);

    Estimate {
        program: program as u64,
        weights: (pool * weights(&d, usage)) as u64,
        // Query, key and value become one matrix, for a moment beside the three.
        loading: usage.held_by_loading + (3.0 * d.n_state * d.n_state * size) as u64,
        recording: if gpu { 0 } else { recording(&d, usage.seconds) as u64 },
        // A CPU encodes one window after the other, beside what is encoded already.
        encoder: if gpu { encoder } else { encoder + of_one * (n_audio - 1.0) } as u64,
        beside: if beside > 0.0 { encoder } else { 0.0 } as u64,
        // The encoder's output, and keys and values for each layer.
        features: features as u64,
        cache: (rows * cache(n_touched)) as u64,
        // The prompt runs at once, for each window and not for its candidates, through the widest layer.
        decoder: (rows * d.n_vocab * per_logit + 8.0 * n_audio * (n_ctx - half) * d.n_state * size) as u64,
        words: match usage.n_alignment_heads {
            0 => 0,
            _ => (words + cache(n_text)) as u64,
        },
    }
}

/// The most windows at once, up to `most`, with which a network needs no more than so many bytes; 1 if it always needs more.
pub fn largest_batch(dims: &ModelDimensions, usage: &Usage, most: usize, available: u64) -> usize {
    let needed = |n_audio: &usize| estimate(dims, &Usage { n_audio: *n_audio, ..*usage }).peak();
    (2..=most).rev().find(|n_audio| needed(n_audio) <= available).unwrap_or(1)
}

/// Whether a GPU computes such a network by kernels of our own.
fn has_kernels(usage: &Usage) -> bool {
    usage.processor == Processor::Gpu && usage.dtype.size_in_bytes() == 2 && usage.matrices.is_none()
}

/// Whether a CPU computes floats on its matrix unit.
fn has_tiles(usage: &Usage) -> bool {
    usage.processor == Processor::Cpu && !usage.integers && kernels::level() == Level::Amx
}

/// The tiles of what is multiplied there, which a thread keeps: keys and values of a layer, in three parts of two bytes, are the most.
fn tiles(d: &Sizes) -> f64 {
    2.0 * d.n_audio_ctx * d.n_state * 3.0 * 2.0
}

/// As [`n_parameters`], with layer norms in f32 and the zeros that stand for the biases of keys.
fn weights(d: &Sizes, usage: &Usage) -> f64 {
    let size = usage.dtype.size_in_bytes() as f64;
    let norms = 2.0 * d.n_state * (2.0 * d.n_audio_layer + 3.0 * d.n_text_layer + 2.0);
    let zeros = d.n_state * (d.n_audio_layer + 2.0 * d.n_text_layer);
    let floats = (parameters(d) - norms + zeros) * size + norms * 4.0;
    let Some(PerNumber { linear, embedding }) = usage.matrices else { return floats };
    let n_linear = d.n_state * d.n_state * (12.0 * d.n_audio_layer + 16.0 * d.n_text_layer);
    floats + n_linear * (linear - size) + d.n_vocab * d.n_state * (embedding - size)
}

/// Samples in f32 and a mel frame in f32 every 10 ms.
fn recording(d: &Sizes, seconds: f64) -> f64 {
    4.0 * (SAMPLE_RATE as f64 + FRAMES_PER_SECOND as f64 * d.n_mels) * seconds.max(0.0)
}

/// The window's mel, and the most that an encoder layer or the convolutions take.
fn encoder(d: &Sizes, usage: &Usage, n_audio: f64, unit: f64) -> f64 {
    let size = usage.dtype.size_in_bytes() as f64;
    let mel = n_audio * d.n_mels * N_FRAMES as f64 * (4.0 + size);
    // Residual, norm, three projections and attention. The feed-forward part is no larger.
    let layer = 6.0 * unit;
    mel + match usage.processor {
        // Attention lays out keys and values once more, on AMX into tiles.
        Processor::Cpu => layer + if has_tiles(usage) { 0.0 } else { 2.0 * unit },
        // The sum of the layers in f32, two tensors beside it, a product four times as wide, and the output.
        Processor::Gpu if has_kernels(usage) => 9.0 * unit,
        Processor::Gpu => {
            // Heads are laid out one by one: query twice, key, value. Scores exist in f32 before and after the
            // softmax, and in 16 bits once more.
            let n_scores = n_audio * d.n_audio_head * d.n_audio_ctx * d.n_audio_ctx;
            let per_score = if size < 4.0 { 8.0 + size } else { 8.0 };
            // The convolution's input is two units, that unfolded three, and the product is there twice.
            (7.0 * unit).max(layer + 5.0 * unit + n_scores.min(MOST_SCORES) * per_score)
        }
    }
}

/// [`ModelDimensions`] to calculate with: exact to 2^53, and not bound by an address space of 32 bits.
struct Sizes {
    n_mels: f64,
    n_state: f64,
    n_vocab: f64,
    n_audio_ctx: f64,
    n_audio_head: f64,
    n_audio_layer: f64,
    n_text_ctx: f64,
    n_text_layer: f64,
}

impl Sizes {
    fn of(dims: &ModelDimensions) -> Self {
        Self {
            n_mels: dims.n_mels as f64,
            n_state: dims.n_state as f64,
            n_vocab: dims.n_vocab as f64,
            n_audio_ctx: dims.n_audio_ctx as f64,
            n_audio_head: dims.n_audio_head as f64,
            n_audio_layer: dims.n_audio_layer as f64,
            n_text_ctx: dims.n_text_ctx as f64,
            n_text_layer: dims.n_text_layer as f64,
        }
    }
}

/// The shapes that Whisper comes in, largest first, by the shortest name of a model that has it.
pub const SHAPES: [(&str, ModelDimensions); 6] = [
    ("large-v3", LARGE_V3),
    ("turbo", ModelDimensions { n_text_layer: 4, ..LARGE_V3 }),
    ("medium", ModelDimensions { n_state: 1024, n_audio_layer: 24, n_text_layer: 24, ..heads(16) }),
    ("small", ModelDimensions { n_state: 768, n_audio_layer: 12, n_text_layer: 12, ..heads(12) }),
    ("base", ModelDimensions { n_state: 512, n_audio_layer: 6, n_text_layer: 6, ..heads(8) }),
    ("tiny", ModelDimensions { n_state: 384, n_audio_layer: 4, n_text_layer: 4, ..heads(6) }),
];

/// The sizes of one of OpenAI's models by its name.
pub fn dims_of(name: &str) -> Option<ModelDimensions> {
    let shape = |wanted: &str| SHAPES.iter().find(|(name, _)| *name == wanted).map(|(_, dims)| dims.clone());
    match name {
        "large" => shape("large-v3"),
        "large-v3-turbo" => shape("turbo"),
        "large-v1" | "large-v2" => Some(ModelDimensions { n_mels: 80, n_vocab: 51865, ..LARGE_V3 }),
        _ => match name.strip_suffix(".en") {
            Some(size @ ("tiny" | "base" | "small" | "medium")) => {
                shape(size).map(|dims| ModelDimensions { n_vocab: 51864, ..dims })
            }
            _ => shape(name),
        },
    }
}

const LARGE_V3: ModelDimensions = ModelDimensions {
    n_mels: 128,
    n_audio_ctx: N_FRAMES / 2,
    n_state: 1280,
    n_audio_head: 20,
    n_audio_layer: 32,
    n_vocab: 51866,
    n_text_ctx: 448,
    n_text_head: 20,
    n_text_layer: 32,
};

/// What all sizes before large-v3 have in common.
const fn heads(n_head: usize) -> ModelDimensions {
    ModelDimensions { n_mels: 80, n_vocab: 51865, n_audio_head: n_head, n_text_head: n_head, ..LARGE_V3 }
}
