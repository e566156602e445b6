// The page with the fake library: models, what can be set, and what of it is remembered.
import assert from "node:assert/strict";
import { test } from "node:test";
import { callsOf, onPages, put, reach } from "./browser.mjs";

let page;
onPages((these) => ({ page } = these));

const calls = (name) => callsOf(page, name);
const chosen = (name) => page.locator(".item .open", { hasText: name }).click();

test("models_show_their_size_and_whether_they_fit", async () => {
  await page.click("#model");
  const row = (name) => page.locator(`tr[data-model="${name}"]`);
  await row("large-v3").getByText("too large for a browser").waitFor();
  assert.match(await row("tiny.en").textContent(), /34 MB.*210 MB.*fits/);
});

test("a_model_of_ones_own_files_is_loaded", async () => {
  await page.click("#model");
  await page.setInputFiles("#own", [{ name: "config.json", mimeType: "", buffer: Buffer.from("{}") }]);
  await page.click("#take");
  await page.getByText("Still missing: the weights").waitFor();
  await page.setInputFiles("#own", ["config.json", "tokenizer.json", "model.gguf"].map((name) =>
    ({ name, mimeType: "", buffer: Buffer.from("{}") })));
  await page.click("#take");
  await page.getByText("Your own model is ready").waitFor();
});

test("settings_are_remembered_and_passed_on", async () => {
  await page.click("#model");
  await page.locator("#models input[value=tiny]").check();
  await page.click("#take");
  await page.getByText("tiny is ready").waitFor();
  await page.selectOption("#language", { label: "German" });
  await page.selectOption("#task", "translate");
  await page.uncheck("#words");
  await page.click(".advanced summary");
  await page.fill("#option-beam_size", "5");
  await page.fill("#option-initial_prompt", "Kennedy");
  await page.fill("#option-temperature_increment_on_fallback", "0");
  await page.locator("#option-temperature_increment_on_fallback").blur();
  await page.reload();
  await page.getByText("tiny is ready").waitFor();
  await put(page, "talk.flac");
  await reach(page, "talk", "done");
  assert.deepEqual((await calls("transcribe"))[0][2], {
    word_timestamps: false, beam_size: 5, initial_prompt: "Kennedy", task: "translate", language: "de", temperature: [0],
  });
  assert.ok(await page.locator(".advanced").evaluate((details) => details.open));
  await page.click("text=Back to the defaults");
  assert.equal(await page.inputValue("#option-beam_size"), "");
});

test("silence_is_skipped_when_asked_and_not_together_with_parts", async () => {
  await page.click(".advanced summary");
  await page.getByLabel("Skip silence (voice activity detection)").check();
  await put(page, "talk.flac");
  await reach(page, "talk", "done");
  assert.deepEqual((await calls("transcribe"))[0][2], { word_timestamps: true, vad: true });
  await put(page, "wait for speech slow.flac");
  await chosen("wait for speech");
  const note = page.getByText("Speech is looked for first");
  await note.waitFor();
  await page.waitForFunction(() => globalThis.fakeReadOn);
  await page.evaluate(() => globalThis.fakeReadOn());
  await page.locator(".live", { hasText: "And so" }).waitFor();
  assert.equal(await note.count(), 0);
  await page.locator(".working button").click();
  await page.fill("#option-clip_timestamps", "1, 2");
  await page.locator("#option-clip_timestamps").blur();
  await put(page, "other.flac");
  await reach(page, "other", "failed");
  await chosen("other");
  assert.match(await page.locator(".failure").textContent(), /A setting does not fit.*`vad` and `clip_timestamps`/);
});

test("words_are_fitted_to_the_speech_where_they_have_times", async () => {
  await page.click(".advanced summary");
  await page.getByLabel("Fit words to the speech").check();
  await put(page, "talk.flac");
  await reach(page, "talk", "done");
  await page.uncheck("#words");
  await put(page, "plain.flac");
  await reach(page, "plain", "done");
  assert.deepEqual((await calls("transcribe")).map(([, , options]) => options), [{ word_timestamps: true, snap_to_speech: true }, { word_timestamps: false }]);
});

test("several_windows_at_once_are_asked_for_and_not_together_with_parts", async () => {
  await page.click(".advanced summary");
  await page.getByLabel("Several windows at once").fill("3");
  await page.locator("#option-batch").blur();
  await put(page, "talk.flac");
  await reach(page, "talk", "done");
  assert.deepEqual((await calls("transcribe"))[0][2], { word_timestamps: true, batch: 3 });
  await page.fill("#option-clip_timestamps", "1, 2");
  await page.locator("#option-clip_timestamps").blur();
  await put(page, "other.flac");
  await reach(page, "other", "failed");
  await chosen("other");
  assert.match(await page.locator(".failure").textContent(), /A setting does not fit.*`batch` and `clip_timestamps`/);
});

test("small_integers_are_a_new_engine_and_are_remembered", async () => {
  assert.deepEqual(await calls("load"), [["load", "tiny.en", "quantised"]]);
  await page.getByLabel("Faster, with small integers").uncheck();
  await page.waitForFunction(() => globalThis.fakeCalls.length === 2);
  await page.locator("#engine[data-state=ready]").waitFor();
  await put(page, "long slow.flac");
  await page.locator(".live", { hasText: "And so" }).waitFor();
  // What is under way keeps its engine; the next recording has the other.
  await page.getByLabel("Faster, with small integers").check();
  await page.waitForTimeout(50);
  assert.equal((await calls("load")).length, 2);
  await page.locator(".working button").click();
  await put(page, "next.flac");
  await reach(page, "next", "done");
  assert.deepEqual((await calls("load")).map(([, , dtype]) => dtype), ["quantised", "f32", "quantised"]);
  await page.getByLabel("Faster, with small integers").uncheck();
  await page.reload();
  await page.locator("#engine[data-state=ready]").waitFor();
  assert.ok(!(await page.getByLabel("Faster, with small integers").isChecked()));
  assert.deepEqual(await calls("load"), [["load", "tiny.en", "f32"]]);
});

test("the_theme_goes_round_and_is_remembered", async () => {
  const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await page.emulateMedia({ colorScheme: "light" });
  const light = await paper();
  await page.emulateMedia({ colorScheme: "dark" });
  assert.notEqual(await paper(), light);
  await page.click("#theme");
  assert.equal(await paper(), light);
  await page.reload();
  assert.equal(await paper(), light);
});
