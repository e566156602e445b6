// The page with the fake library: what people do with it, from the first screen to the downloads.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { beforeEach, describe, test } from "node:test";
import { JFK, callsOf, onPages, put, reach } from "./browser.mjs";

let site, browser, page;
onPages((these) => ({ site, browser, page } = these));

const calls = (name) => callsOf(page, name);
const texts = () => page.locator(".segment:not(.live) p").allTextContents();
const chosen = (name) => page.locator(".item .open", { hasText: name }).click();

describe("recordings come in", () => {
  test("a_file_that_is_chosen_becomes_its_text", async () => {
    await put(page, "talk.flac");
    await reach(page, "talk.flac", "done");
    assert.equal((await texts())[1].trim(), "ask what you can do for your country.");
    assert.match(await page.locator(".facts").textContent(), /0:11 · English · tiny\.en · 22 words/);
  });

  test("files_that_are_dropped_and_pasted_wait_their_turn", async () => {
    for (const [type, carrier] of [["drop", "dataTransfer"], ["paste", "clipboardData"]]) {
      await page.evaluate(([type, carrier]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(9)], `${type}ed.flac`));
        const event = type === "paste" ? new ClipboardEvent(type, { [carrier]: data, bubbles: true, cancelable: true })
          : new DragEvent(type, { [carrier]: data, bubbles: true, cancelable: true });
        document.body.dispatchEvent(event);
      }, [type, carrier]);
    }
    await reach(page, "droped", "done");
    await reach(page, "pasteed", "done");
    assert.deepEqual((await calls("transcribe")).map(([, name]) => name), ["droped.flac", "pasteed.flac"]);
  });

  test("the_example_and_a_link_are_fetched", async () => {
    await page.click("#example");
    await reach(page, "Kennedy", "done");
    await page.fill("#url", `${site.url}example/jfk.flac?x`);
    await page.click("#link button");
    await reach(page, "jfk.flac", "done");
    // What a link is called may have a per cent sign that stands for itself.
    await page.route("**/100%.flac", (route) => route.fulfill({ path: JFK }));
    await page.fill("#url", `${site.url}100%.flac`);
    await page.click("#link button");
    await reach(page, "100%.flac", "done");
  });

  test("a_link_that_is_pasted_beside_the_fields_waits_in_its_own", async () => {
    await page.evaluate(() => {
      const data = new DataTransfer();
      data.setData("text", " https://example.org/talk.mp3\n");
      document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
    });
    assert.equal(await page.inputValue("#url"), "https://example.org/talk.mp3");
    assert.equal(await page.evaluate(() => document.activeElement.id), "url");
    assert.equal(await page.locator(".item").count(), 0);
  });

  test("a_link_that_fails_says_what_can_be_done", async () => {
    await page.fill("#url", `${site.url}nothing.mp3`);
    await page.click("#link button");
    await page.getByText("This link could not be fetched").waitFor();
    assert.match(await page.locator(".notice").textContent(), /404/);
    await page.fill("#url", "http://example.org/talk.mp3");
    await page.click("#link button");
    await page.locator(".notice", { hasText: "only what begins with https://" }).waitFor();
    page.complaints = page.complaints.filter((words) => !words.includes("404"));
  });

  test("the_microphone_records_by_a_worklet", async () => {
    await browser.context.grantPermissions(["microphone"]);
    await page.click("#record");
    await page.waitForFunction(() => document.querySelector("#recorder .clock")?.textContent === "0:01");
    await page.getByText("Stop and write it out").click();
    await reach(page, "Recording", "done");
    await page.locator(".player .play:enabled").waitFor();
    assert.ok(await page.locator(".track input").evaluate((slider) => Number(slider.max)) > 0.9);
    await browser.context.clearPermissions();
  });

  test("a_refused_microphone_is_explained", async () => {
    await page.evaluate(() => (navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"))));
    await page.click("#record");
    await page.getByText("The microphone is not allowed").waitFor();
    assert.ok(await page.locator("#record").isEnabled());
  });
});

