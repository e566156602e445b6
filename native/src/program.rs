//! From the words typed to the exit code.

use std::cell::Cell;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use candle_core::DeviceLocation;
use candle_whisper_core::kernels::{self, Level};
use candle_whisper_core::languages::LANGUAGES;
use candle_whisper_core::memory::{Processor, Usage, estimate};
use candle_whisper_core::weights::Matrices;

use crate::align::{Aligner, read_text};
use crate::cli::{self, Command};
use crate::device::{Choice, Precision};
use crate::engine::Loaded;
use crate::hub::Wish;
use crate::hub::plan::Variant;
use crate::hub::settings::Settings;
use crate::interrupt::{self, Stop};
use crate::job::{Job, Terminals};
use crate::live::{self, LiveJob};
use crate::load::{ModelFiles, Numbers};
use crate::memory::{Bytes, Fit, Memory, Needs, compare, windows_at_once};
use crate::options::BadUsage;
use crate::run::{Engine, Outcome, run, run_on_several};
use crate::{device, load, messages, output};

/// The environment's variable that names a [`Level`].
const KERNELS: &str = "CANDLE_WHISPER_KERNELS";

const SOME_FAILED: u8 = 1;
const BAD_USAGE: u8 = 2;

/// Runs the program; what was typed begins with the program's name.
pub fn start(typed: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match cli::parse(typed) {
        Ok(cli) => cli,
        Err(said) => {
            // Help and the version go to a reader who may have gone.
            let _ = said.print();
            return ExitCode::from(if said.use_stderr() { BAD_USAGE } else { 0 });
        }
    };
    if let Err(complaint) = limit_kernels() {
        return complain(complaint);
    }
    let terminals =
        Terminals { stdout: std::io::stdout().is_terminal(), stderr: std::io::stderr().is_terminal() };
    let done = match cli.command {
        Some(Command::Align(typed)) => {
            match typed.transcription().and_then(|args| {
                args.network.only_device("align")?;
                Job::new(&args, terminals)
            }) {
                Ok(job) => align(&job, &typed.text),
                Err(complaint) => return complain(complaint),
            }
        }
        Some(Command::Live(args)) if args.list_devices => live::list_devices().and_then(print),
        Some(Command::Live(args)) => match LiveJob::new(&args, terminals) {
            Ok(job) => listen(&job),
            Err(complaint) => return complain(complaint),
        },
        Some(command) => other(&command).and_then(print),
        None => match Job::new(&cli.args, terminals) {
            Ok(job) => transcribe(&job),
            Err(complaint) => return complain(complaint),
        },
    };
    match done {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::SomeFailed) => ExitCode::from(SOME_FAILED),
        Ok(Outcome::Interrupted) => ExitCode::from(interrupt::EXIT_CODE),
        Err(error) => {
            messages::error(&error);
            ExitCode::from(SOME_FAILED)
        }
    }
}

/// The most of the processor's instructions that is used, for comparisons.
fn limit_kernels() -> Result<(), BadUsage> {
    let Some(name) = std::env::var_os(KERNELS).filter(|name| !name.is_empty()) else { return Ok(()) };
    let level = Level::named(&name.to_string_lossy()).map_err(|error| BadUsage {
        what: format!("{KERNELS}: {error}"),
        hint: Some(format!("unset {KERNELS} for all that the processor has")),
    })?;
    kernels::limit(level);
    Ok(())
}

fn complain(complaint: BadUsage) -> ExitCode {
    messages::error(&anyhow::Error::msg(complaint.what));
    let hint = complaint.hint.unwrap_or_else(|| "`candle-whisper --help` explains every flag".into());
    messages::hint(hint);
    ExitCode::from(BAD_USAGE)
}

fn align(job: &Job, text: &Path) -> anyhow::Result<Outcome> {
    let text = read_text(text)?;
    let unheard = Cell::default();
    let load = || Ok(Aligner { loaded: load_engine(job)?, text: &text, unheard: &unheard });
    let outcome = work(job, load)?;
    let (unheard, all) = unheard.get();
    if unheard > 0 {
        messages::warning(format_args!(
            "{unheard} of {all} words of the text were not heard: their probability is 0"
        ));
    }
    Ok(outcome)
}

fn transcribe(job: &Job) -> anyhow::Result<Outcome> {
    let stop = prepare(job)?;
    run_on_several(job, |most| load_engines(job, most), &stop)
}

fn work<E: Engine>(job: &Job, load: impl FnOnce() -> anyhow::Result<E>) -> anyhow::Result<Outcome> {
    let stop = prepare(job)?;
    run(job, load, &stop)
}

fn listen(job: &LiveJob) -> anyhow::Result<Outcome> {
    let stop = prepare(&job.job)?;
    live::run(job, || Ok(load_engine(&job.job)?.transcriber), &stop).map(|()| Outcome::Done)
}

/// Warnings, signals and threads.
fn prepare(job: &Job) -> anyhow::Result<Stop> {
    job.warnings.iter().for_each(messages::warning);
    let stop = Stop::default();
    stop.listen().context("could not listen for signals")?;
    // This thread works too: each product would otherwise wait for another thread to wake up.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(job.threads).use_current_thread();
    pool.build_global().context("could not start threads")?;
    Ok(stop)
}

fn load_engine(job: &Job) -> anyhow::Result<Loaded> {
    load_engines(job, 1)?.pop().context("there is no device")
}

