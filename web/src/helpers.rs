//! The crew of this worker: `js/helpers.js` starts its helpers, which call [`help`] and sleep in turns.

use std::cell::OnceCell;
use std::sync::atomic::AtomicU32;

use candle_whisper_core::kernels::pool;
use js_sys::{Atomics, Int32Array};
use wasm_bindgen::prelude::*;

use crate::crew::Crew;

static CREW: Crew = Crew::new(wake, nap);

thread_local! {
    /// The memory as `Atomics` wants it. What is static stays where it is when memory grows.
    static WORDS: OnceCell<Int32Array> = const { OnceCell::new() };
}

/// Lets kernels use so many helpers from now on. `words` is the memory, which must be shared. -> the index of the word
/// there that helpers sleep on
#[wasm_bindgen]
pub fn hire(words: Int32Array, helpers: usize) -> u32 {
    WORDS.with(|cell| {
        let _ = cell.set(words);
    });
    let word = CREW.hire(helpers);
    pool::install(&CREW);
    index(word)
}

/// What a helper calls again and again, whenever the word of [`hire`] is not what this returned; see [`Crew::help`].
#[wasm_bindgen]
pub fn help(thread: usize) -> u32 {
    CREW.help(thread)
}

/// What a helper calls when [`help`] has trapped: the job fails, instead of waiting for ever.
#[wasm_bindgen(js_name = helpFailed)]
pub fn help_failed() {
    CREW.fail();
}

fn index(word: &AtomicU32) -> u32 {
    (word.as_ptr().addr() / size_of::<u32>()) as u32
}

fn wake(word: &AtomicU32) {
    WORDS.with(|words| words.get().map(|words| Atomics::notify(words, index(word))));
}

/// Milliseconds of a nap; nobody ends it sooner.
const NAP: f64 = 0.1;

fn nap(word: &AtomicU32, value: u32) {
    WORDS.with(|words| {
        words.get().map(|words| Atomics::wait_with_timeout(words, index(word), value as i32, NAP))
    });
}
