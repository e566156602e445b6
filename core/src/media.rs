//! Audio and video files to what the network hears: mono, 16 kHz, 16 bits.
//!
//! In comes any `Read + Seek`; the content decides what it is. Out come blocks of samples, in memory
//! that does not grow with the file. symphonia reads the containers and most codecs; Opus and AAC
//! have decoders of their own. Nothing here opens a file, and no byte of one is trusted.

mod aac;
mod caf;
mod codec;
mod crew;
mod mkv;
mod mp4;
mod open;
mod opus;
mod passing;
mod sniff;
mod source;
mod wav;

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::codecs::CodecParameters;
use symphonia::core::errors::Error as Fault;
use symphonia::core::formats::FormatReader;
use symphonia::core::packet::Packet;
use symphonia::core::units::Duration;

use crate::audio::{Converter, Pcm, Waveform};
use crate::error::{Error, Result};
use crate::recording::Blocks;
use codec::{Codec, Container, Decoded};
use crew::{Crew, Outcome};
use open::Opened;
use passing::Passing;

/// Faults of the container in a row after which the rest is given up.
const MAX_FAULTS: usize = 16;
/// Packets in a row without a byte after which the rest is given up.
const MAX_EMPTY: usize = 10_000;

/// Decodes a whole file. `hint` is the file's extension, if there is one; the content decides.
///
/// A file that breaks off gives what is there; frames that can't be decoded are left out.
///
/// # Errors
///
/// A format or codec that can't be decoded, a file with no audio, and failing reads.
pub fn decode<S>(source: S, hint: Option<&str>) -> Result<Waveform>
where
    S: Read + Seek + Send + 'static,
{
    let mut reader = MediaReader::open(source, hint)?;
    let mut samples = Vec::new();
    while let Some(block) = reader.next_block()? {
        samples.extend_from_slice(block);
    }
    Ok(Waveform::new(samples))
}

/// Decodes a file block by block.
pub struct MediaReader {
    format: Box<dyn FormatReader>,
    track_id: u32,
    codec: Codec,
    converter: Converter,
    trim: Trim,
    container: Container,
    /// If several threads may decode, and somebody waits for no packet.
    crew: Option<Crew>,
    read: Packets,
    /// What packets held that are decoded already.
    decoded: VecDeque<Outcome>,
    duration: Option<f64>,
    block: Vec<f32>,
    /// The first packet that failed, in words.
    complaint: Option<String>,
    any_decoded: bool,
    at_end: bool,
    /// What the track's last packet has too much, and the packet after the current one, where that matters.
    padding: u64,
    following: Option<Packet>,
}

/// The track's packets that were read and not decoded yet.
#[derive(Default)]
struct Packets {
    waiting: Vec<Packet>,
    /// What comes after them, if not more.
    then: Option<Then>,
    /// Nothing comes after that.
    is_over: bool,
    /// Faults in a row, and packets without a byte.
    faults: usize,
    empty: usize,
}

/// What follows a packet that is no other.
enum Then {
    /// The container is at fault, in words.
    Fault(String),
    /// Another track, in place of this one.
    Reset,
    End,
    Error(Error),
}

impl MediaReader {
    /// Finds out what `source` is and which of its tracks is the first with audio.
    ///
    /// # Errors
    ///
    /// As [`decode`].
    pub fn open<S>(source: S, hint: Option<&str>) -> Result<Self>
    where
        S: Read + Seek + Send + 'static,
    {
        Ok(Self::of(guarded(|| open::open(source, hint, true))??).with_crew())
    }

    /// As [`MediaReader::open`] of what can only be read once from its start to its end, such as a pipe. Samples come while it
    /// is written; a file that has its index at its end can't be read so.
    ///
    /// # Errors
    ///
    /// As [`decode`].
    pub fn open_passing<R>(source: R, hint: Option<&str>) -> Result<Self>
    where
        R: Read + Send + 'static,
    {
        Ok(Self::of(guarded(|| open::open(Passing::new(source), hint, false))??))
    }

