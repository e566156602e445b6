#!/usr/bin/env python3
"""Golden log-mels by openai/whisper (float32, padding=N_SAMPLES as transcribe does) for clips of tests/data.

usage: make_mel.py              writes mel/index.json and mel/CLIP.N_MELS.f32
       make_mel.py --compare    largest difference between tests/tools/mel_oracle.py and torch over tests/.cache/dev16k

A .f32 file holds the frames listed in the index, little-endian f32, (n_frames_kept, n_mels) row-major.
"""
import glob, json, os, sys

import numpy as np, torch, whisper
from whisper.audio import N_SAMPLES, load_audio, log_mel_spectrogram

import openai_model

HERE = os.path.dirname(os.path.abspath(__file__))
CLIPS = ["jfk", "lj-LJ001-0002", "fleurs-zh-01", "nonspeech-music-hungarian"]
STRIDE = 11


def reference(samples, n_mels):
    return log_mel_spectrogram(samples, n_mels, padding=N_SAMPLES).numpy().T


def main():
    clips = []
    for clip in CLIPS:
        samples = load_audio(os.path.join(HERE, "..", "data", clip + ".flac"))
        for n_mels in (80, 128):
            mel = reference(samples, n_mels)
            content = len(mel) - 3000
            # The last content frames and the first of padding see the edge between the two.
            kept = sorted({*range(0, content, STRIDE), *range(content - 3, content + 3), len(mel) - 1})
            file = f"{clip}.{n_mels}.f32"
            mel[kept].astype("<f4").tofile(os.path.join(HERE, "mel", file))
            clips.append({"clip": clip + ".flac", "n_mels": n_mels, "n_samples": len(samples), "n_frames": len(mel), "content_frames": content,
                          "file": file, "frames": kept, "min": float(mel.min()), "max": float(mel.max()),
                          "content_sum": float(mel[:content].astype(np.float64).sum())})
    with open(os.path.join(HERE, "mel", "index.json"), "w") as f:
        json.dump({"made_by": "tests/golden/make_mel.py", "versions": openai_model.versions(), "clips": clips}, f)
        f.write("\n")


def compare():
    sys.path.insert(0, os.path.join(HERE, "..", "tools"))
    import mel_oracle
    for n_mels in (80, 128):
        filters = np.load(os.path.join(os.path.dirname(whisper.__file__), "assets", "mel_filters.npz"))[f"mel_{n_mels}"]
        print(f"{n_mels} filters: max difference {np.abs(filters - mel_oracle.mel_filters(n_mels)).max():.3g}")
    worst = []
    for path in sorted(glob.glob(os.path.join(HERE, "..", ".cache", "dev16k", "*.wav"))):
        samples = mel_oracle.read_wav(path)
        for n_mels in (80, 128):
            difference = np.abs(reference(samples, n_mels) - mel_oracle.log_mel(samples, n_mels)).max()
            worst.append((float(difference), n_mels, os.path.basename(path)))
    worst.sort(reverse=True)
    print(len(worst), "matrices; largest differences:", *worst[:8], sep="\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:] not in ([], ["--compare"]):
        sys.exit(__doc__)
    compare() if sys.argv[1:] else main()
