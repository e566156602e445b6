// The picture of the sound: bars as high as the loudest sample of their stretch, the played part in colour.

const BAR = 3;
const GAP = 1;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array | null} peaks without them, a line
 * @param {number} played 0 to 1
 */
export function draw(canvas, peaks, played) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  if (!pen || !width) return;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const n = Math.floor(width / (BAR + GAP));
  const [accent, rest] = [colour(canvas, ".swatch-played"), colour(canvas, ".swatch")];
  for (let i = 0; i < n; i += 1) {
    const tall = peaks ? Math.max(2, loudest(peaks, i / n, (i + 1) / n) * (height - 6)) : 2;
    pen.fillStyle = (i + 0.5) / n <= played ? accent : rest;
    pen.beginPath();
    pen.roundRect(i * (BAR + GAP), (height - tall) / 2, BAR, tall, 1.5);
    pen.fill();
  }
}

/** @param {Float32Array} peaks @param {number} from @param {number} to */
function loudest(peaks, from, to) {
  let most = 0;
  const end = Math.max(Math.floor(from * peaks.length) + 1, Math.floor(to * peaks.length));
  for (let i = Math.floor(from * peaks.length); i < end; i += 1) most = Math.max(most, peaks[i] ?? 0);
  return most;
}

/** A canvas knows no light-dark(); the computed colour of an element is one of the two. @param {Element} canvas @param {string} swatch */
function colour(canvas, swatch) {
  const element = canvas.parentElement?.querySelector(swatch);
  return element ? getComputedStyle(element).color : "gray";
}
