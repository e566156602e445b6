//! `models list`: names that `--model` takes, and which of them are here.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::hub::names::{KNOWN, Known};
use crate::hub::scan::{InCache, scan};
use crate::hub::settings::Settings;
use crate::locate::{Location, locate};

/// What was typed after `models list`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Folder for models of the hub
    #[arg(long = "cache_dir", alias = "cache-dir", value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    name: String,
    repo: String,
    /// In millions, where they are known.
    parameters: Option<u32>,
    /// Of the weights at 16 bits.
    f16_bytes: Option<u64>,
    /// Whether it needs no hub: it ships with the program, or lies where named models are looked for.
    local: bool,
    /// Revisions that are whole in the cache.
    cached: Vec<String>,
    /// What they take on the disk, with what is not whole yet.
    cached_bytes: Option<u64>,
}

impl Row {
    fn new(name: &str, repo: &str, known: Option<&Known>, cache: Option<&InCache>) -> Self {
        Self {
            name: name.into(),
            repo: repo.into(),
            parameters: known.map(|known| known.millions),
            f16_bytes: known.map(Known::f16_bytes),
            local: matches!(locate(name, None), Ok(Location::Path(_))),
            cached: cache.map(|cache| cache.whole.clone()).unwrap_or_default(),
            cached_bytes: cache.map(|cache| cache.bytes),
        }
    }

    fn here(&self) -> String {
        let local = self.local.then(|| "on this machine".to_owned());
        let cached = self.cached_bytes.map(|bytes| match self.cached.is_empty() {
            true => format!("incomplete, {}", size(bytes)),
            false => format!("cached, {}", size(bytes)),
        });
        local.into_iter().chain(cached).collect::<Vec<_>>().join("; ")
    }
}

/// Does what was typed; gives what to print.
///
/// # Errors
/// If the cache can't be read.
pub fn run(args: &Args) -> Result<String> {
    let settings = Settings::from_env(args.cache_dir.as_deref());
    let cache = scan(&settings.cache)?;
    let find = |repo: &str| cache.iter().find(|found| found.repo == repo);
    let mut rows: Vec<Row> =
        KNOWN.iter().map(|known| Row::new(known.name, known.repo, Some(known), find(known.repo))).collect();
    let others = cache.iter().filter(|found| KNOWN.iter().all(|known| known.repo != found.repo));
    rows.extend(others.map(|found| Row::new(&found.repo, &found.repo, None, Some(found))));
    if args.json {
        return Ok(serde_json::to_string_pretty(&rows)? + "\n");
    }
    let mut page =
        format!("{:<18}{:<33}{:>10}{:>9}  {}\n", "NAME", "ON THE HUB", "PARAMETERS", "16 BITS", "HERE");
    for row in &rows {
        let parameters = row.parameters.map_or_else(String::new, |millions| format!("{millions} M"));
        let bytes = row.f16_bytes.map_or_else(String::new, size);
        let line = format!("{:<18}{:<33}{parameters:>10}{bytes:>9}  {}", row.name, row.repo, row.here());
        page.extend([line.trim_end(), "\n"]);
    }
    page.extend([format!("\ncache: {}\n", settings.cache.display())]);
    Ok(page)
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
