/**
 * What the reader has chosen, as the address of the page and as settings of a chain.
 *
 * `steps` and `step_size` are factors of the trained ones; `noise` is σ of the first
 * step, null for the trained one. What else is null the page chooses for the model and
 * the machine.
 */

import { faster, stepSizeAt } from "./sampling.js";

const USUAL = {
  model: null,
  task: null,
  seed: 0,
  count: null,
  label: 0,
  guidance: 0,
  speed: 1,
  steps: 1,
  step_size: 1,
  noise: null,
  sigma: null,
  example: 0,
  mask: "center",
};
const TEXTS = ["model", "task", "mask"];

/** Seeds are integers below this; larger ones JavaScript could not tell apart. */
export const SEEDS = 2 ** 53;

/** The choice in the part of an address behind `#`; what is no number is left out. */
export function fromAddress(hash) {
  const choice = { ...USUAL };
  for (const [key, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    if (TEXTS.includes(key)) choice[key] = text;
    else if (key in USUAL && text !== "" && Number.isFinite(+text)) choice[key] = +text;
  }
  choice.seed = Math.min(Math.max(Math.floor(choice.seed), 0), SEEDS - 1);
  if (choice.count !== null) choice.count = Math.min(Math.max(Math.round(choice.count), 1), 64);
  choice.speed = Math.min(Math.max(choice.speed, 0.01), 100);
  for (const key of ["steps", "step_size"]) choice[key] = Math.max(choice[key], 0);
  return choice;
}

/** The other way round: only what differs from the usual. */
export function toAddress(choice) {
  const entries = Object.entries(choice).filter(([k, v]) => v !== null && v !== USUAL[k]);
  return new URLSearchParams(entries).toString();
}

const each = (value, change) => (Array.isArray(value) ? value.map(change) : change(value));

/** Settings of the chosen chain, but for its speed. */
export function changedSettings(choice, { tasks }) {
  const trained = tasks[choice.task];
  const noise = choice.noise ?? trained.noise_scale;
  const final = trained.noise_scale ? (trained.final_noise_scale * noise) / trained.noise_scale : 0;
  const atLeastOne = (steps) => (steps ? Math.max(Math.round(steps * choice.steps), 1) : 0);
  return {
    ...trained,
    steps: each(trained.steps, atLeastOne),
    step_size: each(trained.step_size, (size) => size * choice.step_size),
    noise_scale: noise,
    final_noise_scale: final,
  };
}

/** Settings of the chosen chain, as `sampling.js` takes them. */
export const settingsOf = (choice, model) => faster(changedSettings(choice, model), choice.speed);

/** Resolutions that the chosen chain runs through, coarsest first. */
export function sidesOf({ task }, { levels, tasks }) {
  const sides = levels.map((level) => level.resolution);
  const count = task === "image" ? 1 : (tasks[task].chain_levels ?? sides.length);
  return sides.slice(-count);
}

/** η at the finest level of the chosen chain. */
export const finestStepSize = (choice, model) =>
  stepSizeAt(settingsOf(choice, model), sidesOf(choice, model).length - 1);
