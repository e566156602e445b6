//! The names of tensors. Files have Hugging Face's or openai/whisper's; the network asks for Hugging Face's.

/// openai/whisper's names of the parts of a layer, and Hugging Face's.
const LAYER: [(&str, &str); 13] = [
    ("attn.query", "self_attn.q_proj"),
    ("attn.key", "self_attn.k_proj"),
    ("attn.value", "self_attn.v_proj"),
    ("attn.out", "self_attn.out_proj"),
    ("attn_ln", "self_attn_layer_norm"),
    ("cross_attn.query", "encoder_attn.q_proj"),
    ("cross_attn.key", "encoder_attn.k_proj"),
    ("cross_attn.value", "encoder_attn.v_proj"),
    ("cross_attn.out", "encoder_attn.out_proj"),
    ("cross_attn_ln", "encoder_attn_layer_norm"),
    ("mlp.0", "fc1"),
    ("mlp.2", "fc2"),
    ("mlp_ln", "final_layer_norm"),
];

/// The name of the network's tensor that a file calls `name`, if it is one of the network's.
///
/// The last layer is the token embedding once more; a copy of it in the file is not needed.
pub(super) fn canonical(name: &str) -> Option<String> {
    let name = name.strip_prefix("model.").unwrap_or(name);
    let (side, part) = name.split_once('.')?;
    if !matches!(side, "encoder" | "decoder") {
        return None;
    }
    let part = match part {
        "positional_embedding" => "embed_positions.weight".into(),
        "token_embedding.weight" => "embed_tokens.weight".into(),
        "ln_post.weight" | "ln.weight" => "layer_norm.weight".into(),
        "ln_post.bias" | "ln.bias" => "layer_norm.bias".into(),
        _ => match part.strip_prefix("blocks.") {
            None => part.to_owned(),
            Some(block) => {
                let (index, part) = block.split_once('.')?;
                let (part, kind) = part.rsplit_once('.')?;
                let (_, part) = LAYER.iter().find(|(theirs, _)| *theirs == part)?;
                format!("layers.{index}.{part}.{kind}")
            }
        },
    };
    Some(format!("model.{side}.{part}"))
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn both_schools_of_names_become_one() {
        for (theirs, ours) in [
            ("encoder.blocks.11.attn.key.weight", "model.encoder.layers.11.self_attn.k_proj.weight"),
            ("decoder.blocks.0.cross_attn_ln.bias", "model.decoder.layers.0.encoder_attn_layer_norm.bias"),
            ("decoder.blocks.3.mlp.2.weight", "model.decoder.layers.3.fc2.weight"),
            ("encoder.ln_post.weight", "model.encoder.layer_norm.weight"),
            ("decoder.positional_embedding", "model.decoder.embed_positions.weight"),
            ("encoder.conv2.bias", "model.encoder.conv2.bias"),
            ("model.decoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"),
        ] {
            assert_eq!(canonical(theirs).as_deref(), Some(ours));
        }
        for foreign in ["proj_out.weight", "encoder.blocks.0.mlp.1.weight", "bert.encoder.weight", "weight"] {
            assert_eq!(canonical(foreign), None, "{foreign}");
        }
    }
}
