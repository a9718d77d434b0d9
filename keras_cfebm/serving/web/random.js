/**
 * Random numbers as `keras_cfebm.backend.random` draws them: Threefry-2x32 with 20
 * rounds (Salmon et al. 2011), a key of two 32-bit words for each image.
 */

const ROTATIONS = [[13, 15, 26, 6], [17, 29, 16, 24]];
const PARITY = 0x1bd11bda;

/** Encrypts a counter (c0, c1) with a key [k0, k1]; returns two 32-bit words. */
export function threefry2x32([k0, k1], c0, c1) {
  const schedule = [k0, k1, k0 ^ k1 ^ PARITY];
  let x0 = (c0 + k0) | 0;
  let x1 = (c1 + k1) | 0;
  for (let group = 0; group < 5; group++) {
    for (const bits of ROTATIONS[group % 2]) {
      x0 = (x0 + x1) | 0;
      x1 = ((x1 << bits) | (x1 >>> (32 - bits))) ^ x0;
    }
    x0 = (x0 + schedule[(group + 1) % 3]) | 0;
    x1 = (x1 + schedule[(group + 2) % 3] + group + 1) | 0;
  }
  return [x0 >>> 0, x1 >>> 0];
}

/** A new key: different (index, stream) give independent ones. */
export const foldIn = (key, index, stream = 0) => threefry2x32(key, index, stream);

/** The key of image `place` of the stream `seed`, an integer in [0, 2^53). */
export const imageKey = (seed, place) =>
  foldIn([Math.floor(seed / 2 ** 32), seed >>> 0], place);

/** `count` pairs of numbers in [0, 1), as two arrays of the first and the second. */
function unitPairs(key, count) {
  const pairs = [new Float32Array(count), new Float32Array(count)];
  for (let i = 0; i < count; i++) {
    const words = threefry2x32(key, i, 0);
    pairs[0][i] = (words[0] >>> 8) * 2 ** -24;
    pairs[1][i] = (words[1] >>> 8) * 2 ** -24;
  }
  return pairs;
}

/** `count` uniform numbers in [low, high). */
export function uniform(key, count, low = -1, high = 1) {
  const half = Math.ceil(count / 2);
  const [first, second] = unitPairs(key, half);
  return Float32Array.from(
    { length: count },
    (_, i) => low + (high - low) * (i < half ? first[i] : second[i - half]),
  );
}

/** `count` standard normal numbers (Box and Muller 1958). */
export function normal(key, count) {
  const half = Math.ceil(count / 2);
  const [first, second] = unitPairs(key, half);
  const values = new Float32Array(count);
  for (let i = 0; i < half; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - first[i]));
    const angle = 2 * Math.PI * second[i];
    values[i] = radius * Math.cos(angle);
    if (half + i < count) values[half + i] = radius * Math.sin(angle);
  }
  return values;
}
