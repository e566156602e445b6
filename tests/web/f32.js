// A safetensors file of f16 as one of f32, as models on the hub often are.

/**
 * @param {Uint8Array} file
 * @param {(value: number, i: number) => number} [change] the number that goes to the i-th place
 */
export function inF32(file, change = (value) => value) {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const head = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  for (const [name, tensor] of Object.entries(head)) {
    if (name === "__metadata__") continue;
    if (tensor.dtype !== "F16") throw new Error(`${name} is ${tensor.dtype}`);
    Object.assign(tensor, { dtype: "F32", data_offsets: tensor.data_offsets.map((at) => 2 * at) });
  }
  const text = new TextEncoder().encode(JSON.stringify(head));
  // A copy: what Node's Buffer calls a slice is none.
  const shorts = new Uint16Array(new Uint8Array(file.subarray(8 + length)).buffer);
  const start = 8 + Math.ceil(text.length / 8) * 8;
  const out = new Uint8Array(start + 4 * shorts.length).fill(0x20, 0, start);
  new DataView(out.buffer).setBigUint64(0, BigInt(start - 8), true);
  out.set(text, 8);
  const floats = new Float32Array(out.buffer, start);
  for (let i = 0; i < shorts.length; i++) floats[i] = change(VALUES[shorts[i]], i);
  return out;
}

/** Every number of 16 bits. */
const VALUES = Float32Array.from({ length: 1 << 16 }, (_, bits) => {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
});
