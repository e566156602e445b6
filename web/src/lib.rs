//! candle-whisper in the browser.
