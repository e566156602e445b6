#!/usr/bin/env python3
"""Golden tokenizer data by openai/whisper: tokenizer/encode.json, decode.json, words.json and special.json.

usage: make_tokenizer.py        (needs reference/base.jsonl and reference/tiny.en.jsonl beside it)
"""
import json, os, random

from whisper.tokenizer import LANGUAGES, TO_LANGUAGE_CODE, get_tokenizer

import openai_model

HERE = os.path.dirname(os.path.abspath(__file__))
SENTENCES = [
    "Hello, world!", " Hello, world!", "hello", " hello", "", " ", "  ", "   a", "a   b", "a\tb", "a\nb", "line\n\nline\n", "\r\n", " \n ", "tail   ",
    "And so, my fellow Americans, ask not what your country can do for you",
    "I'm, you're, he's, we've, they'll, I'd, isn't, o'clock, 'tis", "IT'S, DON'T, WE'LL", "rock'n'roll ''quoted''", "it\u2019s \u201cquoted\u201d \u2014 \u2026",
    "1234567890", " 3.14159 and 1,000,000", "2021-11-23T10:20:30Z", "room101 b2b 4x4", "\u00bd \u00b2 \u2167 \u0665\u0666\u0667",
    "http://example.org/a_b?c=d&e=f#g", "user@example.org", "C:\\path\\to", "if (x[0] != y) { return -1; }", "<|notaspecialtoken|> <| |>",
    "!!!", "?!?!...", " -- ---", "\u266a\u266a \u266b la la \u266c", "[MUSIC] (laughs) *sigh*", "$5 \u20ac5 \u00a35 \u00a55 5%",
    "Stra\u00dfe, \u00dcbergr\u00f6\u00dfe, na\u00efve, fa\u00e7ade", "re\u0301sume\u0301 cafe\u0301 n\u0303", "\u01c4 \ufb01ne \u212b \u1e9e",
    "\u00bfQu\u00e9 tal? \u00a1Muy bien, ma\u00f1ana!", "l'\u00e9t\u00e9, aujourd'hui, qu'est-ce que c'est", "Za\u017c\u00f3\u0142\u0107 g\u0119\u015bl\u0105 ja\u017a\u0144",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u042d\u0442\u043e\u0442 \u043e\u043f\u0435\u0440\u0430\u0442\u043e\u0440 \u0443\u0436\u0435 \u0437\u0430\u0440\u0435\u0433\u0438\u0441\u0442\u0440\u0438\u0440\u043e\u0432\u0430\u043d.",
    "\u039a\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1 \u03ba\u03cc\u03c3\u03bc\u03b5", "\u0531\u0575\u0562 \u0532\u0565\u0576", "\u10d2\u10d0\u10db\u10d0\u10e0\u10ef\u10dd\u10d1\u10d0",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd", "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645 \u0661\u0662\u0663", "\u200fabc \u202eRTL\u202c",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e", "\u09b9\u09cd\u09af\u09be\u09b2\u09cb", "\u0bb5\u0ba3\u0b95\u0bcd\u0b95\u0bae\u0bcd", "\u1798\u17b6\u1793\u1780\u17b6\u179a", "\u1019\u103c\u1014\u103a\u1019\u102c\u1005\u102c",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01 \u0e01\u0e33\u0e25\u0e31\u0e07", "\u4f60\u597d\uff0c\u4e16\u754c\uff01\u8fd9\u5e76\u4e0d\u662f\u544a\u522b\u3002", "\u5728\u77ed\u77ed\u5169\u9031\u5167\u7f8e\u8ecd\u548c\u81ea\u7531\u6cd5\u570b\u8ecd",
    "\u3053\u3093\u306b\u3061\u306f\u3001\u4e16\u754c\u3002\u300c\u30c6\u30b9\u30c8\u300d\u30fc\u300e\u4e8c\u91cd\u300f", "\uff8a\uff9d\uff76\uff78 \uff21\uff22\uff23\uff11\uff12", "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4", "\u1112\u1161\u11ab\u1100\u1173\u11af",
    "\U0001f600 \U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1e9\U0001f1ea \u2764\ufe0f", "\U00020bb7\U0001d518 \U0001f9d1\U0001f3ff\u200d\U0001f680",
    "a\u00a0b\u3000c\u2003d\u2028e\u0085f", "x\u200by\u2060z\ufeff", "\x00\x01\x1c\x1f\x7f", "a\u0300\u0301\u0302\u0303 Z\u0351\u036b\u0343",
    "Tom & Jerry; \"A\" / 'B' = `C` ~ ^ | {D}", "supercalifragilisticexpialidocious antidisestablishmentarianism", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ha" * 40,
]

