/** Runs chains and measures images on a thread of its own; `pool.js` asks it. */

import "./runtime/tf.es2017.min.js";
import "./runtime/tf-backend-wasm.es2017.min.js";
import { score } from "./detector.js";
import { Energy } from "./energy.js";
import { imageKey } from "./random.js";
import { addNoise, clipped, coarseToFine, downsample, knownPixels, noiseStart } from "./sampling.js";
import { filled } from "./weights.js";

const { tf } = globalThis;
/** The model's `{description, energies, detector}`. */
let model = null;
/** Ids of chains that are to stop. */
const stopped = new Set();
/** The label and guidance, as text, that the energies are bound to. */
let bound = null;

function bind(label, guidance) {
  const wanted = `${label} ${guidance}`;
  if (!model.description.class_names || wanted === bound) return;
  for (const energy of model.energies) energy.bind(label, guidance);
  bound = wanted;
}

/** Chooses a backend and reads the model; fails if the browser lacks the backend. */
async function open({ backend, name }) {
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false); // workers are the threads
  if (backend === "wasm") tf.wasm.setWasmPaths(new URL("runtime/", import.meta.url).href);
  if (!(await tf.setBackend(backend))) throw new Error(`This browser has no ${backend}.`);
  await tf.ready();
  if (backend === "webgl" && !tf.env().getBool("WEBGL_RENDER_FLOAT32_CAPABLE")) {
    throw new Error("WebGL has half precision only here.");
  }
  const [description, buffer] = await Promise.all([
    fetch(`models/${name}.json`).then((answer) => answer.json()),
    fetch(`models/${name}.bin`).then((answer) => answer.arrayBuffer()),
  ]);
  const tensor = (values, shape) => tf.tensor(values, shape);
  const energies = filled(description.levels, buffer, tensor).map((level) => new Energy(tf, level));
  const detector = filled(description.detector, buffer, (values) => values);
  model = { description, energies, detector };
  return { examples: filled(description.examples, buffer, (values) => values) };
}

/** Milliseconds of a step of so many of the finest images, twice for a warm one. */
function time({ count }) {
  const energy = model.energies.at(-1);
  bind(0, 0);
  const x = new Float32Array(count * energy.resolution ** 2 * energy.channels);
  energy.valueAndGradient(x, count);
  const before = performance.now();
  energy.valueAndGradient(x, count);
  return { took: performance.now() - before };
}

/** Energies that a task runs through, and the images that its chains start at. */
function start({ task, settings, image, missing, sigma }, keys) {
  const { energies } = model;
  const { resolution: side, channels } = energies.at(-1);
  if (task === "image") {
    const copies = new Float32Array(keys.length * image.length);
    keys.forEach((_, i) => copies.set(image, i * image.length));
    const noisy = sigma ? addNoise(copies, keys, sigma) : copies;
    return { ladder: energies.slice(-1), x: noisy };
  }
  const ladder = settings.chain_levels ? energies.slice(-settings.chain_levels) : energies;
  const x = noiseStart(keys, ladder[0].resolution ** 2 * channels, settings);
  const known =
    task === "inpaint" ? knownPixels(image, missing, side, channels, ladder.length) : [];
  return { ladder, x, known };
}

/** Lets messages in, `stop` among them. */
const messages = () =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve(port1.close());
    port2.postMessage(null);
  });

/** Images [from, to) of a seed: tells every step, and of one level the movement too. */
async function chain(request) {
  const { id, from, to, seed, label, guidance, settings } = request;
  const keys = Array.from({ length: to - from }, (_, i) => imageKey(seed, from + i));
  bind(label, guidance);
  const { ladder, x, known } = start(request, keys);
  const { channels } = ladder[0];
  const moved = ladder.length === 1 ? new Float32Array(x.length / channels) : null;
  let before = clipped(Float32Array.from(x), settings.clip);
  const states = coarseToFine(ladder, x, keys, settings, known);
  for (;;) {
    bind(label, guidance);
    const { done, value: state } = states.next();
    if (done || stopped.delete(id)) break;
    if (moved) {
      const after = clipped(Float32Array.from(state.x), settings.clip);
      after.forEach((v, i) => (moved[Math.floor(i / channels)] += Math.abs(v - before[i]) / channels));
      before = after;
    }
    const side = ladder[state.level].resolution;
    postMessage({ id, state: { ...state, side } }, [state.x.buffer]);
    await messages();
  }
  return { moved };
}

/** Energies of one image at each level, coarsest first; |∂E/∂x| and the detector's score. */
function judge({ image, label }) {
  const { energies, detector } = model;
  bind(label, 0);
  const found = [];
  let x = image, gradient;
  for (const energy of [...energies].reverse()) {
    const judged = energy.valueAndGradient(x, 1);
    gradient ??= judged.gradient;
    found.unshift({ side: energy.resolution, energy: judged.energies[0] });
    x = downsample(x, 1, energy.resolution, energy.channels);
  }
  const { channels } = energies[0];
  const saliency = new Float32Array(gradient.length / channels);
  gradient.forEach((v, i) => {
    const at = Math.floor(i / channels);
    saliency[at] = Math.max(saliency[at], Math.abs(v));
  });
  return { found, saliency, score: detector && score(energies, image, detector) };
}

const jobs = { open, time, chain, judge };

globalThis.onmessage = async ({ data }) => {
  if (data.kind === "stop") return stopped.add(data.id);
  try {
    postMessage({ id: data.id, result: await jobs[data.kind](data) });
  } catch (error) {
    postMessage({ id: data.id, error: error.message });
  }
};
