// What the page does not do: ask the network, break its policy, need the network twice, or shut anybody out.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { browse, open, put, reach, serve } from "./browser.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let site, browser;
before(async () => ([site, browser] = await Promise.all([serve(), browse({ offline: true })])));
after(async () => (await browser.close(), await site.close()));

test("no_request_is_made_once_the_model_is_loaded", async () => {
  const page = await open(browser.context, site.url);
  await page.waitForLoadState("networkidle");
  const before = site.asked.length;
  const others = [];
  browser.context.on("request", (request) => /^https?:/.test(request.url()) && !request.url().startsWith(site.url) && others.push(request.url()));
  await put(page, "talk.flac", "long.flac");
  await reach(page, "long", "done");
  await page.locator(".w").nth(3).click();
  await page.keyboard.press("x");
  await Promise.all([page.waitForEvent("download"), page.click("#download")]);
  assert.deepEqual(others, []);
  assert.deepEqual(site.asked.slice(before), []);
  assert.match(await page.locator("#privacy-line").textContent(), /has made no request/);
  await page.evaluate(() => fetch("manifest.webmanifest"));
  await page.locator("#privacy-line", { hasText: "one request to its own site" }).waitFor({ state: "attached" });
  assert.deepEqual(page.complaints, []);
  await page.close();
});

test("the_policy_forbids_what_is_not_the_pages_own", async () => {
  const page = await open(browser.context, site.url);
  const broken = await page.evaluate(async () => {
    const seen = [];
    addEventListener("securitypolicyviolation", (event) => seen.push(event.effectiveDirective));
    document.body.append(Object.assign(document.createElement("script"), { textContent: "window.evil = 1" }));
    document.body.append(Object.assign(document.createElement("img"), { src: "https://example.org/a.png" }));
    document.body.setAttribute("style", "color: red");
    await fetch("http://example.org/").catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 100));
    return [...new Set(seen)].sort();
  });
  assert.deepEqual(broken, ["connect-src", "img-src", "script-src-elem", "style-src-attr"]);
  await page.close();
});

for (const headers of [undefined, {}]) {
  test(`a_second_visit_needs_no_network_${headers ? "on_a_host_without_headers" : "with_headers"}`, async () => {
    const other = await serve(headers ? { headers } : {});
    let page = await open(browser.context, other.url);
    assert.ok(await page.evaluate(() => crossOriginIsolated), "threads are allowed");
    await page.close();
    await other.close();
    page = await open(browser.context, other.url);
    await put(page, "talk.flac");
    await reach(page, "talk", "done");
    assert.ok(await page.evaluate(() => crossOriginIsolated));
    await page.click("text=Remove");
    await page.click("#example");
    await reach(page, "Kennedy", "done");
    await page.close();
  });
}

test("the_page_works_without_a_service_worker", async () => {
  const other = await serve({ headers: {} });
  const page = await browser.context.newPage();
  await page.addInitScript(() => Object.defineProperty(navigator, "serviceWorker", { value: undefined }));
  await page.goto(other.url);
  await page.locator("#engine[data-state=ready]").waitFor();
  assert.equal(await page.evaluate(() => crossOriginIsolated), false);
  await put(page, "talk.flac");
  await reach(page, "talk", "done");
  await page.close();
  await other.close();
});

test("the_page_can_be_installed", async () => {
  const manifest = JSON.parse(await (await fetch(`${site.url}manifest.webmanifest`)).text());
  for (const icon of manifest.icons) assert.equal((await fetch(site.url + icon.src)).status, 200);
  assert.equal(manifest.display, "standalone");
});

test("every_module_is_kept_for_use_without_a_network", async () => {
  const page = await open(browser.context, site.url);
  const loaded = await page.evaluate(() => performance.getEntriesByType("resource").map((entry) => new URL(entry.name).pathname));
  const kept = await page.evaluate(async () => (await (await caches.open("candle-whisper-page-1")).keys()).map((request) => new URL(request.url).pathname));
  for (const path of [...loaded.filter((path) => !path.startsWith("/models/")), "/js/recorder-worklet.js"]) assert.ok(kept.includes(path), path);
  await page.close();
});

const check = (page) => page.evaluate(async (source) => {
  // The page's policy forbids a script element; the test goes round it.
  if (!globalThis.axe) (0, Function)(source)();
  return (await globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }))
    .violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.any[0]?.message ?? ""}`).join("; ")}`);
}, axe);

for (const [name, width, height, theme] of [["wide_and_light", 1280, 800, "light"], ["narrow_and_dark", 390, 844, "dark"]]) {
  test(`axe_finds_nothing_${name}`, async () => {
    const page = await open(browser.context, site.url, { width, height });
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    const clean = async (state) => assert.deepEqual(await check(page), [], state);
    await clean("start");
    await page.click(".advanced summary");
    await clean("advanced");
    await page.click("#model");
    await page.locator(".fit.fits").first().waitFor();
    await clean("models");
    await page.keyboard.press("Escape");
    await put(page, "long slow.flac", "waiting.flac");
    await page.locator(".segment:not(.live)").first().waitFor();
    await clean("working");
    await page.locator(".working button").click();
    await reach(page, "waiting", "done");
    await clean("stopped");
    await page.locator(".item .open", { hasText: "waiting" }).click();
    await page.fill(".search input", "country");
    await page.locator(".segment .edit").first().click();
    // From its head on: wherever else the click has scrolled to, the player may cover the tools.
    await page.locator(".reader-head").evaluate((head) => head.scrollIntoView());
    await clean("done, searched, being edited");
    await page.locator("textarea").press("Escape");
    await page.getByText("Export…").click();
    await page.locator("#export input[value=srt]").check();
    await clean("export");
    await page.keyboard.press("Escape");
    await page.click("#help-open");
    await clean("help");
    await page.keyboard.press("Escape");
    await put(page, "memory.flac");
    await reach(page, "memory", "failed");
    await page.locator(".item .open", { hasText: "memory" }).click();
    await clean("failed");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    assert.equal(wide, false, "nothing sticks out sideways");
    await page.close();
  });
}
