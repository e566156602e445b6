//! The length zlib (level 6) compresses a text to, which decides when a transcript counts as repetitive.
//!
//! Other deflates differ by some bytes, and a short text's ratio by some hundredths, so the choices of zlib
//! itself are followed: its search for matches here, its codes in `huffman`.

use std::io::Write;

mod huffman;

const MIN_MATCH: usize = 3;
const MAX_MATCH: usize = 258;
/// Matches of three bytes farther back than this are not worth it.
const TOO_FAR: usize = 4096;
const MAX_LAZY: usize = 16;
const GOOD_MATCH: usize = 8;
const NICE_MATCH: usize = 128;
const MAX_CHAIN: usize = 128;
const HASH_SIZE: usize = 1 << 15;
/// Up to here zlib makes one block and never slides its window; a 30-second window has a twentieth of it.
const LONGEST: usize = 16_000;

/// UTF-8 length by compressed length; 0 for no text.
///
/// ```
/// # use candle_whisper_core::compression::compression_ratio;
/// assert!(compression_ratio("one two three") < 1.0);
/// assert!(compression_ratio(&"again and ".repeat(20)) > 8.0);
/// ```
pub fn compression_ratio(text: &str) -> f64 {
    text.len() as f64 / zlib_len(text.as_bytes()) as f64
}

/// Bytes of zlib's output, header and checksum included.
pub fn zlib_len(bytes: &[u8]) -> usize {
    if bytes.len() > LONGEST {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
        let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
        return written.map_or(bytes.len(), |out| out.len());
    }
    let mut block = huffman::Block::new();
    Matcher::new(bytes).run(&mut block);
    2 + block.bytes(bytes.len()) + 4
}

/// zlib's lazy matching: a match waits one byte in case the next is longer.
struct Matcher<'a> {
    bytes: &'a [u8],
    /// Latest position of each hash; 0 stands for none, so nothing ever matches the first byte.
    head: Vec<u16>,
    prev: Vec<u16>,
}

impl<'a> Matcher<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, head: vec![0; HASH_SIZE], prev: vec![0; bytes.len() + 1] }
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// Notes position `at` and gives the one before it with the same hash.
    fn insert(&mut self, at: usize) -> usize {
        let [a, b, c] = [0, 1, 2].map(|i| usize::from(self.byte(at + i)));
        let hash = ((a << 10) ^ (b << 5) ^ c) & (HASH_SIZE - 1);
        let before = std::mem::replace(&mut self.head[hash], at as u16);
        self.prev[at] = before;
        usize::from(before)
    }

    fn run(&mut self, block: &mut huffman::Block) {
        let n = self.bytes.len();
        let (mut at, mut length, mut start, mut waiting) = (0, MIN_MATCH - 1, 0, false);
        while at < n {
            let candidate = if n - at >= MIN_MATCH { self.insert(at) } else { 0 };
            let (prev_length, prev_start) = (length, start);
            length = MIN_MATCH - 1;
            if candidate != 0 && prev_length < MAX_LAZY {
                (length, start) = self.longest(at, candidate, prev_length, start);
                if length == MIN_MATCH && at - start > TOO_FAR {
                    length = MIN_MATCH - 1;
                }
            }
            if prev_length >= MIN_MATCH && length <= prev_length {
                block.copy(prev_length, at - 1 - prev_start);
                for next in at + 1..at - 1 + prev_length {
                    if next + MIN_MATCH <= n {
                        self.insert(next);
                    }
                }
                at += prev_length - 1;
                (length, waiting) = (MIN_MATCH - 1, false);
            } else {
                if waiting {
                    block.literal(self.bytes[at - 1]);
                }
                waiting = true;
                at += 1;
            }
        }
        if waiting {
            block.literal(self.bytes[n - 1]);
        }
    }

    /// (length, start) of the longest match for `at` that beats `best`, or (`best`, `start`) as they were.
    fn longest(&self, at: usize, mut candidate: usize, mut best: usize, mut start: usize) -> (usize, usize) {
        let left = self.bytes.len() - at;
        let nice = NICE_MATCH.min(left);
        let mut chain = if best >= GOOD_MATCH { MAX_CHAIN / 4 } else { MAX_CHAIN };
        loop {
            if self.byte(candidate + best) == self.byte(at + best) {
                let most = MAX_MATCH.min(left);
                let same = |i: &usize| self.bytes[candidate + i] == self.bytes[at + i];
                let length = (0..most).take_while(same).count();
                if length > best {
                    (best, start) = (length, candidate);
                    if length >= nice {
                        break;
                    }
                }
            }
            candidate = usize::from(self.prev[candidate]);
            chain -= 1;
            if candidate == 0 || chain == 0 {
                break;
            }
        }
        (best.min(left), start)
    }
}
