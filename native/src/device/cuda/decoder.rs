//! The decoder: eight kernels to a layer, in which nothing is copied. A step of one token to each row is recorded once and
//! then replayed; everything that changes from step to step, tokens, positions and where keys and values are, it reads from
//! the GPU's memory.

use std::sync::{Arc, Weak};

use candle_core::cuda_backend::cudarc::driver::{CudaStream, DevicePtr, result, sys};
use candle_core::{CudaDevice, DType, Result, Tensor, bail};
use candle_whisper_core::model::Piece;

use super::arguments::{AddNorm, Attend, Embed, Linear, Row, Scores};
use super::launch::{Grid, Kernels, address, said};
use super::state::{Recorded, State};
use super::weights::{Block, Layer, Network, Norm};

/// Numbers to a head, of every Whisper.
pub const HEAD: usize = 64;
/// Blocks of attention to audio that keep a GPU's memory busy: two to each of an H100's processors.
const BLOCKS: usize = 264;
/// Keys of an audio that are shared out at most so many ways. The kernel has the same number.
const MOST_SPLITS: usize = 12;
/// Rows whose layer norm every block of a product does for itself.
const FEW: usize = 16;
/// Rows of a step that is recorded; those of more take long enough to be started one by one.
const MOST_RECORDED: usize = 256;
/// Recorded steps that are kept.
const MOST_GRAPHS: usize = 96;

/// What a step is recorded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Tokens.
    pub rows: usize,
    /// Those of one piece of audio.
    pub per: usize,
    /// Those of one row.
    pub new: usize,
    /// Positions of the audio.
    pub keys: usize,
}

/// One alignment head's scores to be kept: (layer, head, (rows, keys) in f32).
pub type Wanted = (usize, usize, Tensor);

/// What the decoder computes with.
pub struct Decoder<'a> {
    /// Ours.
    pub kernels: &'a Kernels,
    /// The weights.
    pub network: &'a Network,
    /// What the network computes in.
    pub dtype: DType,
    /// Where.
    pub gpu: &'a CudaDevice,
    /// What it writes to.
    pub state: &'a mut State,
}