    fn of(opened: Opened) -> Self {
        let Opened { format, track, codec, edit, container, ends } = opened;
        let claimed = track.duration.zip(track.time_base).and_then(|(duration, base)| {
            let time = base.calc_duration(duration)?;
            Some(time.as_secs_f64())
        });
        let trim = match edit {
            Some(edit) => Trim::Seconds(edit.start, edit.duration),
            None => Trim::Frames(codec.delay(), None),
        };
        // Of Opus, whose packets are trimmed here.
        let padding = if codec.ignores_trim() { ends.of(track.id, opus::SAMPLE_RATE) } else { 0 };
        Self {
            format,
            track_id: track.id,
            codec,
            converter: Converter::new(),
            trim,
            container,
            crew: None,
            read: Packets::default(),
            decoded: VecDeque::new(),
            duration: edit.and_then(|edit| edit.duration).or(claimed),
            block: Vec::new(),
            complaint: None,
            any_decoded: false,
            at_end: false,
            padding,
            following: None,
        }
    }

    fn with_crew(mut self) -> Self {
        let tracks = self.format.tracks().iter();
        let params =
            tracks.filter(|track| track.id == self.track_id).find_map(|track| match &track.codec_params {
                Some(CodecParameters::Audio(params)) => Some(params),
                _ => None,
            });
        self.crew = params.and_then(|params| Crew::of(&self.codec, params, self.container));
        self
    }

    /// What the container claims in seconds: a hint for a progress bar, wrong in broken files.
    pub fn duration(&self) -> Option<f64> {
        self.duration.filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
    }

    /// The next samples, mono at 16 kHz: never empty, `None` at the end. (n_samples)
    ///
    /// # Errors
    ///
    /// As [`decode`].
    pub fn next_block(&mut self) -> Result<Option<&[f32]>> {
        self.block.clear();
        while self.block.is_empty() && !self.at_end {
            if self.decoded.is_empty() {
                self.decode_several();
            }
            if let Some(outcome) = self.decoded.pop_front() {
                self.take(outcome?, 0)?;
            } else if let Some(packet) = self.trimmed_packet()? {
                let outcome = guarded(|| self.codec.decode(&packet))?;
                let after = match self.codec.ignores_trim() {
                    true => usize::try_from(packet.trim_end.get()).unwrap_or(usize::MAX),
                    false => 0,
                };
                self.take(outcome, after)?;
            } else {
                self.at_end = true;
                self.converter.finish(&mut self.block);
                if let Some(complaint) = self.complaint.take().filter(|_| !self.any_decoded) {
                    return Err(Error::Audio(format!(
                        "no audio could be decoded, the file is broken ({complaint})"
                    )));
                }
            }
        }
        Ok(Some(&self.block[..]).filter(|block| !block.is_empty()))
    }

    /// Has several threads decode packets, if they may and there are some.
    fn decode_several(&mut self) {
        if let Some(crew) = &mut self.crew {
            self.read.fill(&mut *self.format, self.track_id, crew.n_packets());
            self.decoded = crew.decode(&mut self.codec, &self.read.waiting);
            self.read.waiting.clear();
        }
    }

    /// What a packet held; `after` of the samples at its end are none of the recording's.
    fn take(&mut self, outcome: Result<Decoded, String>, after: usize) -> Result<()> {
        let decoded = match outcome {
            Ok(decoded) => decoded,
            Err(complaint) => {
                self.complaint.get_or_insert(complaint);
                return Ok(());
            }
        };
        self.any_decoded = true;
        let Pcm { interleaved, layout, sample_rate, rounding } = decoded.pcm();
        let channels = layout.channels().max(1);
        let n_frames = interleaved.len() / channels;
        let kept = self.trim.keep(n_frames, sample_rate, after);
        let interleaved = &interleaved[kept.start * channels..kept.end * channels];
        self.converter.push(interleaved, layout, sample_rate, rounding, &mut self.block)
    }

    /// The track's next packet; the last one says what it has too much.
    fn trimmed_packet(&mut self) -> Result<Option<Packet>> {
        if self.padding == 0 {
            return self.next_packet();
        }
        let packet = match self.following.take() {
            Some(packet) => Some(packet),
            None => self.next_packet()?,
        };
        let Some(mut packet) = packet else { return Ok(None) };
        self.following = self.next_packet()?;
        if self.following.is_none() {
            packet.trim_end = Duration::new(std::mem::take(&mut self.padding));
        }
        Ok(Some(packet))
    }

