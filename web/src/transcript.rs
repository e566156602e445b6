//! A transcript from JSON to the text of a file.

use candle_whisper_core::writers::{OutputFormat, SubtitleOptions};
use candle_whisper_core::{Error, Result, Transcript};

/// The file of a transcript in a format named by its extension. `options`, JSON or empty, are [`SubtitleOptions`].
///
/// # Errors
/// If the format or an option is unknown, or the transcript is not one.
pub fn write(transcript: &str, format: &str, options: &str) -> Result<String> {
    let format: OutputFormat = format.parse()?;
    let is_given = !matches!(options, "" | "{}");
    if is_given && !matches!(format, OutputFormat::Srt | OutputFormat::Vtt | OutputFormat::Ass) {
        return Err(Error::Options(format!("the format `{}` has no options", format.name())));
    }
    let options: SubtitleOptions = match is_given {
        true => serde_json::from_str(options)
            .map_err(|error| Error::Options(format!("options of subtitles: {error}")))?,
        false => SubtitleOptions::default(),
    };
    options.validate()?;
    let transcript: Transcript = serde_json::from_str(transcript)
        .map_err(|error| Error::Options(format!("this is not a transcript: {error}")))?;
    let mut out = Vec::new();
    format.writer(&options).write(&transcript, &mut out)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}
