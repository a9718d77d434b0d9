/** The playground: what the reader chooses, runs and sees. */

import { fromAddress, SEEDS, settingsOf, sidesOf, toAddress } from "./choice.js";
import { Film } from "./film.js";
import { OwnImage } from "./own.js";
import { drawMap } from "./pictures.js";
import { BACKENDS, Pool } from "./pool.js";
import { pythonOf } from "./python.js";
import { stepsAt } from "./sampling.js";
import { buildSliders } from "./sliders.js";

const element = (id) => document.getElementById(id);
const TASKS = {
  noise: "Generate from noise",
  inpaint: "Fill the hole in your image",
  image: "Denoise your image",
};
/** Images that a page may begin with, and seconds that their chain may take. */
const COUNTS = [16, 9, 4, 1], PATIENCE = 15;

let choice = fromAddress(location.hash);
let model = null;
let pool = null;
let movement = null;
/** Counts openings, so that a late one is known. */
let opening = 0;

const rough = (value) => (value < 10 ? value.toPrecision(2) : String(Math.round(value)));
const say = (text, isError = false) => {
  element("status").textContent = text;
  element("status").classList.toggle("error", isError);
};

const film = new Film(
  Object.fromEntries(
    [["canvas", "film"], ["slider", "step"], ["caption", "caption"], ["svg", "curve"], ["play", "play"]].map(
      ([part, id]) => [part, element(id)],
    ),
  ),
  (index) => choose(index),
);
const own = new OwnImage(
  async (image) => {
    const asked = pool;
    const answer = asked && (await asked.judge(image, choice.label).catch(() => null));
    return answer && asked === pool && { ...answer, threshold: model.detector?.threshold ?? null };
  },
  (changes) => change(changes),
  (message) => say(message, true),
);
const showSliders = buildSliders(element("sliders"), () => [choice, model], (changes) => change(changes));

/** Takes over what the reader has changed; the address keeps it. */
function change(changes) {
  choice = { ...choice, ...changes };
  history.replaceState(null, "", `#${toAddress(choice)}`);
  show();
}

/** Puts every control where the choice is. */
function show() {
  element("seed").value = choice.seed;
  element("class").value = choice.label;
  for (const radio of document.querySelectorAll('input[name="task"]')) {
    radio.checked = radio.value === choice.task;
  }
  own.withHole(choice.task === "inpaint");
  element("python").textContent = pythonOf(choice, model);
  element("estimate").textContent = `About ${rough(estimate(choice.count))} s here.`;
  showSliders();
}

/** Seconds that the chosen chain of so many images takes, at most. */
function estimate(count) {
  const settings = settingsOf(choice, model), sides = sidesOf(choice, model);
  const steps = sides.map((side, i) => stepsAt(settings, i) * (side / model.resolution) ** 2);
  return (pool.perImage * count * steps.reduce((sum, v) => sum + v, 0)) / 1000;
}

/** Shows one image of the grid as the chosen one. */
function choose(index) {
  film.chosen = Math.min(Math.max(index || 0, 0), film.count - 1);
  element("chosen").value = film.chosen;
  film.draw();
  showMovement();
}

function showMovement() {
  element("movement-part").hidden = !movement;
  if (!movement) return;
  const size = model.resolution ** 2;
  drawMap(element("movement"), movement.slice(film.chosen * size, (film.chosen + 1) * size));
}

/** Sets up an empty film of the chosen chain. */
function resetFilm() {
  const settings = settingsOf(choice, model);
  const levels = sidesOf(choice, model).map((side, i) => ({ side, steps: stepsAt(settings, i) }));
  movement = null;
  film.reset(choice.count, model.channels, levels);
  element("chosen").max = choice.count - 1;
  choose(film.chosen);
  return { settings, levels };
}

/** Opens a model and shows what it can do. */
async function open(name) {
  const mine = ++opening;
  pool?.close();
  pool = null;
  element("run").disabled = true;
  say(`Loading ${name} …`);
  const answer = await fetch(`models/${name}.json`);
  if (!answer.ok) throw new Error(`Expected a model, received none of the name ${name}.`);
  const description = await answer.json();
  const wanted = element("backend").value;
  const opened = await (wanted ? Pool.of(name, wanted) : Pool.fastest(name));
  if (mine !== opening) return opened.close();
  [model, pool] = [description, opened];
  adapt(name);
  say(`${runsOn()}.`);
  if (estimate(choice.count) < PATIENCE) await run();
  else element("run").disabled = false;
}

const runsOn = () => {
  const { backend, threads, perImage } = pool;
  const cores = threads.length > 1 ? ` on ${threads.length} cores` : "";
  return `Runs on ${BACKENDS[backend]}${cores}: ${rough(perImage)} ms a step and image`;
};

