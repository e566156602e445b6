//! `models fetch`: models of the hub into the cache, for later and for where there is no network.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::hub::names::HubName;
use crate::hub::plan::Variant;
use crate::hub::settings::Settings;
use crate::hub::{self, Wish};
use crate::interrupt::Stop;
use crate::{messages, output};

/// What was typed after `models fetch`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Models: names that `models list` shows or OWNER/NAME, with @REVISION if wanted
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// The weights as published, even where a 16-bit variant is offered; for --dtype f32
    #[arg(long)]
    pub full: bool,
    /// Folder for models of the hub
    #[arg(long = "cache_dir", alias = "cache-dir", value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
}

/// Does what was typed; the folder of each model is printed once it is there.
///
/// # Errors
/// If some model can't be fetched; the others are.
pub fn run(args: &Args) -> Result<()> {
    let name = |typed: &String| {
        HubName::parse(typed).with_context(|| {
            let names = "`candle-whisper models list` shows names, others are OWNER/NAME";
            format!("`{typed}` can't be a model on the hub; {names}")
        })
    };
    let names = args.names.iter().map(name).collect::<Result<Vec<_>>>()?;
    Stop::default().listen().context("could not listen for signals")?;
    let settings = Settings::from_env(args.cache_dir.as_deref());
    let variant = if args.full { Variant::Full } else { Variant::Small };
    let wish = Wish { variant, bar: std::io::stderr().is_terminal() };
    let mut failed = 0;
    for name in &names {
        match hub::fetch(name, &settings, wish) {
            Ok(fetched) => {
                fetched.warning.iter().for_each(messages::warning);
                let line = format!("{}\n", fetched.folder.display());
                output::to_stdout(line.as_bytes()).context("could not write to stdout")?;
            }
            Err(trouble) => {
                failed += 1;
                if names.len() == 1 {
                    return Err(trouble.into());
                }
                messages::error(&trouble.into());
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {} models could not be fetched", names.len());
    }
    Ok(())
}
