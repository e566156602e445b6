#!/usr/bin/env python3
"""Makes the clips and manifest.tsv of this folder from the project's DEV set.

usage: make.py DEV_FOLDER

Every clip becomes FLAC, 16 kHz, 16 bit, mono, holding exactly the samples that ffmpeg makes of the original for
openai/whisper: so reference outputs for the original hold for it, and no test in a bare clone resamples anything.
`long-72s` is a bit-exact cut of DEV's long recording. Needs ffmpeg.
"""
import csv, os, subprocess, sys

CLIPS = """jfk ls-other-1688-142285-0002 lj-LJ001-0002 fleurs-de-001 fleurs-fr-000 fleurs-es-003 fleurs-pt-001
ast-ru-agent-alreadyon fleurs-zh-01 fleurs-yue-01 fleurs-ja-01 fleurs-th-01 fleurs-hi-01
noisy-music5dB-ls-other-1688-142285-0006 noisy-pink0dB-jfk nonspeech-silence-10s nonspeech-music-hungarian""".split()
CUT = (61 * 16000, 133 * 16000 + 4000)  # samples of longform_dev.flac; both ends lie in pauses


def samples(path):
    """What openai/whisper's load_audio reads."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-f", "s16le", "-ac", "1", "-acodec", "pcm_s16le", "-ar", "16000", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def write(path, pcm):
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "s16le", "-ar", "16000", "-ac", "1", "-i", "pipe:0", "-compression_level", "12",
                    "-map_metadata", "-1", "-metadata_header_padding", "0", "-fflags", "+bitexact", "-flags:a", "+bitexact", path], input=pcm, check=True)
    assert samples(path) == pcm, path


def main(dev):
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(dev, "manifest.tsv"), newline="") as f:
        rows = {row["id"]: row for row in csv.DictReader(f, delimiter="\t")}
    out = []
    for clip in CLIPS:
        pcm = samples(os.path.join(dev, rows[clip]["file"]))
        write(os.path.join(here, clip + ".flac"), pcm)
        out.append({**rows[clip], "file": clip + ".flac", "seconds": f"{len(pcm) / 32000:.2f}"})
    first, last = CUT
    pcm = samples(os.path.join(dev, "longform_dev.flac"))[2 * first:2 * last]
    write(os.path.join(here, "long-72s.flac"), pcm)
    with open(os.path.join(dev, "longform_dev.times.tsv"), newline="") as f:
        said = [r["text"] for r in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE)
                if first <= float(r["start"]) * 16000 and float(r["end"]) * 16000 <= last and r["text"]]
    out.append({"id": "long-72s", "file": "long-72s.flac", "seconds": f"{len(pcm) / 32000:.2f}", "language": "en", "reference": " ".join(said),
                "license": "CC-BY-4.0 (LibriSpeech) and public domain (LJSpeech)",
                "source": "61.00-133.25 s of DEV's long recording, made of LibriSpeech 1688-142285 0007 to 0009 and LJSpeech LJ001 0001 and 0002 with 40 s of silence between",
                "category": "long"})
    # No quoting: a line splits at tabs, whoever reads it.
    with open(os.path.join(here, "manifest.tsv"), "w") as f:
        f.writelines("\t".join(row) + "\n" for row in [list(out[0]), *([r[k] for k in out[0]] for r in out)])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
