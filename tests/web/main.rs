//! Tests of the web crate that need no browser: what crosses the bridge. Those that do are in `node/` and `browser/`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bridge;
mod crew;
mod estimate;
mod options;
