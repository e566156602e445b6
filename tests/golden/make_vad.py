#!/usr/bin/env python3
"""The voice activity detector of PyPI's silero-vad (MIT): its weights for core, and what it says of three clips.

usage: make_vad.py      (from anywhere; needs silero-vad, torch, onnxruntime, safetensors and ffmpeg)

Writes core/assets/silero_vad.safetensors, the weights for 16 kHz, and vad.json: for each clip the probability
of speech of every 512 samples, from the package's own network in float32, and the spans that its get_speech_timestamps
makes of them with several options.
"""
import json, os, subprocess
import numpy as np
import silero_vad, torch
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
CLIPS = ["jfk.flac", "long-72s.flac", "nonspeech-music-hungarian.flac", "noisy-pink0dB-jfk.flac"]
OPTIONS = [
    {},
    {"threshold": 0.3, "min_silence_duration_ms": 500, "speech_pad_ms": 200},
    {"threshold": 0.7, "min_speech_duration_ms": 1000, "speech_pad_ms": 0},
    {"min_silence_duration_ms": 2000, "speech_pad_ms": 400, "min_speech_duration_ms": 0},
    {"max_speech_duration_s": 2.0},
]
NAMES = {"_model.stft.forward_basis_buffer": "stft_conv.weight"}
for part in ["weight", "bias"]:
    NAMES |= {f"_model.encoder.{i}.reparam_conv.{part}": f"conv{i + 1}.{part}" for i in range(4)}
    NAMES |= {f"_model.decoder.rnn.{part}_{of}": f"lstm_cell.{part}_{of}" for of in ["ih", "hh"]}
    NAMES[f"_model.decoder.decoder.2.{part}"] = f"final_conv.{part}"


def samples(clip):
    path = os.path.join(TOP, "tests/data", clip)
    pcm = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-ac", "1", "-ar", "16000", "-f", "s16le", "-"], check=True, stdout=subprocess.PIPE).stdout
    return torch.from_numpy(np.frombuffer(pcm, np.int16).astype(np.float32) / 32768)


def main():
    # The package's own safetensors are of an earlier version.
    weights = {NAMES[k]: v.numpy() for k, v in silero_vad.load_silero_vad().state_dict().items() if k in NAMES}
    assert len(weights) == len(NAMES), weights.keys()
    asset = os.path.join(TOP, "core/assets/silero_vad.safetensors")
    save_file(weights, asset)
    os.chmod(asset, 0o644)
    model = silero_vad.load_silero_vad(onnx=True)
    out = {"versions": {"silero-vad": silero_vad.__version__, "torch": torch.__version__}, "clips": []}
    for clip in CLIPS:
        x = samples(clip)
        model.reset_states()
        padded = torch.nn.functional.pad(x, (0, -len(x) % 512))
        probabilities = [round(float(model(chunk, 16000)), 5) for chunk in padded.split(512)]
        spans = []
        for options in OPTIONS:
            found = silero_vad.get_speech_timestamps(x, model, **options)
            spans.append({"options": options, "spans": [[s["start"], s["end"]] for s in found]})
        out["clips"].append({"clip": clip, "probabilities": probabilities, "spans": spans})
    with open(os.path.join(HERE, "vad.json"), "w") as f:
        json.dump(out, f, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    main()
