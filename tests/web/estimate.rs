//! Memory before loading.

use candle_whisper_web::estimate::of_json;

#[test]
fn the_sum_of_what_exists_at_once_is_the_cores() {
    let base = of_json(r#"{"shape": "base", "seconds": 11, "dtype": "f32"}"#).unwrap();
    let bytes = base["bytes"].as_u64().unwrap();
    assert!((300_000_000..500_000_000).contains(&bytes), "{bytes}");
    assert!(base["terms"]["weights"].as_u64().unwrap() > 280_000_000);
    let small = of_json(r#"{"shape": "base", "seconds": 11}"#).unwrap();
    let (of_floats, bytes) = (bytes, small["bytes"].as_u64().unwrap());
    assert!((100_000_000..of_floats / 2).contains(&bytes), "{bytes}");
    let hour = of_json(r#"{"shape": "base", "seconds": 3600}"#).unwrap();
    assert!(hour["bytes"].as_u64().unwrap() > bytes + 300_000_000);
    let beams = of_json(r#"{"shape": "base", "seconds": 11, "options": {"beam_size": 5, "temperature": 0}}"#)
        .unwrap();
    assert!(beams["bytes"].as_u64().unwrap() > bytes);
}

#[test]
fn sizes_may_differ_from_a_shape_and_what_is_unknown_is_an_error() {
    let bytes = |request| of_json(request).unwrap()["bytes"].as_u64().unwrap();
    assert!(bytes(r#"{"shape": "medium", "n_text_layer": 2}"#) < bytes(r#"{"shape": "medium"}"#));
    let complaint = |request| of_json(request).unwrap_err().to_string();
    assert!(complaint(r#"{"shape": "huge"}"#).contains("unknown shape `huge`"));
    assert!(complaint("{}").contains("`model` or `dims`"));
    assert!(complaint(r#"{"shape": "base", "dtype": "f16"}"#).contains("`dtype` is f32 or quantised"));
    assert!(complaint(r#"{"shape": "base", "second": 3}"#).contains("unknown field `second`"));
    assert!(complaint(r#"{"shape": "base", "options": {"x": 3}}"#).contains("unknown option `x`"));
}

#[test]
fn the_size_of_a_file_tells_what_its_numbers_are_kept_as() {
    let of = |more: &str| {
        let request = format!(r#"{{"shape": "tiny", "seconds": 11{more}}}"#);
        of_json(&request).unwrap()["terms"]["weights"].as_u64().unwrap()
    };
    let weights = |size: &str| of(&format!(r#"{size}, "dtype": "f32""#));
    let (f32, f16) = (weights(r#", "size": 151000000"#), weights(r#", "size": 75500000"#));
    assert_eq!(weights(""), f32);
    // All but the convolutions, norms and positions, some 2 million numbers, become half.
    assert!(f16 > f32 / 2 && f16 < f32 / 2 + 5_000_000, "{f16} of {f32}");
    let (q8, q5) = (weights(r#", "size": 40100000"#), weights(r#", "size": 27000000"#));
    assert!(q8 < q5 && q5 < f16, "{q8} {q5} {f16}");
    // What becomes of them on their way counts, and makes nothing larger.
    assert_eq!(weights(r#", "keep": "f16""#), f16);
    assert_eq!(
        weights(r#", "size": 151000000, "keep": "q8_0""#),
        weights(r#", "size": 75500000, "keep": "q8_0""#)
    );
    assert_eq!(weights(r#", "size": 27000000, "keep": "f16""#), q5);
    assert_eq!(of(""), weights(r#", "size": 151000000, "keep": "q8_0""#));
    assert_eq!(of(r#", "dtype": "quantised""#), of(""));
    assert_eq!(of(r#", "size": 27000000"#), q5);
    assert_eq!(weights(r#", "size": 151000000, "keep": "as sent""#), f32);
}
