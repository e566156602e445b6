// The page with the real library and the bundled model: `npm run real`, after web/build.sh.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { JFK, browse, open, serve } from "./browser.mjs";

const PATIENCE = 180_000;

let site, browser;
before(async () => {
  const built = fileURLToPath(new URL("../../../www/pkg/candle-whisper.js", import.meta.url));
  assert.ok(existsSync(built), "www/pkg is missing: run web/build.sh");
  [site, browser] = await Promise.all([serve({ mounts: {} }), browse({ offline: true })]);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

/** What was asked for since; a browser looks for a newer service worker whenever it likes. */
const askedSince = (before) => site.asked.slice(before).filter((path) => path !== "/sw.js");

/** The bundled model writes out the recording of that name. */
async function writes(page, name, file = JFK) {
  await page.setInputFiles("#files", [{ name, mimeType: "audio/flac", buffer: await readFile(file) }]);
  await page.locator(".item[data-state=done]", { hasText: name }).waitFor({ timeout: PATIENCE });
  await page.locator(".item .open", { hasText: name }).click();
  const text = (await page.locator(".segment p").allTextContents()).join(" ");
  assert.match(text, /ask not what your country can do for you/i);
}

test("the_bundled_model_writes_out_a_recording_and_asks_the_network_nothing", { timeout: PATIENCE }, async () => {
  const page = await open(browser.context, site.url, { patience: PATIENCE });
  await page.waitForLoadState("networkidle");
  const before = site.asked.length;
  await writes(page, "kennedy.flac");
  assert.ok((await page.locator(".w").count()) >= 20, "words have times");
  for (const format of ["txt", "srt", "vtt", "ass", "tsv", "csv", "lrc", "json"]) {
    await page.keyboard.press("x");
    await page.locator(`#export input[value=${format}]`).check();
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
    const content = await readFile(await download.path(), "utf8");
    assert.match(format === "ass" ? content.replace(/\{.*?\}/g, "") : content, /fellow Americans/i);
    if (format === "ass") assert.match(content, /\{\\k\d+\}.*country/);
  }
  // Words that are put right get the times of their sound: where the last one stands, nothing has moved.
  const words = () => page.locator(".segment .w").evaluateAll((all) => all.map((word) => [word.textContent, Number(word.dataset.start)]));
  const heard = await words();
  const phrase = page.locator(".segment").first();
  await phrase.locator(".edit").click();
  const text = await page.locator("textarea").inputValue();
  await page.locator("textarea").fill(text.replace("fellow Americans", "dear fellow citizens"));
  await page.keyboard.press("Control+Enter");
  const guessed = await words();
  await page.waitForFunction((guess) => JSON.stringify([...document.querySelectorAll(".segment .w")].map((word) => [word.textContent, Number(word.dataset.start)])) !== guess,
    JSON.stringify(guessed), { timeout: PATIENCE });
  const aligned = await words();
  assert.equal(aligned.length, heard.length + 1);
  assert.ok(Math.abs(aligned.at(-1)[1] - heard.at(-1)[1]) < 0.3, `${aligned.at(-1)} and ${heard.at(-1)}`);
  assert.deepEqual(askedSince(before), []);
  assert.deepEqual(page.complaints, []);
  await page.close();
});

test("a_broken_file_is_named_and_the_next_one_works", { timeout: PATIENCE }, async () => {
  const page = await open(browser.context, site.url, { patience: PATIENCE });
  await page.setInputFiles("#files", [{ name: "broken.wav", mimeType: "audio/wav", buffer: Buffer.from("no sound") }]);
  await page.getByText("could not be read as sound").first().waitFor({ timeout: PATIENCE });
  await writes(page, "next.flac");
  await page.close();
});

test("cancel_keeps_the_engine_usable", { timeout: PATIENCE }, async () => {
  const page = await open(browser.context, site.url, { patience: PATIENCE });
  const buffer = await readFile(fileURLToPath(new URL("../../data/long-72s.flac", import.meta.url)));
  await page.setInputFiles("#files", [{ name: "long.flac", mimeType: "audio/flac", buffer }]);
  await page.locator(".live p").first().waitFor({ timeout: PATIENCE });
  await page.locator(".working button").click();
  await page.locator(".item[data-state=stopped]").waitFor();
  await writes(page, "next.flac");
  await page.close();
});

test("floats_and_several_windows_at_once_write_it_too_and_what_does_not_fit_is_said", { timeout: PATIENCE }, async () => {
  const page = await open(browser.context, site.url, { patience: PATIENCE });
  await page.getByLabel("Faster, with small integers").uncheck();
  await page.locator(".advanced summary").click();
  await page.getByLabel("Several windows at once").fill("2");
  await page.locator("#option-batch").blur();
  await writes(page, "together.flac");
  assert.ok((await page.locator(".w").count()) >= 20, "words have times");
  await page.locator("#option-clip_timestamps").fill("1, 2");
  await page.locator("#option-clip_timestamps").blur();
  await page.setInputFiles("#files", [{ name: "parts.flac", mimeType: "audio/flac", buffer: await readFile(JFK) }]);
  await page.locator(".item[data-state=failed]", { hasText: "parts" }).waitFor({ timeout: PATIENCE });
  await page.locator(".item .open", { hasText: "parts" }).click();
  assert.match(await page.locator(".failure").textContent(), /`batch` and `clip_timestamps` can't be given together/);
  await page.evaluate(() => localStorage.clear());
  await page.close();
});

test("several_recordings_share_a_batch_and_each_gets_its_own_text", { timeout: PATIENCE }, async () => {
  const page = await open(browser.context, site.url, { patience: PATIENCE });
  await page.locator(".advanced summary").click();
  await page.getByLabel("Several windows at once").fill("3");
  await page.locator("#option-batch").blur();
  const data = (name) => readFile(fileURLToPath(new URL(`../../data/${name}`, import.meta.url)));
  const [jfk, long] = await Promise.all(["jfk.flac", "long-72s.flac"].map(data));
  const files = { "one.flac": jfk, "broken.flac": Buffer.from("no sound"), "two.flac": jfk, "long.flac": long, "three.flac": jfk };
  await page.setInputFiles("#files", Object.entries(files).map(([name, buffer]) => ({ name, mimeType: "audio/flac", buffer })));
  const row = (name, state) => page.locator(`.item[data-state=${state}]`, { hasText: name });
  // Two are worked on at once, and one of those that wait is not wanted any more.
  await page.waitForFunction(() => document.querySelectorAll(".item[data-state=working]").length >= 2, undefined, { timeout: PATIENCE });
  await page.locator(".item", { hasText: "three" }).getByText("Cancel").click();
  for (const [name, state] of [["one", "done"], ["two", "done"], ["long", "done"], ["broken", "failed"], ["three", "stopped"]]) await row(`${name}.flac`, state).waitFor({ timeout: PATIENCE });
  const text = async (name) => {
    await page.locator(".item .open", { hasText: `${name}.flac` }).click();
    return (await page.locator(".segment:not(.live) p").allTextContents()).join(" ");
  };
  assert.match(await text("one"), /ask not what your country can do for you/i);
  assert.equal(await text("two"), await text("one"));
  const written = await text("long");
  assert.match(written, /I really was very much afraid/);
  assert.deepEqual(await page.locator(".item .name").allTextContents(), Object.keys(files));
  assert.deepEqual(page.complaints, []);
  // What is alone has the same text.
  await page.getByRole("button", { name: "Clear finished" }).click();
  await page.setInputFiles("#files", [{ name: "alone.flac", mimeType: "audio/flac", buffer: long }]);
  await row("alone", "done").waitFor({ timeout: PATIENCE });
  assert.equal(await text("alone"), written);
  await page.evaluate(() => localStorage.clear());
  await page.close();
});

test("skipping_silence_asks_for_nothing_for_its_weights_came_with_the_model", { timeout: PATIENCE }, async () => {
  const page = await open(browser.context, site.url, { patience: PATIENCE });
  await page.waitForLoadState("networkidle");
  const before = site.asked.length;
  await page.locator(".advanced summary").click();
  await page.getByLabel("Skip silence (voice activity detection)").check();
  await writes(page, "first.flac");
  await writes(page, "second.flac");
  assert.deepEqual(askedSince(before), []);
  await page.close();
});

test("live_captions_appear_while_somebody_speaks_and_become_a_transcript", { timeout: PATIENCE }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "candle-whisper-"));
  const sound = join(folder, "jfk.wav");
  execFileSync("ffmpeg", ["-v", "error", "-i", JFK, "-ac", "1", "-ar", "48000", "-c:a", "pcm_s16le", sound]);
  const hearing = await browse({ sound });
  try {
    const page = await open(hearing.context, site.url, { patience: PATIENCE });
    const before = site.asked.length;
    await page.click("#live");
    // The clip comes again and again; the second time it is known where it begins.
    await page.waitForFunction(() => /ask.* what you can do/i.test(document.querySelector(".caption .confirmed")?.textContent), undefined, { timeout: 90_000 });
    await page.getByRole("button", { name: "Stop, and keep the text" }).click();
    await page.locator(".item[data-state=done]", { hasText: "Live" }).waitFor({ timeout: PATIENCE });
    const text = (await page.locator(".segment p").allTextContents()).join(" ");
    assert.match(text, /fellow American/i);
    assert.ok((await page.locator(".w").count()) >= 15, "words have times");
    assert.deepEqual(askedSince(before).filter((path) => !/worklet|silero/.test(path)), [], "the sound stays here");
    assert.deepEqual(page.complaints, []);
  } finally {
    await hearing.close();
    await rm(folder, { recursive: true });
  }
});

// With what was chosen before: to skip silence.
test("a_second_visit_needs_no_network", { timeout: PATIENCE }, async () => {
  await site.close();
  const page = await open(browser.context, site.url, { patience: PATIENCE });
  await writes(page, "offline.flac");
  await page.close();
});
