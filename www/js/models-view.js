// The dialog in which a model is chosen.
import { $, h } from "./dom.js";
import { engine } from "./engine.js";
import { bytes } from "./format.js";
import { MODELS, deviceMemory, fit, ownModel } from "./models.js";
import { busy } from "./queue.js";
import { settings } from "./settings.js";

/** Opens it. */
export async function chooseModel() {
  const dialog = /** @type {HTMLDialogElement} */ ($("#models"));
  const note = h("p.note", { role: "status" }, advice());
  const own = h("input", { type: "file", id: "own", multiple: true, accept: ".json,.safetensors,.gguf,.bin,.pt" });
  const form = h("form", { method: "dialog" },
    h("table.models", {},
      h("thead", {}, h("tr", {}, ...["Model", "Fetch once", "Memory", "Here"].map((words, i) =>
        h(i === 2 ? "th.number.memory" : i === 1 ? "th.number" : "th", { scope: "col" }, words)))),
      h("tbody", {}, MODELS.map(row))));
  dialog.replaceChildren(
    h("h2", { id: "models-title" }, "Choose a model"), note, form,
    h("div.field", {}, h("label", { htmlFor: "own" }, "Or the files of your own: weights, and config.json and tokenizer.json if there are any"), own),
    h("div.row.end", {}, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
      h("button.primary", { type: "button", id: "take", onclick: () => take(dialog, form, own, note) }, "Use this model")));
  dialog.showModal();
  $("input:checked", form)?.focus();
  fillMemory(form);
}

function advice() {
  const memory = deviceMemory();
  const device = memory ? `This device reports ${Math.round(memory / 2 ** 30)} GB of memory${memory >= 2 ** 33 ? " or more" : ""}.` : "This browser does not say how much memory there is.";
  return `Larger models hear better, take longer and need more memory. ${device} Models are fetched once, from huggingface.co.`;
}

/** @param {import("./models.js").Model} model */
function row(model) {
  const radio = h("input", { type: "radio", name: "model", value: model.name, checked: model.name === settings.values.model });
  return h("tr", { "data-model": model.name, "data-bytes": model.bytes },
    h("td", {}, h("label", {}, radio, h("span", {}, model.name, h("small", {}, model.words)))),
    h("td.number", {}, bytes(model.bytes)), h("td.number.memory", {}, "…"), h("td.fit", {}, "…"));
}

/** @param {HTMLFormElement} form */
async function fillMemory(form) {
  const library = await engine.open().catch(() => null);
  for (const tr of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("tr[data-model]"))) {
    const [memory, here] = [$(".memory", tr), $(".fit", tr)];
    try {
      const estimate = await library.estimate({ model: tr.dataset.model, size: Number(tr.dataset.bytes), dtype: engine.dtype });
      const { is, words } = fit(estimate.bytes);
      memory.textContent = bytes(estimate.bytes);
      here.textContent = words;
      here.classList.add(is);
    } catch {
      memory.textContent = here.textContent = "unknown";
    }
  }
}

/** @param {HTMLDialogElement} dialog @param {HTMLFormElement} form @param {HTMLInputElement} own @param {HTMLElement} note */
function take(dialog, form, own, note) {
  /** @type {any} */
  let model = new FormData(form).get("model");
  if (own.files?.length) {
    model = ownModel([...own.files]);
    if (typeof model === "string") {
      note.textContent = model;
      own.focus();
      return;
    }
  }
  engine.model = model;
  if (typeof model === "string") settings.set("model", model);
  else settings.dispatchEvent(new Event("model"));
  dialog.close();
  // A recording under way keeps its model; the next one gets the new.
  if (!busy()) engine.get().catch(() => {});
}
