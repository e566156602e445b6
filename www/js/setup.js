// The form of settings: model, language and task in sight, the rest folded away.
import { h } from "./dom.js";
import { engine } from "./engine.js";
import { field } from "./field.js";
import { bytes, capital } from "./format.js";
import { MODELS } from "./models.js";
import { chooseModel } from "./models-view.js";
import { ADVANCED } from "./options.js";
import { busy } from "./queue.js";
import { settings } from "./settings.js";

/** @param {HTMLFormElement} form */
export function setup(form) {
  const picker = h("button.picker", { type: "button", id: "model", onclick: chooseModel });
  const language = h("select", { id: "language", onchange: () => settings.set("language", language.value) });
  const task = h("select", { id: "task", onchange: () => settings.set("task", task.value) },
    h("option", { value: "transcribe" }, "Write what is said"), h("option", { value: "translate" }, "Translate into English"));
  const words = h("input", {
    type: "checkbox", id: "words", checked: settings.values.word_timestamps,
    onchange: () => settings.set("word_timestamps", words.checked),
  });
  const integers = h("input", {
    type: "checkbox", id: "quantised", checked: settings.values.quantised,
    onchange: () => {
      settings.set("quantised", integers.checked);
      engine.dtype = integers.checked ? "quantised" : "f32";
      // A recording under way is ended as it was begun.
      if (!busy()) engine.get().catch(() => {});
    },
  });
  const keeping = h("input", { type: "checkbox", id: "keep", checked: settings.values.keep, onchange: () => settings.set("keep", keeping.checked) });
  form.onsubmit = (event) => event.preventDefault();
  form.append(
    h("div.basics", {},
      h("div.field", {}, h("span.label", { id: "model-label" }, "Model"), picker),
      h("div.field", {}, h("label", { htmlFor: "language" }, "Language"), language),
      h("div.field", {}, h("label", { htmlFor: "task" }, "Task"), task)),
    h("label.check", {}, words, h("span", {}, "Times of words", h("small", {}, "Follow each word as it is heard; a little slower."))),
    h("label.check", {}, integers, h("span", {}, "Faster, with small integers", h("small", {}, "A word here and there may come out differently. Off: exact."))),
    h("label.check", {}, keeping, h("span", {}, "Keep transcripts", h("small", {}, "In this browser, without the sound, until you remove them."))),
    advanced());
  picker.setAttribute("aria-labelledby", "model-label model");

  const refresh = () => {
    const name = typeof engine.model === "string" ? engine.model : "your own files";
    const known = MODELS.find((model) => model.name === name);
    picker.replaceChildren(h("span", {}, name), h("span", {}, known ? bytes(known.bytes) : "Change"));
    const english = engine.whisper && engine.state === "ready" ? !engine.whisper.info.multilingual : /\.en$|^distil-large/.test(name);
    language.disabled = task.disabled = english;
    language.title = task.title = english ? "This model knows English only" : "";
    fillLanguages(language, english);
    task.value = english ? "transcribe" : settings.values.task;
  };
  settings.addEventListener("model", refresh);
  engine.addEventListener("ready", refresh);
  refresh();
}

/** @param {HTMLSelectElement} select @param {boolean} english */
async function fillLanguages(select, english) {
  if (english) {
    select.replaceChildren(h("option", { value: "en" }, "English only"));
    return;
  }
  const library = await engine.open().catch(() => null);
  /** @type {[string, string][]} */
  const languages = library ? [...await library.languages()] : [];
  languages.sort((a, b) => a[1].localeCompare(b[1]));
  select.replaceChildren(h("option", { value: "" }, "Find out"),
    h("option", { value: "auto-each" }, "Detect in every half minute"),
    ...languages.map(([code, name]) => h("option", { value: code }, capital(name))));
  select.value = settings.values.language === "auto-each" || languages.some(([code]) => code === settings.values.language) ? settings.values.language : "";
}

function advanced() {
  const fields = () => ADVANCED.map((option) => field(option, "advanced"));
  const grid = h("div.grid", {}, fields());
  const reset = h("button.small", {
    type: "button",
    onclick: () => {
      settings.set("advanced", {});
      grid.replaceChildren(...fields());
    },
  }, "Back to the defaults");
  const details = h("details.advanced", {
    open: settings.values.advancedOpen,
    ontoggle: () => details.open !== settings.values.advancedOpen && settings.set("advancedOpen", details.open),
  }, h("summary", {}, "Advanced"), grid, reset);
  return details;
}
