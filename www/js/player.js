// Plays the open recording: button, waveform that is a slider too, clock and speed.
import { $, h } from "./dom.js";
import { clock } from "./format.js";
import { settings } from "./settings.js";
import { state } from "./state.js";
import { draw } from "./waveform.js";

/** @typedef {import("./state.js").Item} Item */

/** Tells `time` whenever the position changes. */
export class Player extends EventTarget {
  #audio = new Audio();
  /** @type {Item | null} */
  #item = null;
  /** @type {Float32Array | null} */
  #drawn = null;
  #play = h("button.play.primary", { type: "button", onclick: () => this.toggle() }, "Play");
  #canvas = h("canvas", { "aria-hidden": "true" });
  #slider = h("input", { type: "range", min: 0, max: 1, step: 0.01, value: 0, "aria-label": "Position in the recording", disabled: true });
  #clock = h("span.clock");
  #note = h("span.note", { role: "status" });

  constructor() {
    super();
    const audio = this.#audio;
    audio.preload = "metadata";
    const speed = h("select.speed", { "aria-label": "Speed", onchange: () => settings.set("speed", Number(speed.value)) },
      ...[0.5, 0.75, 1, 1.25, 1.5, 2].map((rate) => h("option", { value: String(rate) }, `${rate} ×`)));
    speed.value = String(settings.values.speed);
    const rate = () => (audio.playbackRate = settings.values.speed);
    settings.addEventListener("speed", rate);
    this.element = h("div.player", { role: "group", "aria-label": "Player" }, this.#play,
      h("div.track", {}, h("span.swatch"), h("span.swatch-played"), this.#canvas, this.#slider),
      h("div.aside", {}, this.#clock, speed, this.#note));

    audio.onloadedmetadata = () => {
      rate();
      this.#slider.disabled = this.#play.disabled = false;
      this.#moved();
    };
    audio.onplay = audio.onpause = audio.onended = () => {
      this.#play.textContent = audio.paused ? "Play" : "Pause";
      if (!audio.paused) this.#follow();
    };
    audio.onseeked = () => this.#moved();
    audio.onerror = () => {
      if (!audio.hasAttribute("src")) return;
      this.#slider.disabled = this.#play.disabled = true;
      this.#note.textContent = "This browser can’t play this format.";
    };
    this.#slider.oninput = () => this.seek(Number(this.#slider.value));
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
    settings.addEventListener("theme", () => this.#draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    state.addEventListener("item", (event) => {
      const item = /** @type {CustomEvent<Item>} */ (event).detail;
      if (item === this.#item && item.peaks !== this.#drawn) this.#draw();
    });
  }

  /** Takes the recording, or none. @param {Item | null} item */
  load(item) {
    this.#item = item;
    this.#audio.pause();
    this.#note.textContent = "";
    this.#slider.disabled = this.#play.disabled = true;
    this.#slider.value = 0;
    this.#play.textContent = "Play";
    if (item?.blob.size) this.#audio.src = item.url;
    else this.#audio.removeAttribute("src");
    if (item && !item.blob.size) this.#note.textContent = "There is no sound.";
    this.#moved();
  }

  get time() {
    return this.#audio.currentTime;
  }

  toggle() {
    if (this.#play.disabled) return;
    if (this.#audio.paused) this.#audio.play().catch(() => {});
    else this.#audio.pause();
  }

  /** @param {number} seconds @param {boolean} [play] */
  seek(seconds, play = false) {
    if (this.#play.disabled) return;
    this.#audio.currentTime = Math.max(0, Math.min(seconds, this.#length()));
    if (play && this.#audio.paused) this.toggle();
    this.#moved();
  }

  #length() {
    return Number.isFinite(this.#audio.duration) ? this.#audio.duration : (this.#item?.duration ?? 0);
  }

  #follow() {
    this.#moved();
    if (!this.#audio.paused) requestAnimationFrame(() => this.#follow());
  }

  #moved() {
    const [now, all] = [this.#audio.currentTime, this.#length()];
    this.#slider.max = all || 1;
    this.#slider.value = now;
    this.#slider.setAttribute("aria-valuetext", `${clock(now)} of ${clock(all)}`);
    this.#clock.textContent = `${clock(now)} / ${clock(all)}`;
    this.#draw();
    this.dispatchEvent(new Event("time"));
  }

  #draw() {
    const all = this.#length();
    this.#drawn = this.#item?.peaks ?? null;
    draw(this.#canvas, this.#drawn, all ? this.#audio.currentTime / all : 0);
  }
}
