// Puts the page together: each part watches the state, the settings and the engine on its own.
import { $, say } from "./dom.js";
import { engine } from "./engine.js";
import { bytes } from "./format.js";
import { intake } from "./intake.js";
import { keep } from "./keep.js";
import { keys } from "./keys.js";
import { notice, settle } from "./notices.js";
import { offline } from "./offline.js";
import { privacy } from "./privacy.js";
import { busy } from "./queue.js";
import { queueView } from "./queue-view.js";
import { reader } from "./reader.js";
import { recorderView } from "./recorder-view.js";
import { settings, theme } from "./settings.js";
import { setup } from "./setup.js";
import { state } from "./state.js";

const BUNDLED = "tiny.en";

/** The line in the head that says what the model is doing. */
function engineLine() {
  const line = $("#engine");
  const { state: now, progress, whisper, problem } = engine;
  const { loaded, total } = progress;
  line.dataset.state = now;
  line.textContent = {
    idle: "The model is loaded with the next recording",
    loading: total > loaded && loaded ? `Fetching the model: ${bytes(loaded)} of ${bytes(total)}` : "Making the model ready…",
    ready: `${whisper?.info.model || "Your own model"} is ready`,
    failed: "No model",
  }[now];
  if (now === "ready") settle("engine");
  if (now === "ready" && engine.note) notice("kept", { title: "The model may be fetched again next time", help: engine.note });
  if (now !== "failed" || !problem) return;
  const own = engine.model === BUNDLED;
  notice("engine", {
    title: problem.title, help: `${problem.help} (${problem.detail})`, bad: true,
    actions: [["Try again", load], ...(own ? [] : [/** @type {[string, () => void]} */ (["Use tiny.en", useBundled])])],
  });
}

function load() {
  engine.get().catch(() => {});
}

function useBundled() {
  engine.model = BUNDLED;
  settings.set("model", BUNDLED);
  load();
}

async function begin() {
  theme($("#theme"));
  $("#help-open").onclick = () => $("#help").showModal();
  engine.model = settings.values.model;
  engine.dtype = settings.values.quantised ? "quantised" : "f32";
  engine.addEventListener("change", engineLine);
  engine.addEventListener("ready", () => say("The model is ready"));
  addEventListener("beforeunload", (event) => busy() && event.preventDefault());
  privacy();
  queueView();
  const parts = reader();
  keys(parts);
  intake();
  recorderView();
  await offline(() => !state.items.length);
  setup($("#settings"));
  keep();
  // Who counts bytes fetches the model with the first recording.
  const { connection } = /** @type {{connection?: {saveData?: boolean}}} */ (navigator);
  if (!connection?.saveData) load();
}

begin();
