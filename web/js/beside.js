// Files that lie beside the module, and are fetched when they are first asked for: the weights of voice activity detection, and
// OpenAI's lists of tokens, for models that bring none.

import { CandleWhisperError } from "./errors.js";
import { obtain } from "./fetch.js";
import { source } from "./platform.js";

/** @type {Record<string, {url: URL, sha256: string}>} their addresses are written out: bundlers know files by that */
const FILES = {
  "silero_vad.safetensors": {
    url: new URL("./silero_vad.safetensors", import.meta.url),
    sha256: "d7fb67a5b4de0414a0178270ee81439b9e3067c883c304aa758c247d50ffd79d",
  },
  "gpt2.deflate": {
    url: new URL("./gpt2.deflate", import.meta.url),
    sha256: "a826689e20cfbb32bf8940f67cb202a09304a47b3fe5c0430ed18569c6db5bd5",
  },
  "multilingual.deflate": {
    url: new URL("./multilingual.deflate", import.meta.url),
    sha256: "aa08d32667a6927f91decc5a2c1161251badc3c17b2edd1712acc2c0060299f9",
  },
};

/**
 * A file's bytes. Whoever keeps the module for the next visit keeps it too.
 * @param {string} file
 * @param {import("./fetch.js").Tools} tools
 */
export async function beside(file, tools) {
  const { url: { href, protocol }, sha256 } = FILES[file];
  const wanted = { file, url: href, optional: false, cache: false, keep: /** @type {const} */ ("as sent") };
  const { size, read, close } = await source(protocol === "file:" ? href : await obtain(wanted, tools, () => {}));
  const bytes = read(0, size);
  close();
  const hash = tools.newHash();
  hash.push(bytes);
  const found = hash.finish();
  if (found === sha256) return bytes;
  throw new CandleWhisperError("network", `${href} has the SHA-256 ${found} and not ${sha256}: put the package there again, as a whole`);
}
