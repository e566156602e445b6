// Keeps what was written, not its sound, in this browser until it is removed: a tab that runs out of memory is closed by
// the browser without a word.
import { count } from "./format.js";
import { failure, problem } from "./messages.js";
import { notice } from "./notices.js";
import { settings } from "./settings.js";
import { state } from "./state.js";

/** @typedef {import("./state.js").Item} Item */
/** @typedef {Pick<Item, "id" | "name" | "duration" | "seconds" | "language" | "model" | "transcript"> & {session: string, whole: boolean}} Kept */

/** Milliseconds between two writings of the same recording. */
const PACE = 2000;

const session = `candle-whisper ${Date.now()} ${Math.random()}`;

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const result = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

/** @template T @param {(store: IDBObjectStore) => IDBRequest<T>} act @returns {Promise<T>} */
async function store(act) {
  const request = indexedDB.open("candle-whisper", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("transcripts", { keyPath: "id" });
  const database = await result(request);
  try {
    return await result(act(database.transaction("transcripts", "readwrite").objectStore("transcripts")));
  } finally {
    database.close();
  }
}

/** @param {Item} item */
function save({ id, name, duration, seconds, language, model, transcript, state: now }) {
  if (!settings.values.keep || !transcript.segments.length) return;
  const kept = { id, name, duration, seconds, language, model, transcript, session, whole: now === "done" };
  store((all) => all.put(kept)).catch(() => {});
}

/** What is left of pages that are no longer open. @returns {Promise<Kept[]>} */
async function left() {
  const open = new Set((await navigator.locks?.query())?.held?.map((lock) => lock.name));
  const kept = /** @type {Kept[]} */ (await store((all) => all.getAll()));
  return kept.filter((one) => !open.has(one.session));
}

/** @param {Kept[]} kept */
function bringBack(kept) {
  for (const { session: _, whole, ...one } of kept) {
    const item = state.add(new Blob([]), one.name, {
      ...one, state: whole ? "done" : "stopped", problem: whole ? null : problem(failure("aborted")),
    });
    save(item);
    if (!state.open) state.choose(item);
  }
}

/** Starts to keep, and offers what is there from last time. */
export async function keep() {
  navigator.locks?.request(session, () => new Promise(() => {}));
  /** @type {WeakMap<Item, {state: string, at: number, transcript: object}>} */
  const saved = new WeakMap();
  state.addEventListener("item", (event) => {
    const item = /** @type {CustomEvent<Item>} */ (event).detail;
    const last = saved.get(item);
    const now = performance.now();
    const changed = last?.state !== item.state || last?.transcript !== item.transcript;
    if (!changed && now - (last?.at ?? 0) < PACE) return;
    saved.set(item, { state: item.state, at: now, transcript: item.transcript });
    save(item);
  });
  state.addEventListener("items", (event) => {
    const item = /** @type {CustomEvent<Item | null>} */ (event).detail;
    if (item && !state.items.includes(item)) store((all) => all.delete(item.id)).catch(() => {});
  });
  const forget = (/** @type {Kept[]} */ kept) => kept.forEach(({ id }) => store((all) => all.delete(id)).catch(() => {}));
  const kept = await left().catch(() => []);
  settings.addEventListener("keep", () => !settings.values.keep && store((all) => all.clear()).catch(() => {}));
  if (!kept.length) return;
  notice("last time", {
    title: `From last time: ${count(kept.length, "transcript")}`, help: "Kept in this browser, without the sound.",
    actions: [["Bring back", () => bringBack(kept)], ["Forget", () => forget(kept)]],
  });
}
