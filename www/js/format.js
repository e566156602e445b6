// Numbers into words for people.

/** `0:03`, `12:40`, `1:02:03`. @param {number} seconds */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds || 0));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** `34 MB`, `3.1 GB`: powers of ten, as file managers show. @param {number} n */
export function bytes(n) {
  if (n < 1e6) return `${Math.max(1, Math.round(n / 1e3))} kB`;
  return n < 1e9 ? `${Math.round(n / 1e6)} MB` : `${(n / 1e9).toFixed(1)} GB`;
}

/** `a few seconds left`, `about 3 minutes left`. @param {number} seconds */
export function timeLeft(seconds) {
  if (seconds < 8) return "a few seconds left";
  if (seconds < 50) return `about ${Math.round(seconds / 5) * 5} seconds left`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `about ${minutes <= 1 ? "a minute" : `${minutes} minutes`} left`;
  return `about ${(seconds / 3600).toFixed(1)} hours left`;
}

/** `english` -> `English`. @param {string} name */
export const capital = (name) => name.replace(/(^|[ (-])\p{L}/gu, (letter) => letter.toUpperCase());

/** `one recording`, `3 recordings`. @param {number} n @param {string} thing */
export const count = (n, thing) => (n === 1 ? `one ${thing}` : `${n} ${thing}s`);

/** A file name without its last extension. @param {string} name */
export const stem = (name) => name.replace(/\.[^./]{1,5}$/, "") || name;