impl Decoder<'_> {
    /// Runs tokens. caches: each layer's keys and values; hidden: (rows, n_state).
    ///
    /// # Errors
    /// If the device fails.
    pub fn run(
        &mut self,
        rows: &[Row],
        shape: Shape,
        caches: Vec<u64>,
        audio: &[Arc<Piece>],
        wanted: &[Wanted],
        hidden: &Tensor,
    ) -> Result<()> {
        let n = self.width()?;
        if rows.len() > self.state.room {
            let (room, recorder) = (rows.len().next_power_of_two(), self.state.recorder.clone());
            *self.state = State::sized(self.gpu, n, self.dtype, room, recorder)?;
        }
        let n_audio = audio.len();
        let mut moved = self.state.caches.set(self.gpu, caches)?;
        // Held weakly, so that no other piece can come to lie where one of these was.
        let same = |(old, new): (&Weak<Piece>, &Arc<Piece>)| old.as_ptr() == Arc::as_ptr(new);
        if self.state.pieces.len() != n_audio || !self.state.pieces.iter().zip(audio).all(same) {
            let addresses = self.addresses(audio, shape.keys)?;
            moved |= self.state.audio.set(self.gpu, addresses)?;
            self.state.pieces = audio.iter().map(Arc::downgrade).collect();
        }
        if moved {
            self.state.graphs.clear();
        }
        let numbers: Vec<i32> = rows.iter().flat_map(|r| [r.token, r.cache, r.position, r.audio]).collect();
        self.gpu.memcpy_htod(&numbers, &mut self.state.row)?;
        let stream = self.gpu.cuda_stream();
        let is_step = wanted.is_empty() && shape.new == 1 && shape.rows <= MOST_RECORDED;
        if is_step {
            self.replay(shape, n_audio, &stream)?;
        } else {
            self.layers(&stream, shape, n_audio, wanted)?;
        }
        let network = self.network;
        self.norm(&stream, &network.decoder_norm, rows.len(), address(hidden)?)
    }

    /// Of each layer, where each piece's keys and values of it are.
    fn addresses(&self, audio: &[Arc<Piece>], keys: usize) -> Result<Vec<u64>> {
        let mut addresses = Vec::with_capacity(2 * self.network.decoder.len() * audio.len());
        for i in 0..self.network.decoder.len() {
            for piece in audio {
                let Some(layer) = piece.layers().get(i) else {
                    bail!("audio that was encoded without decoder layer {i}")
                };
                let (k, v) = (layer.k()?, layer.v()?);
                if k.dim(1)? != keys || k.dtype() != self.dtype {
                    bail!("pieces of audio of {} and {keys} positions", k.dim(1)?);
                }
                addresses.extend([address(&k)?, address(&v)?]);
            }
        }
        Ok(addresses)
    }

    fn width(&self) -> Result<usize> {
        self.network.decoder_norm.weight.dim(0)
    }

    /// As `layers`, recorded when it is first asked for.
    fn replay(&mut self, shape: Shape, n_audio: usize, stream: &Arc<CudaStream>) -> Result<()> {
        // Addresses of layers within the table depend on the number of pieces.
        if !self.state.graphs.contains_key(&shape) {
            if self.state.graphs.len() >= MOST_GRAPHS {
                self.state.graphs.clear();
            }
            // Apart from the stream that others may be using meanwhile.
            let recorder = self.state.recorder.clone();
            let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
            recorder.begin_capture(mode).map_err(said)?;
            let recorded = self.layers(&recorder, shape, n_audio, &[]);
            let graph = recorder.end_capture(sys::CUgraphInstantiate_flags(0)).map_err(said);
            recorded?;
            let Some(graph) = graph? else { bail!("the GPU recorded nothing") };
            self.state.graphs.insert(shape, Recorded(graph));
        }
        let graph = &self.state.graphs[&shape].0;
        unsafe { result::graph::launch(graph.cu_graph_exec(), stream.cu_stream()) }.map_err(said)
    }

    /// From the rows' tokens to the sum of all layers, (rows, n_state) in f32.
    fn layers(
        &self,
        stream: &Arc<CudaStream>,
        shape: Shape,
        n_audio: usize,
        wanted: &[Wanted],
    ) -> Result<()> {
        let (n, state, rows) = (self.width()?, &*self.state, shape.rows);
        let row = state.row.device_ptr(stream).0;
        let embed = Embed {
            tokens: address(&self.network.tokens)?,
            positions: address(&self.network.text_positions)?,
            row,
            out: address(&state.x)?,
            n_state: n as i32,
        };
        unsafe { self.kernels.start(stream, "embed", Grid::new(rows, 1, 128), &embed)? };
        let x = address(&state.x)?;
        let (q, y, wide) = (address(&state.q)?, address(&state.y)?, address(&state.wide)?);
        for (i, Block { attn, cross, mlp }) in self.network.decoder.iter().enumerate() {
            let Some(cross) = cross else { bail!("layer {i} does not look at the audio") };
            let cache = state.caches.at(stream, 2 * i);
            let linear = Linear { out: q, row, cache, ..Linear::default() };
            self.normed(stream, "qkv", &attn.norm, &attn.qkv, rows, linear)?;
            let attend = Attend {
                q,
                out: y,
                row,
                per: 1,
                n_state: n as i32,
                rows: rows as i32,
                splits: 1,
                causal: shape.new as i32,
                memory: cache,
                ..Attend::default()
            };
            let grid = Grid::new(n / HEAD, rows, 256);
            unsafe { self.kernels.start(stream, "attend_1", grid, &attend)? };
            self.linear(stream, "add", &attn.out, rows, Linear { x: y, out: x, ..Linear::default() })?;

            let linear = Linear { out: q, ..Linear::default() };
            self.normed(stream, "store", &cross.norm, &cross.query, rows, linear)?;
            let memory = state.audio.at(stream, 2 * n_audio * i);
            for (_, head, out) in wanted.iter().filter(|(layer, ..)| *layer == i) {
                let scores = Scores {
                    q,
                    out: address(out)?,
                    row,
                    memory,
                    n_state: n as i32,
                    rows: rows as i32,
                    keys: shape.keys as i32,
                    head: *head as i32,
                };
                let grid = Grid::new(shape.keys.div_ceil(32), rows, 256);
                unsafe { self.kernels.start(stream, "scores", grid, &scores)? };
            }
            self.look(
                stream,
                shape,
                Attend { v_bias: address(&cross.value.bias)?, causal: 0, memory, ..attend },
            )?;
            self.linear(stream, "add", &cross.out, rows, Linear { x: y, out: x, ..Linear::default() })?;

            let linear = Linear { out: wide, ..Linear::default() };
            self.normed(stream, "gelu", &mlp.norm, &mlp.fc1, rows, linear)?;
            self.linear(stream, "add", &mlp.fc2, rows, Linear { x: wide, out: x, ..Linear::default() })?;
        }
        Ok(())
    }

    /// Attention to the audio, its keys shared out so that all of the GPU is busy.
    fn look(&self, stream: &Arc<CudaStream>, shape: Shape, attend: Attend) -> Result<()> {
        let (n_head, group) = (attend.n_state as usize / HEAD, if shape.per > 1 { 4 } else { 1 });
        let chunks = shape.rows / shape.per * shape.per.div_ceil(group);
        let splits = splits(chunks * n_head);
        let args = Attend {
            per: shape.per as i32,
            keys: shape.keys as i32,
            splits: splits as i32,
            partial: address(&self.state.partial)?,
            counter: address(&self.state.counter)?,
            ..attend
        };
        let name = if group == 4 { "attend_4" } else { "attend_1" };
        let grid = Grid { blocks: (n_head, chunks, splits), threads: 256, shared: 0 };
        unsafe { self.kernels.start(stream, name, grid, &args) }
    }

    /// A layer norm of the sum, then a product.
    fn normed(
        &self,
        stream: &Arc<CudaStream>,
        name: &str,
        norm: &Norm,
        layer: &Layer,
        rows: usize,
        args: Linear,
    ) -> Result<()> {
        if rows > FEW {
            let normed = address(&self.state.normed)?;
            self.norm(stream, norm, rows, normed)?;
            return self.linear(stream, name, layer, rows, Linear { x: normed, ..args });
        }
        let args = Linear {
            x: address(&self.state.x)?,
            norm_weight: address(&norm.weight)?,
            norm_bias: address(&norm.bias)?,
            ..args
        };
        self.linear(stream, name, layer, rows, args)
    }

    /// out: (rows, n_state) gets the norm of the sum.
    fn norm(&self, stream: &Arc<CudaStream>, norm: &Norm, rows: usize, out: u64) -> Result<()> {
        let args = AddNorm {
            x: address(&self.state.x)?,
            add: 0,
            add_bias: 0,
            weight: address(&norm.weight)?,
            bias: address(&norm.bias)?,
            out,
            n: norm.weight.dim(0)? as i32,
            rows: rows as i32,
        };
        unsafe { self.kernels.start(stream, "add_norm", Grid::new(rows.div_ceil(4), 1, 128), &args) }
    }

    fn linear(
        &self,
        stream: &Arc<CudaStream>,
        name: &str,
        Layer { weight, bias }: &Layer,
        rows: usize,
        args: Linear,
    ) -> Result<()> {
        let (n_out, n_in) = weight.dims2()?;
        let args = Linear {
            weight: address(weight)?,
            bias: address(bias)?,
            n_in: n_in as i32,
            n_out: n_out as i32,
            rows: rows as i32,
            ..args
        };
        product(self.kernels, stream, name, &args)
    }
}

