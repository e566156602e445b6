//! Threads of a computing worker: helpers that run the same module on the same memory.
//!
//! Rust's standard library comes compiled for one thread, and is not compiled anew here: its allocator, locks and
//! thread-locals know of no other. So a helper runs nothing of it but tasks of [`Pool::run`], which neither allocate
//! nor panic. How threads sleep and wake each other is left to whoever owns the crew; see [`crate::helpers`].

use std::hint::spin_loop;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering::*};

use candle_whisper_core::kernels::pool::Pool;

type Work<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// In [`Crew::state`]: whether there may be tasks to take. Below it, how many helpers are at it.
const OPEN: u32 = 1 << 31;
/// Looks at a word before a thread goes to sleep: some 50 µs, in which the next job mostly comes.
const LOOKS: u32 = 1 << 15;

/// Helpers, and the job they share with the thread that asks.
#[derive(Debug)]
pub struct Crew {
    /// Changes with every job; what helpers sleep on.
    turn: AtomicU32,
    state: AtomicU32,
    /// Helpers that sleep, or are about to.
    asleep: AtomicU32,
    /// How many there are.
    helpers: AtomicUsize,
    tasks: AtomicUsize,
    /// The first task that nobody has taken.
    next: AtomicUsize,
    /// A [`Work`] on the stack of the thread that asks.
    work: AtomicPtr<()>,
    /// Whether a helper has trapped.
    broken: AtomicBool,
    /// Wakes all who sleep on a word.
    wake: fn(&AtomicU32),
    /// Sleeps for a moment, or until the word is not this any more.
    nap: fn(&AtomicU32, u32),
}

impl Crew {
    /// Without helpers yet.
    pub const fn new(wake: fn(&AtomicU32), nap: fn(&AtomicU32, u32)) -> Self {
        Self {
            turn: AtomicU32::new(0),
            state: AtomicU32::new(0),
            asleep: AtomicU32::new(0),
            helpers: AtomicUsize::new(0),
            tasks: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            work: AtomicPtr::new(null_mut()),
            broken: AtomicBool::new(false),
            wake,
            nap,
        }
    }

    /// So many helpers are going to call [`Crew::help`]. -> the word that they sleep on
    pub fn hire(&self, helpers: usize) -> &AtomicU32 {
        self.helpers.store(helpers, Relaxed);
        self.asleep.store(helpers as u32, Relaxed);
        &self.turn
    }

    /// What a helper does all its life: this, then sleep until the word of [`Crew::hire`] is not what was returned,
    /// then this again. `thread` counts from 1; no two may have the same.
    pub fn help(&self, thread: usize) -> u32 {
        self.asleep.fetch_sub(1, Relaxed);
        loop {
            let turn = self.turn.load(Acquire);
            self.join(thread);
            if !(0..LOOKS).any(|_| {
                spin_loop();
                self.turn.load(Relaxed) != turn
            }) {
                // Before it looks again, as it goes to sleep: who changes the word after that sees one asleep.
                self.asleep.fetch_add(1, SeqCst);
                return turn;
            }
        }
    }

    /// What a helper does last, when a task has trapped.
    pub fn fail(&self) {
        self.broken.store(true, Relaxed);
        self.state.fetch_sub(1, Release);
    }

    /// Takes tasks of the job under way, if there is one.
    fn join(&self, thread: usize) {
        let join = |state| (state & OPEN != 0).then_some(state + 1);
        if self.state.fetch_update(Acquire, Relaxed, join).is_err() {
            return;
        }
        // SAFETY: the thread that asks does not leave while somebody has joined, and its job was there before OPEN.
        let work = unsafe { *self.work.load(Relaxed).cast::<Work<'_>>() };
        self.take(thread, work);
        self.state.fetch_sub(1, Release);
    }

    fn take(&self, thread: usize, work: Work<'_>) {
        let tasks = self.tasks.load(Relaxed);
        loop {
            let task = self.next.fetch_add(1, Relaxed);
            if task >= tasks {
                return;
            }
            work(thread, task);
        }
    }
}

impl Pool for Crew {
    fn threads(&self) -> usize {
        self.helpers.load(Relaxed) + 1
    }

    /// Only one thread may ask, and no task may.
    fn run(&self, tasks: usize, work: Work<'_>) {
        // Better than to wait for each other for ever.
        assert!(self.state.load(Relaxed) & OPEN == 0, "a task asks for threads");
        self.tasks.store(tasks, Relaxed);
        self.next.store(0, Relaxed);
        self.work.store((&raw const work).cast_mut().cast(), Relaxed);
        self.state.store(OPEN, Release);
        self.turn.fetch_add(1, SeqCst);
        if self.asleep.load(SeqCst) > 0 {
            (self.wake)(&self.turn);
        }
        self.take(0, work);
        let mut state = self.state.fetch_and(!OPEN, AcqRel) & !OPEN;
        let mut looks = 0;
        while state != 0 {
            if looks < LOOKS {
                looks += 1;
                spin_loop();
            } else {
                (self.nap)(&self.state, state);
            }
            state = self.state.load(Acquire);
        }
        assert!(!self.broken.load(Relaxed), "a helper has failed");
    }
}
