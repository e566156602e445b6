// Small help for making elements; no state.

/**
 * The first element of `root` that matches; the page's own ids always do.
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {any}
 */
export const $ = (selector, root = document) => root.querySelector(selector);

/**
 * An element: `h("p.note", { id: "a", onclick }, "text", child)`. A property that the element has is set, any other
 * becomes an attribute; `null`, `undefined` and `false` leave a property or child out.
 * @param {string} name tag and classes
 * @param {Record<string, any>} [props]
 * @typedef {Node | string | number | false | null | undefined} Child
 * @param {...(Child | Child[])} children
 * @returns {any}
 */
export function h(name, props = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = /** @type {any} */ (document.createElement(tag));
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key in element && key !== "list") element[key] = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

/** Tells people who listen to the page rather than look at it. @param {string} words */
export function say(words) {
  $("#say").textContent = words;
}
