//! What several downloads share: the bar of bytes on stderr, and whether to give up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Watches the downloads of one model.
pub struct Watch {
    bar: ProgressBar,
    name: String,
    failed: AtomicBool,
}

impl Watch {
    /// Of `total` bytes of the model called `name`, with a bar if `show`.
    pub fn new(show: bool, name: &str, total: u64) -> Self {
        let bar = if show {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let template = "{msg} {wide_bar} {decimal_bytes} / {decimal_total_bytes}  {decimal_bytes_per_sec}, {eta} left";
            bar.set_style(
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_message(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        } else {
            ProgressBar::hidden()
        };
        Self { bar, name: name.to_owned(), failed: AtomicBool::new(false) }
    }

    /// These bytes were here before: they count, but not for the speed.
    pub fn here(&self, bytes: u64) {
        self.bar.inc(bytes);
        self.bar.reset_eta();
    }

    /// These bytes came.
    pub fn came(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// These bytes count no more.
    pub fn lost(&self, bytes: u64) {
        self.bar.dec(bytes);
    }

    /// What is done at the moment besides waiting for bytes; nothing for no more than that.
    pub fn say(&self, words: &str) {
        self.bar.set_message(if words.is_empty() {
            self.name.clone()
        } else {
            format!("{}: {words}", self.name)
        });
    }

    /// Another download of the model has failed: what comes now is of no use yet.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Whether to give up.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
