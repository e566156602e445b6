//! Errors as JavaScript sees them: words, and a `code` to tell them apart by.

use std::sync::Mutex;

use candle_whisper_core::Error;
use wasm_bindgen::{JsCast, JsValue};

/// What the error is about: `audio`, `bad-option` or `model`.
pub fn code(error: &Error) -> &'static str {
    match error {
        Error::Audio(_) | Error::Io(_) => "audio",
        Error::Options(_) => "bad-option",
        _ => "model",
    }
}

/// The error to throw: a `CandleWhisperError` in all but its class, which the JavaScript beside it gives.
pub fn thrown(error: &Error) -> JsValue {
    let value = js_sys::Error::new(&error.to_string());
    // A fresh `Error` takes any property.
    let _ = js_sys::Reflect::set(value.unchecked_ref(), &"code".into(), &code(error).into());
    value.into()
}

static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

/// From now on the words of a panic are kept, for [`last_panic`]: wasm shows them nowhere.
pub fn keep_panics() {
    std::panic::set_hook(Box::new(|info| {
        *LAST_PANIC.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(info.to_string());
    }));
}

/// The words of the last panic.
pub fn last_panic() -> Option<String> {
    LAST_PANIC.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
}
