// A field of a form for an option that is remembered among the others of its kind, where it differs from the default.
import { h } from "./dom.js";
import { settings } from "./settings.js";

/**
 * @typedef {object} Option
 * @property {string} name as the library calls it
 * @property {string} label
 * @property {string} [help]
 * @property {"number" | "text" | "check"} kind
 * @property {any} [value] the default; none means that the option is left out
 * @property {string} [hint] what stands in an empty field
 * @property {Record<string, number | string>} [limits]
 * @property {boolean} [wide]
 */

/**
 * @param {Option} option
 * @param {"advanced" | "subtitles"} kept the setting that has the options of its kind
 */
export function field({ name, label, help, kind, value, hint, limits, wide }, kept) {
  const id = `${kept === "advanced" ? "option" : "subtitle"}-${name}`;
  const now = settings.values[kept][name] ?? value;
  const keep = (/** @type {any} */ to) => {
    const { [name]: _, ...rest } = settings.values[kept];
    settings.set(kept, to === value || to === "" || Number.isNaN(to) ? rest : { ...rest, [name]: to });
  };
  if (kind === "check") {
    const box = h("input", { type: "checkbox", id, checked: now, onchange: () => keep(box.checked) });
    return h(wide ? "label.check.wide" : "label.check", {}, box, h("span", {}, label, help && h("small", {}, help)));
  }
  const input = h("input", {
    type: kind, id, value: now ?? "", placeholder: hint ?? (kind === "number" ? String(value) : " "), ...limits,
    "aria-describedby": help && `${id}-help`, autocomplete: "off",
    onchange: () => input.checkValidity() && keep(kind === "number" ? input.valueAsNumber : input.value.trim()),
  });
  return h(wide ? "div.field.wide" : "div.field", {},
    h("label", { htmlFor: id }, label), input, help && h("small.note", { id: `${id}-help` }, help));
}