/// How many ways the keys of an audio are shared out where there are so many heads and chunks of rows.
pub fn splits(blocks: usize) -> usize {
    (BLOCKS / blocks.max(1)).clamp(1, MOST_SPLITS)
}

/// `x · weightᵀ` and what follows, in the variant for as many rows.
///
/// # Errors
/// If the device fails.
pub fn product(kernels: &Kernels, stream: &CudaStream, name: &str, args: &Linear) -> Result<()> {
    let (rows, n_in) = (args.rows as usize, args.n_in as usize);
    let tiles = match rows {
        n if n <= FEW => 1,
        n if n <= 32 => 2,
        _ => 4,
    };
    // Outputs of a block, as the kernels are made.
    let wide = match (name, tiles) {
        ("store" | "add", _) => 8,
        ("gelu", 1) => 24,
        ("floats", 2) => 256,
        ("floats", _) => 128,
        ("qkv" | "gelu", 2) => 32,
        ("qkv" | "gelu", _) => 16,
        _ => bail!("no product is called `{name}`"),
    };
    let shared = if tiles == 1 && matches!(name, "qkv" | "store" | "gelu") {
        rows * (n_in + 8) * size_of::<u16>()
    } else {
        0
    };
    let blocks = ((args.n_out as usize).div_ceil(wide), rows.div_ceil(16 * tiles), 1);
    let grid = Grid { blocks, threads: 256, shared };
    unsafe { kernels.start(stream, &format!("{name}_{tiles}"), grid, args) }
}