describe("while it works", () => {
  test("live_text_progress_and_time_left_are_shown", async () => {
    await put(page, "long slow.flac");
    await page.locator(".live", { hasText: "And so, my fellow" }).waitFor();
    await page.locator(".working .words", { hasText: /\d %, .* left/ }).waitFor();
    assert.match(await page.locator(".working .number").textContent(), /^0:11 of 7:20$/);
    await page.locator(".working button").click();
    await reach(page, "long", "stopped");
  });

  test("the_waveform_is_drawn_while_the_recording_is_read", async () => {
    await put(page, "halfway slow.flac");
    // Opaque pixels off the middle line, in the left half and in the right.
    const drawn = () => page.locator(".track canvas").evaluate((canvas) => {
      const { width, height } = canvas;
      const { data } = canvas.getContext("2d").getImageData(0, 0, width, Math.floor(height / 3));
      const halves = [0, 0];
      for (let i = 3; i < data.length; i += 4) if (data[i]) halves[((i >> 2) % width) * 2 < width ? 0 : 1] += 1;
      return halves.map((n) => n > 50);
    });
    const until = async (wanted) => {
      for (let i = 0; i < 100; i += 1) {
        const halves = await drawn();
        if (String(halves) === String(wanted)) return;
        await page.waitForTimeout(20);
      }
      assert.deepEqual(await drawn(), wanted);
    };
    await until([true, false]);
    await page.waitForFunction(() => globalThis.fakeReadOn);
    await page.evaluate(() => globalThis.fakeReadOn());
    await until([true, true]);
    await page.locator(".item[data-state=working]").waitFor();
    await page.locator(".working button").click();
    await reach(page, "halfway", "stopped");
    await until([true, true]);
  });

  test("cancel_keeps_what_was_written_and_the_next_recording_goes_on", async () => {
    await put(page, "long slow.flac", "next.flac", "third.flac");
    await page.locator(".item", { hasText: "third" }).getByText("Cancel").click();
    await page.locator(".segment:not(.live)").nth(1).waitFor();
    await page.locator(".working button").click();
    await reach(page, "long", "stopped");
    await reach(page, "third", "stopped");
    await reach(page, "next", "done");
    assert.equal((await texts()).length, 2);
    assert.equal((await calls("transcribe")).length, 2);
  });

  test("a_second_attempt_starts_the_live_text_anew", async () => {
    await put(page, "fallback slow.flac");
    await page.getByText("it is tried again").waitFor();
    await reach(page, "fallback", "done");
  });
});

describe("what goes wrong", () => {
  for (const [name, title, kept] of [["memory", "not enough memory", 1], ["lost", "engine stopped unexpectedly", 1]]) {
    test(`after_${name}_the_work_is_kept_and_the_next_file_works_with_a_new_engine`, async () => {
      await put(page, `${name}.flac`, "next.flac");
      await reach(page, name, "failed");
      await reach(page, "next", "done");
      assert.match(await page.locator(".failure").textContent(), new RegExp(title));
      assert.equal((await texts()).length, kept);
      assert.equal((await calls("load")).length, 2);
    });
  }

  test("a_broken_file_is_named_and_the_next_one_works", async () => {
    await page.setInputFiles("#files", ["broken.wav", "empty.wav", "fine.wav"].map((name) =>
      ({ name, mimeType: "audio/wav", buffer: Buffer.from(name === "empty.wav" ? "" : "no sound") })));
    await reach(page, "broken", "failed");
    await reach(page, "empty", "failed");
    await reach(page, "fine", "done");
    assert.match(await page.locator(".failure").textContent(), /could not be read as sound/);
    await page.getByText("This browser can’t play this format.").waitFor();
  });

  test("a_recording_without_speech_says_so", async () => {
    await put(page, "silence.flac");
    await reach(page, "silence", "done");
    await page.getByText("No speech was found").waitFor();
  });

  test("a_model_that_fails_leaves_a_way_back_to_the_bundled_one", async () => {
    await page.click("#model");
    await page.locator("#models input[value=base]").check();
    await page.click("#take");
    await page.getByText("This model could not be used").waitFor();
    await page.getByText("Use tiny.en").click();
    await page.locator("#engine[data-state=ready]").waitFor();
    await put(page, "talk.flac");
    await reach(page, "talk", "done");
  });
});

