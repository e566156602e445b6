//! What kernels take, field by field as in their sources; addresses are those of the GPU's memory.

/// One token of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Row {
    /// The token.
    pub token: i32,
    /// Where its row of the cache begins, in tokens.
    pub cache: i32,
    /// Where the token is in its row.
    pub position: i32,
    /// The number of the piece of audio.
    pub audio: i32,
}

/// `linear.cuh`
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Linear {
    pub weight: u64,
    pub bias: u64,
    pub x: u64,
    pub norm_weight: u64,
    pub norm_bias: u64,
    pub out: u64,
    pub row: u64,
    pub cache: u64,
    pub n_in: i32,
    pub n_out: i32,
    pub rows: i32,
}

/// `attend.cuh`
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Attend {
    pub q: u64,
    pub out: u64,
    pub v_bias: u64,
    pub row: u64,
    pub memory: u64,
    pub partial: u64,
    pub counter: u64,
    pub per: i32,
    pub n_state: i32,
    pub rows: i32,
    pub keys: i32,
    pub splits: i32,
    pub causal: i32,
}

/// `attend.cuh`
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Scores {
    pub q: u64,
    pub out: u64,
    pub row: u64,
    pub memory: u64,
    pub n_state: i32,
    pub rows: i32,
    pub keys: i32,
    pub head: i32,
}

/// `rows.cuh`
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Embed {
    pub tokens: u64,
    pub positions: u64,
    pub row: u64,
    pub out: u64,
    pub n_state: i32,
}

/// `rows.cuh`
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct AddNorm {
    pub x: u64,
    pub add: u64,
    pub add_bias: u64,
    pub weight: u64,
    pub bias: u64,
    pub out: u64,
    pub n: i32,
    pub rows: i32,
}

/// `rows.cuh`
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct BiasGelu {
    pub x: u64,
    pub bias: u64,
    pub positions: u64,
    pub sum: u64,
    pub n: i32,
    pub rows: i32,
}

/// `rows.cuh`
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Transpose {
    pub x: u64,
    pub out: u64,
    pub n: i32,
    pub frames: i32,
}

/// `rows.cuh`
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Columns {
    pub x: u64,
    pub out: u64,
    pub n: i32,
    pub frames: i32,
    pub stride: i32,
}

/// `flash.cuh`
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Flash {
    pub qkv: u64,
    pub q_bias: u64,
    pub v_bias: u64,
    pub out: u64,
    pub n_ctx: i32,
    pub n_state: i32,
}

/// `choose.cuh`
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Choose {
    pub logits: u64,
    pub suppressed: u64,
    pub ranges: u64,
    pub begins: u64,
    pub tokens: u64,
    pub logprobs: u64,
    pub n_vocab: i32,
    pub top: i32,
    pub timestamp_begin: i32,
}
