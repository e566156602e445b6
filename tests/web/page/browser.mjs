// What the tests share: a server with the fake library, a browser, and pages that complain about what they should not do.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { after, afterEach, before, beforeEach } from "node:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { server } from "../../../www/serve.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

export const JFK = here("../../data/jfk.flac");

/** The page on a free port; `asked` is every path that was asked for. */
export async function serve(options = {}) {
  const asked = [];
  const http = server({
    mounts: { "/pkg/": here("fake/pkg"), "/models/": here("fake/models") }, onRequest: (path) => asked.push(path), ...options,
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return { url: `http://localhost:${http.address().port}/`, asked, close: () => new Promise((resolve) => (http.closeAllConnections(), http.close(resolve))) };
}

/** A browser with an empty profile and a microphone that beeps, or hears a WAV file; without service workers unless asked. */
export async function browse({ offline = false, sound = "" } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "candle-whisper-"));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    viewport: { width: 1280, height: 800 },
    acceptDownloads: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream", "--mute-audio",
      ...(sound ? [`--use-file-for-fake-audio-capture=${sound}`, "--use-fake-ui-for-media-stream"] : [])],
  });
  if (!offline) await context.addInitScript(() => Object.defineProperty(navigator, "serviceWorker", { value: undefined }));
  return { context, close: async () => (await context.close(), await rm(folder, { recursive: true, force: true })) };
}

/** A new page whose complaints (exceptions, errors on the console, broken policy) are collected. */
export async function open(context, url, { wait = true, patience = 30_000, ...size } = {}) {
  const page = await context.newPage();
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
  if (size.width) await page.setViewportSize(size);
  // A page that is not in front gets no keys.
  await page.bringToFront();
  await page.goto(url);
  if (wait) await page.locator("#engine[data-state=ready]").waitFor({ timeout: patience });
  return page;
}

/** Puts files in by their names; the fake knows from those what shall happen. Their sound is real. */
export async function put(page, ...names) {
  const buffer = await readFile(JFK);
  await page.setInputFiles("#files", names.map((name) => ({ name, mimeType: "audio/flac", buffer })));
}

/** Waits until the recording of that name is in the state. */
export const reach = (page, name, state) =>
  page.locator(`.item[data-state=${state}]`, { hasText: name }).waitFor({ timeout: 10_000 });

/** The calls of that name that the fake library had. */
export const callsOf = (page, name) => page.evaluate((wanted) => globalThis.fakeCalls.filter(([call]) => call === wanted), name);

/** Each test of the file gets a new page that remembers nothing, and fails if that page has complained. */
export function onPages(take) {
  let site, browser, page;
  before(async () => ([site, browser] = await Promise.all([serve(), browse()])));
  after(async () => (await browser.close(), await site.close()));
  beforeEach(async () => {
    page = await open(browser.context, site.url);
    take({ site, browser, page });
  });
  afterEach(async () => {
    const { complaints } = page;
    await page.evaluate(forget);
    await page.close({ runBeforeUnload: false });
    assert.deepEqual(complaints, []);
  });
}

/** In the page: what it keeps for the next visit is gone. */
function forget() {
  localStorage.clear();
  const request = indexedDB.open("candle-whisper");
  return new Promise((resolve) => {
    request.onsuccess = () => {
      const work = request.result.transaction("transcripts", "readwrite");
      work.objectStore("transcripts").clear();
      work.oncomplete = resolve;
    };
  });
}
