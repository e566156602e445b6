// What openai/whisper says of the DEV set's English clips, where they are: the same rows for Node and for browsers.

import { existsSync, readFileSync } from "node:fs";

export const root = new URL("../../", import.meta.url);
const reference = new URL("../shared/reference/dev.tiny.en.jsonl", root);

/**
 * Greedy runs with word times, one a clip; with CANDLE_WHISPER_DEV_STEP=12 every twelfth clip.
 * @returns {{id: string, text: string, tokens: number[][]}[]} none without ../shared
 */
export function clips() {
  if (!existsSync(reference)) return [];
  const step = Number(process.env.CANDLE_WHISPER_DEV_STEP ?? 1);
  const rows = readFileSync(reference, "utf8").trim().split("\n").map((line) => JSON.parse(line));
  return rows
    .filter(({ id, mode }) => mode === "greedy_words" && id !== "longform_dev")
    .filter((_, i) => i % step === 0)
    .map(({ id, text, segments }) => ({ id, text, tokens: segments.map((segment) => segment.tokens) }));
}

/** Where a model's files are, below `root`. */
export const model = (/** @type {(path: string) => string | URL} */ at) => ({
  config: at("tests/models/tiny.en/config.json"), generation_config: at("tests/models/tiny.en/generation_config.json"),
  tokenizer: at("tests/models/tiny.en/tokenizer.json"), weights: at("tests/models/tiny.en/model.safetensors"),
});
