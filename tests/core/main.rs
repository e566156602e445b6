//! Tests of the core crate: one module per room, one binary.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

mod amx;
mod anomalies;
mod arriving;
mod bad_audio;
mod batch;
mod candle;
mod compression;
mod crew;
mod data;
mod dims;
mod encoding;
mod filters;
mod formats;
mod guards;
mod heap;
mod integers;
mod kernels;
mod live;
mod media;
mod mel;
mod memory;
mod network;
mod resample;
mod samplers;
mod scripted;
mod segments;
mod stream;
mod subtitles;
mod timing;
mod tokenizer;
mod v3;
mod vad;
mod vocabulary;
mod windows;
mod writers;
