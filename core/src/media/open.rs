//! From bytes to a container and a track with a decoder, or to an error in words.

use std::io::{Read, Seek};

use symphonia::core::codecs::CodecParameters;
use symphonia::core::errors::Error as Fault;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::well_known as id;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::codec::{Codec, Container};
use super::mkv::Ends;
use super::mp4::{self, Edit};
use super::source::Source;
use super::{caf, sniff, wav};
use crate::error::{Error, Result};

/// A file whose audio can be read.
pub(super) struct Opened {
    pub(super) format: Box<dyn FormatReader>,
    pub(super) track: Track,
    pub(super) codec: Codec,
    pub(super) edit: Option<Edit>,
    pub(super) container: Container,
    /// What the tracks' last packets have too much.
    pub(super) ends: Ends,
}

pub(super) fn open<S>(source: S, hint: Option<&str>, is_seekable: bool) -> Result<Opened>
where
    S: Read + Seek + Send + 'static,
{
    let mut source = Source::new(source)?;
    let mut start = [0; 1024];
    let n = source.read_at(0, &mut start)?;
    if n == 0 {
        return Err(Error::Audio("the file is empty".to_owned()));
    }
    if let Some(name) = sniff::unsupported_format(&start[..n]) {
        return Err(Error::Audio(format!(
            "{name} can't be decoded here: convert it first, for example with `ffmpeg -i IN OUT.flac`"
        )));
    }
    let mut guess_layout = false;
    if let Some(header) = wav::Header::read(&mut source)? {
        header.check()?;
        guess_layout = !header.has_channel_mask;
        match header.front {
            None => source.show(header.patches, header.end),
            Some((front, hidden)) => source.show_in_front(&front, hidden),
        }
    }
    // What passes by has no end that could be looked at.
    let mut ends = Ends::default();
    if is_seekable {
        let shown = caf::read(&mut source)?;
        if shown.end.is_some() {
            source.show(shown.patches, shown.end);
        }
        ends = Ends::read(&mut source)?;
    }
    let movie = mp4::Movie::read(&mut source)?;
    let format = match probe(source.again(is_seekable && !movie.is_cut)?, hint) {
        Ok(format) => format,
        // Looking for an index at the end of a file that is cut fails; reading in one go may not.
        Err(fault) => probe(source.again(false)?, hint).map_err(|_| explain(fault))?,
    };
    let kind = format.format_info().format;
    let container = Container {
        guess_layout: guess_layout || matches!(kind, id::FORMAT_ID_AIFF | id::FORMAT_ID_CAF),
        is_bare: matches!(kind, id::FORMAT_ID_ADTS | id::FORMAT_ID_MP1 | id::FORMAT_ID_MP2),
    };
    let (track, codec) = choose(&*format, container)?;
    let edit = movie.edits.into_iter().find(|edit| edit.track_id == track.id);
    Ok(Opened { format, track, codec, edit, container, ends })
}

fn probe<S>(source: Source<S>, hint: Option<&str>) -> Result<Box<dyn FormatReader>, Fault>
where
    S: Read + Seek + Send + 'static,
{
    let mut hinted = Hint::new();
    if let Some(extension) = hint {
        hinted.with_extension(extension);
    }
    let stream = MediaSourceStream::new(Box::new(source), Default::default());
    let (format, metadata) = (FormatOptions::default(), MetadataOptions::default());
    symphonia::default::get_probe().probe(&hinted, stream, format, metadata)
}

/// The first audio track that can be decoded.
pub(super) fn choose(format: &dyn FormatReader, container: Container) -> Result<(Track, Codec)> {
    let mut refused = None;
    for track in format.tracks() {
        let Some(CodecParameters::Audio(params)) = &track.codec_params else {
            continue;
        };
        match Codec::new(params, container) {
            Ok(codec) => return Ok((track.clone(), codec)),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    let is_video = |track: &&Track| track.track_type() == Some(TrackType::Video);
    Err(refused.unwrap_or_else(|| {
        let name = format.format_info().long_name;
        let videos = format.tracks().iter().filter(is_video).count();
        Error::Audio(match videos {
            0 => format!("this file ({name}) has no audio track that can be decoded here"),
            _ => format!("this file ({name}) has video but no audio track"),
        })
    }))
}

/// symphonia's complaint while it opens a file, for a person.
fn explain(fault: Fault) -> Error {
    match fault {
        Fault::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Error::Io(error),
        fault => {
            let what = fault.to_string();
            if what.contains("moov") {
                return Error::Audio(
                    "this MP4 has no index (`moov`): the recording was cut off before it was finished"
                        .to_owned(),
                );
            }
            Error::Audio(format!(
                "no audio or video format was recognised, or its header is broken ({what}): if other \
                 programs play it, convert it first, for example with `ffmpeg -i IN OUT.flac`"
            ))
        }
    }
}