# Of languages that are written without spaces, beside what else comes among them.
UNSPACED = {
    "zh": ["\u4f60\u597d\uff0c\u4e16\u754c\uff01\u8fd9\u5e76\u4e0d\u662f\u544a\u522b\u3002", "\u4ed6\u7528 iPhone 15 \u770b\u300a\u9f8d\u9cf3\u914d\u300b", "\U00020bb7\u91ce\u5bb6 \u9f98"],
    "ja": ["\u3053\u3093\u306b\u3061\u306f\u3001\u4e16\u754c\u3002\u300c\u30c6\u30b9\u30c8\u300d", "\u6771\u4eac\u30bf\u30ef\u30fc\u306f333\u30e1\u30fc\u30c8\u30eb OK\u3067\u3059\u306d\u266a", "\uff8a\uff9d\uff76\uff78\u3068\u8ae4\u85e9"],
    "th": ["\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01 \u0e01\u0e33\u0e25\u0e31\u0e07", "\u0e19\u0e49\u0e33\u0e41\u0e02\u0e47\u0e07\u0e40\u0e1b\u0e25\u0e48\u0e32\u0e46 20 \u0e1a\u0e32\u0e17 \u0e2f\u0e25\u0e2f", "\u0e09\u0e31\u0e19\u0e0a\u0e2d\u0e1a YouTube \u0e21\u0e32\u0e01!"],
    "lo": ["\u0eaa\u0eb0\u0e9a\u0eb2\u0e8d\u0e94\u0eb5\u0e8a\u0eb2\u0ea7\u0ec2\u0ea5\u0e81", "\u0e82\u0ead\u0e9a\u0ec3\u0e88\u0eab\u0ebc\u0eb2\u0e8d\u0ec6 10 \u0e81\u0eb5\u0e9a", "\u0e99\u0ec9\u0eb3 (Mekong) \u0ec1\u0ea1\u0ec8\u0e99"],
    "my": ["\u1019\u103c\u1014\u103a\u1019\u102c\u1005\u102c \u1005\u1000\u102c\u1038\u1015\u103c\u1031\u102c\u101e\u100a\u103a\u104b", "\u1000\u103b\u103d\u1014\u103a\u102f\u1015\u103a \u1041\u1042 \u1014\u102c\u101b\u102e\u104a", "Facebook \u1000\u102d\u102f \u101e\u102f\u1036\u1038\u1010\u101a\u103a"],
    "yue": ["\u4f62\u54cb\u55ba\u908a\u5ea6\u5440\uff1f", "\u6211\u54ad\u4fc2\u53bb\u98f2 coffee \u55ce", "\u5622\u5622\u98df\u5497 3 \u7897\u4eab\U000267a0"],
}


def write(name, value):
    """One item a line, so that a change can be read."""
    with open(os.path.join(HERE, "tokenizer", name), "w") as f:
        lines = ",\n".join(f'"{key}": ' + ("[\n" + ",\n".join(json.dumps(v, ensure_ascii=False) for v in item) + "\n]" if isinstance(item, list)
                                            else json.dumps(item, ensure_ascii=False)) for key, item in value.items())
        f.write("{\n" + lines + "\n}\n")


def vocabulary(name, **options):
    return get_tokenizer(name == "multilingual", **options)


def encodes():
    return {"versions": openai_model.versions(),
            "encode": [{"text": s, "gpt2": vocabulary("gpt2").encode(s), "multilingual": vocabulary("multilingual").encode(s)} for s in SENTENCES]}


def decodes():
    """Whole token runs, runs cut inside a character, single bytes at random, and specials among text."""
    items, rng = [], random.Random(1)

    def add(name, tokens):
        t = vocabulary(name)
        items.append({"vocabulary": name, "tokens": tokens, "text": t.decode(tokens), "text_with_timestamps": t.decode_with_timestamps(tokens)})

    for name in ("gpt2", "multilingual"):
        t = vocabulary(name)
        for text in ["\U0001f600 \U0001f468\u200d\U0001f469", "\u5728\u77ed\u77ed\u5169\u9031", "\u0e01\u0e33\u0e25\u0e31\u0e07", "\U00020bb7\U0001d518", "na\u00efve \u266a", "\u1019\u103c\u1014\u103a"]:
            tokens = t.encode(text)
            for i in range(len(tokens)):
                add(name, tokens[:i + 1])
                add(name, tokens[i:i + 1])
        # GPT-2's first 256 tokens are the single bytes, in its own order: UTF-8 of every kind of brokenness.
        for _ in range(40):
            add(name, [rng.randrange(94, 256) for _ in range(rng.randrange(1, 9))])
        for _ in range(10):
            add(name, [rng.randrange(0, t.eot) for _ in range(12)])
        hello, b = t.encode(" Hello"), t.timestamp_begin
        add(name, [b, *hello, b + 50])
        add(name, [t.sot, *t.sot_sequence[1:], t.no_timestamps, *hello, t.eot])
        add(name, [b, b + 1, b + 1499, b + 1500])
    return {"versions": openai_model.versions(), "decode": items}


