// What went wrong, in words for people: what happened, and what can be done. The library's own words stand below.

/** @typedef {{code: string, title: string, help: string, detail: string}} Problem */

/** @type {Record<string, [string, string]>} */
const KNOWN = {
  "aborted": ["Stopped", "What was written so far is kept. You can start again."],
  "audio": ["This file could not be read as sound", "It may be damaged, or in a format that neither the page nor this browser knows. Other recordings go on."],
  "bad-option": ["A setting does not fit", "Change it under Settings, then start again."],
  "model": ["This model could not be used", "Its files may be damaged, or not be a Whisper model. Choose another one, then start again."],
  "network": ["The model could not be fetched", "Check the connection, then try again. The bundled model tiny.en needs none."],
  "memory": ["There was not enough memory", "Close other tabs or choose a smaller model, then start again. What was written so far is kept."],
  "lost": ["The engine stopped unexpectedly", "It is started anew for the next recording. What was written so far is kept."],
  "engine": ["The engine is missing", "The page was put up without its program: run web/build.sh, then load the page again."],
  "link": ["This link could not be fetched", "Its server must allow other pages to read it, which many do not. Download the file, then drop it here."],
  "no-microphone": ["There is no microphone", "Connect one, then record again."],
  "microphone-refused": ["The microphone is not allowed", "Allow it for this page in the browser’s address bar, then record again."],
  "microphone-busy": ["The microphone could not be opened", "Another program may be using it."],
  "empty": ["There is nothing in this file", "It has no bytes. Choose another one."],
};

/**
 * Any error as a problem that can be shown. Errors of the library have a code; what has none is a lost engine.
 * @param {unknown} error
 * @returns {Problem}
 */
export function problem(error) {
  const given = /** @type {{code?: unknown, name?: string, message?: string}} */ (error ?? {});
  const code = given.name === "AbortError" ? "aborted" : String(given.code ?? "");
  const known = Object.hasOwn(KNOWN, code) ? code : "lost";
  const [title, help] = KNOWN[known];
  return { code: known, title, help, detail: given.message ?? String(error) };
}

/** An error of the page itself. @param {string} code @param {string} [detail] */
export const failure = (code, detail = "") => Object.assign(new Error(detail), { code });
