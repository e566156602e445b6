//! The program: what was typed becomes work, and the outcome an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    candle_whisper::program::start(std::env::args_os())
}
