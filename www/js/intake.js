// The ways a recording comes in: chosen, dropped, pasted, fetched by a link, the example.
import { $ } from "./dom.js";
import { failure, problem } from "./messages.js";
import { notice, settle } from "./notices.js";
import { add } from "./queue.js";

/** @param {Iterable<File>} files */
const addAll = (files) => {
  for (const file of files) add(file, file.name || "Pasted recording");
};

/** Fetches a recording; one at a time is enough. @param {string} url @param {string} name */
async function fetchRecording(url, name) {
  settle("link");
  try {
    const { protocol, origin } = new URL(url, location.href);
    if (protocol !== "https:" && origin !== location.origin) throw failure("link", "The page fetches only what begins with https://");
    const answer = await fetch(url, { credentials: "omit", referrerPolicy: "no-referrer" });
    if (!answer.ok) throw failure("link", `The server says ${answer.status}.`);
    add(await answer.blob(), name);
    return true;
  } catch (error) {
    const { title, help, detail } = problem(failure("link", /** @type {Error} */ (error).message));
    notice("link", { title, help: `${help} (${detail})`, bad: true });
    return false;
  }
}

/** @param {URL} url */
function nameOf(url) {
  const last = url.pathname.split("/").pop() || url.host;
  try {
    return decodeURIComponent(last);
  } catch {
    // A per cent sign that stands for itself.
    return last;
  }
}

function link() {
  const form = /** @type {HTMLFormElement} */ ($("#link"));
  const [input, button] = [$("#url"), $("button", form)];
  form.onsubmit = async (event) => {
    event.preventDefault();
    const url = new URL(input.value);
    button.disabled = true;
    button.textContent = "Fetching…";
    if (await fetchRecording(url.href, nameOf(url))) input.value = "";
    button.disabled = false;
    button.textContent = "Fetch";
  };
}

function drops() {
  const root = document.documentElement;
  const carries = (/** @type {DragEvent} */ event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  let depth = 0;
  const mark = (/** @type {number} */ change) => {
    depth = Math.max(0, depth + change);
    root.toggleAttribute("data-dragging", depth > 0);
  };
  addEventListener("dragenter", (event) => carries(event) && mark(1));
  addEventListener("dragleave", (event) => carries(event) && mark(-1));
  addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    mark(-depth);
    addAll(event.dataTransfer?.files ?? []);
  });
}

/** A link that is pasted beside the fields goes into its own; it is fetched when somebody says so. @param {ClipboardEvent} event */
function pastedLink(event) {
  const words = event.clipboardData?.getData("text").trim() ?? "";
  const target = /** @type {Element | null} */ (event.target);
  if (!/^https:\/\/\S+$/.test(words) || target?.closest?.("input, textarea")) return;
  event.preventDefault();
  const field = /** @type {HTMLInputElement} */ ($("#url"));
  field.value = words;
  field.focus();
}

/** Sets all of them up. */
export function intake() {
  const files = /** @type {HTMLInputElement} */ ($("#files"));
  $("#choose").onclick = () => files.click();
  files.onchange = () => {
    addAll([...(files.files ?? [])]);
    files.value = "";
  };
  $("#example").onclick = () => fetchRecording("example/jfk.flac", "Kennedy, 1961.flac");
  addEventListener("paste", (event) => {
    const pasted = event.clipboardData?.files ?? [];
    if (!pasted.length) return pastedLink(event);
    event.preventDefault();
    addAll(pasted);
  });
  link();
  drops();
}
