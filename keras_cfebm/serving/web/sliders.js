/** The sliders of a chain: what each is called, says and changes. */

import { changedSettings, finestStepSize, settingsOf, sidesOf } from "./choice.js";
import { stepsAt, stepSizeAt } from "./sampling.js";

/** σ of the noise slider's upper end; its positions are cube roots. */
const MOST_NOISE = 1.5;
const short = (value) => String(+value.toPrecision(3));
const byLevel = (choice, model, at) => {
  const settings = settingsOf(choice, model);
  return sidesOf(choice, model).map((_, level) => at(settings, level));
};
const noiseOf = (choice, model) => changedSettings(choice, model).noise_scale;
const temperature = (choice, model) =>
  noiseOf(choice, model) ** 2 / (2 * finestStepSize(choice, model));

/** A slider whose position is the value of its key. */
const plain = (key, label, [min, max, step], hint, text = (choice) => short(choice[key])) => ({
  key,
  label,
  range: [min, max, step],
  hint,
  position: (choice) => choice[key],
  change: (position) => ({ [key]: position }),
  text,
});

export const SLIDERS = [
  plain("count", "Images", [1, 64, 1], "Chains that run at once."),
  plain("sigma", "Noise on the image σ", [0, 1, 0.05], "White noise that the chain is to remove."),
  plain("guidance", "Guidance", [0, 4, 0.25], "How much clearer of its class an image is to be; 0 is the model."),
  plain("speed", "Speed", [1, 8, 0.5], "So many times fewer and larger steps."),
  plain("steps", "Steps", [0.2, 4, 0.2], "Of each level. Trained is ×1.", (choice, model) =>
    byLevel(choice, model, stepsAt).join(" + "),
  ),
  plain("step_size", "Step size η", [0, 3, 0.05], "How far a step goes downhill.", (choice, model) =>
    [...new Set(byLevel(choice, model, (s, level) => short(stepSizeAt(s, level))))].join(", "),
  ),
  {
    key: "noise",
    label: "Noise σ",
    range: [0, 100, 1],
    hint: "Of the first step; it falls to that of the last.",
    position: (choice, model) => 100 * Math.cbrt(noiseOf(choice, model) / MOST_NOISE),
    change: (position) => ({ noise: +(MOST_NOISE * (position / 100) ** 3).toPrecision(3) }),
    text: (choice, model) => short(noiseOf(choice, model)),
  },
  {
    key: "temperature",
    label: "Temperature T = σ²/2η",
    range: [-7, 0, 0.1],
    hint: "Sets the noise. 1 would sample exp(−E); models are trained far below.",
    position: (choice, model) => Math.log10(Math.max(temperature(choice, model), 1e-9)),
    change: (position, choice, model) => {
      const variance = 2 * finestStepSize(choice, model) * 10 ** position;
      return { noise: +Math.sqrt(variance).toPrecision(3) };
    },
    text: (choice, model) => {
      const found = temperature(choice, model);
      return Number.isFinite(found) ? found.toExponential(1).replace("-", "−") : "–";
    },
  },
];

/**
 * Fills an element with the sliders.
 *
 * @param get function that returns the choice and the model's description.
 * @param onChange called with what a moved slider changes of the choice.
 * @returns function that puts every slider where the choice is, those hidden that have
 *     no use.
 */
export function buildSliders(parent, get, onChange) {
  const rows = SLIDERS.map((slider) => {
    const row = document.createElement("div");
    const id = `slider-${slider.key}`;
    row.className = "slider";
    row.innerHTML =
      `<label for="${id}">${slider.label}</label><output for="${id}"></output>` +
      `<input type="range" id="${id}" aria-describedby="${id}-hint">` +
      `<small id="${id}-hint">${slider.hint}</small>`;
    const [input, output] = [row.querySelector("input"), row.querySelector("output")];
    [input.min, input.max, input.step] = slider.range;
    input.addEventListener("input", () => onChange(slider.change(+input.value, ...get())));
    parent.append(row);
    return { slider, row, input, output };
  });
  return () => {
    const [choice, model] = get();
    for (const { slider, row, input, output } of rows) {
      row.hidden =
        (slider.key === "guidance" && !model.class_names) ||
        (slider.key === "sigma" && choice.task !== "image");
      output.textContent = slider.text(choice, model);
      input.setAttribute("aria-valuetext", output.textContent);
      if (document.activeElement !== input) input.value = slider.position(choice, model);
    }
  };
}
