// The browser's own decoder, for the picture of the sound.

/** Hours of sound are kept from being drawn: decoding takes 4 bytes a sample, all at once. */
const MOST_SECONDS = 2 * 3600;
const MOST_BYTES = 500e6;

/** Samples a second that are enough for a picture. */
const RATE = 8000;

/** @param {AudioBuffer} sound all channels in one, each as loud as the other */
function mono(sound) {
  const mixed = sound.getChannelData(0);
  for (let c = 1; c < sound.numberOfChannels; c += 1) {
    const channel = sound.getChannelData(c);
    for (let i = 0; i < mixed.length; i += 1) mixed[i] += channel[i];
  }
  if (sound.numberOfChannels > 1) for (let i = 0; i < mixed.length; i += 1) mixed[i] /= sound.numberOfChannels;
  return mixed;
}

/**
 * The loudest sample of each of `n` stretches, 0 to 1; null for what is too long or can't be decoded.
 * @param {Blob} blob
 * @param {number} seconds
 * @param {number} n
 * @returns {Promise<Float32Array | null>}
 */
export async function peaks(blob, seconds, n) {
  if (seconds > MOST_SECONDS || blob.size > MOST_BYTES) return null;
  try {
    const sound = mono(await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await blob.arrayBuffer()));
    const highest = new Float32Array(n);
    for (let i = 0; i < sound.length; i += 1) {
      const at = Math.floor((i / sound.length) * n);
      highest[at] = Math.max(highest[at], Math.abs(sound[i]));
    }
    const most = Math.max(...highest) || 1;
    return highest.map((peak) => peak / most);
  } catch {
    return null;
  }
}
