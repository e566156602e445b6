use candle_whisper_core::dims::{ModelDimensions, alignment_heads};

use crate::data::model_file;

fn base() -> serde_json::Value {
    serde_json::from_slice(&model_file("base/config.json")).unwrap()
}

fn read(value: &serde_json::Value) -> Result<ModelDimensions, String> {
    ModelDimensions::from_json(value.to_string().as_bytes()).map_err(|e| e.to_string())
}

#[test]
fn base_has_the_sizes_of_base() {
    let dims = read(&base()).unwrap();
    assert_eq!((dims.n_state, dims.n_audio_layer, dims.n_vocab, dims.n_mels), (512, 6, 51865, 80));
    assert!(dims.is_multilingual());
    assert_eq!(dims.num_languages(), 99);
}

#[test]
fn another_kind_of_model_is_named_in_the_error() {
    let mut config = base();
    config["model_type"] = "bert".into();
    assert!(read(&config).unwrap_err().contains("`bert` model"));
}

#[test]
fn sizes_that_do_not_fit_together_are_refused() {
    for (key, value) in [
        ("decoder_attention_heads", 7),
        ("encoder_attention_heads", 0),
        ("vocab_size", 50),
        ("max_source_positions", 3000),
        ("max_target_positions", 0),
        ("decoder_layers", 0),
        ("d_model", 0),
        ("d_model", 1 << 30),
    ] {
        let mut config = base();
        config[key] = value.into();
        assert!(read(&config).is_err(), "{key} {value}");
    }
}

#[test]
fn alignment_heads_come_from_the_file_or_are_openais_or_the_top_half() {
    let mut dims = read(&base()).unwrap();
    let heads = alignment_heads(&dims, Some(br#"{"alignment_heads": [[5, 7]]}"#)).unwrap();
    assert_eq!(heads, [(5, 7)]);
    let named = alignment_heads(&dims, Some(&model_file("base/generation_config.json"))).unwrap();
    assert_eq!(named, [(3, 1), (4, 2), (4, 3), (4, 7), (5, 1), (5, 2), (5, 4), (5, 6)]);
    assert_eq!(alignment_heads(&dims, None).unwrap(), named);
    dims.n_text_layer = 4;
    let all = alignment_heads(&dims, None).unwrap();
    assert_eq!((all.len(), all[0], all[15]), (16, (2, 0), (3, 7)));
}

#[test]
fn sizes_written_as_config_json_are_read_back() {
    let dims = read(&base()).unwrap();
    assert_eq!(read(&dims.to_json()).unwrap(), dims);
}

#[test]
fn a_head_the_network_lacks_is_refused() {
    let dims = read(&base()).unwrap();
    let error = alignment_heads(&dims, Some(br#"{"alignment_heads": [[6, 0]]}"#)).unwrap_err();
    assert!(error.to_string().contains("no head 0 in layer 6"));
}
