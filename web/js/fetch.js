// Files over HTTP, in a worker: with progress, going on where they broke off, checked by their hash where it is known.

import { CandleWhisperError, asError } from "./errors.js";
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
 */

/** @typedef {{push(bytes: Uint8Array): void, finish(): string}} Hash */

/**
 * The file, from what is kept if it is there as a whole.
 * @param {Wanted} wanted
 * @param {() => Hash} newHash
 * @param {(progress: import("./types.js").LoadProgress) => void} report
 * @returns {Promise<Blob>}
 */
export async function obtain(wanted, newHash, report) {
  const kept = await Kept.open(wanted.url, wanted.cache);
  const tell = () => {
    const { total } = kept.entry;
    const progress = { file: wanted.file, loaded: kept.size, total: kept.entry.complete ? kept.size : total };
    report(kept.note ? { ...progress, note: kept.note } : progress);
  };
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
  for (let attempt = 0; ; attempt++) {
    const before = kept.size;
    try {
      if (!(await download(wanted, kept, report))) return new Blob([]);
      break;
    } catch (error) {
      if (error instanceof CandleWhisperError) throw error;
      if (kept.size > before) attempt = 0;
      if (attempt >= WAIT.length) {
        const { message } = asError(error, "network");
        throw new CandleWhisperError("network", `could not fetch ${wanted.url}: ${message}`);
      }
      await new Promise((resolve) => setTimeout(resolve, WAIT[attempt]));
    }
  }
  const blob = await kept.blob();
  const sha256 = wanted.sha256 ? await hashOf(blob, newHash()) : null;
  if (sha256 !== null && sha256 !== wanted.sha256) {
    await kept.clear();
    throw new CandleWhisperError("network", `${wanted.url} has the SHA-256 ${sha256} and not ${wanted.sha256}`);
  }
  await kept.finish(sha256);
  tell();
  return blob;
}

/**
 * Fetches what is missing; false if there is no such file and none is needed.
 * @param {Wanted} wanted
 * @param {Kept} kept
 * @param {(progress: import("./types.js").LoadProgress) => void} report
 */
async function download(wanted, kept, report) {
  const have = kept.size;
  /** @type {Record<string, string>} */
  const headers = {};
  // Only what is proved to be the same file is gone on with.
  if (have > 0 && kept.entry.etag) Object.assign(headers, { Range: `bytes=${have}-`, "If-Range": kept.entry.etag });
  const response = await fetch(wanted.url, { headers });
  if (response.status === 416 && have > 0) {
    await kept.clear();
    throw new TypeError("the file has become shorter");
  }
  if (response.status === 404 && wanted.optional) return false;
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
  kept.entry.total = length === null ? null : kept.size + Number(length);
  await receive(response.body, wanted.file, kept, report);
  const { total } = kept.entry;
  if (total !== null && kept.size < total) throw new TypeError(`it broke off after ${kept.size} of ${total} bytes`);
  return true;
}

/**
 * @param {ReadableStream<Uint8Array>} body
 * @param {string} file
 * @param {Kept} kept
 * @param {(progress: import("./types.js").LoadProgress) => void} report
 */
async function receive(body, file, kept, report) {
  /** @type {Uint8Array<ArrayBuffer>[]} */
  let pieces = [];
  let size = 0;
  const store = async () => {
    if (size > 0) await kept.add(new Blob(pieces));
    pieces = [];
    size = 0;
  };
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(/** @type {Uint8Array<ArrayBuffer>} */ (value));
      size += value.byteLength;
      const progress = { file, loaded: kept.size + size, total: kept.entry.total };
      report(kept.note ? { ...progress, note: kept.note } : progress);
      if (size >= PART) await store();
    }
  } finally {
    // What has come before a connection broke need not come again.
    await store();
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
