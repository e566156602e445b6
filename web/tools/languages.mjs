// Prints languages.js: the core's table of languages, so that a page has it before the module has come.

import { readFileSync } from "node:fs";

import { initSync, languages } from "../pkg/candle_whisper_web.js";

initSync({ module: readFileSync(new URL("../pkg/candle_whisper_web_bg.wasm", import.meta.url)) });
const rows = languages().map((row) => `  ${JSON.stringify(row)},`);
process.stdout.write(`/** @type {[code: string, name: string][]} */\nexport const LANGUAGES = [\n${rows.join("\n")}\n];\n`);
