//! Options from JSON: the core's names, those of a window beside those of the recording, as in openai/whisper's
//! `transcribe()`.

use candle_whisper_core::{DecodingOptions, Error, Result, TranscribeOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Options from JSON; the defaults for an empty string.
///
/// Fields of [`DecodingOptions`] may stand among the others or in `decode`; `temperature` is a number or several to
/// try in turn; `vad` is true for the defaults, or an object with limits.
///
/// # Errors
/// If it is not an object, or a field is unknown or has a value of another type; the message names it.
pub fn parse(options: &str) -> Result<TranscribeOptions> {
    if options.is_empty() {
        return Ok(TranscribeOptions::default());
    }
    let given: Map<String, Value> =
        serde_json::from_str(options).map_err(|error| Error::Options(format!("options: {error}")))?;
    let of_recording = names(&TranscribeOptions::default());
    let (mut recording, mut window) = (Map::new(), Map::new());
    for (name, value) in given {
        match (name.as_str(), value) {
            ("decode", Value::Object(decode)) => {
                for (name, value) in decode {
                    window_option(&mut window, name, value)?;
                }
            }
            ("temperature", value) => {
                let temperatures = if value.is_array() { value } else { json!([value]) };
                insert::<TranscribeOptions>(&mut recording, "temperatures".into(), temperatures)?;
            }
            // As the command line has it: with the defaults, or not at all.
            ("vad", Value::Bool(wanted)) => {
                insert::<TranscribeOptions>(
                    &mut recording,
                    name,
                    if wanted { json!({}) } else { Value::Null },
                )?;
            }
            (name, value) if of_recording.contains_key(name) => {
                insert::<TranscribeOptions>(&mut recording, name.into(), value)?;
            }
            (_, value) => window_option(&mut window, name, value)?,
        }
    }
    insert::<TranscribeOptions>(&mut recording, "decode".into(), Value::Object(window))?;
    // As the command line has it: windows of a batch know nothing of each other.
    if recording.get("batch").is_some_and(|batch| !batch.is_null()) {
        recording.entry("condition_on_previous_text").or_insert(Value::Bool(false));
    }
    serde_json::from_value(Value::Object(recording)).map_err(|error| Error::Options(error.to_string()))
}

fn window_option(window: &mut Map<String, Value>, name: String, value: Value) -> Result<()> {
    match name.as_str() {
        "prompt" => Err(Error::Options("`prompt` is set anew for each window: give `initial_prompt`".into())),
        "temperature" => {
            Err(Error::Options("`decode.temperature` is set anew for each window: give `temperature`".into()))
        }
        known if names(&DecodingOptions::default()).contains_key(known) => {
            insert::<DecodingOptions>(window, name, value)
        }
        unknown => Err(Error::Options(format!("unknown option `{unknown}`"))),
    }
}

/// Adds an option once it is known to be one of `T` with a value of the right type.
fn insert<T: DeserializeOwned>(options: &mut Map<String, Value>, name: String, value: Value) -> Result<()> {
    if let Err(error) = serde_json::from_value::<T>(json!({ name.clone(): value })) {
        return Err(Error::Options(format!("option `{name}`: {error}")));
    }
    match options.insert(name, value) {
        Some(_) => Err(Error::Options("an option is given twice".into())),
        None => Ok(()),
    }
}

/// The names of a struct's fields.
fn names<T: Serialize>(options: &T) -> Map<String, Value> {
    match serde_json::to_value(options) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}
