//! Who brings recordings that are transcribed together, and is told of them.

use std::ops::{ControlFlow, Deref, DerefMut};

use super::Transcription;
use crate::error::Result;
use crate::observer::{Event, Observer};

/// Recordings that are transcribed together; each is known by its number, in the order in which they come.
pub trait Recordings {
    /// The next recording, just started with the option `batch`, or gone on from a checkpoint; `None` if there is none.
    fn next(&mut self) -> Option<Transcription>;

    /// Something happens in a recording; `Break` ends all of them.
    fn event(&mut self, number: usize, event: Event<'_>) -> ControlFlow<()>;

    /// Windows of a recording are done, which makes it time for a checkpoint. False gives the recording up.
    fn windows_done(&mut self, number: usize, run: &mut Transcription) -> bool;

    /// A recording is done, as far as nobody ended it, or it can't be heard. The others go on, but for a `Break`.
    fn ended(&mut self, number: usize, run: Result<Transcription>) -> ControlFlow<()>;
}

/// A recording of [`Recordings`], or one that somebody else goes on with.
pub(super) enum Held<'r> {
    Own(Box<Transcription>),
    Lent(&'r mut Transcription),
}

impl Deref for Held<'_> {
    type Target = Transcription;

    fn deref(&self) -> &Transcription {
        match self {
            Self::Own(run) => run,
            Self::Lent(run) => run,
        }
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Transcription {
        match self {
            Self::Own(run) => run,
            Self::Lent(run) => run,
        }
    }
}

/// One recording, and who is told of it.
pub(super) struct Lone<'o>(pub(super) &'o mut dyn Observer);

impl Recordings for Lone<'_> {
    fn next(&mut self) -> Option<Transcription> {
        None
    }

    fn event(&mut self, _number: usize, event: Event<'_>) -> ControlFlow<()> {
        self.0.event(event)
    }

    fn windows_done(&mut self, _number: usize, _run: &mut Transcription) -> bool {
        true
    }

    fn ended(&mut self, _number: usize, _run: Result<Transcription>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
