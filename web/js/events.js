// What work in the worker tells, as a loop of its caller's.

import { asError } from "./errors.js";

/**
 * A signal that ends with another one, or by itself.
 * @param {AbortSignal | undefined} signal
 */
export function within(signal) {
  const own = new AbortController();
  const stop = () => own.abort();
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop, { once: true });
  return { signal: own.signal, stop, release: () => signal?.removeEventListener("abort", stop) };
}

/**
 * The events of some work as they come. Leaving the loop stops it; its error is thrown.
 * @template T
 * @param {AbortSignal | undefined} outer
 * @param {(signal: AbortSignal, tell: (event: T) => void) => Promise<void>} begin
 * @returns {AsyncGenerator<T, void, undefined>}
 */
export async function* eventsOf(outer, begin) {
  const { signal, stop, release } = within(outer);
  /** @type {T[]} */
  let events = [];
  let wake = () => {};
  /** @type {import("./errors.js").CandleWhisperError | null} */
  let failure = null;
  let ended = false;
  const tell = (/** @type {T} */ event) => {
    events.push(event);
    wake();
  };
  begin(signal, tell)
    .catch((error) => (failure = asError(error, "model")))
    .finally(() => {
      ended = true;
      wake();
    });
  try {
    for (;;) {
      const now = events;
      events = [];
      for (const event of now) {
        if (signal.aborted) break;
        yield event;
      }
      if (failure) throw failure;
      if (ended && events.length === 0) return;
      if (events.length === 0) await new Promise((resolve) => (wake = () => resolve(undefined)));
    }
  } finally {
    release();
    if (!ended) stop();
  }
}
