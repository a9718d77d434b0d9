/** All states of a chain, shown as a grid of images and as curves of energy. */

import { curve, HEIGHT } from "./curve.js";
import { bytes, drawCrisp, picture } from "./pictures.js";

const MARGIN = 2;
/** Steps a second when a film is played. */
const RATE = 15;

export class Film {
  /** @param parts elements `{canvas, slider, caption, svg, play}`. */
  constructor(parts, onChoose) {
    this.parts = parts;
    this.chosen = 0;
    parts.slider.addEventListener("input", () => this.go(+parts.slider.value));
    parts.play.addEventListener("click", () => (this.timer ? this.pause() : this.start()));
    parts.canvas.addEventListener("click", (event) => onChoose(this.at(event)));
  }

  /** Begins anew. `levels` are `{side, steps}` of the chain, coarsest first. */
  reset(count, channels, levels) {
    this.pause();
    Object.assign(this, { count, channels, levels, states: [], last: null, shown: -1 });
    this.total = levels.reduce((sum, level) => sum + level.steps, 0);
    this.columns = Math.ceil(Math.sqrt(count));
    const cell = Math.max(...levels.map((level) => level.side));
    this.size = cell * Math.max(Math.floor(480 / (this.columns * cell)), 1);
    this.parts.canvas.width = this.columns * (this.size + MARGIN) - MARGIN;
    this.parts.canvas.height = Math.ceil(count / this.columns) * (this.size + MARGIN) - MARGIN;
    this.parts.slider.max = Math.max(this.total - 1, 0);
    this.following = true;
    this.draw();
  }

  /** Takes a state of images from `from` on; shows it once all parts have sent theirs. */
  add(from, { level, step, side, x, energies }) {
    const state = (this.states[step - 1] ??= {
      level,
      side,
      pixels: new Uint8ClampedArray(this.count * side * side * this.channels),
      energies: new Float32Array(this.count),
      missing: this.count,
    });
    state.pixels.set(bytes(x), from * side * side * this.channels);
    state.energies.set(energies, from);
    state.missing -= energies.length;
    if (step === this.total) {
      this.last ??= new Float32Array(this.count * side * side * this.channels);
      this.last.set(x, from * side * side * this.channels);
    }
    if (this.following && !state.missing) this.show(step - 1);
  }

  /** States that are whole. */
  get whole() {
    return this.states.filter((state) => state && !state.missing);
  }

  show(step) {
    this.shown = Math.min(step, this.whole.length - 1);
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.draw();
    });
  }

  go(step) {
    this.pause();
    this.following = step >= this.whole.length - 1;
    this.show(step);
  }

  start() {
    this.following = false;
    if (this.shown >= this.whole.length - 1) this.shown = -1;
    this.parts.play.textContent = "Pause";
    this.timer = setInterval(() => {
      this.show(this.shown + 1);
      if (this.shown >= this.total - 1) this.pause();
    }, 1000 / RATE);
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.parts.play.textContent = "Play";
  }

  /** The image under a pointer. */
  at({ offsetX, offsetY, target }) {
    const cell = (target.clientWidth + MARGIN) / this.columns;
    const found = Math.floor(offsetY / cell) * this.columns + Math.floor(offsetX / cell);
    return Math.min(found, this.count - 1);
  }

  draw() {
    const { canvas, slider, caption, svg } = this.parts;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    const state = this.states[this.shown];
    const width = Math.max(svg.clientWidth, 200);
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.innerHTML = curve(this.whole, this.levels, this.shown, this.chosen, width);
    if (!state) return (caption.textContent = "");
    const place = (i) => [i % this.columns, Math.floor(i / this.columns)].map((n) => n * (this.size + MARGIN));
    for (let i = 0; i < this.count; i++) {
      const offset = i * state.side ** 2 * this.channels;
      const image = picture(state.pixels, state.side, this.channels, offset);
      drawCrisp(context, image, ...place(i), this.size);
    }
    context.strokeStyle = "#e8590c";
    context.lineWidth = 3;
    const [left, top] = place(this.chosen);
    if (this.count > 1) context.strokeRect(left + 1.5, top + 1.5, this.size - 3, this.size - 3);
    slider.value = this.shown;
    const step = `Step ${this.shown + 1} of ${this.total}, ${state.side}×${state.side} pixels`;
    slider.setAttribute("aria-valuetext", step);
    caption.textContent = step;
  }
}
