//! The threads that kernels share work between: rayon's, or those of whoever computes where rayon has none.

use std::cell::RefCell;
use std::sync::OnceLock;

use rayon::prelude::*;

use super::shared::SharedOut;

/// Threads that run tasks, in place of rayon's; a browser's workers, for instance.
pub trait Pool: Sync {
    /// How many there are, the one that asks among them; at least one.
    fn threads(&self) -> usize;

    /// Calls `work(thread, task)` once for every task below `tasks`, `thread` being below [`Pool::threads`] and no two
    /// calls with the same thread at a time. Returns when all are done. `work` neither allocates nor panics,
    /// nor does it ask for threads.
    fn run(&self, tasks: usize, work: &(dyn Fn(usize, usize) + Sync));
}

static INSTALLED: OnceLock<&dyn Pool> = OnceLock::new();

/// Makes kernels use these threads from now on; false if there are others already.
pub fn install(pool: &'static dyn Pool) -> bool {
    INSTALLED.set(pool).is_ok()
}

/// Threads that work is split for.
pub fn threads() -> usize {
    INSTALLED.get().map_or_else(rayon::current_num_threads, |pool| pool.threads())
}

/// Tasks one by one: as rayon would share them out by itself, a quarter of all waited for one thread at the end. (In a browser it has no
/// threads, and the module is small.)
fn by_rayon(tasks: usize, work: impl Fn(usize) + Sync + Send) {
    match cfg!(target_arch = "wasm32") {
        true => (0..tasks).for_each(work),
        false => (0..tasks).into_par_iter().with_max_len(1).for_each(work),
    }
}

/// Calls `work` once for every task below `tasks`, several at a time.
pub(crate) fn each(tasks: usize, work: impl Fn(usize) + Sync + Send) {
    match INSTALLED.get() {
        _ if tasks < 2 => (0..tasks).for_each(work),
        Some(pool) => pool.run(tasks, &|_, task| work(task)),
        None => by_rayon(tasks, work),
    }
}

/// The same with room for `len` numbers that no other call uses meanwhile; what they are is left from another call.
pub(crate) fn each_with(tasks: usize, len: usize, work: impl Fn(&mut [f32], usize) + Sync) {
    match INSTALLED.get() {
        _ if tasks < 2 => (0..tasks).for_each(|task| with_room(len, |room| work(room, task))),
        Some(pool) => {
            let mut all = vec![0f32; pool.threads() * len];
            let shared = SharedOut::new(all.as_mut_ptr());
            pool.run(tasks, &|thread, task| {
                // SAFETY: each thread has its own part, and runs one task at a time.
                work(unsafe { std::slice::from_raw_parts_mut(shared.at(thread * len), len) }, task);
            });
        }
        None => by_rayon(tasks, |task| with_room(len, |room| work(room, task))),
    }
}

/// Room for `len` numbers that this thread keeps for the next time: to fill it with zeros takes as long as some tasks. (In a browser the
/// threads are those of [`install`], and the module is small.)
fn with_room(len: usize, work: impl FnOnce(&mut [f32])) {
    if cfg!(target_arch = "wasm32") {
        return work(&mut vec![0.0; len]);
    }
    thread_local!(static ROOM: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) });
    // Taken, not borrowed: what is asked for within would find none, and make its own.
    let mut room = ROOM.take();
    if room.len() < len {
        room.resize(len, 0.0);
    }
    work(&mut room[..len]);
    ROOM.set(room);
}

/// Calls `work` with every piece of `size` numbers of `out` and its number; the last may be shorter.
pub(crate) fn each_chunk<T: Send>(out: &mut [T], size: usize, work: impl Fn(&mut [T], usize) + Sync) {
    let (len, start) = (out.len(), SharedOut::new(out.as_mut_ptr()));
    // SAFETY: each task is run once.
    each(len.div_ceil(size), |task| work(unsafe { chunk(start, len, size, task) }, task));
}

/// The same with room for `len` numbers for each, as [`each_with`] has it.
pub(crate) fn each_chunk_with<T: Send>(
    out: &mut [T],
    size: usize,
    len: usize,
    work: impl Fn(&mut [T], &mut [f32]) + Sync,
) {
    let (n, start) = (out.len(), SharedOut::new(out.as_mut_ptr()));
    // SAFETY: each task is run once.
    each_with(n.div_ceil(size), len, |room, task| work(unsafe { chunk(start, n, size, task) }, room));
}

/// A piece of `size` numbers of `len`, by its number; the last may be shorter.
///
/// # Safety
/// `start` must be that of as many numbers, and nobody else may have this piece.
unsafe fn chunk<'a, T>(start: SharedOut<T>, len: usize, size: usize, number: usize) -> &'a mut [T] {
    let first = number * size;
    unsafe { std::slice::from_raw_parts_mut(start.at(first), size.min(len - first)) }
}
