/** Images as pixels of a canvas. */

/** A byte of a number in [-1, 1]. */
export const byte = (value) => Math.min(Math.max(Math.round((value + 1) * 127.5), 0), 255);

/** Bytes of all numbers; a quarter of the room that a film of floats would take. */
export const bytes = (x) => Uint8ClampedArray.from(x, byte);

/** The picture of bytes at `offset`: of three channels in colour, else the first in grey. */
export function picture(values, side, channels, offset = 0) {
  const data = new ImageData(side, side);
  for (let i = 0; i < side * side; i++) {
    for (let c = 0; c < 3; c++) {
      data.data[4 * i + c] = values[offset + i * channels + (channels >= 3 ? c : 0)];
    }
    data.data[4 * i + 3] = 255;
  }
  return data;
}

const scratch = document.createElement("canvas");

/** Draws a picture into a square of a context, each pixel a crisp square. */
export function drawCrisp(context, data, x, y, size) {
  scratch.width = data.width;
  scratch.height = data.height;
  scratch.getContext("2d").putImageData(data, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(scratch, x, y, size, size);
}

/** Stops of the heat map, dark to bright. */
const HEAT = [[0, 0, 0], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];

/** Fills a canvas with a non-negative map, brightest at its largest value. */
export function drawMap(canvas, map) {
  const side = Math.sqrt(map.length);
  const finite = map.map((v) => (Number.isFinite(v) ? v : 0)); // chains may explode
  const largest = finite.reduce((most, v) => Math.max(most, v), 1e-12);
  const data = new ImageData(side, side);
  finite.forEach((value, i) => {
    const at = (value / largest) * (HEAT.length - 1);
    const below = Math.min(Math.floor(at), HEAT.length - 2), share = at - below;
    for (let c = 0; c < 3; c++) {
      data.data[4 * i + c] = HEAT[below][c] + share * (HEAT[below + 1][c] - HEAT[below][c]);
    }
    data.data[4 * i + 3] = 255;
  });
  canvas.width = canvas.height = side;
  canvas.getContext("2d").putImageData(data, 0, 0);
}

/** The numbers in [-1, 1] of any picture, its centre square scaled to `side` pixels. */
export async function read(file, side, channels) {
  const bitmap = await createImageBitmap(file);
  const shorter = Math.min(bitmap.width, bitmap.height);
  const corner = [(bitmap.width - shorter) / 2, (bitmap.height - shorter) / 2];
  scratch.width = scratch.height = side;
  const context = scratch.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, ...corner, shorter, shorter, 0, 0, side, side);
  const { data } = context.getImageData(0, 0, side, side);
  const x = new Float32Array(side * side * channels);
  for (let i = 0; i < side * side; i++) {
    const [red, green, blue] = data.subarray(4 * i, 4 * i + 3);
    const grey = 0.299 * red + 0.587 * green + 0.114 * blue;
    for (let c = 0; c < channels; c++) {
      x[i * channels + c] = (channels === 3 ? [red, green, blue][c] : grey) / 127.5 - 1;
    }
  }
  return x;
}
