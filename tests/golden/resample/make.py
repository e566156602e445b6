#!/usr/bin/env python3
"""Noise at several rates as ffmpeg resamples it to 16 kHz, in 32-bit floats: RATE.f32, little endian.

usage: make.py     (ffmpeg 5 or newer on the path; writes beside itself)

The noise is that of `noise` in tests/core/resample.rs: 32-bit linear congruences, the upper 24 bits as -0.5 to 0.5.
"""
import pathlib, struct, subprocess

here = pathlib.Path(__file__).parent
for rate in (8000, 11025, 22050, 44100, 48000, 96000):
    state, samples = 1, []
    for _ in range(rate // 10 + 7):
        state = (state * 1664525 + 1013904223) % 2**32
        samples.append(struct.pack("<f", (state >> 8) / 2**24 - 0.5))
    source = ["-f", "f32le", "-ar", str(rate), "-ac", "1", "-i", "-"]
    done = subprocess.run(["ffmpeg", "-v", "error", *source, "-ar", "16000", "-f", "f32le", "-"], input=b"".join(samples),
                          stdout=subprocess.PIPE, check=True)
    (here / f"{rate}.f32").write_bytes(done.stdout)
