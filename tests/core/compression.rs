use candle_whisper_core::compression::{compression_ratio, zlib_len};

use crate::data::{Noise, golden};

#[test]
fn ratios_are_those_of_pythons_zlib() {
    let golden = golden("timing/compression.json");
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 40);
    for case in cases {
        let (text, ratio) = (case["text"].as_str().unwrap(), case["ratio"].as_f64().unwrap());
        assert!(
            (compression_ratio(text) - ratio).abs() < 1e-9,
            "{text:?}: {} for {ratio}",
            compression_ratio(text)
        );
    }
}

#[test]
fn any_bytes_have_about_the_length_another_deflate_gives() {
    use std::io::Write;
    let mut noise = Noise(7);
    for n in (0..3000).step_by(37).chain([15_999, 16_000, 16_001, 40_000]) {
        let letters = 2 + noise.below(40);
        let bytes: Vec<u8> = (0..n).map(|_| b'a' + noise.below(letters) as u8).collect();
        let mut other = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
        other.write_all(&bytes).unwrap();
        let other = other.finish().unwrap().len();
        let ours = zlib_len(&bytes);
        assert!(ours.abs_diff(other) <= 8 + other / 20, "{n} bytes of {letters} letters: {ours}, {other}");
    }
}

#[test]
fn no_text_has_ratio_zero() {
    assert_eq!(compression_ratio(""), 0.0);
}
