// Shows what this page asks the network for once the model is loaded: nothing, unless somebody tells it to.
import { $, h } from "./dom.js";
import { engine } from "./engine.js";
import { count } from "./format.js";

/** @type {string[]} */
let requests = [];
let watching = false;

function show() {
  const own = requests.filter((url) => new URL(url).origin === location.origin).length;
  const others = requests.length - own;
  const words = [own && `${count(own, "request")} to its own site`, others && `${count(others, "request")} to others`].filter(Boolean);
  $("#privacy-line").textContent = !watching ? "Nothing you add leaves this machine."
    : `Nothing you add leaves this machine. Since the model was loaded, this page has made ${words.join(" and ") || "no request"}.`;
  $("#privacy-more").replaceChildren(
    h("p", {}, "Recordings are read and written out inside this page. It talks to its own site, to huggingface.co when you choose another model, and to the address of a link you give. Requests since the model was loaded:"),
    requests.length ? h("ul", {}, requests.map((url) => h("li", {}, url))) : h("p", {}, "None."));
}

/** @param {string} url */
function note(url) {
  if (!watching || !/^https?:/.test(url)) return;
  requests.push(url);
  show();
}

/** The service worker sees what workers ask for too; without it, the page's own requests are what can be seen. */
export function privacy() {
  new PerformanceObserver((list) => {
    if (!navigator.serviceWorker?.controller) list.getEntries().forEach((entry) => entry.startTime > since && note(entry.name));
  }).observe({ type: "resource", buffered: false });
  navigator.serviceWorker?.addEventListener("message", ({ data }) => data?.type === "request" && note(data.url));
  let since = 0;
  engine.addEventListener("ready", () => {
    [watching, requests, since] = [true, [], performance.now()];
    show();
  });
  show();
}
