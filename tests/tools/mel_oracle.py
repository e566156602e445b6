#!/usr/bin/env python3
"""openai/whisper's log-mel spectrogram again, in plain numpy: the oracle for whole recordings, where torch is too heavy.

usage: mel_oracle.py [WAV_FOLDER] [OUT_FOLDER]        (tests/.cache/dev16k, tests/.cache/mel)

Writes OUT/ID.80.f32 and OUT/ID.128.f32 for every ID.wav (16 kHz, 16 bit, mono): little-endian f32, (n_frames, n_mels)
row-major, content frames only (n_samples / 160, the 3000 frames of padding left out). Skips what is there already.

The transform is done in double precision. Against torch 2.15's float32 result over the 93 recordings of the DEV set
the largest difference is 4.4e-5 (`tests/golden/make_mel.py --compare` measures it again).
"""
import glob, os, sys, wave

import numpy as np

N_FFT, HOP_LENGTH, N_SAMPLES, SAMPLE_RATE = 400, 160, 480000, 16000


def mel_filters(n_mels):
    """(n_mels, 201): triangles on Slaney's scale from 0 to 8 kHz, each with area 2 / width."""
    mels = np.linspace(0.0, 15 + 27 * np.log(8000 / 1000) / np.log(6.4), n_mels + 2)
    hertz = np.where(mels < 15, 200 / 3 * mels, 1000 * np.exp(np.log(6.4) / 27 * (mels - 15)))
    bins = np.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    rising = -(hertz[:-2, None] - bins[None, :]) / np.diff(hertz)[:-1, None]
    falling = (hertz[2:, None] - bins[None, :]) / np.diff(hertz)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (hertz[2:] - hertz[:-2]))[:, None]).astype(np.float32)


def log_mel(samples, n_mels, padding=N_SAMPLES):
    """samples: f32 -> (n_frames, n_mels) f32, padding frames included."""
    audio = np.concatenate([samples.astype(np.float64), np.zeros(padding)])
    audio = np.pad(audio, N_FFT // 2, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    frames = np.lib.stride_tricks.sliding_window_view(audio, N_FFT)[::HOP_LENGTH][:-1]
    filters = mel_filters(n_mels).T.astype(np.float64)
    mel = np.empty((len(frames), n_mels))
    for first in range(0, len(frames), 4096):  # so that an hour of audio does not need gigabytes
        power = np.abs(np.fft.rfft(frames[first:first + 4096] * window)) ** 2
        mel[first:first + 4096] = power @ filters
    log_spec = np.log10(np.maximum(mel, 1e-10))
    log_spec = np.maximum(log_spec, log_spec.max() - 8.0)
    return ((log_spec + 4.0) / 4.0).astype(np.float32)


def read_wav(path):
    with wave.open(path) as w:
        assert (w.getframerate(), w.getsampwidth(), w.getnchannels()) == (SAMPLE_RATE, 2, 1), path
        return np.frombuffer(w.readframes(w.getnframes()), "<i2").astype(np.float32) / 32768.0


def main(wavs, out):
    os.makedirs(out, exist_ok=True)
    paths = sorted(glob.glob(os.path.join(wavs, "*.wav")))
    for path in paths:
        name = os.path.splitext(os.path.basename(path))[0]
        for n_mels in (80, 128):
            target = os.path.join(out, f"{name}.{n_mels}.f32")
            if os.path.exists(target):
                continue
            samples = read_wav(path)
            content = log_mel(samples, n_mels)[:-N_SAMPLES // HOP_LENGTH]
            content.astype("<f4").tofile(target + ".part")
            os.replace(target + ".part", target)
    print(f"mel_oracle: log-mels of {len(paths)} recordings in {out}")


if __name__ == "__main__":
    cache = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".cache"))
    defaults = [os.path.join(cache, "dev16k"), os.path.join(cache, "mel")]
    if len(sys.argv) > 3 or "--help" in sys.argv:
        sys.exit(__doc__)
    main(*(sys.argv[1:] + defaults[len(sys.argv) - 1:]))