/** Fits the controls to the model. */
function adapt(name) {
  const tasks = Object.keys(TASKS).filter((task) => model.tasks[task]);
  if (!tasks.includes(choice.task)) choice.task = tasks[0];
  choice.model = name;
  choice.label = Math.min(Math.max(Math.round(choice.label), 0), (model.class_names?.length ?? 1) - 1);
  choice.sigma ??= model.translates ? 0 : 0.2;
  choice.count ??= COUNTS.find((count) => estimate(count) < PATIENCE) ?? 1;
  element("model").value = name;
  element("class-row").hidden = !model.class_names;
  const classes = (model.class_names ?? []).map((text, i) => new Option(text, i));
  element("class").replaceChildren(...classes);
  const radios = tasks.map((task) => {
    const label = document.createElement("label");
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: "task", value: task });
    radio.addEventListener("change", () => change({ task, noise: null }));
    const words = model.translates ? "Translate your image" : TASKS[task];
    label.append(radio, words);
    return label;
  });
  element("tasks").replaceChildren(element("tasks").firstElementChild, ...radios);
  change({});
  resetFilm();
  own.reset(model, pool.examples, choice);
}

/** Runs the chosen chain. */
async function run() {
  if (choice.task === "inpaint" && !own.missing.includes(1)) {
    element("run").disabled = false;
    return say("Expected a hole to fill, received none: draw one into your image.", true);
  }
  const { settings } = resetFilm();
  const [running, ran] = [pool, { ...choice }];
  const request = { ...ran, settings, image: own.image, missing: [...own.missing] };
  const before = performance.now();
  element("run").disabled = true;
  element("stop").disabled = false;
  say("Running …");
  try {
    movement = await running.chain(request, ran.count, (from, state) => film.add(from, state));
    const seconds = ((performance.now() - before) / 1000).toFixed(1);
    const images = ran.count === 1 ? "1 image" : `${ran.count} images`;
    const isWhole = film.whole.length === film.total;
    say(isWhole ? `${images} in ${seconds} s. ${runsOn()}.` : `Stopped after ${seconds} s.`);
    showMovement();
  } catch (error) {
    if (running === pool) say(error.message, true);
  }
  element("stop").disabled = true;
  element("run").disabled = running !== pool;
}

const attempt = (name) => open(name).catch((error) => say(error.message, true));
element("controls").addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
element("stop").addEventListener("click", () => pool.stop());
element("model").addEventListener("change", ({ target }) => {
  const { seed, count } = choice;
  choice = { ...fromAddress(""), seed, count };
  history.replaceState(null, "", "#");
  attempt(target.value);
});
element("backend").addEventListener("change", () => attempt(choice.model));
element("class").addEventListener("change", ({ target }) => {
  change({ label: +target.value });
  own.judge();
});
element("seed").addEventListener("change", ({ target }) => {
  change({ seed: fromAddress(`seed=${target.value}`).seed });
});
element("another").addEventListener("click", () => change({ seed: Math.floor(Math.random() * 1e6) }));
element("usual").addEventListener("click", () => {
  change({ guidance: 0, speed: 1, steps: 1, step_size: 1, noise: null });
});
element("chosen").addEventListener("input", ({ target }) => choose(+target.value));
element("take").addEventListener("click", () => {
  if (!film.last) return say("Expected a chain that has ended, received none: run one.", true);
  const size = model.resolution ** 2 * model.channels;
  own.take(film.last.slice(film.chosen * size, (film.chosen + 1) * size));
  element("own").scrollIntoView({ block: "nearest" });
});
element("share").addEventListener("click", async () => {
  const isOwn = choice.task !== "noise" && (choice.example === null || choice.mask === null);
  const limit = isOwn ? " What you painted or opened is not in it." : "";
  try {
    await navigator.clipboard.writeText(location.href);
    say(`The link is copied.${limit}`);
  } catch {
    say(`The address of this page is the link.${limit}`);
  }
});
window.addEventListener("hashchange", () => {
  choice = fromAddress(location.hash);
  attempt(choice.model ?? element("model").value);
});

/** For the console and for tests: images as numbers in [-1, 1], Python's to 1e-3. */
window.playground = {
  get images() {
    return film.last;
  },
  get own() {
    return own;
  },
};

element("settings").open = window.matchMedia("(min-width: 56rem)").matches;
try {
  const names = await (await fetch("models.json")).json();
  element("model").replaceChildren(...names.map((name) => new Option(name, name)));
  await attempt(names.includes(choice.model) ? choice.model : names[0]);
} catch (error) {
  say(`Expected models.json beside this page, received: ${error.message}`, true);
}
