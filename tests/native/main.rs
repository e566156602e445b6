//! Tests of the native crate: one module per theme, one binary.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod data;
mod parity;
