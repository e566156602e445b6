"""Logits of our network on a GPU against transformers' on the same GPU: the same random weights of a true size.

python3 gpu_logits.py PROGRAM [large-v3|turbo|tiny]   PROGRAM is the example `gpu`; needs torch with CUDA, transformers, safetensors

Printed for batches of 1, 8 and 32 windows: root mean square and largest difference from transformers' f32 logits, of ours in f32, f16
and bf16 and of transformers' own in 16 bits, and how often the likeliest token is the same. Weights are numbers that f16 has.
"""

import json
import os
import subprocess
import sys
import tempfile

import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration

SHAPES = {  # d_model, heads, encoder's layers, decoder's layers, mels, vocabulary
    "large-v3": (1280, 20, 32, 32, 128, 51866),
    "turbo": (1280, 20, 32, 4, 128, 51866),
    "tiny": (384, 6, 4, 4, 80, 51865),
}
N_TOKENS = 8


def network(shape):
    n, heads, encoder, decoder, mels, vocabulary = SHAPES[shape]
    config = WhisperConfig(
        vocab_size=vocabulary, num_mel_bins=mels, d_model=n, encoder_layers=encoder, decoder_layers=decoder,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=4 * n, decoder_ffn_dim=4 * n,
        attn_implementation="eager",
    )
    with torch.device("cuda"):
        model = WhisperForConditionalGeneration(config).eval()
    torch.manual_seed(1)
    for name, weight in model.named_parameters():
        if "layer_norm" in name:
            weight.data.normal_(1.0 if name.endswith("weight") else 0.0, 0.2)
        elif name.endswith("bias"):
            weight.data.normal_(0.0, 0.1)
        elif "embed_positions" in name:
            weight.data.normal_(0.0, 0.5)
        else:
            weight.data.normal_(0.0, weight[0].numel() ** -0.5)
        weight.data.copy_(weight.data.half().float())
    return model


def close(ours, exact):
    off = ours - exact
    same = (ours.argmax(-1) == exact.argmax(-1)).float().mean().item()
    return f"off by {off.pow(2).mean().sqrt():.6f}, at most {off.abs().max():.5f}; the same likeliest token {100 * same:.1f} %"


@torch.inference_mode()
def main(program, shape="large-v3"):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    model = network(shape)
    mels, vocabulary = SHAPES[shape][4:]
    with tempfile.TemporaryDirectory() as folder:
        model.half().save_pretrained(folder, max_shard_size="100GB")
        model.float()
        with open(os.path.join(folder, "config.json")) as f:
            print(f"{shape}: transformers {json.load(f)['transformers_version']}, torch {torch.__version__}, {torch.cuda.get_device_name()}")
        for batch in (1, 8, 32):
            mel, tokens = torch.randn(batch, mels, 3000, device="cuda") * 0.5, torch.randint(vocabulary, (batch, N_TOKENS), device="cuda")
            mel.cpu().numpy().tofile(os.path.join(folder, "mel.f32"))
            tokens.cpu().numpy().astype("uint32").tofile(os.path.join(folder, "tokens.u32"))

            def logits(model, dtype):  # in pieces: 32 windows of plain attention would not fit
                parts = [model(input_features=m.to(dtype), decoder_input_ids=t).logits.float().cpu() for m, t in zip(mel.split(4), tokens.split(4))]
                return torch.cat(parts)

            exact = logits(model, torch.float32)
            print(f"{batch} windows, logits of root mean square {exact.pow(2).mean().sqrt():.3f}", flush=True)
            subprocess.run([program, "logits", folder], check=True)
            for dtype in ("f32", "f16", "bf16"):
                ours = torch.from_file(os.path.join(folder, f"logits.{dtype}"), size=exact.numel()).view_as(exact)
                print(f"  ours, {dtype}: {close(ours, exact)}", flush=True)
            for name, dtype in [("f16", torch.float16), ("bf16", torch.bfloat16)]:
                print(f"  transformers, {name}: {close(logits(model.to(dtype), dtype), exact)}", flush=True)
            model.float()
            # bf16 has rounded the weights: anew from the file.
            model.load_state_dict(WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).state_dict())


main(*sys.argv[1:])
