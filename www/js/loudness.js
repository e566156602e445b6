// How loud a recording is along its length, as far as it has been read: what its picture is drawn of.

/** Peaks a second, as the library tells them. */
const RATE = 50;

/** How many stretches a picture has at most. */
const N_PEAKS = 1200;

/** Grows while the recording is read. */
export class Loudness {
  #peaks = new Float32Array(0);
  #n = 0;
  /** Seconds of the whole, as the file says; 0 if it does not. */
  #claimed = 0;

  /** @param {{seconds: number, duration: number | null, peaks: Float32Array}} event */
  add({ seconds, duration, peaks }) {
    // What the library could not read the browser may: from the start.
    if (seconds * RATE <= peaks.length + 1) this.#n = 0;
    if (this.#n + peaks.length > this.#peaks.length) {
      const larger = new Float32Array(2 * (this.#n + peaks.length));
      larger.set(this.#peaks.subarray(0, this.#n));
      this.#peaks = larger;
    }
    this.#peaks.set(peaks, this.#n);
    this.#n += peaks.length;
    this.#claimed = duration ?? 0;
  }

  /** Nothing more comes. */
  end() {
    this.#claimed = 0;
  }

  /** The loudest sample of each stretch, 0 to 1; 0 where nothing has been read yet. */
  picture() {
    const all = Math.max(this.#n, Math.round(this.#claimed * RATE));
    const highest = new Float32Array(Math.min(N_PEAKS, all));
    for (let i = 0; i < this.#n; i += 1) {
      const at = Math.floor((i / all) * highest.length);
      highest[at] = Math.max(highest[at], this.#peaks[i]);
    }
    const most = highest.reduce((most, peak) => Math.max(most, peak), 0) || 1;
    return highest.map((peak) => peak / most);
  }
}
