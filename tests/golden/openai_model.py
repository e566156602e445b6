"""A folder in Hugging Face layout as openai/whisper's own model, for the scripts beside this file."""
import json, os, sys

import safetensors.torch, torch, whisper
from whisper.model import ModelDimensions, Whisper

RENAMED = [("model.", ""), ("layers.", "blocks."), (".self_attn_layer_norm", ".attn_ln"), (".encoder_attn_layer_norm", ".cross_attn_ln"),
           (".final_layer_norm", ".mlp_ln"), (".self_attn.", ".attn."), (".encoder_attn.", ".cross_attn."), (".q_proj", ".query"),
           (".k_proj", ".key"), (".v_proj", ".value"), (".out_proj", ".out"), (".fc1", ".mlp.0"), (".fc2", ".mlp.2"),
           ("encoder.layer_norm", "encoder.ln_post"), ("decoder.layer_norm", "decoder.ln"),
           ("embed_tokens.weight", "token_embedding.weight"), ("decoder.embed_positions.weight", "decoder.positional_embedding"),
           ("encoder.embed_positions.weight", "encoder.positional_embedding")]


def versions():
    return {"openai-whisper": whisper.__version__, "torch": torch.__version__, "python": sys.version.split()[0]}


def build(config, tensors):
    """config: the keys of config.json; tensors: Hugging Face's name -> tensor. An f32 model on the CPU."""
    dims = ModelDimensions(config["num_mel_bins"], config["max_source_positions"], config["d_model"], config["encoder_attention_heads"],
                           config["encoder_layers"], config["vocab_size"], config["max_target_positions"], config["d_model"],
                           config["decoder_attention_heads"], config["decoder_layers"])
    state = {}
    for key, value in tensors.items():
        for old, new in RENAMED:
            key = key.replace(old, new)
        state[key] = value.float()
    model = Whisper(dims)
    model.load_state_dict(state)
    return model.eval()


def load(folder, name):
    """name: the official size, for its alignment heads."""
    with open(os.path.join(folder, "config.json")) as f:
        config = json.load(f)
    model = build(config, safetensors.torch.load_file(os.path.join(folder, "model.safetensors")))
    model.set_alignment_heads(whisper._ALIGNMENT_HEADS[name])
    return model
