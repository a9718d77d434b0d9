// Samples by an export's JavaScript: node web_chain.mjs FOLDER SEED COUNT SPEED LABEL GUIDANCE
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import vm from "node:vm";

const [folder, seed, count, speed, label, guidance] = process.argv.slice(2);
const module = (name) => import(`${folder}/${name}.js`);
const [{ Energy }, { filled }, sampling, random] = await Promise.all(
  ["energy", "weights", "sampling", "random"].map(module),
);
globalThis.require = createRequire(import.meta.url);
vm.runInThisContext(readFileSync(`${folder}/runtime/tf.es2017.min.js`, "utf8"));
await tf.setBackend("cpu");
const model = JSON.parse(readFileSync(`${folder}/models/model.json`));
const { buffer } = new Uint8Array(readFileSync(`${folder}/models/model.bin`));
const levels = filled(model.levels, buffer, (values, shape) => tf.tensor(values, shape));
const energies = levels.map((level) => new Energy(tf, level));
for (const energy of energies) energy.bind(+label, +guidance);
const keys = Array.from({ length: +count }, (_, i) => random.imageKey(+seed, i));
const settings = sampling.faster(model.tasks.noise, +speed);
const start = sampling.noiseStart(keys, energies[0].resolution ** 2 * model.channels, settings);
let last;
for (last of sampling.coarseToFine(energies, start, keys, settings));
process.stdout.write(new Uint8Array(last.x.buffer));
