#!/usr/bin/env python3
"""What openai/whisper's own writers make of some transcripts; tests/core/writers.rs compares bytes.

usage: make.py FOLDER_OF_REFERENCE_OUTPUTS

The folder holds dev.base.jsonl and dev.tiny.en.jsonl, one transcript a line. Needs PyPI's openai-whisper, at the
version below. Writes beside itself: a file a transcript with the outputs for every format and set of options, and
numbers.tsv. JSON is written with ensure_ascii=False, the one difference this project makes.
"""
import io, json, os, random, sys
from importlib.metadata import version

from whisper import utils

HERE = os.path.dirname(os.path.abspath(__file__))
PINNED = "20250625"

LAYOUTS = [
    {},
    {"max_line_width": 42},
    {"max_line_width": 42, "max_line_count": 2},
    {"max_line_width": 20, "max_line_count": 1, "highlight_words": True},
    {"max_line_count": 1},
    {"max_words_per_line": 3},
    {"max_words_per_line": 2, "max_line_width": 12},
    {"max_words_per_line": 4, "max_line_width": 30, "max_line_count": 2},
    {"highlight_words": True},
    {"max_line_width": 0, "max_line_count": 0, "max_words_per_line": 0},
]

# name in this folder: model, clip, mode, most segments to keep
REAL = {
    "english-words": ("tiny.en", "earnings22-4482311", "greedy_words", 4),
    "english-beam": ("tiny.en", "longform_dev", "beam5", 12),
    "english-pauses": ("base", "longform_dev", "greedy_words", 7),
    "spanish-words": ("base", "fleurs-es-001", "greedy_words", 9),
    "hindi-words": ("base", "fleurs-hi-01", "greedy_words", 9),
    "japanese-words": ("base", "fleurs-ja-01", "greedy_words", 9),
    "chinese-words": ("base", "fleurs-zh-01", "greedy_words", 9),
    "thai-translated": ("base", "fleurs-th-01", "translate", 9),
    "silence-words": ("base", "nonspeech-silence-10s", "greedy_words", 9),
    "music-translated": ("base", "nonspeech-music-hungarian", "translate", 9),
}


def segment(start, end, text, words=None):
    made = {"seek": 0, "start": start, "end": end, "text": text, "tokens": [50363, 11], "temperature": 0.0,
            "avg_logprob": -1e-05, "compression_ratio": 1.0, "no_speech_prob": 3.4028234663852886e-38}
    if words is not None:
        made["words"] = [{"word": w, "start": s, "end": e, "probability": 1e-07} for w, s, e in words]
    return made


def awkward():
    """Made up: what no model is likely to say."""
    yield "arrows-and-tabs", [
        segment(0.0, 2.5, " left --> right\tand \"quotes\" \\ "),
        segment(2.5, 2.5, ""),
        segment(2.5, 3599.9995, "\u3000two\nlines\r\n\x1c\x1f\x85"),
        segment(3599.9995, 3600.0005, " \x00\x08\x0b\x0c\x7f\u2028 🎙️"),
        segment(35999.9, 360000.0625, " a hundred hours"),
    ]
    yield "awkward-words", [
        segment(0.0, 9.0, " odd words", [(" one", 0.0, 0.5), (" two-->", 0.5, 0.9), ("\n", 0.9, 1.0), ("", 1.0, 1.0),
                                         (" a\nb", 1.0, 2.0), (" c\n", 2.0, 3.0), ("\n \nd", 6.5, 7.0), (" ", 7.0, 9.0)]),
        segment(9.0, 9.5, "", []),
        segment(9.5, 20.0, " after a pause", [(" after", 13.0, 14.0), (" a", 14.0, 14.2), (" pause" * 9, 17.3, 20.0)]),
        segment(3700.0, 3701.0, " ümläut 日本", [("\u3000ümläut", 3700.0, 3700.4995), (" 日本", 3700.4995, 3701.0)]),
    ]
    yield "nothing", []
    yield "words-of-nothing", [segment(1.0, 2.0, "", [])]


def result(text, segments, language):
    return {"text": text, "segments": [{"id": i, **s} for i, s in enumerate(segments)], "language": language}


def output(writer, transcript, **options):
    sink = io.StringIO()
    writer(".").write_result(transcript, file=sink, options=None, **options)
    return sink.getvalue()


def outputs(transcript):
    yield {"format": "txt", "options": {}, "text": output(utils.WriteTXT, transcript)}
    yield {"format": "tsv", "options": {}, "text": output(utils.WriteTSV, transcript)}
    yield {"format": "json", "options": {}, "text": json.dumps(transcript, ensure_ascii=False)}
    words = any(s.get("words") for s in transcript["segments"])
    for options in LAYOUTS if words else LAYOUTS[:2]:
        yield {"format": "srt", "options": options, "text": output(utils.WriteSRT, transcript, **options)}
        yield {"format": "vtt", "options": options, "text": output(utils.WriteVTT, transcript, **options)}


def numbers():
    random.seed(0)
    fixed = [0.0, 0.0005, 0.0015, 0.0025, 1.0005, 59.9995, 3599.9995, 3600.0, 360000.0, 1e-4, 9.999e-05, 1e-07, 5e-324,
             1e15, 9999999999999998.0, 1e16, 1.5e16, 1e22, 1e300, 0.1 + 0.2, 100.0, 123456.789]
    drawn = [random.random() * 10 ** random.randint(-7, 5) for _ in range(150)]
    halves = [(random.randrange(10**7) * 2 + 1) / 2000 for _ in range(50)]
    for x in fixed + drawn + halves:
        times = (utils.format_timestamp(x), utils.format_timestamp(x, True, ",")) if x < 1e9 else ("", "")
        yield "\t".join([x.hex(), repr(x), *times])


def main(folder):
    assert version("openai-whisper") == PINNED, f"needs openai-whisper {PINNED}"
    rows = {}
    for model in ("base", "tiny.en"):
        for line in open(os.path.join(folder, f"dev.{model}.jsonl"), encoding="utf-8"):
            row = json.loads(line)
            rows[model, row["id"], row["mode"]] = row
    cases = []
    for name, (model, clip, mode, most) in REAL.items():
        row = rows[model, clip, mode]
        cases.append((name, result(row["text"], row["segments"][:most], row["language"])))
    cases += [(name, result("".join(s["text"] for s in segments), segments, "en")) for name, segments in awkward()]
    for name, transcript in cases:
        with open(os.path.join(HERE, f"{name}.json"), "w", encoding="utf-8") as f:
            lines = ",\n".join(json.dumps(o, ensure_ascii=False) for o in outputs(transcript))
            transcript = json.dumps(transcript, ensure_ascii=False)
            f.write(f'{{"openai-whisper": "{PINNED}", "transcript":\n{transcript},\n"outputs": [\n{lines}\n]}}\n')
    with open(os.path.join(HERE, "numbers.tsv"), "w") as f:
        print("bits\trepr\ttimestamp\twith_hours", *numbers(), sep="\n", file=f)


main(sys.argv[1])