describe("the transcript", () => {
  beforeEach(async () => {
    await put(page, "talk.flac");
    await reach(page, "talk", "done");
    await page.locator(".player .play:enabled").waitFor();
  });

  test("a_click_on_a_word_plays_it_and_lights_it", async () => {
    await page.locator(".w", { hasText: /^country$/ }).first().click();
    await page.locator(".w.now", { hasText: "country" }).waitFor();
    assert.equal(await page.locator(".play").textContent(), "Pause");
    assert.equal(await page.locator(".now.segment").count(), 1);
  });

  test("unsure_words_are_marked_and_can_be_left_plain", async () => {
    assert.equal(await page.locator(".w.low").first().textContent(), "Americans,");
    const line = () => page.locator(".w.low").first().evaluate((word) => getComputedStyle(word).textDecorationStyle);
    assert.equal(await line(), "wavy");
    await page.getByText("Show unsure words").click();
    assert.equal(await line(), "solid");
  });

  test("an_edit_keeps_the_times_of_words_that_stay_and_can_be_undone", async () => {
    await page.locator(".segment").first().hover();
    await page.locator(".segment .edit").first().click();
    await page.locator("textarea").fill("And so, dear fellow Americans, ask not what your country can do for you,");
    await page.keyboard.press("Control+Enter");
    const starts = await page.locator(".segment").first().locator(".w").evaluateAll((words) => words.map((w) => [w.textContent, Number(w.dataset.start)]));
    assert.deepEqual(starts.slice(0, 4), [["And", 0], ["so,", 0.5], ["dear", 1], ["fellow", 1.5]]);
    await page.getByText("Undo edit").click();
    assert.match((await texts())[0], /so, my fellow/);
  });

  test("an_edited_phrase_gets_the_times_of_its_sound", async () => {
    await page.locator(".segment .edit").nth(1).click();
    await page.locator("textarea").fill("heard anew");
    await page.keyboard.press("Control+Enter");
    const starts = () => page.locator(".segment").nth(1).locator(".w").evaluateAll((words) => words.map((w) => Number(w.dataset.start)));
    await page.waitForFunction(() => document.querySelectorAll(".segment")[1].querySelectorAll(".w")[1]?.dataset.start === "7.25");
    assert.deepEqual(await starts(), [7, 7.25]);
    await page.getByText("Undo edit").click();
    assert.equal((await starts()).length, 8);
  });

  test("an_emptied_phrase_goes_away", async () => {
    await page.locator(".segment .edit").first().click();
    await page.locator("textarea").fill("");
    await page.getByRole("button", { name: "Save" }).click();
    assert.deepEqual((await texts()).length, 1);
  });

  test("search_counts_across_words_and_steps_through", async () => {
    await page.fill(".search input", "YOUR COUNTRY");
    assert.equal(await page.locator(".search output").textContent(), "1 of 2");
    await page.keyboard.press("Enter");
    assert.equal(await page.locator(".search output").textContent(), "2 of 2");
    assert.equal(await page.evaluate(() => CSS.highlights.get("found-now").size), 1);
    await page.fill(".search input", "zebra");
    assert.equal(await page.locator(".search output").textContent(), "not found");
  });

  test("every_format_downloads_what_stands_on_the_page", async () => {
    await page.locator(".segment .edit").nth(1).click();
    await page.locator("textarea").fill("Edited.");
    await page.getByRole("button", { name: "Save" }).click();
    for (const format of ["txt", "srt", "vtt", "tsv", "csv", "lrc", "json"]) {
      await page.keyboard.press("x");
      await page.locator(`#export input[value=${format}]`).check();
      if (format === "srt") await page.fill("#subtitle-max_line_width", "42");
      const [download] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
      assert.equal(download.suggestedFilename(), `talk.${format}`);
      const content = await readFile(await download.path(), "utf8");
      assert.match(content, /Edited\./);
      if (format === "srt") assert.match(content, /"max_line_width":42/);
    }
  });

  test("subtitles_are_laid_out_as_was_chosen_and_each_format_gets_what_it_heeds", async () => {
    const given = async (format) => {
      await page.locator(`#export input[value=${format}]`).check();
      const [download] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
      return JSON.parse(/\{.*\}/.exec(await readFile(await download.path(), "utf8"))[0]);
    };
    const choose = async (options) => {
      for (const [name, value] of Object.entries(options)) {
        if (value === true) await page.check(`#subtitle-${name}`);
        else await page.fill(`#subtitle-${name}`, String(value));
      }
      await page.locator("#subtitle-min_cue_gap").blur();
    };
    const layout = { break_at_phrases: true, max_line_width: 37, max_line_count: 1, max_chars_per_second: 17, min_cue_duration: 0.833, max_cue_duration: 7, min_cue_gap: 0.083 };
    await page.keyboard.press("x");
    assert.ok(await page.locator(".cues").isHidden(), "plain text has none");
    await page.locator("#export input[value=vtt]").check();
    await choose({ ...layout, highlight_words: true, timed_words: true });
    assert.equal(await page.isChecked("#subtitle-highlight_words"), false, "not both");
    assert.deepEqual(await given("vtt"), { ...layout, timed_words: true });
    // They are there the next time; what a format does not heed is neither shown nor passed on.
    await page.reload();
    await page.getByText("Bring back").click();
    await reach(page, "talk", "done");
    await page.keyboard.press("x");
    assert.equal(await page.inputValue("#subtitle-min_cue_duration"), "0.833");
    assert.ok(await page.isChecked("#subtitle-timed_words"));
    assert.deepEqual(await given("ass"), layout);
    await page.keyboard.press("x");
    assert.ok(await page.locator("#subtitle-highlight_words").isHidden());
    assert.deepEqual(await given("srt"), layout);
    await page.keyboard.press("x");
    await choose({ min_cue_duration: 9 });
    await page.click("#download");
    await page.getByText("A setting does not fit: `min_cue_duration` (9) is above `max_cue_duration`").waitFor();
    await choose({ ...Object.fromEntries(Object.keys(layout).map((name) => [name, ""])), break_at_phrases: true });
    await page.uncheck("#subtitle-break_at_phrases");
    assert.deepEqual(await given("srt"), {});
  });

  test("without_times_of_words_there_is_nothing_to_lay_out", async () => {
    await page.uncheck("#words");
    await page.getByRole("button", { name: "Remove talk.flac" }).click();
    await put(page, "plain.flac");
    await reach(page, "plain", "done");
    await page.keyboard.press("x");
    await page.locator("#export input[value=srt]").check();
    await page.getByText("where words have times, which these have not").waitFor();
    assert.ok(await page.locator("#subtitle-break_at_phrases").isDisabled());
  });

  test("a_phone_keeps_the_field_for_links_beside_the_recordings", async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
    await page.fill("#url", `${site.url}example/jfk.flac`);
    await page.click("#link button");
    await reach(page, "jfk.flac", "done");
  });

  test("all_recordings_download_at_once", async () => {
    await put(page, "other.flac");
    await reach(page, "other", "done");
    await page.getByText("Export…").click();
    await page.check("#export-all");
    const names = [];
    page.on("download", (download) => names.push(download.suggestedFilename()));
    await page.click("#download");
    for (let i = 0; i < 50 && names.length < 2; i += 1) await page.waitForTimeout(50);
    assert.deepEqual(names, ["talk.txt", "other.txt"]);
  });

  test("each_recording_shows_its_own_text", async () => {
    await put(page, "long.flac");
    await reach(page, "long", "done");
    await chosen("long");
    assert.equal((await texts()).length, 80);
    await chosen("talk");
    assert.equal((await texts()).length, 2);
  });

  test("removing_the_last_recording_leads_back_to_the_first_screen", async () => {
    await page.getByRole("button", { name: "Remove talk.flac" }).click();
    await page.locator("h1").waitFor();
    assert.ok(await page.locator("#reader").isHidden());
  });
});

