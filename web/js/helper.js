// A helper of the thread that computes: the same module on the same memory, with a stack of its own. It runs none of Rust's
// standard library once it has started, so nothing of the glue around the module is needed.

import { answer } from "./runtime.js";

/** Bytes of its stack, in whole pages of 64 KiB. */
const STACK = 4 << 16;

/** @type {any} what the module exports */
let exports;
/** @type {Int32Array} */
let words;

const post = await answer(({ module, memory, turn, thread }) => {
  if (module) {
    exports = instance(module, memory);
    words = new Int32Array(memory.buffer);
    post("ready");
  } else {
    help(turn, thread);
  }
});

/**
 * @param {WebAssembly.Module} module
 * @param {WebAssembly.Memory} memory
 */
function instance(module, memory) {
  /** @type {Record<string, Record<string, any>>} */
  const imports = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    (imports[from] ??= {})[name] = kind === "memory" ? memory : () => 0;
  }
  const started = new WebAssembly.Instance(module, imports).exports;
  /** @type {any} */ (started).__wbindgen_start(STACK);
  return started;
}

/**
 * Never comes back: who starts a helper ends it.
 * @param {number} turn where in memory it sleeps
 * @param {number} thread
 */
function help(turn, thread) {
  try {
    for (;;) Atomics.wait(words, turn, exports.help(thread));
  } catch (error) {
    exports.helpFailed();
    throw error;
  }
}
