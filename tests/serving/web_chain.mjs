// What an export's JavaScript makes: node web_chain.mjs FOLDER, the request on standard input.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import vm from "node:vm";

const folder = process.argv[2];
const request = JSON.parse(readFileSync(0));
const module = (name) => import(`${folder}/${name}.js`);
const [{ Energy }, { filled }, { score }, sampling, random] = await Promise.all(
  ["energy", "weights", "detector", "sampling", "random"].map(module),
);
globalThis.require = createRequire(import.meta.url);
vm.runInThisContext(readFileSync(`${folder}/runtime/tf.es2017.min.js`, "utf8"));
await tf.setBackend("cpu");
const model = JSON.parse(readFileSync(`${folder}/models/model.json`));
const { buffer } = new Uint8Array(readFileSync(`${folder}/models/model.bin`));
const levels = filled(model.levels, buffer, (values, shape) => tf.tensor(values, shape));
const energies = levels.map((level) => new Energy(tf, level));
for (const energy of energies) energy.bind(request.label, request.guidance);
const keys = Array.from({ length: 2 }, (_, i) => random.imageKey(request.seed, i));

/** The last images of chains from noise. */
function ends(settings, constraints) {
  const size = energies[0].resolution ** 2 * model.channels;
  const start = sampling.noiseStart(keys, size, settings);
  let last;
  for (last of sampling.coarseToFine(energies, start, keys, settings, constraints));
  return [...last.x];
}

const image = Float32Array.from(request.image);
const { resolution, channels, detector, tasks } = model;
const known = sampling.knownPixels(image, request.missing, resolution, channels, energies.length);
const found = {
  samples: ends(sampling.faster(tasks.noise, request.speed)),
  noisy: [...sampling.addNoise(image, keys.slice(0, 1), request.sigma)],
  score: score(energies, image, filled(detector, buffer, (values) => values)),
};
for (const energy of energies) energy.bind(request.label);
found.filled = ends(tasks.inpaint, known);
const held = { ...tasks.image, faithfulness: request.faithfulness };
let last;
for (last of sampling.coarseToFine(energies.slice(-1), image, keys.slice(0, 1), held));
found.held = [...last.x];
console.log(JSON.stringify(found));
