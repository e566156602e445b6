// Names of models: where their files are, and the shape that tells how much memory they take.

import { CandleWhisperError } from "./errors.js";

/**
 * @typedef {object} Known
 * @property {string} repo on the hub, as owner/name
 * @property {string} shape by the name that core::memory gives it
 * @property {number} [n_mels] where it is not the shape's
 * @property {number} [n_text_layer] where it is not the shape's
 */

/** @type {(size: string, shape?: string) => Known} */
const openai = (size, shape = size) => ({ repo: `openai/whisper-${size}`, shape });

/** @type {Record<string, Known>} */
export const KNOWN = {
  "tiny.en": openai("tiny.en", "tiny"),
  tiny: openai("tiny"),
  "base.en": openai("base.en", "base"),
  base: openai("base"),
  "small.en": openai("small.en", "small"),
  small: openai("small"),
  "medium.en": openai("medium.en", "medium"),
  medium: openai("medium"),
  "large-v1": { ...openai("large", "large-v3"), n_mels: 80 },
  "large-v2": { ...openai("large-v2", "large-v3"), n_mels: 80 },
  "large-v3": openai("large-v3"),
  large: openai("large-v3"),
  "large-v3-turbo": openai("large-v3-turbo", "turbo"),
  turbo: openai("large-v3-turbo", "turbo"),
  "distil-small.en": { repo: "distil-whisper/distil-small.en", shape: "small", n_text_layer: 4 },
  "distil-medium.en": { repo: "distil-whisper/distil-medium.en", shape: "medium", n_text_layer: 2 },
  "distil-large-v2": { repo: "distil-whisper/distil-large-v2", shape: "large-v3", n_mels: 80, n_text_layer: 2 },
  "distil-large-v3": { repo: "distil-whisper/distil-large-v3", shape: "large-v3", n_text_layer: 2 },
  "distil-large-v3.5": { repo: "distil-whisper/distil-large-v3.5", shape: "large-v3", n_text_layer: 2 },
};

/** The files of the model that comes with us, with their hashes. */
const BUNDLED = {
  "tiny.en": {
    config: "879ede95431807b6e617be29c42d4069a33cb6bba9742fd97f6221dbf94374eb",
    generation_config: "6d1f96a2d47442651fa68c7e561fffab4823a37085ff0ff25efccc30137a33ec",
    tokenizer: "afc7a2956f61112d16e52b864b7045e222b379576cb94d89e09e8ab99fbbc597",
    weights: "d9bb146642fb197dfab4e05ca54fe8796d1b0054c9f0c0aefb4f7194bcecaa49",
  },
};

const FILE = { config: "config.json", generation_config: "generation_config.json", tokenizer: "tokenizer.json" };

/**
 * Where a model's files are. The bundled model's are in `models` where there is one.
 * @param {string} name
 * @param {{models: string | URL | null, hub: string | URL}} places
 * @returns {import("./types.js").ModelFiles}
 */
export function filesOf(name, { models, hub }) {
  const bundled = name in BUNDLED ? BUNDLED[/** @type {keyof typeof BUNDLED} */ (name)] : null;
  if (bundled && models) return at(new URL(`${name}/`, folder(models)), "model.gguf", bundled);
  const [typed, revision = "main"] = name.split("@");
  const repo = KNOWN[typed]?.repo ?? typed;
  if (!/^[A-Za-z0-9_][\w.-]*\/[A-Za-z0-9_][\w.-]*$/.test(repo) || !/^[\w./-]+$/.test(revision)) {
    const names = Object.keys(KNOWN).join(", ");
    throw new CandleWhisperError("bad-option", `unknown model \`${name}\`; there are ${names}, and \`owner/name\` of the hub`);
  }
  return at(new URL(`${repo}/resolve/${revision}/`, folder(hub)), "model.safetensors");
}

/**
 * @param {URL} base
 * @param {string} weights
 * @param {Record<string, string>} [sha256]
 * @returns {import("./types.js").ModelFiles}
 */
function at(base, weights, sha256) {
  const url = (/** @type {string} */ file) => new URL(file, base).href;
  const files = {
    config: url(FILE.config),
    generation_config: url(FILE.generation_config),
    tokenizer: url(FILE.tokenizer),
    weights: url(weights),
  };
  return sha256 ? { ...files, sha256 } : files;
}

/** @param {string | URL} url one that may lack the slash at its end */
function folder(url) {
  return new URL(String(url).replace(/\/*$/, "/"), globalThis.document?.baseURI);
}
