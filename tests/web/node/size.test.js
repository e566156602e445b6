// What a page fetches before it can hear anything.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

/** Bytes of a module as it is sent: 1.5 MB by `gzip -9`, which packs a hundredth better than Node. Who needs more should know what for. */
const MOST = 1_520_000;

for (const name of ["bg", "relaxed"]) {
  test(`the module \`${name}\` is small enough to be sent`, () => {
    const module = readFileSync(new URL(`../../../web/pkg/candle_whisper_web_${name}.wasm`, import.meta.url));
    const sent = gzipSync(module, { level: 9 }).length;
    console.log(`${name}: ${module.length} bytes, ${sent} with gzip`);
    assert.ok(sent <= MOST, `${sent} bytes with gzip, ${MOST} at most`);
  });
}
