/** Reads what `keras_cfebm.serving.web_export` writes: a description and its numbers. */

/** The number that 16 bits stand for. */
function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, rest = bits & 1023;
  if (exponent === 0) return sign * rest * 2 ** -24;
  return sign * (1 + rest / 1024) * 2 ** (exponent - 15);
}

/** The numbers of `{dtype, shape, offset, scale}` in a buffer, as a Float32Array. */
export function numbers({ dtype, shape, offset, scale = 1 }, buffer) {
  const size = shape.reduce((product, side) => product * side, 1);
  if (dtype === "uint8") return Float32Array.from(new Uint8Array(buffer, offset, size));
  if (dtype === "float32") return new Float32Array(buffer, offset, size).map((v) => v * scale);
  return Float32Array.from(new Uint16Array(buffer, offset, size), (v) => halfToNumber(v) * scale);
}

/**
 * A description with everything of a dtype in it replaced.
 *
 * @param part an object, array or value of the description.
 * @param make function of the numbers and their shape.
 */
export function filled(part, buffer, make) {
  if (part === null || typeof part !== "object") return part;
  if (part.dtype) return make(numbers(part, buffer), part.shape);
  if (Array.isArray(part)) return part.map((item) => filled(item, buffer, make));
  const entries = Object.entries(part);
  return Object.fromEntries(entries.map(([k, v]) => [k, filled(v, buffer, make)]));
}
