//! What a transcription says of itself, shown: a bar on stderr with the speed and the time left, and the lines that
//! openai/whisper prints. It also passes on the wish to stop.

use std::io::ErrorKind;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use candle_whisper_core::writers::format_timestamp;
use candle_whisper_core::{Event, Observer, Segment, TranscribeOptions, audio, languages};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::interrupt::Stop;

/// What to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Show {
    /// The progress bar, on stderr.
    pub bar: bool,
    /// Where lines go.
    pub lines: Lines,
    /// Whether each segment is a line.
    pub segments: bool,
}

impl Show {
    /// Whether only what is not as it should be is said: `--verbose None`, or text for another program.
    pub fn is_quiet(&self) -> bool {
        !self.bar && self.lines == Lines::Nowhere
    }
}

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// Nowhere.
    Nowhere,
    /// stdout, as the reference does.
    Stdout,
    /// stderr, while stdout carries the transcript.
    Stderr,
}

/// What openai/whisper says before it detects the language.
const DETECTING: &str = "Detecting language using up to the first 30 seconds. \
                         Use `--language` to specify the language";

/// Shows one recording's progress.
pub struct Display<'a> {
    show: Show,
    stop: &'a Stop,
    bar: ProgressBar,
    seek: usize,
    stopped: bool,
    /// Mel frames in the recording, once they are known.
    content_frames: Option<usize>,
    /// Whether the recording is being looked through.
    reading: bool,
    /// Lines that wait for those of the recordings before it.
    held: Option<Vec<String>>,
    /// Whose turn it is to show something, and this one's number.
    turn: Option<(Arc<AtomicUsize>, usize)>,
}

impl<'a> Display<'a> {
    /// For a recording that says it has `duration` seconds; 0 if it says nothing.
    pub fn new(show: Show, duration: f64, stop: &'a Stop) -> Self {
        let frames = (duration * audio::FRAMES_PER_SECOND as f64) as u64;
        let bar = if show.bar {
            let bar = ProgressBar::with_draw_target(Some(frames), ProgressDrawTarget::stderr());
            bar.set_style(style());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        } else {
            ProgressBar::hidden()
        };
        Self {
            show,
            stop,
            bar,
            seek: 0,
            stopped: false,
            content_frames: None,
            reading: false,
            held: None,
            turn: None,
        }
    }

    /// Shows nothing before it is the turn of this number, or before [`Display::release`]: others are shown.
    pub fn hold_until(&mut self, turn: Arc<AtomicUsize>, number: usize) {
        self.turn = Some((turn, number));
        if !self.is_turn() {
            self.held = Some(Vec::new());
            self.bar.set_draw_target(ProgressDrawTarget::hidden());
        }
    }

    fn is_turn(&self) -> bool {
        self.turn.as_ref().is_none_or(|(turn, number)| turn.load(Ordering::SeqCst) == *number)
    }

    /// Shows what was held, and what comes.
    pub fn release(&mut self) {
        let Some(lines) = self.held.take() else { return };
        if self.show.bar {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        lines.iter().for_each(|line| self.line(line));
    }

    /// Says that the language will be detected, if it will.
    pub fn detecting(&mut self, multilingual: bool, options: &TranscribeOptions) {
        if self.show.segments && multilingual && options.decode.language.is_none() {
            self.line(DETECTING);
        }
    }

    /// Whether the work ended before the recording did.
    pub fn set_cut_short(&mut self, cut_short: bool) {
        self.stopped = cut_short;
    }

    /// The second at which the work was cut short, if it was.
    pub fn cut_short(&self) -> Option<f64> {
        self.stopped.then(|| seconds(self.seek as u64))
    }

    /// Seconds in the recording, once that is known.
    pub fn duration(&self) -> Option<f64> {
        self.content_frames.map(|frames| seconds(frames as u64))
    }

    /// Takes the bar away.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }

    /// A line without time, such as the language.
    pub fn line(&mut self, line: &str) {
        if let Some(held) = &mut self.held {
            held.push(line.to_owned());
            return;
        }
        let lines = self.show.lines;
        let written = self.bar.suspend(|| match lines {
            Lines::Nowhere => Ok(()),
            Lines::Stdout => writeln!(std::io::stdout().lock(), "{line}"),
            Lines::Stderr => writeln!(std::io::stderr().lock(), "{line}"),
        });
        // Who closed the stream does not want lines; the files are made all the same.
        if written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
            self.show.lines = Lines::Nowhere;
        }
    }

    /// Speed and time left are of what is being done.
    fn reading(&mut self, reading: bool) {
        if self.reading != reading {
            self.reading = reading;
            self.bar.set_message(if reading { "reading " } else { "" });
            self.bar.reset();
        }
    }

    fn segment(&mut self, segment: &Segment) {
        if self.show.segments {
            let time = |seconds| format_timestamp(seconds, false, '.');
            let (start, end) = (time(segment.start), time(segment.end));
            self.line(&format!("[{start} --> {end}] {}", segment.text));
        }
    }
}

impl Observer for Display<'_> {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        if self.held.is_some() && self.is_turn() {
            self.release();
        }
        match event {
            Event::Language { code, .. } => {
                let name = languages::name_of(code).unwrap_or(code);
                self.line(&format!("Detected language: {}", title(name)));
            }
            Event::Reading { frames } => {
                self.reading(true);
                self.bar.set_length(self.bar.length().unwrap_or(0).max(frames as u64));
                self.bar.set_position(frames as u64);
            }
            Event::Segment(segment) => self.segment(segment),
            Event::Text { .. } => self.reading(false),
            Event::Window { seek, content_frames } => {
                self.reading(false);
                self.content_frames = Some(content_frames);
                self.seek = seek.min(content_frames);
                self.bar.set_length(content_frames as u64);
                self.bar.set_position(self.seek as u64);
            }
            _ => {}
        }
        if self.stop.asked() {
            self.stopped = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// Python's `str.title`, as far as names of languages need it.
fn title(name: &str) -> String {
    let words = name.split(' ').map(|word| {
        let mut chars = word.chars();
        chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
    });
    words.collect::<Vec<_>>().join(" ")
}

fn seconds(frames: u64) -> f64 {
    frames as f64 / audio::FRAMES_PER_SECOND as f64
}

fn style() -> ProgressStyle {
    let clock = |frames: u64| {
        let seconds = frames / audio::FRAMES_PER_SECOND as u64;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        let hours = if hours > 0 { format!("{hours}:") } else { String::new() };
        format!("{hours}{minutes:02}:{:02}", seconds % 60)
    };
    let speed = |state: &ProgressState| seconds(state.pos()) / state.elapsed().as_secs_f64().max(1e-3);
    let style = ProgressStyle::with_template("{wide_bar} {msg}{at} / {of}  {speed}{left}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    style
        .with_key("at", move |state: &ProgressState, w: &mut dyn std::fmt::Write| {
            let _ = w.write_str(&clock(state.pos()));
        })
        .with_key("of", move |state: &ProgressState, w: &mut dyn std::fmt::Write| {
            let _ = w.write_str(&clock(state.len().unwrap_or(0)));
        })
        .with_key("speed", move |state: &ProgressState, w: &mut dyn std::fmt::Write| {
            if state.pos() > 0 {
                let _ = write!(w, "{:.1}× real time", speed(state));
            }
        })
        .with_key("left", move |state: &ProgressState, w: &mut dyn std::fmt::Write| {
            let left = state.len().unwrap_or(0).saturating_sub(state.pos());
            if state.pos() > 0 {
                let frames = left as f64 / speed(state);
                let _ = write!(w, ", {} left", clock(frames as u64));
            }
        })
}
