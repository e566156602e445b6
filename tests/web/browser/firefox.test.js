// The package and the page in Firefox, driven by WebDriver BiDi.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import puppeteer from "puppeteer-core";

import { CandleWhisper } from "../../../web/pkg/candle-whisper.js";
import { root, serve } from "./site.js";

const jfk = join(root, "tests/data/jfk.flac");
const plain = { "/pkg/": "web/pkg", "/models/": "native/models", "/data/": "tests/data", "/": "web/examples/plain" };
const patience = { timeout: 120_000 };

let browser;
before(async () => {
  browser = await puppeteer.launch({ browser: "firefox", executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr", headless: true, timeout: 60_000 });
});
after(() => browser.close());

async function open(url) {
  const page = await browser.newPage();
  page.on("pageerror", (error) => assert.fail(`the page failed: ${error.message}`));
  await page.goto(url);
  return page;
}

async function node() {
  const whisper = await CandleWhisper.load({ models: new URL("../../../native/models/", import.meta.url) });
  let said;
  for await (const event of whisper.transcribe(new Blob([readFileSync(jfk)]), { temperature: 0 })) if (event.type === "done") said = event.transcript;
  whisper.dispose();
  return said.segments.map(({ tokens }) => tokens);
}

for (const isolated of [false, true]) {
  test(`Firefox writes the same tokens, and again without the network, ${isolated ? "isolated" : "without any headers"}`, patience, async (t) => {
    const site = await serve(plain, { isolated, t });
    const page = await open(site.url);
    const visit = () => page.evaluate(async () => {
      const { CandleWhisper } = await import("./pkg/candle-whisper.js");
      const whisper = await CandleWhisper.load();
      const file = await (await fetch("data/jfk.flac")).blob();
      const since = performance.now();
      let said;
      for await (const event of whisper.transcribe(file, { temperature: 0 })) if (event.type === "done") said = event.transcript;
      whisper.dispose();
      return { tokens: said.segments.map(({ tokens }) => tokens), ms: performance.now() - since, isolated: crossOriginIsolated };
    });
    const first = await visit();
    console.log(`Firefox, ${isolated ? "isolated" : "one thread"}: ${first.ms.toFixed(0)} ms for 11 s`);
    assert.equal(first.isolated, isolated);
    assert.deepEqual(first.tokens, await node());
    site.offline = true;
    site.requests.length = 0;
    await page.reload();
    assert.deepEqual((await visit()).tokens, first.tokens);
    assert.deepEqual(site.requests.filter((path) => path.includes("/models/")), []);
    await page.close();
  });
}

test("a signal stops in Firefox within a second and the model goes on", patience, async (t) => {
  const site = await serve(plain, { t });
  const page = await open(site.url);
  const seen = await page.evaluate(async () => {
    const { CandleWhisper } = await import("./pkg/candle-whisper.js");
    const whisper = await CandleWhisper.load();
    const control = new AbortController();
    let [since, code, text] = [0, "", ""];
    try {
      const long = await (await fetch("data/long-72s.flac")).blob();
      for await (const event of whisper.transcribe(long, { temperature: 0 }, { signal: control.signal })) {
        if (event.type !== "text" || since) continue;
        since = performance.now();
        control.abort();
      }
    } catch (error) {
      code = error.code;
    }
    const stopped = performance.now() - since;
    const short = await (await fetch("data/jfk.flac")).blob();
    for await (const event of whisper.transcribe(short)) if (event.type === "done") text = event.transcript.text;
    whisper.dispose();
    return { code, stopped, text };
  });
  assert.equal(seen.code, "aborted");
  assert.ok(seen.stopped < 1000);
  assert.match(seen.text, /ask not what your country/);
  await page.close();
});

test("the page itself writes its example out in Firefox", patience, async (t) => {
  const site = await serve({ "/pkg/": "web/pkg", "/models/": "native/models", "/": "www" }, { isolated: true, t });
  const page = await open(site.url);
  await page.waitForSelector("#engine[data-state=ready]", patience);
  await page.click("#example");
  await page.waitForSelector(".item[data-state=done]", patience);
  assert.match(await page.$eval(".segments", (element) => element.textContent), /ask not what your country/);
  assert.ok((await page.$$(".w")).length >= 20, "words have times");
  await page.close();
});
