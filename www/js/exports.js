// Files of what was written: the formats, the dialog, the downloads.
import { $, h, say } from "./dom.js";
import { engine } from "./engine.js";
import { count, stem } from "./format.js";
import { problem } from "./messages.js";
import { settings } from "./settings.js";
import { state } from "./state.js";
import { subtitleFields, subtitleOptions } from "./subtitles.js";

/** @typedef {import("./state.js").Item} Item */

/** @type {[string, string, string][]} extension, words, the library's method */
const FORMATS = [
  ["txt", "Plain text", "toTxt"],
  ["srt", "Subtitles, SubRip", "toSrt"],
  ["vtt", "Subtitles, WebVTT", "toVtt"],
  ["ass", "Subtitles with karaoke", "toAss"],
  ["tsv", "Table, between tabs", "toTsv"],
  ["csv", "Table, between commas", "toCsv"],
  ["lrc", "Synchronised lyrics", "toLrc"],
  ["json", "Everything, as JSON", "toJson"],
];

/** @param {Item} item @param {string} format @returns {Promise<string>} */
async function write(item, format) {
  const method = FORMATS.find(([extension]) => extension === format)?.[2] ?? "toTxt";
  const whisper = await engine.get();
  return whisper[method](item.transcript, subtitleOptions(format));
}

/** @param {Item} item @param {string} format */
async function download(item, format) {
  const blob = new Blob([await write(item, format)], { type: format === "json" ? "application/json" : "text/plain;charset=utf-8" });
  const link = h("a", { href: URL.createObjectURL(blob), download: `${stem(item.name)}.${format}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** The plain text, onto the clipboard. @param {Item} item @param {HTMLElement} button */
export async function copy(item, button) {
  const words = button.textContent;
  try {
    await navigator.clipboard.writeText(item.transcript.segments.map((segment) => segment.text.trim()).join("\n"));
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  say(button.textContent ?? "");
  setTimeout(() => (button.textContent = words), 1500);
}

/** Opens the dialog. @param {Item} item */
export function chooseExport(item) {
  const dialog = /** @type {HTMLDialogElement} */ ($("#export"));
  const written = state.items.filter((other) => other.transcript.segments.length);
  const all = h("input", { type: "checkbox", id: "export-all" });
  const trouble = h("p.note", { role: "alert" });
  const cues = subtitleFields(written.some(({ transcript }) => transcript.segments.some((segment) => segment.words?.length)));
  const choice = FORMATS.map(([extension, words]) => h("label.check", {},
    h("input", {
      type: "radio", name: "format", value: extension, checked: extension === settings.values.format,
      onchange: () => {
        settings.set("format", extension);
        cues.show(extension);
      },
    }), h("span", {}, words, " ", h("span.note", {}, `.${extension}`))));
  cues.show(settings.values.format);
  const save = async () => {
    try {
      for (const one of all.checked ? written : [item]) await download(one, settings.values.format);
      dialog.close();
      say("Downloaded");
    } catch (error) {
      const { title, help, detail } = problem(error);
      // What does not fit here is one of these fields, and none of the settings.
      trouble.textContent = /** @type {any} */ (error)?.code === "bad-option" ? `${title}: ${detail}` : `${title}. ${help} (${detail})`;
    }
  };
  dialog.replaceChildren(
    h("h2", { id: "export-title" }, "Export"),
    h("fieldset.formats", {}, h("legend.unseen", {}, "Format"), choice), cues.element,
    written.length > 1 && h("label.check", {}, all, h("span", {}, `All ${count(written.length, "recording")} at once`)) || "",
    trouble,
    h("div.row.end", {}, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
      h("button.primary", { type: "button", id: "download", onclick: save }, "Download")));
  dialog.showModal();
  $("input:checked", dialog)?.focus();
}
