// Chromium with an empty profile, and pages that fail the test when they throw.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

const how = {
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync"],
};

/** @param {import("playwright-core").BrowserContext} context */
const opener = (context) => async (url) => {
  const page = await context.newPage();
  page.on("console", (message) => console.log(`page: ${message.text()}`));
  page.on("pageerror", (error) => assert.fail(`the page failed: ${error.message}`));
  await page.goto(url);
  return page;
};

/** One that keeps things on disk. */
export async function browse() {
  const profile = mkdtempSync(join(tmpdir(), "candle-whisper-"));
  const context = await chromium.launchPersistentContext(profile, how);
  const close = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { open: opener(context), close };
}

/** One whose memory can be looked at. */
export async function measured() {
  const browser = await chromium.launch(how);
  const system = await browser.newBrowserCDPSession();

  /** Bytes that the process of the busiest page has: now, and at most so far. */
  const memory = async () => {
    const { processInfo } = await system.send("SystemInfo.getProcessInfo");
    const sizes = processInfo.filter(({ type }) => type === "renderer").map(({ id }) => {
      const status = readFileSync(`/proc/${id}/status`, "utf8");
      const bytes = (name) => 1024 * Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
      return { now: bytes("VmRSS"), most: bytes("VmHWM") };
    });
    return sizes.reduce((largest, size) => (size.most > largest.most ? size : largest));
  };
  return { open: opener(await browser.newContext()), memory, close: () => browser.close() };
}
