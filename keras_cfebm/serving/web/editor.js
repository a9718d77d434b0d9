/** An image that the reader paints, and the hole in it that a chain is to fill. */

import { bytes, drawCrisp, picture } from "./pictures.js";

const SCALE = 10; // canvas pixels per pixel of the image
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Holes by name, as `keras_cfebm.tasks.masks` has them, and none. */
export const HOLES = {
  center: (row, column, side) =>
    [row, column].every((v) => v >= Math.floor(side / 4) && v < Math.floor(side / 4) + Math.floor(side / 2)),
  left_half: (row, column, side) => column < side / 2,
  none: () => false,
};

export class Editor {
  /**
   * @param canvas the element to paint on.
   * @param brush function that returns `{tool, colour, size}`: tools are `paint`, `hole`
   *     and `known`; a colour has as many numbers as the image has channels.
   * @param onChange called with `"image"` or `"hole"` when the reader has changed one.
   */
  constructor(canvas, brush, onChange) {
    Object.assign(this, { canvas, brush, onChange, cursor: [0, 0], from: null });
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.from && this.lineTo(this.pixel(event)));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => (this.from = null));
    }
    canvas.addEventListener("keydown", (event) => this.key(event));
    for (const focus of ["focus", "blur"]) canvas.addEventListener(focus, () => this.draw());
  }

  /** Begins with a black image without a hole. */
  reset(side, channels) {
    Object.assign(this, { side, channels, cursor: [side >> 1, side >> 1] });
    this.image = new Float32Array(side * side * channels).fill(-1);
    this.missing = new Uint8Array(side * side);
    this.canvas.width = this.canvas.height = side * SCALE;
    this.draw();
  }

  setImage(image) {
    this.image = Float32Array.from(image);
    this.draw();
  }

  setHole(name) {
    const { side } = this;
    const inside = HOLES[name] ?? HOLES.none;
    this.missing = this.missing.map((_, i) => inside(Math.floor(i / side), i % side, side));
    this.draw();
  }

  pixel({ offsetX, offsetY }) {
    const to = (v, length) => Math.min(Math.max(Math.floor((v / length) * this.side), 0), this.side - 1);
    return [to(offsetX, this.canvas.clientWidth), to(offsetY, this.canvas.clientHeight)];
  }

  down(event) {
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.from = this.cursor = this.pixel(event);
    this.dab();
  }

  /** Dabs along the way, as a quick finger skips pixels. */
  lineTo([x, y]) {
    const [x0, y0] = this.from;
    const count = Math.max(Math.abs(x - x0), Math.abs(y - y0));
    for (let i = 1; i <= count; i++) {
      this.cursor = [x0 + (i * (x - x0)) / count, y0 + (i * (y - y0)) / count].map(Math.round);
      this.dab();
    }
    this.from = [x, y];
  }

  key(event) {
    const { key } = event;
    if (MOVES[key]) {
      const within = (v) => Math.min(Math.max(v, 0), this.side - 1);
      this.cursor = this.cursor.map((v, i) => within(v + MOVES[key][i]));
      if (event.shiftKey) this.dab();
      this.draw();
    } else if (key === " " || key === "Enter") {
      this.dab();
    } else {
      return;
    }
    event.preventDefault();
  }

  dab() {
    const { tool, colour, size } = this.brush();
    const [x, y] = this.cursor, first = -Math.floor((size - 1) / 2);
    for (let row = y + first; row < y + first + size; row++) {
      for (let column = x + first; column < x + first + size; column++) {
        if (Math.min(row, column) < 0 || Math.max(row, column) >= this.side) continue;
        const at = row * this.side + column;
        if (tool === "paint") this.image.set(colour, at * this.channels);
        else this.missing[at] = tool === "hole" ? 1 : 0;
      }
    }
    this.draw();
    this.onChange(tool === "paint" ? "image" : "hole");
  }

  draw() {
    const context = this.canvas.getContext("2d");
    const { side } = this;
    drawCrisp(context, picture(bytes(this.image), side, this.channels), 0, 0, side * SCALE);
    context.fillStyle = "rgb(214 51 108 / 75%)";
    this.missing.forEach((hole, i) => {
      if (hole && this.showsHole) context.fillRect((i % side) * SCALE, Math.floor(i / side) * SCALE, SCALE, SCALE);
    });
    if (document.activeElement !== this.canvas) return;
    context.strokeStyle = "#e8590c";
    context.lineWidth = 3;
    context.strokeRect(...this.cursor.map((v) => v * SCALE), SCALE, SCALE);
  }
}
