//! Tests of the native crate: one module per theme, one binary.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod ahead;
mod align;
mod around;
mod batch;
mod cache;
mod cli;
mod data;
mod flags;
mod formats;
mod heard;
mod hub;
mod input;
mod kept;
mod live;
mod memory;
mod output;
mod parity;
mod patience;
mod program;
mod resume;
mod run;
mod several;
mod shown;
mod stream;
