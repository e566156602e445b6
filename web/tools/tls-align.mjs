// Sets the alignment of thread-locals in a linked module to 1: `node tls-align.mjs IN.wasm OUT.wasm`.
//
// A program without thread-locals gets 0 from the linker, for which wasm-bindgen's start of a thread then asks the allocator,
// and that is an error there.

import { readFileSync, writeFileSync } from "node:fs";

const [from, to] = process.argv.slice(2);
const bytes = readFileSync(from);
let at = 8;

function number() {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value |= (byte & 127) << shift;
    if (byte < 128) return value >>> 0;
  }
}

/** Where the contents of each section begin, by its number. */
const sections = new Map();
while (at < bytes.length) {
  const id = bytes[at++];
  const size = number();
  sections.set(id, at);
  at += size;
}

const [GLOBALS, EXPORTS, GLOBAL, I32, I32_CONST, END] = [6, 7, 3, 0x7f, 0x41, 0x0b];
at = sections.get(EXPORTS);
let wanted = -1;
for (let n = number(); n > 0; n--) {
  const length = number();
  const name = bytes.toString("utf8", at, at + length);
  at += length;
  const kind = bytes[at++];
  const index = number();
  if (name === "__tls_align" && kind === GLOBAL) wanted = index;
}
at = sections.get(GLOBALS);
let found = -1;
for (let n = number(), index = 0; index < n; index++) {
  const [type, , operation] = bytes.subarray(at, at + 3);
  if (type !== I32 || operation !== I32_CONST) throw new Error(`global ${index} is not an i32`);
  at += 3;
  if (index === wanted) found = at;
  number();
  if (bytes[at++] !== END) throw new Error(`global ${index} is no constant`);
}
if (found < 0 || bytes[found] > 1) throw new Error("there is no `__tls_align` of 0");
bytes[found] = 1;
writeFileSync(to, bytes);
