/** The Python that makes the images that the page shows. */

import { changedSettings } from "./choice.js";

/** Python's defaults of those settings that are shown only where they differ. */
const DEFAULTS = {
  final_noise_scale: 0,
  clip: [-1, 1],
  start_noise: "uniform",
  chain_levels: null,
  transition_noise: 0,
  faithfulness: 0,
};

function literal(value) {
  if (value === null) return "None";
  if (Array.isArray(value)) return `(${value.join(", ")}${value.length === 1 ? "," : ""})`;
  return JSON.stringify(value);
}

const same = (a, b) => literal(a) === literal(b);
const given = (settings, keys) => keys.map((key) => `${key}=${literal(settings[key])}`).join(", ");

/**
 * Lines of Python in which `model` is the exported model, `image` and `mask` are those
 * of the page.
 */
export function pythonOf(choice, model) {
  const { task, seed, count, label, guidance, speed, sigma } = choice;
  const settings = changedSettings(choice, model);
  const changed = Object.keys(settings).filter((key) => !same(settings[key], model.tasks[task][key]));
  const labels = model.class_names ? `, labels=${label}` : "";
  const faster = speed === 1 ? "" : `, speed=${speed}`;
  if (task === "noise") {
    const guided = labels && guidance ? `, guidance=${guidance}` : "";
    const langevin = `model.langevin = model.langevin.replace(${given(settings, changed)})\n`;
    const generate = `images = model.generate(${count}, seed=${seed}${labels}${guided}${faster})`;
    return (changed.length ? langevin : "") + generate;
  }
  const lines = [`images = np.repeat(image[None], ${count}, axis=0)`];
  if (task === "image" && sigma) {
    lines.push(`images = cf.tasks.add_noise(images, ${sigma}, seed=${seed})`);
  }
  if (model.translates && !sigma && !changed.length) {
    return [...lines, `images = model.translate(images, seed=${seed}${faster})`].join("\n");
  }
  const isShown = (key) => !(key in DEFAULTS) || !same(settings[key], DEFAULTS[key]);
  const langevin = `cf.Langevin(${given(settings, Object.keys(settings).filter(isShown))})`;
  lines.push(`settings = ${langevin}${speed === 1 ? "" : `.faster(${speed})`}`);
  lines.push(`energies = ${task === "inpaint" ? "model.sampling_ladder" : "[model.sampling_network]"}`);
  if (labels && guidance) {
    lines.push(`energies = [cf.tasks.energies.guided(e, ${guidance}) for e in energies]`);
  }
  const [call, mask] = task === "inpaint" ? ["inpaint", " mask,"] : ["denoise", ""];
  const rest = `seed=${seed}, settings=settings${labels}`;
  return [...lines, `images = cf.tasks.${call}(energies, images,${mask} ${rest})`].join("\n");
}