test("what_was_written_outlives_the_page_until_it_is_forgotten", async () => {
  await put(page, "memory.flac", "talk.flac");
  await reach(page, "talk", "done");
  const again = () => page.reload().then(() => page.getByText("From last time: 2 transcripts").waitFor());
  await again();
  await page.getByText("Bring back").click();
  await reach(page, "memory", "stopped");
  await page.locator(".item .open", { hasText: "talk" }).click();
  assert.equal((await texts()).length, 2);
  await page.getByText("There is no sound.").waitFor();
  await again();
  await page.getByText("Forget").click();
  await page.reload();
  await page.locator("#engine[data-state=ready]").waitFor();
  await page.waitForTimeout(200);
  assert.equal(await page.locator(".notice").count(), 0);
});

test("the_keyboard_alone_is_enough", async () => {
  await page.locator("#choose").focus();
  const asked = page.waitForEvent("filechooser");
  // The browser has to have heard that the test answers for the dialog before it opens.
  await page.evaluate(() => new Promise(requestAnimationFrame));
  await page.keyboard.press("Enter");
  const chooser = await asked;
  await chooser.setFiles(JFK);
  await reach(page, "jfk", "done");
  await page.locator(".player .play:enabled").waitFor();
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("]");
  await page.keyboard.press("]");
  await page.locator(".w.now", { hasText: "my" }).waitFor();
  await page.keyboard.press("e");
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "TEXTAREA");
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Edit");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.type), "search");
  await page.keyboard.press("Tab");
  await page.keyboard.press("?");
  assert.ok(await page.locator("#help").evaluate((dialog) => dialog.open));
  await page.keyboard.press("Escape");
  // By Tab alone every control of the page can be reached, and each shows where it is.
  const seen = new Set();
  for (let i = 0; i < 60; i += 1) {
    await page.keyboard.press("Tab");
    seen.add(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim()));
  }
  for (const name of ["theme", "help-open", "choose", "record", "url", "model", "words", "Export…", "Play"]) assert.ok(seen.has(name), name);
});
