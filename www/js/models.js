// The models one can choose: what they are, what they cost to fetch and to run, and whether this device has room.

/** @typedef {{name: string, words: string, bytes: number}} Model */

/** @type {Model[]} bytes: of the weights on the hub, rounded */
export const MODELS = [
  { name: "tiny.en", words: "English, comes with the page", bytes: 34e6 },
  { name: "tiny", words: "99 languages, quick and rough", bytes: 151e6 },
  { name: "base.en", words: "English", bytes: 290e6 },
  { name: "base", words: "99 languages", bytes: 290e6 },
  { name: "distil-small.en", words: "English, good and quick", bytes: 332e6 },
  { name: "small.en", words: "English, good", bytes: 967e6 },
  { name: "small", words: "99 languages, good", bytes: 967e6 },
  { name: "distil-large-v3", words: "English, very good", bytes: 1510e6 },
  { name: "turbo", words: "100 languages, very good", bytes: 1620e6 },
  { name: "medium", words: "99 languages, very good", bytes: 3060e6 },
  { name: "large-v3", words: "100 languages, the best", bytes: 3090e6 },
];

/** The most that WebAssembly can address. */
const MOST = 2 ** 32;

/** Memory of this device, as far as the browser says; browsers round it, and stop at 8 GB or a little above. */
export function deviceMemory() {
  const gib = /** @type {{deviceMemory?: number}} */ (navigator).deviceMemory;
  return gib ? gib * 2 ** 30 : null;
}

/** @param {number} bytes that a model takes @returns {{is: "fits" | "tight" | "large", words: string}} */
export function fit(bytes) {
  const all = deviceMemory() ?? 2 ** 32;
  if (bytes > MOST) return { is: "large", words: "too large for a browser" };
  if (bytes > all * 0.8) return { is: "large", words: "too large here" };
  if (bytes > Math.min(all * 0.4, MOST / 2)) return { is: "tight", words: "may be tight" };
  return { is: "fits", words: "fits" };
}

/**
 * The files of a model that people have, told apart by their names. Only the weights must be there.
 * @param {File[]} files
 * @returns {{config?: File, generation_config?: File, tokenizer?: File, weights: File} | string} or what is missing
 */
export function ownModel(files) {
  const named = (/** @type {RegExp} */ pattern) => files.find((file) => pattern.test(file.name));
  const weights = named(/\.(safetensors|gguf|bin|pt)$/i);
  if (!weights) return "Still missing: the weights, a file that ends in .safetensors, .gguf, .bin or .pt.";
  const others = { config: named(/^config\.json$/i), generation_config: named(/^generation_config\.json$/i), tokenizer: named(/^tokenizer\.json$/i) };
  return { weights, ...Object.fromEntries(Object.entries(others).filter(([, file]) => file)) };
}
