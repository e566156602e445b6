// Lets the module's random numbers come into shared memory: `node random.mjs GLUE.js`.
//
// Browsers refuse to fill it directly, and getrandom does so where Rust does not say that there are atomics, which it does not for
// a feature that it calls unstable.

import { readFileSync, writeFileSync } from "node:fs";

const [file] = process.argv.slice(2);
const parts = readFileSync(file, "utf8").split("globalThis.crypto.getRandomValues(getArrayU8FromWasm0(arg0, arg1));");
if (parts.length !== 2) throw new Error(`${file} asks for random numbers in another way`);
writeFileSync(file, parts.join("getArrayU8FromWasm0(arg0, arg1).set(globalThis.crypto.getRandomValues(new Uint8Array(arg1)));"));
