// Fetched files kept for the next visit, in parts so that an interrupted download can go on where it stopped. What is kept
// may be another file than the one that is sent, made of it as it came.
// Where nothing can be kept (a private window, no room, Node), a file's parts stay in memory.

const CACHE = "candle-whisper-1";

/**
 * What is known of a file that is kept.
 * @typedef {object} Entry
 * @property {string | null} etag
 * @property {number | null} total bytes, if the server said
 * @property {number[]} parts bytes of each
 * @property {boolean} complete
 * @property {string | null} sha256 of the file as it is sent
 * @property {string | null} keep what its floats were to become; null where nothing could have become of it
 * @property {{taken: number, state: number[], rounded: number} | null} converted of a file that is converted: how many of its
 *   bytes were, the hash of these, and how many numbers lost something
 */

/** @returns {Entry} */
const nothing = () => ({ etag: null, total: null, parts: [], complete: false, sha256: null, keep: null, converted: null });

/** One file's place in the cache. */
export class Kept {
  /** @type {Cache | null} */
  #cache;
  #url;
  /** @type {Blob[]} */
  #memory = [];
  /** @type {Entry} */
  entry = nothing();
  /** @type {Uint8Array<ArrayBuffer>} */
  #head = new Uint8Array();
  /** @type {string | null} why it is in memory only */
  note = null;

  /**
   * @param {Cache | null} cache
   * @param {string} url
   * @param {string | null} note
   */
  constructor(cache, url, note) {
    this.#cache = cache;
    this.#url = url;
    this.note = note;
  }

  /**
   * @param {string} url
   * @param {boolean} wanted whether to keep it
   */
  static async open(url, wanted) {
    if (!wanted) return new Kept(null, url, null);
    let cache = null;
    try {
      cache = await globalThis.caches.open(CACHE);
    } catch {
      return new Kept(null, url, "this browser keeps nothing here: the model will be fetched again next time");
    }
    const kept = new Kept(cache, url, null);
    const index = await cache.match(kept.#key("index")).catch(() => undefined);
    if (index) kept.entry = { ...nothing(), ...(await index.json()) };
    return kept;
  }

  get size() {
    return this.entry.parts.reduce((sum, part) => sum + part, 0);
  }

  /** Bytes of the file as it is sent that have come. */
  get came() {
    return this.entry.converted?.taken ?? this.size;
  }

  /** Whether what is there is what is wanted now. @param {string} keep */
  fits(keep) {
    return this.entry.keep === null || this.entry.keep === keep || (keep === "as sent" && !this.entry.converted);
  }

  /**
   * @param {string} file
   * @param {number} loaded
   * @param {number | null} total
   */
  progress(file, loaded, total) {
    const rounded = this.entry.converted?.rounded ? `${this.entry.converted.rounded} numbers of the model were rounded to 16 bits` : null;
    const note = [this.note, rounded].filter(Boolean).join("; ");
    return note ? { file, loaded, total, note } : { file, loaded, total };
  }

  /** The head of a file that is converted, as it was sent. */
  async head() {
    if (!this.#cache) return this.#head;
    const head = await this.#cache.match(this.#key("head"));
    return head ? new Uint8Array(await head.arrayBuffer()) : this.#head;
  }

  /** @param {Uint8Array<ArrayBuffer>} head */
  async keepHead(head) {
    this.#head = head.slice();
    // Where it finds no room, the part after it does not either.
    await this.#cache?.put(this.#key("head"), new Response(this.#head)).catch(() => {});
  }

  /**
   * Adds the next part. When the cache has no room, this and what follows stay in memory.
   * @param {Blob} part
   */
  async add(part) {
    const index = this.entry.parts.length;
    this.entry.parts.push(part.size);
    if (this.#cache) {
      try {
        await this.#cache.put(this.#key(index), new Response(part));
        await this.#write();
        return;
      } catch {
        this.note = "there is no room to keep the model: it will be fetched again next time";
        this.#memory = [];
        for (let i = 0; i < index; i++) this.#memory.push(await this.#read(i));
        await this.clear(false);
      }
    }
    this.#memory.push(part);
  }

  /** @param {string | null} sha256 */
  async finish(sha256) {
    this.entry.complete = true;
    this.entry.sha256 = sha256;
    if (this.#cache) await this.#write().catch(() => (this.note = "the model could not be kept"));
  }

  /** The whole file; in a browser it stays on disk until it is read. */
  async blob() {
    if (!this.#cache) return new Blob(this.#memory);
    return new Blob(await Promise.all(this.entry.parts.map((_, index) => this.#read(index))));
  }

  /**
   * Forgets what is there.
   * @param {boolean} [again] whether to keep what comes next
   */
  async clear(again = true) {
    const cache = this.#cache;
    if (cache) {
      await cache.delete(this.#key("index")).catch(() => false);
      await cache.delete(this.#key("head")).catch(() => false);
      await Promise.all(this.entry.parts.map((_, index) => cache.delete(this.#key(index)).catch(() => false)));
    }
    if (again) {
      this.entry = nothing();
      this.#memory = [];
    } else {
      this.#cache = null;
    }
  }

  /** @param {number} index */
  async #read(index) {
    const part = await this.#cache?.match(this.#key(index));
    const blob = await part?.blob();
    if (blob?.size !== this.entry.parts[index]) throw new TypeError("a kept part of the model is gone");
    return blob;
  }

  async #write() {
    await this.#cache?.put(this.#key("index"), new Response(JSON.stringify(this.entry)));
  }

  /** @param {string | number} part */
  #key(part) {
    const url = new URL(this.#url);
    url.searchParams.set("candle-whisper", String(part));
    return url.href;
  }
}

/** Forgets every file that is kept. */
export async function clear() {
  await globalThis.caches?.delete(CACHE).catch(() => false);
}
