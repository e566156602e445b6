// The weights of voice activity detection. They lie beside the module, and are fetched when they are first asked for.

import { CandleWhisperError } from "./errors.js";
import { obtain } from "./fetch.js";
import { source } from "./platform.js";

const SHA256 = "d7fb67a5b4de0414a0178270ee81439b9e3067c883c304aa758c247d50ffd79d";

/**
 * Silero VAD's weights. Whoever keeps the module for the next visit keeps them too.
 * @param {import("./fetch.js").Tools} tools
 */
export async function vadWeights(tools) {
  const { href, protocol } = new URL("./silero_vad.safetensors", import.meta.url);
  const wanted = { file: "silero_vad.safetensors", url: href, optional: false, cache: false, keep: /** @type {const} */ ("as sent") };
  const { size, read, close } = await source(protocol === "file:" ? href : await obtain(wanted, tools, () => {}));
  const bytes = read(0, size);
  close();
  const hash = tools.newHash();
  hash.push(bytes);
  const found = hash.finish();
  if (found === SHA256) return bytes;
  throw new CandleWhisperError("network", `${href} has the SHA-256 ${found} and not ${SHA256}: put the package there again, as a whole`);
}
