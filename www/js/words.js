// A phrase rewritten by hand: words that stayed keep their times, new ones share the time of those they replace.

/** @typedef {import("./state.js").Segment} Segment */
/** @typedef {import("./state.js").Word} Word */

/** @param {string} text @param {boolean} spaced @returns {string[]} which joined give `text` */
function split(text, spaced) {
  if (spaced || !Intl.Segmenter) return text.match(/\s*\S+/g) ?? [];
  /** @type {string[]} */
  const words = [];
  for (const { segment, isWordLike } of new Intl.Segmenter(undefined, { granularity: "word" }).segment(text)) {
    if (isWordLike || !words.length) words.push(segment);
    else words[words.length - 1] += segment;
  }
  return words;
}

/** Pairs of equal words in the longest common subsequence. @param {string[]} a @param {string[]} b */
function common(a, b) {
  const best = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      best[i][j] = a[i] === b[j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
    }
  }
  /** @type {[number, number][]} */
  const pairs = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) pairs.push([i++, j++]);
    else if (best[i + 1][j] >= best[i][j + 1]) i += 1;
    else j += 1;
  }
  return pairs;
}

/**
 * The segment with another text. Its tokens no longer say what it says, so it has none.
 * @param {Segment} segment
 * @param {string} text
 * @returns {Segment}
 */
export function rewrite(segment, text) {
  const changed = { ...segment, text: ` ${text.trim()}`, tokens: [] };
  if (!segment.words) return changed;
  const old = segment.words;
  const fresh = split(changed.text, old.some((word, i) => i > 0 && word.word.startsWith(" ")) || old.length < 2);
  /** @type {Word[]} */
  const words = [];
  let [before, at] = [0, 0];
  for (const [i, j] of [...common(old.map((w) => w.word.trim()), fresh.map((w) => w.trim())), [old.length, fresh.length]]) {
    const start = words.at(-1)?.end ?? old[0]?.start ?? segment.start;
    const end = Math.max(start, old[i]?.start ?? old.at(-1)?.end ?? segment.end);
    const from = i > before ? Math.max(start, old[before].start) : start;
    const step = (end - from) / Math.max(1, j - at);
    for (let k = at; k < j; k += 1) {
      const began = from + (k - at) * step;
      words.push({ word: fresh[k], start: began, end: began + step, probability: 1 });
    }
    if (i < old.length) words.push({ ...old[i], word: fresh[j] });
    [before, at] = [i + 1, j + 1];
  }
  return { ...changed, words };
}
