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

test("all_of_half_a_minute_is_heard_where_no_more_than_there_is_was_turned_off", async () => {
  await page.click(".advanced summary");
  const box = page.getByLabel("Hear no more than there is");
  assert.ok(await box.isChecked());
  await box.uncheck();
  await put(page, "talk.flac");
  await reach(page, "talk", "done");
  await box.check();
  await put(page, "other.flac");
  await reach(page, "other", "done");
  assert.deepEqual((await calls("transcribe")).map(([, , options]) => options), [{ word_timestamps: true, audio_ctx: "full" }, { word_timestamps: true }]);
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

/** Several windows at once, under Advanced. */
async function inBatches(n) {
  await page.click(".advanced summary");
  await page.getByLabel("Several windows at once").fill(String(n));
  await page.locator("#option-batch").blur();
}

const states = () => page.locator(".item").evaluateAll((items) => items.map((item) => [item.querySelector(".name").textContent, item.dataset.state]));
const together = async () => (await calls("transcribeAll")).length;

test("recordings_share_a_batch_in_their_order_and_each_gets_its_own_text", async () => {
  await inBatches(4);
  await put(page, "first slow.flac", "broken.flac", "long slow.flac", "last.flac");
  // The one that can't be read leaves its place to the next one.
  await page.waitForFunction(() => document.querySelectorAll(".item[data-state=working]").length === 2);
  await reach(page, "broken", "failed");
  await reach(page, "long", "working");
  assert.deepEqual(await states(), [["first slow.flac", "working"], ["broken.flac", "failed"], ["long slow.flac", "working"], ["last.flac", "waiting"]]);
  await page.locator(".item[data-state=working] .state", { hasText: /%/ }).first().waitFor();
  await put(page, "later.flac");
  await page.locator(".item", { hasText: "long" }).getByText("Cancel").click();
  await reach(page, "long", "stopped");
  for (const name of ["first", "last", "later"]) await reach(page, name, "done");
  assert.equal(await together(), 1, "who comes later has a place in the same batch");
  assert.deepEqual((await calls("transcribe")).map(([, name]) => name), ["first slow.flac", "broken.flac", "long slow.flac", "last.flac", "later.flac"]);
  await chosen("broken");
  assert.match(await page.locator(".failure").textContent(), /could not be read as sound/);
  for (const name of ["first", "later"]) {
    await chosen(name);
    assert.equal((await page.locator(".segment:not(.live) p").allTextContents()).length, 2, name);
  }
});

test("all_that_share_a_batch_or_wait_for_it_are_cancelled_at_once", async () => {
  await inBatches(4);
  await put(page, "one slow.flac", "two slow.flac", "three slow.flac", "empty.flac");
  await page.waitForFunction(() => document.querySelectorAll(".item[data-state=working]").length === 2);
  await page.getByRole("button", { name: "Cancel all" }).click();
  for (const name of ["one", "two", "three", "empty"]) await reach(page, name, "stopped");
  assert.ok(await page.locator("#stop-all").isHidden());
  assert.equal((await calls("transcribe")).length, 2);
  await put(page, "next.flac");
  await reach(page, "next", "done");
});

test("other_settings_are_for_those_that_have_no_place_in_the_batch_yet", async () => {
  await inBatches(4);
  await put(page, "one slow.flac", "two slow.flac", "three.flac");
  await page.waitForFunction(() => document.querySelectorAll(".item[data-state=working]").length === 2);
  await page.uncheck("#words");
  await reach(page, "three", "done");
  assert.deepEqual((await calls("transcribe")).map(([, , { word_timestamps }]) => word_timestamps), [true, true, false]);
  assert.equal(await together(), 2);
});

for (const [name, title] of [["memory", "not enough memory"], ["lost", "engine stopped unexpectedly"]]) {
  test(`after_${name}_those_that_shared_the_batch_are_tried_alone_and_one_fails`, async () => {
    await inBatches(4);
    await put(page, "fine slow.flac", `${name}.flac`, "next.flac");
    await reach(page, name, "failed");
    await reach(page, "fine", "done");
    await reach(page, "next", "done");
    await chosen(name);
    assert.match(await page.locator(".failure").textContent(), new RegExp(title));
    assert.equal(await page.locator(".segment:not(.live) p").count(), 1, "what it has is kept");
    assert.equal((await calls("load")).length, 3);
  });
}

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
