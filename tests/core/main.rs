//! Tests of the core crate.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bad_audio;
mod heap;
mod media;
mod resample;
