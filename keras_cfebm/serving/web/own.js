/** The panel of the reader's own image: painting, files, examples, and what the model says. */

import { Editor } from "./editor.js";
import { bytes, drawMap, picture, read } from "./pictures.js";

const element = (id) => document.getElementById(id);

export class OwnImage {
  /**
   * @param ask function of an image that returns what the model says of it, a promise,
   *     see `judge` in `worker.js`, or null if it cannot be asked now.
   * @param onChange called with what changes of the choice: `{example}` or `{mask}`,
   *     null where it is the reader's own.
   * @param onError called with a message.
   */
  constructor(ask, onChange, onError) {
    Object.assign(this, { ask, onChange, onError, examples: [] });
    this.editor = new Editor(element("editor"), () => this.brush(), (what) => {
      onChange(what === "image" ? { example: null } : { mask: null });
      if (what === "image") this.judge();
    });
    element("clear").addEventListener("click", () =>
      this.take(new Float32Array(this.editor.image.length).fill(-1)),
    );
    for (const button of document.querySelectorAll("[data-hole]")) {
      button.addEventListener("click", () => this.setHole(button.dataset.hole));
    }
    for (const id of ["size", "tone"]) {
      const output = document.querySelector(`output[for="${id}"]`);
      element(id).addEventListener("input", () => (output.textContent = element(id).value));
    }
    element("file").addEventListener("change", ({ target }) => this.open(target.files[0]));
    const panel = element("own");
    panel.addEventListener("dragover", (event) => {
      event.preventDefault();
      element("editor").classList.add("over");
    });
    panel.addEventListener("dragleave", () => element("editor").classList.remove("over"));
    panel.addEventListener("drop", (event) => {
      event.preventDefault();
      element("editor").classList.remove("over");
      if (event.dataTransfer.files.length) this.open(event.dataTransfer.files[0]);
    });
  }

  /** Begins with a model: its examples, one of which is taken, and a hole by name. */
  reset({ resolution, channels }, examples, { example, mask }) {
    const size = resolution ** 2 * channels;
    this.editor.reset(resolution, channels);
    this.editor.setHole(mask);
    element("tone-row").hidden = channels === 3;
    element("colour-row").hidden = channels !== 3;
    const numbers = Float32Array.from(examples ?? [], (v) => v / 127.5 - 1);
    this.examples = Array.from({ length: numbers.length / size }, (_, i) =>
      numbers.slice(i * size, (i + 1) * size),
    );
    const buttons = this.examples.map((image, i) => {
      const button = document.createElement("button");
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = resolution;
      canvas.getContext("2d").putImageData(picture(bytes(image), resolution, channels), 0, 0);
      button.type = "button";
      button.ariaLabel = `Example ${i + 1}`;
      button.append(canvas);
      button.addEventListener("click", () => this.take(image, i));
      return button;
    });
    element("examples").replaceChildren(...buttons);
    if (this.examples[example]) this.editor.setImage(this.examples[example]);
    this.judge();
  }

  get image() {
    return this.editor.image;
  }

  get missing() {
    return this.editor.missing;
  }

  /** Shows an image, example `example` or, null, another. */
  take(image, example = null) {
    this.editor.setImage(image);
    this.onChange({ example });
    this.judge();
  }

  setHole(mask) {
    this.editor.setHole(mask);
    this.onChange({ mask });
  }

  async open(file) {
    try {
      this.take(await read(file, this.editor.side, this.editor.channels));
    } catch {
      this.onError(`Expected a picture that the browser can read, received ${file.name}.`);
    }
  }

  /** Shows the hole and its tools, or hides them. */
  withHole(has) {
    this.editor.showsHole = has;
    for (const part of document.querySelectorAll(".hole")) part.hidden = !has;
    if (!has) document.querySelector('input[value="paint"]').checked = true;
    if (this.editor.image) this.editor.draw();
  }

  brush() {
    const colour =
      this.editor.channels === 3
        ? [1, 3, 5].map((at) => parseInt(element("colour").value.slice(at, at + 2), 16) / 127.5 - 1)
        : Array(this.editor.channels).fill(+element("tone").value);
    const tool = document.querySelector('input[name="tool"]:checked').value;
    return { tool, colour, size: +element("size").value };
  }

  /** Asks the model, once at a time: strokes are quicker than answers may be. */
  async judge() {
    this.stale = true;
    if (this.judging) return;
    this.judging = true;
    element("judgement").ariaBusy = "true";
    try {
      while (this.stale) {
        this.stale = false;
        const answer = await this.ask(Float32Array.from(this.image));
        if (answer) this.say(answer);
      }
    } catch (error) {
      this.onError(error.message);
    }
    this.judging = false;
    element("judgement").ariaBusy = "false";
  }

  say({ found, saliency, score, threshold }) {
    drawMap(element("saliency"), saliency);
    const number = (value) => value.toFixed(2).replace("-", "−");
    const rows = found.map(({ side, energy }) => [`Energy at ${side}×${side}`, number(energy)]);
    if (score !== null) {
      rows.push(["Detector’s score −log p", number(score)]);
      const verdict = score > threshold ? "anomalous" : "normal";
      if (threshold !== null) rows.push([`Anomalous above ${number(threshold)}`, verdict]);
    }
    const table = document.createElement("table");
    for (const [name, value] of rows) {
      const row = table.insertRow();
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      row.append(head);
      row.insertCell().textContent = value;
    }
    element("judgement").replaceChildren(table);
  }
}