def words():
    items, taken = [], {}
    for model, name in (("tiny.en", "gpt2"), ("base", "multilingual")):
        with open(os.path.join(HERE, "reference", model + ".jsonl")) as f:
            for o in map(json.loads, f):
                language = o["language"] if name == "multilingual" else None
                if o["mode"] != "greedy_words" or taken.get((model, language), 0) >= 2 or o["id"].startswith("noisy"):
                    continue
                t = vocabulary(name, language=language)
                for segment in o["segments"][:2]:
                    tokens = [x for x in segment["tokens"] if x < t.eot] + [t.eot]
                    split, split_tokens = t.split_to_word_tokens(tokens)
                    items.append({"vocabulary": name, "language": language, "tokens": tokens, "words": split, "word_tokens": split_tokens})
                    taken[model, language] = taken.get((model, language), 0) + 1
    for language in ("en", "ja", "hi"):
        for text in SENTENCES[15:]:
            t = vocabulary("multilingual", language=language)
            tokens = t.encode(text) + [t.eot]
            split, split_tokens = t.split_to_word_tokens(tokens)
            items.append({"vocabulary": "multilingual", "language": language, "tokens": tokens, "words": split, "word_tokens": split_tokens})
    items += unspaced()
    return {"versions": openai_model.versions(), "words": items}


def unspaced():
    """Languages without spaces: whole, and with tokens that begin or end inside a character, timestamps and a character cut among them."""
    items, refused = [], 0
    for language, sentences in UNSPACED.items():
        t = vocabulary("multilingual", language=language, num_languages=100)
        whole = [t.encode(sentence) for sentence in sentences]
        b = t.timestamp_begin
        runs = [[*tokens, t.eot] for tokens in (*whole, t.encode(" " + " ".join(sentences)), [b, *whole[0], b + 100, b + 100, *whole[1]])]
        for tokens in whole:
            cut = [i for i in range(1, len(tokens)) if "\ufffd" in t.decode(tokens[:i])]
            for i in cut[:2] + cut[-1:]:
                runs += [tokens[:i], [*tokens[:i], t.eot]]
            runs += [[*tokens[i:], t.eot] for i in cut[:1]] + [[*tokens[:i], *tokens[i + 1:], t.eot] for i in cut[1:2]]
        for tokens in runs:
            try:
                split, split_tokens = t.split_to_word_tokens(tokens)
            except IndexError:
                refused += 1
                continue
            items.append({"vocabulary": "v3", "language": language, "tokens": tokens, "words": split, "word_tokens": split_tokens})
    print(f"{len(items)} runs without spaces; {refused} that the reference can't split")
    return items


def specials():
    out = {}
    for n_vocab, name, num_languages in ((51864, "gpt2", 99), (51865, "multilingual", 99), (51866, "multilingual", 100)):
        t = vocabulary(name, num_languages=num_languages)
        assert t.encoding.n_vocab == n_vocab
        last = list(LANGUAGES)[num_languages - 1]
        named = {k: getattr(t, k) for k in ("eot", "sot", "translate", "transcribe", "sot_lm", "sot_prev", "no_speech", "no_timestamps", "timestamp_begin")}
        out[str(n_vocab)] = {
            **named, "timestamp_end": t.special_tokens["<|30.00|>"], "num_languages": num_languages,
            "language_tokens": dict(zip(t.all_language_codes, t.all_language_tokens)),
            "sot_sequences": [{"language": l, "task": k, "tokens": list(vocabulary(name, num_languages=num_languages, language=l, task=k).sot_sequence)}
                              for l in ("en", "de", last) for k in ("transcribe", "translate")],
            "non_speech_tokens": list(t.non_speech_tokens)}
    return {"versions": openai_model.versions(), **out, "language_names": LANGUAGES, "language_aliases": TO_LANGUAGE_CODE}


if __name__ == "__main__":
    write("encode.json", encodes())
    write("decode.json", decodes())
    write("special.json", specials())
    write("words.json", words())
