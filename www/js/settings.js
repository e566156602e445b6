// What people chose, remembered in this browser and nowhere else.

const KEY = "candle-whisper";

const DEFAULTS = {
  model: "tiny.en",
  /** whether small integers are multiplied, and not floats */
  quantised: true,
  language: "",
  task: "transcribe",
  word_timestamps: true,
  keep: true,
  /** @type {Record<string, any>} only what differs from the default, by option name */
  advanced: {},
  advancedOpen: false,
  /** @type {"auto" | "light" | "dark"} */
  theme: "auto",
  sure: true,
  speed: 1,
  format: "txt",
  /** @type {Record<string, any>} */
  subtitles: {},
};

/** @returns {typeof DEFAULTS} */
function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    const known = Object.entries(DEFAULTS).map(([key, value]) =>
      [key, typeof kept?.[key] === typeof value && kept[key] !== null ? kept[key] : structuredClone(value)]);
    return Object.fromEntries(known);
  } catch {
    return structuredClone(DEFAULTS);
  }
}

/** Tells of each change by an event with the setting's name. */
class Settings extends EventTarget {
  values = read();

  /** @template {keyof typeof DEFAULTS} K @param {K} key @param {(typeof DEFAULTS)[K]} value */
  set(key, value) {
    this.values[key] = value;
    try {
      localStorage.setItem(KEY, JSON.stringify(this.values));
    } catch {
      // A full or forbidden store: the settings hold until the page is closed.
    }
    this.dispatchEvent(new Event(key));
  }
}

export const settings = new Settings();

const THEMES = /** @type {const} */ ({ auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" });

/** The button that goes round automatic, light and dark. @param {HTMLButtonElement} button */
export function theme(button) {
  const names = /** @type {(keyof typeof THEMES)[]} */ (Object.keys(THEMES));
  const show = () => {
    const now = settings.values.theme in THEMES ? settings.values.theme : "auto";
    document.documentElement.dataset.theme = now;
    button.textContent = THEMES[now];
  };
  button.onclick = () => settings.set("theme", names[(names.indexOf(settings.values.theme) + 1) % names.length]);
  settings.addEventListener("theme", show);
  show();
}