    /// The track's next packet; what ends a file early ends it here.
    fn next_packet(&mut self) -> Result<Option<Packet>> {
        loop {
            self.read.fill(&mut *self.format, self.track_id, 1);
            if let Some(packet) = self.read.waiting.pop() {
                return Ok(Some(packet));
            }
            match self.read.then.take() {
                None => {}
                Some(Then::End) => return Ok(None),
                Some(Then::Error(error)) => return Err(error),
                Some(Then::Fault(complaint)) => {
                    self.complaint.get_or_insert(complaint);
                }
                Some(Then::Reset) => {
                    let (track, codec) = open::choose(&*self.format, self.container)?;
                    self.trim = Trim::Frames(codec.delay(), None);
                    (self.track_id, self.codec) = (track.id, codec);
                    self.crew = None;
                }
            }
        }
    }
}

impl Packets {
    /// Reads until so many wait, or something else comes.
    fn fill(&mut self, format: &mut dyn FormatReader, track_id: u32, n: usize) {
        while self.waiting.len() < n && self.then.is_none() {
            if self.is_over {
                self.then = Some(Then::End);
                break;
            }
            let packet = match guarded(|| format.next_packet()) {
                Ok(packet) => packet,
                Err(error) => {
                    self.then = Some(Then::Error(error));
                    break;
                }
            };
            self.then = match packet {
                Ok(None) => {
                    self.is_over = true;
                    None
                }
                Ok(Some(packet)) if packet.track_id != track_id => None,
                Ok(Some(packet)) if packet.data.is_empty() => {
                    self.empty += 1;
                    self.is_over = self.empty > MAX_EMPTY;
                    None
                }
                Ok(Some(packet)) => {
                    (self.faults, self.empty) = (0, 0);
                    self.waiting.push(packet);
                    None
                }
                Err(Fault::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                    self.is_over = true;
                    Some(Then::Fault(error.to_string()))
                }
                Err(Fault::IoError(error)) => Some(Then::Error(Error::Io(error))),
                Err(fault) => {
                    self.faults += 1;
                    self.is_over = self.faults > MAX_FAULTS;
                    Some(match fault {
                        Fault::ResetRequired => Then::Reset,
                        fault => Then::Fault(fault.to_string()),
                    })
                }
            };
        }
    }
}

impl Blocks for MediaReader {
    fn next_block(&mut self) -> Result<Option<&[f32]>> {
        self.next_block()
    }
}

/// Runs what may fail in ways that a decoding library did not foresee.
///
/// No input is known that makes one panic in a release build; on wasm a panic still ends the program.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        Error::Audio(
            "a decoding library failed on this file: convert it first, for example with \
             `ffmpeg -i IN OUT.flac`"
                .to_owned(),
        )
    })
}

/// What an encoder added in front and at the end, still to be left out.
enum Trim {
    /// Seconds to skip and to keep, while the sample rate is not known.
    Seconds(f64, Option<f64>),
    /// Frames to skip and to keep.
    Frames(u64, Option<u64>),
}

impl Trim {
    /// Which of a block's frames count; `after` of them at its end do not.
    fn keep(&mut self, n_frames: usize, sample_rate: u32, after: usize) -> std::ops::Range<usize> {
        if let Self::Seconds(start, duration) = self {
            let frames = |seconds: f64| (seconds * f64::from(sample_rate)).round() as u64;
            *self = Self::Frames(frames(*start), duration.map(frames));
        }
        let Self::Frames(skip, keep) = self else {
            return 0..n_frames;
        };
        let start = n_frames.min(usize::try_from(*skip).unwrap_or(usize::MAX));
        *skip -= start as u64;
        let mut end = n_frames.saturating_sub(after).max(start);
        if let Some(keep) = keep {
            end = end.min(start + usize::try_from(*keep).unwrap_or(n_frames).min(n_frames - start));
            *keep -= (end - start) as u64;
        }
        start..end
    }
}
