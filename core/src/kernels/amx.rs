//! Products on a processor's matrix unit (Intel AMX, on Linux): sixteen rows by sixteen columns over 32 steps of k in one instruction.
//! Its factors have eight significant bits, so a number is taken as the sum of up to three of them, and products of small parts by
//! small ones are left out: what remains is off by as little as f32 is. Sums are in f32.
//!
//! Numbers below 1e-38 count as zero there, and an infinite one gives infinity or what is no number.

use std::cell::RefCell;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::level::{Level, level};
use super::room::room;
use super::shared::SharedOut;

mod attention;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod instructions;
mod lay;
mod product;

pub(super) use attention::{Asked, Head, QUERIES, many_queries};
pub(super) use product::{Factor, product};

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub(super) use Slow as Amx;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) use instructions::Amx;

/// Whether there is anything of it in this build: a browser's module has no room for what only tests would use.
pub(super) const IS_BUILT: bool = !cfg!(target_family = "wasm");

/// Rows and columns of a tile.
const SIDE: usize = 16;
/// Steps over k of a tile.
const STEPS: usize = 32;

/// Sixteen rows of 32 numbers, or 32 steps of sixteen columns, two steps of a column beside each other.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Tile([[u32; SIDE]; SIDE]);

/// Calls `work` with room for `n` tiles that this thread keeps for the next time: megabytes given back and asked for again after every
/// product cost time, and leave holes that nothing else fits into.
pub(super) fn with_tiles(n: usize, work: impl FnOnce(SharedOut<Tile>)) {
    thread_local!(static ROOM: RefCell<Vec<Tile>> = const { RefCell::new(Vec::new()) });
    // Taken, not borrowed, as in [`super::pool`].
    let mut tiles = ROOM.take();
    if tiles.capacity() < n {
        drop(tiles);
        tiles = room(n);
    }
    work(SharedOut::new(tiles.as_mut_ptr()));
    ROOM.set(tiles);
}

/// Whether the kernels use it.
#[inline(always)]
pub(super) fn is_used() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    return level() == Level::Amx;
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    false
}

/// Eight registers, each a tile or its sums.
pub(super) trait Unit {
    /// # Safety
    /// The processor must have it.
    unsafe fn begin() -> Self;

    fn zero<const T: usize>(&mut self);

    /// # Safety
    /// There must be a tile.
    #[inline(always)]
    unsafe fn load<const T: usize>(&mut self, from: *const Tile) {
        // SAFETY: by this function's contract; a tile's rows are one after the other.
        unsafe { self.load_rows::<T>(from.cast(), size_of::<[u32; SIDE]>()) }
    }

    /// The same of rows of as many bytes, `stride` bytes apart.
    ///
    /// # Safety
    /// There must be sixteen.
    unsafe fn load_rows<const T: usize>(&mut self, from: *const u8, stride: usize);

    /// Adds to the sums in `C`, integers, the products of the bytes without sign in `A` by those with one in `B`, four steps of a column
    /// beside each other.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "bytes are multiplied on x86-64 alone")
    )]
    fn add_bytes<const C: usize, const A: usize, const B: usize>(&mut self);

    /// Adds to the sums in `C` the products of the rows in `A` by the columns in `B`.
    fn add<const C: usize, const A: usize, const B: usize>(&mut self);

    /// # Safety
    /// There must be room for sixteen numbers in each of sixteen rows, `stride` apart.
    unsafe fn store<const T: usize>(&mut self, to: *mut f32, stride: usize);
}

/// The same for tests, on any processor.
pub(super) struct Slow([Tile; 8]);

impl Unit for Slow {
    unsafe fn begin() -> Self {
        Self([Tile([[0; SIDE]; SIDE]); 8])
    }

    fn zero<const T: usize>(&mut self) {
        self.0[T] = Tile([[0; SIDE]; SIDE]);
    }

    unsafe fn load_rows<const T: usize>(&mut self, from: *const u8, stride: usize) {
        // SAFETY: by this function's contract.
        let row = |i: usize| unsafe { from.add(i * stride).cast::<[u32; SIDE]>().read_unaligned() };
        self.0[T] = Tile(std::array::from_fn(row));
    }