/// One model for each device, at most `most`.
fn load_engines(job: &Job, most: usize) -> anyhow::Result<Vec<Loaded>> {
    let devices = job.devices.at_most(most);
    if devices.count() < job.devices.count() {
        messages::note(format_args!(
            "a recording is computed by one GPU: {} of {} have nothing to do",
            job.devices.count() - devices.count(),
            job.devices.count()
        ));
    }
    let folder = find(job)?;
    let could_not_load = || format!("could not load `{}`", folder.display());
    let files = ModelFiles::find(&folder).with_context(could_not_load)?;
    let described = load::describe(&files).with_context(could_not_load)?;
    let needs = Needs::of(&described, |processor| job.precision.matrices(processor));
    let usage = |processor, dtype| needs.usage(processor, dtype, &job.options);
    let needed = |processor, dtype| estimate(&needs.dims, &usage(processor, dtype)).peak();
    let choices = device::choose_all(&devices, job.precision, needed);
    drop(described);
    device::multiply_as(job.precision);
    // Before the first is loaded, for others may be on the same device.
    let batches: Vec<_> = choices
        .iter()
        .map(|choice| job.batch_by_memory.then(|| choose_batch(job, &needs, choice, &choices)))
        .collect();
    let mut engines = Vec::new();
    for (Choice { device, dtype, warnings, note }, batch) in choices.into_iter().zip(batches) {
        let (windows, windows_note) = batch.unzip();
        note.iter().for_each(messages::note);
        windows_note.iter().filter(|_| !job.show.is_quiet()).for_each(messages::note);
        warnings.iter().for_each(messages::warning);
        if let Some(memory) = Memory::of(&device) {
            let usage = usage(device::processor(&device), dtype);
            let usage = Usage { n_audio: windows.unwrap_or(usage.n_audio), ..usage };
            match compare(&needs.dims, &usage, memory) {
                Fit::Fits => {}
                Fit::Tight(shortage) => messages::warning(shortage),
                Fit::Impossible(shortage) => {
                    return Err(anyhow::Error::msg(shortage).context(could_not_load()));
                }
            }
        }
        let tf32 = if job.precision == Precision::Tf32 && device.is_cuda() { " TF32" } else { "" };
        // One GPU computes what another does.
        let processor = device::processor(&device);
        let matrices = job.precision.matrices(processor);
        let numbers = format!("{processor:?} {dtype:?} {matrices:?}{tf32}");
        let loaded = load::load_files(&files, &device, Numbers { dtype: Some(dtype), matrices });
        engines.push(Loaded {
            transcriber: loaded.with_context(could_not_load)?,
            files: files.clone(),
            numbers,
            windows,
            same_in_any_batch: (processor, matrices) == (Processor::Cpu, Matrices::Blocks),
        });
    }
    Ok(engines)
}

/// How many windows a device is to decode at once, and why. Models on one device have equal shares of what is free there.
fn choose_batch(job: &Job, needs: &Needs, choice: &Choice, all: &[Choice]) -> (usize, String) {
    let at = choice.device.location();
    let usage = needs.usage(device::processor(&choice.device), choice.dtype, &job.options);
    let sharers = all.iter().filter(|other| other.device.location() == at).count() as u64;
    let memory = Memory::of(&choice.device);
    let n = memory.map_or(1, |memory| windows_at_once(&needs.dims, &usage, memory.available / sharers));
    let place = match at {
        DeviceLocation::Cuda { gpu_id } if all.len() > 1 => format!(" on GPU {gpu_id}"),
        _ => String::new(),
    };
    let needed = Bytes(estimate(&needs.dims, &Usage { n_audio: n, ..usage }).peak());
    let windows = if n == 1 { "one window at a time".into() } else { format!("{n} windows at once") };
    let free = match memory {
        Some(memory) if sharers > 1 => format!("{} are free for each", Bytes(memory.available / sharers)),
        Some(memory) => format!("{} are free", Bytes(memory.available)),
        None => "how much is free is not known".into(),
    };
    (n, format!("{windows}{place}: the model needs {needed}, {free}"))
}

/// The model's folder; a model of the hub is fetched if it isn't here.
fn find(job: &Job) -> anyhow::Result<PathBuf> {
    // Who asks for 32 bits wants no weights that were rounded to 16.
    let variant = if matches!(job.precision, Precision::F32 | Precision::Tf32) {
        Variant::Full
    } else {
        Variant::Small
    };
    let settings = Settings::from_env(job.cache_dir.as_deref());
    let fetched = job.model.fetch(&settings, Wish { variant, bar: job.show.bar })?;
    fetched.warning.iter().for_each(messages::warning);
    Ok(fetched.folder)
}

/// What the other commands print.
fn other(command: &Command) -> anyhow::Result<String> {
    let mut page = Vec::new();
    match command {
        // It has its own way above.
        Command::Align(_) => {}
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut cli::command(), "candle-whisper", &mut page);
        }
        Command::Man => clap_mangen::Man::new(cli::command()).render(&mut page)?,
        Command::Languages => {
            for (code, name) in LANGUAGES {
                page.extend(format!("{code}\t{name}\n").into_bytes());
            }
        }
        Command::Live(_) => {} // needs more than a page
        Command::Models { command } => return command.run(),
    }
    Ok(String::from_utf8(page)?)
}

fn print(page: String) -> anyhow::Result<Outcome> {
    output::to_stdout(page.as_bytes()).context("could not write to stdout")?;
    Ok(Outcome::Done)
}
