#!/usr/bin/env python3
"""A small network of the v3 kind with generated weights, run by openai/whisper: index.json, encoder.f32, logits.f32.

usage: make.py [--write FOLDER]     with --write also the network itself, in Hugging Face layout without a tokenizer

README.md beside this file describes the generator and the files.
"""
import json, os, sys

import numpy as np, torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import openai_model
from whisper.decoding import DecodingOptions, GreedyDecoder
from whisper.tokenizer import get_tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = {"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "torch_dtype": "float32", "activation_function": "gelu",
          "d_model": 128, "vocab_size": 51866, "num_mel_bins": 128, "encoder_layers": 2, "decoder_layers": 2, "num_hidden_layers": 2,
          "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 512, "decoder_ffn_dim": 512,
          "max_source_positions": 1500, "max_target_positions": 448, "is_encoder_decoder": True, "scale_embedding": False}
GENERATION = {"is_multilingual": True, "alignment_heads": [[1, 0], [1, 1]], "no_timestamps_token_id": 50364, "prev_sot_token_id": 50362}
N_FRAMES, SAMPLE_LEN, EVERY_FRAME, EVERY_ID = 3000, 64, 50, 97


def generate(name, shape, scale, centre=0.0):
    """f32 values in centre ± scale: splitmix64 seeded with the FNV-1a hash of the name."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, np.prod(shape) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    unit = (z >> np.uint64(40)).astype(np.float32) / np.float32(8388608) - np.float32(1)  # exact
    return (np.float32(centre) + np.float32(scale) * unit).reshape(shape)


def shapes():
    """name -> (shape, scale, centre) of every tensor."""
    n, ffn = CONFIG["d_model"], CONFIG["encoder_ffn_dim"]
    out = {"model.encoder.conv1.weight": ((n, CONFIG["num_mel_bins"], 3), 0.125, 0), "model.encoder.conv1.bias": ((n,), 0.0625, 0),
           "model.encoder.conv2.weight": ((n, n, 3), 0.125, 0), "model.encoder.conv2.bias": ((n,), 0.0625, 0),
           "model.encoder.embed_positions.weight": ((1500, n), 0.5, 0), "model.decoder.embed_positions.weight": ((448, n), 1.0, 0),
           "model.decoder.embed_tokens.weight": ((CONFIG["vocab_size"], n), 0.5, 0)}

    def norm(at):
        out[at + ".weight"], out[at + ".bias"] = ((n,), 0.25, 1), ((n,), 0.0625, 0)

    def linear(at, rows, columns, scale, bias=True):
        out[at + ".weight"] = ((rows, columns), scale, 0)
        if bias:
            out[at + ".bias"] = ((rows,), 0.0625, 0)

    for side in ("encoder", "decoder"):
        norm(f"model.{side}.layer_norm")
        for i in range(CONFIG[f"{side}_layers"]):
            at = f"model.{side}.layers.{i}"
            for attention in ["self_attn"] + ["encoder_attn"] * (side == "decoder"):
                for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    linear(f"{at}.{attention}.{part}", n, n, 0.25, bias=part != "k_proj")
                norm(f"{at}.{attention}_layer_norm")
            linear(at + ".fc1", ffn, n, 0.125)
            linear(at + ".fc2", n, ffn, 0.25)
            norm(at + ".final_layer_norm")
    return out


def tensors():
    return {name: torch.from_numpy(generate(name, *spec)) for name, spec in shapes().items()}


def mel():
    return torch.from_numpy(generate("mel", (CONFIG["num_mel_bins"], N_FRAMES), 1.0))


class Gaps:
    """Notes how near the second choice came at every greedy step."""

    def __enter__(self):
        self.seen, self.original = [], GreedyDecoder.update

        def update(decoder, tokens, logits, sum_logprobs):
            best = logits.topk(2, dim=-1).values[0]
            self.seen.append(float(best[0] - best[1]))
            return self.original(decoder, tokens, logits, sum_logprobs)
        GreedyDecoder.update = update
        return self

    def __exit__(self, *_):
        GreedyDecoder.update = self.original


def main():
    torch.set_num_threads(1)
    weights = tensors()
    model, x = openai_model.build(CONFIG, weights), mel()
    if sys.argv[1:2] == ["--write"]:
        import safetensors.torch
        os.makedirs(sys.argv[2], exist_ok=True)
        for name, value in (("config.json", CONFIG), ("generation_config.json", GENERATION)):
            with open(os.path.join(sys.argv[2], name), "w") as f:
                json.dump(value, f, indent=2)
        safetensors.torch.save_file(weights, os.path.join(sys.argv[2], "model.safetensors"), {"format": "pt"})
    t = get_tokenizer(True, num_languages=100, language="yue", task="transcribe")
    prompt = [*t.sot_sequence, t.timestamp_begin]
    with torch.no_grad():
        features = model.encoder(x[None])
        logits = model.decoder(torch.tensor([prompt]), features)[0]
        language, probabilities = model.detect_language(x, t)
    features[0, ::EVERY_FRAME].numpy().astype("<f4").tofile(os.path.join(HERE, "encoder.f32"))
    logits[:, ::EVERY_ID].numpy().astype("<f4").tofile(os.path.join(HERE, "logits.f32"))
    best = sorted(probabilities.items(), key=lambda p: -p[1])[:5]
    runs = []
    for language_code, task, without_timestamps in (("yue", "transcribe", False), (None, "transcribe", False), ("yue", "translate", True)):
        options = DecodingOptions(language=language_code, task=task, without_timestamps=without_timestamps, sample_len=SAMPLE_LEN, fp16=False)
        with Gaps() as gaps:
            result = model.decode(x, options)
        runs.append({"language": language_code, "task": task, "without_timestamps": without_timestamps, "sample_len": SAMPLE_LEN,
                     "result_language": result.language, "tokens": result.tokens, "avg_logprob": result.avg_logprob,
                     "no_speech_prob": result.no_speech_prob, "smallest_gap": min(gaps.seen)})
        print(runs[-1], len(set(result.tokens)))
    names = shapes()
    index = {"versions": openai_model.versions(), "config": CONFIG, "generation_config": GENERATION,
             "generator_check": {name: {"shape": list(spec[0]), "scale": spec[1], "centre": spec[2], "first": [float(v) for v in generate(name, *spec).ravel()[:4]]}
                                 for name, spec in {**names, "mel": ((128, N_FRAMES), 1.0, 0)}.items()},
             "encoder": {"file": "encoder.f32", "every_frame": EVERY_FRAME, "shape": [1500 // EVERY_FRAME, 128], "std": float(features.std())},
             "logits": {"file": "logits.f32", "tokens": prompt, "every_id": EVERY_ID, "shape": [len(prompt), len(range(0, 51866, EVERY_ID))],
                        "argmax": logits.argmax(-1).tolist(), "std": float(logits.std())},
             "language": {"token": int(language), "best": best}, "greedy": runs}
    print(features.std(), features.abs().max(), logits.std(), logits.abs().max(), best)
    with open(os.path.join(HERE, "index.json"), "w") as f:
        f.write("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in index.items()) + "\n}\n")
    # What the audio says must matter, or the encoder is not tested.
    other = model.decode(torch.flip(x, [1]), DecodingOptions(language="yue", sample_len=SAMPLE_LEN, fp16=False)).tokens
    assert other != runs[0]["tokens"] and min(r["smallest_gap"] for r in runs) > 1e-3, "degenerate network: choose other scales"


if __name__ == "__main__":
    main()
