#!/usr/bin/env python3
"""Compares a folder of the command line's JSON outputs with reference outputs, token by token.

usage: compare_json.py REFERENCE.jsonl MODE FOLDER [--within 1e-3]

For machines that the test suite does not run on, such as one with a GPU: there the command line writes JSON of the
clips as 16 kHz samples, here they are compared. A clip is equal if every segment's tokens are. Prints the clips that
differ, and how far scores and word times are apart in the others; the exit status is 1 if a clip differs.
"""
import argparse, json, os, sys

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("reference")
parser.add_argument("mode")
parser.add_argument("folder")
args = parser.parse_args()

clips, words, late, different, worst = 0, 0, 0, [], {}
for line in open(args.reference, encoding="utf-8"):
    expected = json.loads(line)
    if expected["mode"] != args.mode:
        continue
    clips += 1
    with open(os.path.join(args.folder, expected["id"] + ".json"), encoding="utf-8") as file:
        ours = json.load(file)
    tokens = lambda transcript: [segment["tokens"] for segment in transcript["segments"]]
    if tokens(ours) != tokens(expected) or ours["language"] != expected["language"]:
        different.append(expected["id"])
        print(f"{expected['id']}:\n  ours      {ours['text']}\n  reference {expected['text']}")
        continue
    for a, b in zip(ours["segments"], expected["segments"]):
        for score in ("avg_logprob", "no_speech_prob", "compression_ratio"):
            worst[score] = max(worst.get(score, 0.0), abs(a[score] - b[score]))
        for v, w in zip(a.get("words", []), b.get("words", [])):
            words += 1
            late += abs(v["start"] - w["start"]) > 0.0201 or abs(v["end"] - w["end"]) > 0.0201
if clips == 0:
    sys.exit(f"compare_json: `{args.reference}` has no clip in mode `{args.mode}`")
scores = ", ".join(f"{name} within {value:.1e}" for name, value in worst.items())
print(f"{args.mode}: {clips - len(different)} of {clips} clips equal; {scores}; {late} of {words} words more than 20 ms apart")
sys.exit(bool(different))