    fn add_bytes<const C: usize, const A: usize, const B: usize>(&mut self) {
        let [mut sums, a, b] = [C, A, B].map(|t| self.0[t].0);
        for (sums, a) in sums.iter_mut().zip(&a) {
            for (a, b) in a.iter().zip(&b) {
                for (sum, b) in sums.iter_mut().zip(b) {
                    for (a, b) in a.to_le_bytes().iter().zip(b.to_le_bytes()) {
                        *sum = sum.wrapping_add_signed(i32::from(*a) * i32::from(b as i8));
                    }
                }
            }
        }
        self.0[C] = Tile(sums);
    }

    fn add<const C: usize, const A: usize, const B: usize>(&mut self) {
        let [mut sums, a, b] = [C, A, B].map(|t| self.0[t].0);
        let (high, low) = (|x: u32| f32::from_bits(x & 0xffff_0000), |x: u32| f32::from_bits(x << 16));
        for (sums, a) in sums.iter_mut().zip(&a) {
            for (a, b) in a.iter().zip(&b) {
                for (sum, &b) in sums.iter_mut().zip(b) {
                    let more = low(*a) * low(b) + high(*a) * high(b);
                    *sum = (f32::from_bits(*sum) + more).to_bits();
                }
            }
        }
        self.0[C] = Tile(sums);
    }

    unsafe fn store<const T: usize>(&mut self, to: *mut f32, stride: usize) {
        for (i, row) in self.0[T].0.iter().enumerate() {
            // SAFETY: by this function's contract.
            unsafe { to.add(i * stride).cast::<[u32; SIDE]>().write_unaligned(*row) };
        }
    }
}

/// Parts of a row's number: all of its bits.
const OF_ROW: usize = 3;

/// Rows by numbers in `W` parts.
struct Parts<const W: usize>;

impl<const W: usize> Parts<W> {
    /// Parts that are multiplied: as few of them as may be are read anew.
    const PAIRS: &'static [(usize, usize)] = match W {
        1 => &[(0, 0), (1, 0), (2, 0)],
        2 => &[(0, 1), (0, 0), (2, 0), (1, 0), (1, 1)],
        _ => &[(0, 2), (0, 1), (0, 0), (2, 0), (1, 0), (1, 1)],
    };

    /// Two tiles of rows by two of columns, over so many tiles of steps. The sums go where `to` says, of the first row's first, in rows
    /// that lie `stride` apart.
    ///
    /// # Safety
    /// There must be so many tiles, all parts of the first steps first, and room for the sums.
    #[inline(always)]
    unsafe fn multiply<U: Unit>(
        unit: &mut U,
        x: [*const Tile; 2],
        w: [*const Tile; 2],
        steps: usize,
        to: [*mut f32; 4],
        stride: usize,
    ) {
        unit.zero::<0>();
        unit.zero::<1>();
        unit.zero::<2>();
        unit.zero::<3>();
        for step in 0..steps {
            let mut before = (OF_ROW, W);
            for &(i, j) in Self::PAIRS {
                // SAFETY: by this function's contract.
                unsafe {
                    if i != before.0 {
                        unit.load::<4>(x[0].add(step * OF_ROW + i));
                    }
                    if j != before.1 {
                        unit.load::<6>(w[0].add(step * W + j));
                    }
                    unit.add::<0, 4, 6>();
                    if j != before.1 {
                        unit.load::<7>(w[1].add(step * W + j));
                    }
                    unit.add::<1, 4, 7>();
                    if i != before.0 {
                        unit.load::<5>(x[1].add(step * OF_ROW + i));
                    }
                }
                unit.add::<2, 5, 6>();
                unit.add::<3, 5, 7>();
                before = (i, j);
            }
        }
        // SAFETY: by this function's contract.
        unsafe {
            unit.store::<0>(to[0], stride);
            unit.store::<1>(to[1], stride);
            unit.store::<2>(to[2], stride);
            unit.store::<3>(to[3], stride);
        }
    }
}
