//! The program: what was typed becomes work, and the outcome an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    keep_freed_memory();
    candle_whisper::program::start(std::env::args_os())
}

/// Every layer frees what the next one asks for again; glibc would give it back to Linux in between, which clears each page anew. A
/// fourteenth of the time for 11 s of sound, for 3 % more memory at most (`tests/bench/results/kernels.md`).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_freed_memory() {
    /// The largest that glibc takes.
    const MOST_FROM_HEAP: i32 = 32 << 20;
    // SAFETY: it takes two numbers, and nothing else runs yet.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MOST_FROM_HEAP);
    }
}
