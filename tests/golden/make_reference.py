#!/usr/bin/env python3
"""Reference outputs of openai/whisper (float32 on CPU, temperature 0, language detected) for a set of clips.

usage: make_reference.py MODEL_FOLDER NAME MANIFEST.tsv AUDIO_ROOT OUT.jsonl

NAME is the official size (tiny.en, base). Needs PyPI's openai-whisper 20250625 and safetensors, and ffmpeg. Writes one
JSON object a line and goes on where an earlier run stopped: id, model, mode, language, text and segments (seek, start,
end, text, tokens, temperature, avg_logprob, compression_ratio, no_speech_prob, and words in mode greedy_words).
Modes: greedy_words (word_timestamps), beam5, translate (other languages than English), greedy (over a minute long).
English-only models take the English clips only.
"""
import csv, json, os, sys, time

import torch

import openai_model


def rounded(value):
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, list) else value


def main(folder, name, manifest, root, out):
    torch.set_num_threads(int(os.environ.get("THREADS", "2")))
    model, done = openai_model.load(folder, name), set()
    print(openai_model.versions())
    if os.path.exists(out):
        with open(out) as f:
            done = {(o["id"], o["mode"]) for o in map(json.loads, f)}
    with open(manifest) as f:
        rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    with open(out, "a") as sink:
        for row in rows:
            english = row["language"] == "en"
            if name.endswith(".en") and not english:
                continue
            modes = {"greedy_words": {"word_timestamps": True}, "beam5": {"beam_size": 5}}
            if float(row["seconds"]) > 60:
                modes["greedy"] = {}
            elif not english:
                modes["translate"] = {"task": "translate"}
            for mode, options in modes.items():
                if (row["id"], mode) in done:
                    continue
                started = time.time()
                result = model.transcribe(os.path.join(root, row["file"]), temperature=0.0, fp16=False, verbose=None, **options)
                segments = [{k: v for k, v in s.items() if k != "id"} for s in result["segments"]]
                record = {"id": row["id"], "model": name, "mode": mode, "language": result["language"], "text": result["text"], "segments": segments}
                sink.write(json.dumps(rounded(record), ensure_ascii=False) + "\n")
                sink.flush()
                print(f"{row['id']} {mode} {time.time() - started:.1f} s {result['text'][:60]}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
