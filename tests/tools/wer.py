#!/usr/bin/env python3
"""Word and character error rates with openai/whisper's own text normalisers.

usage: wer.py MANIFEST.tsv HYPOTHESES [--mode MODE] [--against REFERENCE.jsonl] [--against-mode MODE] [--margin 0.1]
              [--language en] [--partial] [--json OUT]

HYPOTHESES is a JSONL file of objects with id and text (and mode, chosen with --mode), or a folder of ID.txt.
English goes through EnglishTextNormalizer, the rest through BasicTextNormalizer; zh, yue, ja and th are counted by character without
spaces, zh and yue in simplified characters. Errors are summed over clips and divided by the reference's units: `en` over
English, `total` over every scored clip. Not scored: Hindi (base writes it in Urdu script) and clips without speech, whose
words are counted as `non-speech`. A `longform_dev.ref.txt` beside the manifest makes a row of its own, outside `total`; `all`
is both. With --against, REFERENCE is scored over the same clips, and the exit status is 1 if `all` is worse than it by
more than the margin (percentage points), or one of `en`, `total` and `longform` by more than twice that. Without --partial a
clip with no hypothesis is an error.
"""
import argparse, csv, json, os, sys

import zhconv
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

BY_CHARACTER, UNSCORED = {"zh", "yue", "ja", "th"}, {"hi"}
ENGLISH, BASIC = EnglishTextNormalizer(), BasicTextNormalizer()


def units(text, language):
    if language in ("en", "-"):
        return ENGLISH(text).split()
    if language in ("zh", "yue"):
        text = zhconv.convert(text, "zh-cn")
    words = BASIC(text).split()
    return list("".join(words)) if language in BY_CHARACTER else words


def distance(a, b):
    """Fewest substitutions, insertions and deletions."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (x != y)))
    return row[-1]


def read_manifest(path):
    with open(path, newline="") as f:
        clips = {r["id"]: (r["language"], r["reference"]) for r in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE)}
    long = os.path.join(os.path.dirname(path), "longform_dev.ref.txt")
    if os.path.exists(long):
        with open(long) as f:
            clips["longform_dev"] = ("longform", f.read())
    return clips


def read_hypotheses(path, mode):
    if os.path.isdir(path):
        return {name[:-4]: open(os.path.join(path, name)).read() for name in os.listdir(path) if name.endswith(".txt")}
    with open(path) as f:
        return {o["id"]: o["text"] for o in map(json.loads, f) if mode is None or o.get("mode") == mode}


def score(clips, hypotheses):
    """row name -> {clips, errors, units, rate}"""
    rows = {}
    for clip, (language, reference) in clips.items():
        wanted = units(reference, "en" if language == "longform" else language)
        found = units(hypotheses[clip], "en" if language == "longform" else language)
        errors = distance(wanted, found)
        names = {"-": ["non-speech"], "longform": ["longform", "all"]}.get(language, [language] if language in UNSCORED else [language, "total", "all"])
        for name in names:
            row = rows.setdefault(name, {"clips": 0, "errors": 0, "units": 0})
            row["clips"] += 1
            row["errors"] += errors
            row["units"] += len(wanted)
    last = {"total": 1, "longform": 2, "all": 3, "non-speech": 4}
    for row in rows.values():
        row["rate"] = 100 * row["errors"] / row["units"] if row["units"] else None
    return dict(sorted(rows.items(), key=lambda r: (last.get(r[0], 0), r[0])))


def show(rows, against):
    print(f"{'':>10} {'clips':>5} {'units':>6} {'errors':>6} {'rate %':>7}" + ("  reference" if against else ""))
    for name, row in rows.items():
        unit = " (characters)" if name in BY_CHARACTER else " (not scored)" if name in UNSCORED else ""
        rate = "" if row["rate"] is None else f"{row['rate']:.2f}"
        other = ""
        if against:
            other = f"{against[name]['errors']:>6}" if row["rate"] is None else f"{against[name]['errors']:>6} {against[name]['rate']:.2f}"
        print(f"{name:>10} {row['clips']:>5} {row['units']:>6} {row['errors']:>6} {rate:>7}{other}{unit}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest")
    parser.add_argument("hypotheses")
    parser.add_argument("--mode")
    parser.add_argument("--against")
    parser.add_argument("--against-mode")
    parser.add_argument("--margin", type=float, default=0.1)
    parser.add_argument("--language", help="score clips of this language only")
    parser.add_argument("--partial", action="store_true")
    parser.add_argument("--json")
    args = parser.parse_args()
    clips, found = read_manifest(args.manifest), read_hypotheses(args.hypotheses, args.mode)
    if args.language:
        clips = {k: v for k, v in clips.items() if v[0] in (args.language, "longform" if args.language == "en" else None)}
    reference = read_hypotheses(args.against, args.against_mode or args.mode) if args.against else None
    if args.partial:
        clips = {k: v for k, v in clips.items() if k in found}
    missing = [k for k in clips if k not in found or reference is not None and k not in reference]
    if missing or not clips:
        sys.exit(f"wer: no text for {len(missing)} clips: {' '.join(missing[:8])}")
    rows, against = score(clips, found), score(clips, reference) if reference is not None else None
    show(rows, against)
    margins = {"all": args.margin, "en": 2 * args.margin, "total": 2 * args.margin, "longform": 2 * args.margin}
    worse = [f"`{name}` is {rows[name]['rate']:.2f} %, more than {margin:g} over the reference's {against[name]['rate']:.2f} %"
             for name, margin in margins.items() if against and name in rows and rows[name]["rate"] > against[name]["rate"] + margin]
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"rows": rows, "reference": against}, f, indent=1)
    if worse:
        sys.exit("wer: " + "; ".join(worse))


if __name__ == "__main__":
    main()
