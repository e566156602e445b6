//! What a model needs against what is free, before it is loaded.

use std::fmt;

use candle_core::{DType, Device};
use candle_whisper_core::TranscribeOptions;
use candle_whisper_core::dims::ModelDimensions;
use candle_whisper_core::memory::{PerNumber, Processor, SHAPES, Usage, estimate, largest_batch};
use candle_whisper_core::weights::Matrices;

use crate::device;
use crate::load::Described;

/// Memory of this machine or of a device, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// All there is, or all that this process may have; swap space counts.
    pub total: u64,
    /// What can be had now without swapping.
    pub available: u64,
}

impl Memory {
    /// This machine's, within the limits of the process's control groups; `None` where the system doesn't say.
    pub fn of_machine() -> Option<Self> {
        if !sysinfo::IS_SUPPORTED_SYSTEM {
            return None;
        }
        let mut system = sysinfo::System::new();
        system.refresh_memory();
        let machine =
            Self { total: system.total_memory() + system.total_swap(), available: system.available_memory() };
        let pid = sysinfo::get_current_pid().ok()?;
        let this = sysinfo::ProcessesToUpdate::Some(&[pid]);
        system.refresh_processes_specifics(this, false, sysinfo::ProcessRefreshKind::nothing());
        // A group's cached files give way, so what it uses beside them is what counts.
        let group = system.process(pid).and_then(sysinfo::Process::cgroup_limits).map(|limits| Self {
            total: limits.total_memory.saturating_add(limits.free_swap),
            available: limits.total_memory.saturating_sub(limits.rss),
        });
        Some(group.map_or(machine, |group| machine.within(group)))
    }

    /// That of the device the network will be on.
    pub fn of(device: &Device) -> Option<Self> {
        if device.is_cpu() { Self::of_machine() } else { device::memory(device) }
    }

    fn within(self, limit: Self) -> Self {
        Self { total: self.total.min(limit.total), available: self.available.min(limit.available) }
    }
}

/// A model's files as far as its memory depends on them.
#[derive(Debug, Clone, PartialEq)]
pub struct Needs {
    /// The network's sizes.
    pub dims: ModelDimensions,
    /// Heads that word times come from.
    pub n_alignment_heads: usize,
    /// What its large matrices take in a CPU's memory, in f32.
    cpu: Option<PerNumber>,
    /// The same on a GPU, if they stay quantised there.
    gpu: Option<PerNumber>,
    /// Whether a CPU multiplies integers.
    integers: bool,
}

impl Needs {
    /// Of a model as its files describe it. They are mapped, so loading holds nothing beside the weights.
    pub fn of(described: &Described, matrices: impl Fn(Processor) -> Matrices) -> Self {
        let Described { checkpoint, dims, alignment_heads } = described;
        let of = |processor, dtype| PerNumber::of(checkpoint, matrices(processor), processor, dtype);
        Self {
            dims: dims.clone(),
            n_alignment_heads: alignment_heads.len(),
            cpu: of(Processor::Cpu, DType::F32),
            gpu: of(Processor::Gpu, DType::F32),
            integers: matrices(Processor::Cpu) == Matrices::Blocks,
        }
    }

    /// How the model is used with these options, on a recording of 30 s.
    pub fn usage(&self, processor: Processor, dtype: DType, options: &TranscribeOptions) -> Usage {
        let seconds = candle_whisper_core::audio::CHUNK_LENGTH as f64;
        let previous = options.condition_on_previous_text;
        let matrices = if processor == Processor::Cpu { self.cpu } else { self.gpu };
        let usage = Usage { processor, dtype, matrices, integers: self.integers, ..Usage::default() };
        let usage = usage.with_options(options, self.n_alignment_heads, seconds);
        // Longer ones need more for their samples, which is little, but every window has text before it.
        let n_audio = options.batch.unwrap_or(1);
        Usage { prompted: usage.prompted || previous, n_audio, ..usage }
    }
}

/// Windows at once on a GPU at most, where the memory chooses: with `tiny.en` 64 took no less time than 16 (README, "CUDA"), and
/// what is not begun yet can still go to another GPU.
pub const MOST_ON_GPU: usize = 64;
/// The same on a CPU, which gains little by more than a few (README, "Several windows at once").
pub const MOST_ON_CPU: usize = 8;

/// As many windows at once as there is room for. An estimate may be a tenth too low, so nine tenths of it are filled.
pub fn windows_at_once(dims: &ModelDimensions, usage: &Usage, available: u64) -> usize {
    let most = match usage.processor {
        Processor::Cpu => MOST_ON_CPU,
        Processor::Gpu => MOST_ON_GPU,
    };
    largest_batch(dims, usage, most, available / 10 * 9)
}

/// Whether a model will find the memory that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It will.
    Fits,
    /// Not unless other programs give some back.
    Tight(Shortage),
    /// Never on this machine or device.
    Impossible(Shortage),
}

/// Too little memory, and what would do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    needed: u64,
    memory: Memory,
    processor: Processor,
    remedy: Option<String>,
}

/// Compares. An estimate may be a tenth too high, so only what exceeds everything by more is called impossible: no
/// flag is needed to insist.
pub fn compare(dims: &ModelDimensions, usage: &Usage, memory: Memory) -> Fit {
    let needed = estimate(dims, usage).peak();
    if needed <= memory.available {
        return Fit::Fits;
    }
    let remedy = remedy(dims, usage, memory.available);
    let shortage = Shortage { needed, memory, processor: usage.processor, remedy };
    if needed / 10 * 9 > memory.total { Fit::Impossible(shortage) } else { Fit::Tight(shortage) }
}

/// The smallest change after which the model fits: fewer beams, a smaller number format, or the largest of the
/// smaller models.
fn remedy(dims: &ModelDimensions, usage: &Usage, available: u64) -> Option<String> {
    let fits = |dims: &ModelDimensions, usage: &Usage| {
        let needed = estimate(dims, usage).peak();
        (needed <= available).then(|| Bytes(needed).to_string())
    };
    let one_window = Usage { n_audio: 1, ..*usage };
    if let (2.., Some(needed)) = (usage.n_audio, fits(dims, &one_window)) {
        return Some(format!("one window at a time would fit ({needed})"));
    }
    let greedy = Usage { n_group: 1, ..one_window };
    if let (2.., Some(needed)) = (usage.n_group, fits(dims, &greedy)) {
        return Some(format!("`--beam_size None --best_of None` would fit ({needed})"));
    }
    let half = Usage { dtype: DType::F16, ..*usage };
    if usage.processor == Processor::Gpu
        && usage.dtype == DType::F32
        && let Some(needed) = fits(dims, &half)
    {
        return Some(format!("`--dtype f16` would fit ({needed})"));
    }
    SHAPES.iter().find_map(|(name, shape)| {
        let needed = fits(shape, usage)?;
        Some(format!("a model of the size of `{name}` would fit ({needed})"))
    })
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Memory { total, available } = self.memory;
        let (needed, total, available) = (Bytes(self.needed), Bytes(total), Bytes(available));
        let place = match self.processor {
            Processor::Cpu => "this machine",
            Processor::Gpu => "the GPU",
        };
        write!(
            f,
            "the model needs about {needed} of memory; {place} has {total}, of which {available} are free"
        )?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// A number of bytes for people: three digits, powers of 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        let (value, unit) = match self.0 {
            ..1_000_000_000 => (bytes / 1e6, "MB"),
            _ => (bytes / 1e9, "GB"),
        };
        let decimals = if value < 9.95 { 1 } else { 0 };
        f.pad(&format!("{value:.decimals$} {unit}"))
    }
}
