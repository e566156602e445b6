//! The core's events as objects with a `type`. Times are seconds.

use candle_whisper_core::Event;
use candle_whisper_core::audio::FRAMES_PER_SECOND;
use candle_whisper_core::decoding::LanguageProbability;
use candle_whisper_core::observer::FallbackReason;
use serde_json::{Map, Value, json};

/// The object of an event; `None` for one that JavaScript has no name for yet.
pub fn to_json(event: &Event<'_>) -> Option<Value> {
    Some(match event {
        Event::Language { code, probability } => {
            json!({"type": "language", "language": code, "probability": probability})
        }
        Event::Text { so_far } => json!({"type": "text", "text": so_far}),
        Event::Fallback { temperature, reason } => {
            json!({"type": "fallback", "temperature": temperature, "reason": reason_name(*reason)})
        }
        Event::Segment(segment) => json!({"type": "segment", "segment": segment}),
        Event::Window { seek, content_frames } => json!({
            "type": "progress",
            "seconds": seconds((*seek).min(*content_frames)),
            "duration": seconds(*content_frames),
        }),
        _ => return None,
    })
}

/// `{language, probabilities}`: the most probable code, and every code's probability.
pub fn languages_to_json(heard: &[LanguageProbability]) -> Value {
    let best = heard.iter().max_by(|a, b| a.probability.total_cmp(&b.probability));
    let probabilities: Map<String, Value> =
        heard.iter().map(|each| (each.code.into(), json!(each.probability))).collect();
    json!({"language": best.map(|best| best.code), "probabilities": probabilities})
}

fn reason_name(reason: FallbackReason) -> &'static str {
    match reason {
        FallbackReason::Repetition => "compression_ratio",
        FallbackReason::LowLogprob => "avg_logprob",
        _ => "other",
    }
}

fn seconds(frames: usize) -> f64 {
    frames as f64 / FRAMES_PER_SECOND as f64
}
