// What happens to a file's bytes between the network and where they are kept: nothing, or they are converted.

import { asError } from "./errors.js";

/** Bytes of a head that is worth waiting for; the largest model's has a tenth of it. */
const MOST_HEAD = 4e6;

/** @typedef {import("./candle_whisper_web.js").Arriving} Arriving */
/** @typedef {typeof import("./candle_whisper_web.js").Arriving} Converter */

/** The bytes of one answer, collected until there are enough to keep. */
export class Passage {
  #kept;
  #wanted;
  #converter;
  /** @type {Arriving | null} */
  #arriving = null;
  /** Whether it is known what becomes of them. */
  #decided;
  /** @type {Uint8Array<ArrayBuffer>[]} */
  #pieces = [];
  #size = 0;

  /**
   * @param {import("./fetch.js").Wanted} wanted
   * @param {import("./store.js").Kept} kept
   * @param {Converter} converter
   */
  constructor(wanted, kept, converter) {
    this.#wanted = wanted;
    this.#kept = kept;
    this.#converter = converter;
    this.#decided = wanted.keep === "as sent" || kept.size > 0;
  }

  /** Goes on with a file that is converted, if this is one. */
  async open() {
    const { converted } = this.#kept.entry;
    if (!converted) return;
    try {
      this.#arriving = this.#converter.of(await this.#kept.head(), this.#wanted.keep) ?? null;
      this.#arriving?.resume(converted.taken, Uint8Array.from(converted.state));
    } catch (error) {
      await this.#kept.clear();
      throw error;
    }
  }

  /** Nothing more comes. */
  end() {
    this.#decided = true;
  }

  /** Bytes of the file that have come. */
  get came() {
    return this.#kept.came + this.#size;
  }

  /** Bytes that wait to be kept. */
  get waiting() {
    return this.#size;
  }

  /** Bytes of the file to keep, if it is known; that of the answer if it stays as it is. */
  get size() {
    if (!this.#decided) return null;
    return this.#arriving ? this.#arriving.size() : this.#kept.entry.total;
  }

  /** @param {Uint8Array<ArrayBuffer>} piece */
  async take(piece) {
    this.#pieces.push(piece);
    this.#size += piece.byteLength;
    if (!this.#decided) await this.#decide();
  }

  /** Whether what is converted is all there. */
  get isWhole() {
    return !this.#arriving || this.#arriving.isWhole();
  }

  /** SHA-256 of the bytes as they came, where they are not to be had again. */
  get sha256() {
    return this.#arriving?.sha256() ?? null;
  }

  /** Hands on what has come. */
  async store() {
    if (this.#size === 0) return;
    // So few bytes are soon fetched again.
    if (!this.#decided) return this.#put([]);
    if (!this.#arriving) {
      const part = new Blob(this.#pieces);
      this.#put([]);
      return this.#kept.add(part);
    }
    const bytes = this.#joined();
    const before = this.#arriving.taken();
    const rounded = this.#arriving.rounded();
    const made = await this.#converted(this.#arriving, bytes);
    const used = this.#arriving.taken() - before;
    this.#put(used < bytes.length ? [bytes.slice(used)] : []);
    const { converted } = this.#kept.entry;
    this.#kept.entry.converted = {
      taken: this.#arriving.taken(), state: [...this.#arriving.state()], rounded: (converted?.rounded ?? 0) + this.#arriving.rounded() - rounded,
    };
    if (made.length > 0) await this.#kept.add(new Blob([made]));
  }

  /** Gives back what it has in the module's memory. */
  close() {
    this.#arriving?.free();
    this.#arriving = null;
  }

  /** Whether there is something to convert is known from the head of the file. */
  async #decide() {
    if (this.#size < 9) return;
    const length = this.#converter.headLength(this.#pieces.length > 1 ? this.#joined() : this.#pieces[0]);
    if (length !== undefined && length <= MOST_HEAD) {
      if (this.#size < length) return;
      this.#kept.entry.keep = this.#wanted.keep;
      const head = this.#joined().subarray(0, length);
      // A head that is damaged is an error of who loads it.
      try {
        this.#arriving = this.#converter.of(head, this.#wanted.keep) ?? null;
      } catch (error) {
        if (error instanceof WebAssembly.RuntimeError) throw error;
      }
      if (this.#arriving) await this.#begin(this.#arriving, head);
    }
    this.#decided = true;
  }

  /**
   * @param {Arriving} arriving
   * @param {Uint8Array<ArrayBuffer>} head
   */
  async #begin(arriving, head) {
    const rest = this.#joined().slice(head.length);
    await this.#kept.keepHead(head);
    this.#put(rest.length > 0 ? [rest] : []);
    this.#kept.entry.converted = { taken: head.length, state: [...arriving.state()], rounded: 0 };
    await this.#kept.add(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (arriving.head())]));
  }

  /**
   * @param {Arriving} arriving
   * @param {Uint8Array<ArrayBuffer>} bytes
   */
  async #converted(arriving, bytes) {
    try {
      return /** @type {Uint8Array<ArrayBuffer>} */ (arriving.convert(bytes));
    } catch (error) {
      this.#put([]);
      if (error instanceof WebAssembly.RuntimeError) throw error;
      await this.#kept.clear();
      throw asError(error, "model");
    }
  }

  #joined() {
    if (this.#pieces.length === 1) return this.#pieces[0];
    const whole = new Uint8Array(this.#size);
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.byteLength;
    }
    this.#pieces = [whole];
    return whole;
  }

  /** @param {Uint8Array<ArrayBuffer>[]} pieces */
  #put(pieces) {
    this.#pieces = pieces;
    this.#size = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  }
}
