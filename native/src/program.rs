//! From the words typed to the exit code.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use candle_whisper_core::Transcriber;
use candle_whisper_core::languages::LANGUAGES;

use crate::cli::{self, Command};
use crate::interrupt::{self, Stop};
use crate::job::{Job, Terminals};
use crate::load::Numbers;
use crate::options::BadUsage;
use crate::run::{Outcome, run};
use crate::{device, load, messages, output};

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
    let done = match cli.command {
        Some(command) => other(&command).map(|()| Outcome::Done),
        None => {
            let terminals = Terminals {
                stdout: std::io::stdout().is_terminal(),
                stderr: std::io::stderr().is_terminal(),
            };
            match Job::new(&cli.args, terminals) {
                Ok(job) => transcribe(&job),
                Err(complaint) => return complain(complaint),
            }
        }
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

fn complain(complaint: BadUsage) -> ExitCode {
    messages::error(&anyhow::Error::msg(complaint.what));
    let hint = complaint.hint.unwrap_or_else(|| "`candle-whisper --help` explains every flag".into());
    messages::hint(hint);
    ExitCode::from(BAD_USAGE)
}

fn transcribe(job: &Job) -> anyhow::Result<Outcome> {
    job.warnings.iter().for_each(messages::warning);
    let stop = Stop::default();
    stop.listen().context("could not listen for signals")?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(job.threads);
    pool.build_global().context("could not start threads")?;
    run(job, || load_engine(job), &stop)
}

fn load_engine(job: &Job) -> anyhow::Result<Transcriber> {
    let (device, warning) = device::select(job.device);
    let (dtype, other_warning) = device::dtype(job.precision, &device);
    warning.iter().chain(&other_warning).for_each(messages::warning);
    load::load(&job.model, &device, Numbers { dtype, matrices: job.precision.matrices() })
}

fn other(command: &Command) -> anyhow::Result<()> {
    let mut page = Vec::new();
    match command {
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut cli::command(), "candle-whisper", &mut page);
        }
        Command::Man => clap_mangen::Man::new(cli::command()).render(&mut page)?,
        Command::Languages => {
            for (code, name) in LANGUAGES {
                page.extend(format!("{code}\t{name}\n").into_bytes());
            }
        }
        Command::Models { command } => page = command.run()?.into_bytes(),
    }
    output::to_stdout(&page).context("could not write to stdout")?;
    Ok(())
}
