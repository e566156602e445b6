//! Packets decoded by several threads, where what comes out is what one thread gives, to the last bit.
//!
//! A packet of FLAC needs no other. One of MP3 needs those before it, but not many: bytes that earlier packets left over, 511 at
//! most, and what the last granule left in its filters, which the next one replaces. So a thread that begins in the middle first decodes some
//! packets before: as many as have 511 bytes, after which it has every byte that a packet can ask for; one whose spectrum is right by that; and
//! one whose filters are, too. What it gives from then on counts if none of all these was broken, here or where they were decoded
//! before; else they are decoded again, by the decoder that has everything before.

use std::collections::VecDeque;
use std::ops::Range;

use rayon::prelude::*;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::packet::Packet;

use super::codec::{Codec, Container, Decoded, Needs};
use super::guarded;
use crate::audio::MAX_CHANNELS;
use crate::error::Result;

/// More threads would wait for what one alone does: reading packets, and resampling.
const MOST_THREADS: usize = 8;
/// Samples of all channels that a thread decodes at once, as far as the header says how long a packet is.
const AT_ONCE: usize = 1 << 16;
/// A FLAC block's, where the header does not say.
const LONGEST: u64 = 65_535;
/// Packets of MP3 for a thread: those before them cost little then.
const PACKETS: usize = 64;

/// The most that a packet of MP3 asks for of those before it.
const RESERVOIR: usize = 511;
/// The most of a packet that is none of it: header, checksum and side information.
const ASIDE: usize = 4 + 2 + 32;

/// What a packet holds, or why it can't be decoded; the outer error ends everything.
pub(super) type Outcome = Result<Result<Decoded, String>>;

/// Decoders beside the track's own.
pub(super) struct Crew {
    needs: Needs,
    params: AudioCodecParameters,
    container: Container,
    others: Vec<Codec>,
    threads: usize,
    /// A packet that the track's own decoder took: it will have no other kind from then on.
    first: Option<Packet>,
}

impl Crew {
    /// `None` where one thread does all.
    pub(super) fn of(codec: &Codec, params: &AudioCodecParameters, container: Container) -> Option<Self> {
        let (needs, threads) = (codec.needs()?, rayon::current_num_threads().min(MOST_THREADS));
        let params = params.clone();
        (threads > 1).then(|| Self { needs, params, container, others: Vec::new(), threads, first: None })
    }

    /// Packets to decode at once.
    pub(super) fn n_packets(&self) -> usize {
        let each = match self.needs {
            Needs::Nothing => {
                let channels =
                    self.params.channels.as_ref().map_or(MAX_CHANNELS, |channels| channels.count());
                let frames = self.params.max_frames_per_packet.filter(|&n| n > 0).unwrap_or(LONGEST);
                (AT_ONCE / frames as usize / channels.max(1)).clamp(1, PACKETS)
            }
            Needs::Before => PACKETS,
        };
        self.threads * each
    }

    /// Decodes packets in their order, after all that `codec` has decoded.
    pub(super) fn decode(&mut self, codec: &mut Codec, packets: &[Packet]) -> VecDeque<Outcome> {
        let mut out = VecDeque::with_capacity(packets.len());
        while self.first.is_none()
            && let Some(packet) = packets.get(out.len())
        {
            let outcome = one(codec, packet);
            self.first = matches!(outcome, Ok(Ok(_))).then(|| packet.clone());
            out.push_back(outcome);
        }
        let packets = &packets[out.len()..];
        let pieces: Vec<_> = packets.chunks(packets.len().div_ceil(self.threads).max(1)).collect();
        if self.hire(pieces.len().saturating_sub(1)).is_err() {
            out.extend(packets.iter().map(|packet| one(codec, packet)));
            return out;
        }
        let before = out.len();
        let starts: Vec<_> = pieces
            .iter()
            .scan(0, |end, piece| {
                *end += piece.len();
                Some(*end - piece.len())
            })
            .map(|at| self.needs.before(packets, at).map(|from| from..at))
            .collect();
        let decoders = std::iter::once(&mut *codec).chain(&mut self.others);
        let work: Vec<_> = decoders.zip(&pieces).zip(&starts).enumerate().collect();
        let done: Vec<_> = work
            .into_par_iter()
            .map(|(i, ((decoder, piece), start))| {
                let start = start.clone()?;
                let all = |packets: &[Packet], decoder: &mut Codec| -> Vec<_> {
                    packets.iter().map(|packet| one(decoder, packet)).collect()
                };
                if i > 0 {
                    decoder.restart();
                    let before = all(&packets[start], decoder);
                    before.iter().all(is_whole).then_some(())?;
                }
                Some(all(piece, decoder))
            })
            .collect();
        // Which decoder has all that was before.
        let mut last = None;
        for (i, (done, (piece, start))) in done.into_iter().zip(pieces.iter().zip(starts)).enumerate() {
            let whole =
                |range: Range<usize>| out.range(before + range.start..before + range.end).all(is_whole);
            match done {
                Some(done) if start.is_some_and(whole) => {
                    out.extend(done);
                    last = i.checked_sub(1);
                }
                _ => {
                    let decoder = match last {
                        Some(last) => &mut self.others[last],
                        None => &mut *codec,
                    };
                    out.extend(piece.iter().map(|packet| one(decoder, packet)));
                }
            }
        }
        if let Some(last) = last {
            std::mem::swap(codec, &mut self.others[last]);
        }
        out
    }

    /// Has so many decoders beside the track's own.
    fn hire(&mut self, n: usize) -> Result<()> {
        while self.others.len() < n {
            let mut codec = Codec::new(&self.params, self.container)?;
            if let Some(first) = &self.first {
                let _ = one(&mut codec, first);
            }
            self.others.push(codec);
        }
        Ok(())
    }
}

impl Needs {
    /// The first packet that must be decoded so that what comes of the one at `at` is right; `None` if there are not enough.
    fn before(self, packets: &[Packet], at: usize) -> Option<usize> {
        if at == 0 || matches!(self, Self::Nothing) {
            return Some(at);
        }
        let mut from = at.checked_sub(2)?;
        let mut bytes = 0;
        while bytes < RESERVOIR {
            from = from.checked_sub(1)?;
            bytes += packets[from].data.len().saturating_sub(ASIDE);
        }
        Some(from)
    }
}

fn one(codec: &mut Codec, packet: &Packet) -> Outcome {
    guarded(|| codec.decode(packet))
}

fn is_whole(outcome: &Outcome) -> bool {
    matches!(outcome, Ok(Ok(_)))
}
