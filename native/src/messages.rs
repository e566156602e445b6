//! Words for people, all to stderr and in one manner. What they can't be told because stderr is closed stays untold.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

/// Something went wrong; `error` with its causes.
pub fn error(error: &anyhow::Error) {
    say("error", "1;31", &format!("{error:#}"));
}

/// Something is not as one might think.
pub fn warning(text: impl Display) {
    say("warning", "1;33", &text);
}

/// Something worth knowing.
pub fn note(text: impl Display) {
    say("note", "1;36", &text);
}

/// What to do about the line before.
pub fn hint(text: impl Display) {
    say("hint", "1;36", &text);
}

fn say(kind: &str, colour: &str, text: &dyn Display) {
    let mut stderr = std::io::stderr().lock();
    let _ = if coloured() {
        writeln!(stderr, "\x1b[{colour}m{kind}:\x1b[0m {text}")
    } else {
        writeln!(stderr, "{kind}: {text}")
    };
}

/// Colours are for terminals that know them, unless `NO_COLOR` says otherwise.
fn coloured() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stderr().is_terminal() && !set("NO_COLOR") && !dumb
}
