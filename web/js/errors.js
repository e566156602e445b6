// What goes wrong, in words for people and a code for programs.

/** @typedef {"aborted" | "bad-option" | "audio" | "model" | "network" | "memory"} ErrorCode */

/** Every error of this package. */
export class CandleWhisperError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "CandleWhisperError";
    /** What it is about. */
    this.code = code;
  }
}

export const aborted = () => new CandleWhisperError("aborted", "stopped on request");

/**
 * Whatever was thrown, as an error of ours.
 * @param {unknown} error
 * @param {ErrorCode} code for one that has none
 * @returns {CandleWhisperError}
 */
export function asError(error, code) {
  if (error instanceof CandleWhisperError) return error;
  const { message, code: given } = /** @type {{message?: string, code?: unknown}} */ (Object(error));
  const known = ["aborted", "bad-option", "audio", "model", "network", "memory"].includes(String(given));
  return new CandleWhisperError(known ? /** @type {ErrorCode} */ (given) : code, message ?? String(error));
}

/**
 * Throws if an object has a field that is not among those named, or one that JSON would lose without a word.
 * @param {object} given
 * @param {string[] | null} names all that may be there; null for any
 * @param {string} what
 */
export function check(given, names, what) {
  if (typeof given !== "object" || given === null) throw new CandleWhisperError("bad-option", `${what} must be an object`);
  for (const [name, value] of Object.entries(given)) {
    if (names && !names.includes(name)) {
      throw new CandleWhisperError("bad-option", `unknown option \`${name}\` of ${what}; there are ${names.join(", ")}`);
    }
    if (typeof value === "number" && !Number.isFinite(value)) {
      throw new CandleWhisperError("bad-option", `option \`${name}\` of ${what} is ${value}`);
    }
  }
}
