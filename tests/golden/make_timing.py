#!/usr/bin/env python3
"""Golden data of openai/whisper's timing and of its compression ratio, as timing/{dtw,median_filter,punctuation,compression}.json.

usage: make_timing.py        (needs reference/*.jsonl beside it)

Matrices are flat and row-major; their values are multiples of 1/1024, exact in f32.
"""
import json, os, random, zlib

import numpy as np, torch
from whisper.timing import WordTiming, dtw, median_filter, merge_punctuations
from whisper.utils import compression_ratio

import openai_model

HERE = os.path.dirname(os.path.abspath(__file__))
PREPENDED, APPENDED = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"


def write(name, items, **extra):
    with open(os.path.join(HERE, "timing", name), "w") as f:
        head = json.dumps({"versions": {**openai_model.versions(), "zlib": zlib.ZLIB_RUNTIME_VERSION}, **extra}, ensure_ascii=False)
        f.write(head[:-1] + ', "cases": [\n' + ",\n".join(json.dumps(i, ensure_ascii=False) for i in items) + "\n]}\n")


def grid(rng, rows, columns):
    return np.round(rng.standard_normal((rows, columns)) * 1024).astype(np.float32) / 1024


def dtw_cases():
    rng = np.random.default_rng(1)
    matrices = [grid(rng, r, c) for r, c in ((1, 1), (1, 6), (6, 1), (2, 2), (3, 7), (7, 3), (5, 5), (12, 40), (20, 75))]
    # Ties decide the path: equal costs everywhere, and small integers.
    matrices += [np.zeros((4, 6), np.float32), np.ones((6, 4), np.float32), rng.integers(0, 3, (8, 12)).astype(np.float32), rng.integers(-1, 2, (9, 9)).astype(np.float32)]
    for x in matrices:
        text, time = dtw(torch.from_numpy(x))
        yield {"shape": list(x.shape), "x": x.ravel().tolist(), "text_indices": text.tolist(), "time_indices": time.tolist()}


def median_cases():
    rng = np.random.default_rng(2)
    for width, rows, columns in ((7, 1, 2), (7, 1, 3), (7, 1, 4), (7, 2, 5), (7, 3, 7), (7, 2, 30), (5, 2, 9), (3, 3, 6), (1, 2, 4)):
        x = grid(rng, rows, columns)
        y = median_filter(torch.from_numpy(x)[None, None], width)[0, 0].numpy()
        yield {"width": width, "shape": [rows, columns], "x": x.ravel().tolist(), "y": y.ravel().tolist()}


def punctuation_cases():
    fixed = [[" Hello", ",", " world", "."], [' "', "Hello", '"', " he", " said", "."], [" (", "a", ")", " [", "b", "]"], [" ¿", "Qué", "?", "!"], [" -", " -", " a"],
             [" “", " ¿", "Que", "?", "”", "."], [".", " a"], [" a", " ."], [" a ", "."], ["你", "好", "，", "世", "界", "。"], ["「", "テ", "ス", "ト", "」"], [" '", "tis"], [" a", "'", "s"], [" "], ["", " a"],
             [" $", "5", ",", "000"], [" a", "", "."], [" a", ",\"", " b"], []]
    rng = random.Random(3)
    pool = [" a", "b", " c", ",", ".", '"', ' "', " (", ")", " -", "-", " ", "'", "?!", "。", " ¿", " [", "]", "“", " “", "”"]
    fixed += [[rng.choice(pool) for _ in range(rng.randrange(2, 12))] for _ in range(40)]
    for words in fixed:
        alignment = [WordTiming(word, [i], i / 10, (i + 1) / 10, 1.0) for i, word in enumerate(words)]
        merge_punctuations(alignment, PREPENDED, APPENDED)
        yield {"words": words, "merged": [a.word for a in alignment], "tokens": [a.tokens for a in alignment]}


def compression_cases():
    texts = ["a", " ", "ab", "Hello, world!", "The " * 30, " you", "ha" * 100, "the quick brown fox jumps over the lazy dog", "0123456789" * 10, "♪" * 50, "\U0001f600" * 20, "\n" * 300, "ab" * 2000,
             " thank you. thank you. thank you. thank you. thank you. thank you."]
    for model in ("tiny.en", "base"):
        with open(os.path.join(HERE, "reference", model + ".jsonl")) as f:
            texts += [o["text"] for o in map(json.loads, f) if o["text"] and o["mode"] in ("greedy_words", "translate")]
    for text in dict.fromkeys(texts):
        yield {"text": text, "utf8": len(text.encode()), "ratio": compression_ratio(text)}


if __name__ == "__main__":
    write("dtw.json", dtw_cases())
    write("median_filter.json", median_cases())
    write("punctuation.json", punctuation_cases(), prepended=PREPENDED, appended=APPENDED)
    write("compression.json", compression_cases())
