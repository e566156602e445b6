// Files over HTTP, in a worker: with progress, going on where they broke off, checked by their hash where it is known.

import { CandleWhisperError, asError } from "./errors.js";
import { Passage } from "./passage.js";
import { Kept } from "./store.js";

/** Bytes of a part that is kept by itself; what an interruption costs at most. */
const PART = 8 * 1024 * 1024;
/** Milliseconds to wait before each further try. */
const WAIT = [500, 1500, 4000];

/**
 * @typedef {object} Wanted
 * @property {string} file its name, for people
 * @property {string} url
 * @property {boolean} optional whether a missing one is as good as an empty one
 * @property {string} [sha256]
 * @property {boolean} cache
 * @property {"f16" | "q8_0" | "as sent"} keep what floats become on their way
 */

/** @typedef {{push(bytes: Uint8Array): void, finish(): string}} Hash */
/** @typedef {(progress: import("./types.js").LoadProgress, size: number | null) => void} Report size: of the file to keep, if known */
/** @typedef {{newHash: () => Hash, converter: import("./passage.js").Converter}} Tools the module's */

/**
 * The file, from what is kept if it is there as a whole.
 * @param {Wanted} wanted
 * @param {Tools} tools
 * @param {Report} report
 * @returns {Promise<Blob>}
 */
export async function obtain(wanted, tools, report) {
  const kept = await Kept.open(wanted.url, wanted.cache);
  if (!kept.fits(wanted.keep)) await kept.clear();
  const tell = () => report(kept.progress(wanted.file, kept.came, kept.came), kept.size);
  if (kept.entry.complete) {
    try {
      if (wanted.sha256 && kept.entry.sha256 !== wanted.sha256) throw new TypeError("another file is kept");
      const blob = await kept.blob();
      tell();
      return blob;
    } catch {
      await kept.clear();
    }
  }
  let sha256;
  for (let attempt = 0; ; attempt++) {
    const before = kept.came;
    try {
      sha256 = await download(wanted, kept, tools, report);
      if (sha256 === undefined) return new Blob([]);
      break;
    } catch (error) {
      if (error instanceof CandleWhisperError || error instanceof WebAssembly.RuntimeError) throw error;
      if (kept.came > before) attempt = 0;
      if (attempt >= WAIT.length) {
        const { message } = asError(error, "network");
        throw new CandleWhisperError("network", `could not fetch ${wanted.url}: ${message}`);
      }
      await new Promise((resolve) => setTimeout(resolve, WAIT[attempt]));
    }
  }
  const blob = await kept.blob();
  if (wanted.sha256) sha256 ??= await hashOf(blob, tools.newHash());
  if (wanted.sha256 && sha256 !== wanted.sha256) {
    await kept.clear();
    throw new CandleWhisperError("network", `${wanted.url} has the SHA-256 ${sha256} and not ${wanted.sha256}`);
  }
  await kept.finish(sha256 ?? null);
  tell();
  return blob;
}

/**
 * Fetches what is missing. The SHA-256 of the bytes as they came, null where they can be had again, undefined if there is no
 * such file and none is needed.
 * @param {Wanted} wanted
 * @param {Kept} kept
 * @param {Tools} tools
 * @param {Report} report
 */
async function download(wanted, kept, tools, report) {
  const have = kept.came;
  /** @type {Record<string, string>} */
  const headers = {};
  // Only what is proved to be the same file is gone on with.
  if (have > 0 && kept.entry.etag) Object.assign(headers, { Range: `bytes=${have}-`, "If-Range": kept.entry.etag });
  const response = await fetch(wanted.url, { headers });
  if (response.status === 416 && have > 0) {
    await kept.clear();
    throw new TypeError("the file has become shorter");
  }
  if (response.status === 404 && wanted.optional) return undefined;
  if (!response.ok || !response.body) {
    const words = `${wanted.url}: the server says ${response.status} ${response.statusText}`;
    // What is too much for now may be given later.
    if (response.status >= 500 || response.status === 429) throw new TypeError(words);
    throw new CandleWhisperError("network", words);
  }
  if (response.status !== 206 && have > 0) await kept.clear();
  const length = response.headers.get("content-encoding") ? null : response.headers.get("content-length");
  const etag = response.headers.get("etag");
  kept.entry.etag = etag && !etag.startsWith("W/") ? etag : null;
  kept.entry.total = length === null ? null : kept.came + Number(length);
  const passage = new Passage(wanted, kept, tools.converter);
  try {
    await passage.open();
    await receive(response.body, passage, () => report(kept.progress(wanted.file, passage.came, kept.entry.total), passage.size));
    const { total } = kept.entry;
    if (total !== null && kept.came < total) throw new TypeError(`it broke off after ${kept.came} of ${total} bytes`);
    if (!passage.isWhole) throw new TypeError(`it broke off after ${kept.came} bytes`);
    return passage.sha256;
  } finally {
    passage.close();
  }
}

/**
 * @param {ReadableStream<Uint8Array>} body
 * @param {Passage} passage
 * @param {() => void} report
 */
async function receive(body, passage, report) {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        passage.end();
        break;
      }
      await passage.take(/** @type {Uint8Array<ArrayBuffer>} */ (value));
      report();
      if (passage.waiting >= PART) await passage.store();
    }
  } finally {
    // What has come before a connection broke need not come again.
    await passage.store();
  }
}

/**
 * @param {Blob} blob
 * @param {Hash} hash
 */
async function hashOf(blob, hash) {
  for (let at = 0; at < blob.size; at += PART) {
    hash.push(new Uint8Array(await blob.slice(at, at + PART).arrayBuffer()));
  }
  return hash.finish();
}
