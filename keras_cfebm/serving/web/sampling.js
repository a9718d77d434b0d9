/**
 * Langevin sampling from coarse to fine, as `keras_cfebm.sampling` has it.
 *
 * An energy is an object with `resolution`, `channels` and a function
 * `valueAndGradient(x, count)` of a Float32Array of `count` images, rows of channels
 * last; it returns `{energies, gradient}`. Settings are those of Python's `Langevin`.
 */

import { foldIn, normal, uniform } from "./random.js";

/** Streams of an image's key. */
const NOISE = 0, START = 1, WHITE_NOISE = 9, TRANSITION = 6;

/** The entry of a level; the last one serves all finer levels. */
const entry = (value, level) =>
  Array.isArray(value) ? value[Math.min(level, value.length - 1)] : value;

export const stepsAt = (settings, level) => entry(settings.steps, level);
export const stepSizeAt = (settings, level) => entry(settings.step_size, level);

/** Rounds halves to the even neighbour, as Python does. */
function roundEven(x) {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 ? below + 1 : below;
}

/** Settings of the same durations in K / speed steps of η · speed, `Langevin.faster`. */
export function faster(settings, speed) {
  if (speed === 1) return settings;
  const lengths = [settings.steps, settings.step_size].map((v) => v.length ?? 1);
  const steps = [], sizes = [];
  for (let level = 0; level < Math.max(...lengths); level++) {
    const count = stepsAt(settings, level);
    const fewer = count ? Math.max(roundEven(count / speed), 1) : 0;
    steps.push(fewer);
    sizes.push((count ? count / fewer : 1) * stepSizeAt(settings, level));
  }
  return { ...settings, steps, step_size: sizes };
}

/** σ_k, linear from `noise_scale` to `final_noise_scale` over the chain. */
export const noiseScaleAt = (settings, step, total) =>
  settings.noise_scale +
  (step / Math.max(total - 1, 1)) * (settings.final_noise_scale - settings.noise_scale);

/** Puts the images inside `clip`, in place. */
export function clipped(x, clip) {
  if (clip) {
    for (let i = 0; i < x.length; i++) x[i] = Math.min(Math.max(x[i], clip[0]), clip[1]);
  }
  return x;
}

/** Doubles the side of images by repeating pixels. */
export function upsample(x, count, side, channels) {
  const larger = new Float32Array(4 * x.length);
  for (let n = 0, at = 0; n < count; n++) {
    for (let row = 0; row < 2 * side; row++) {
      for (let column = 0; column < 2 * side; column++) {
        const from = ((n * side + (row >> 1)) * side + (column >> 1)) * channels;
        for (let c = 0; c < channels; c++) larger[at++] = x[from + c];
      }
    }
  }
  return larger;
}

/** Halves the side of images by 2×2 mean pooling. */
export function downsample(x, count, side, channels) {
  const half = side / 2, smaller = new Float32Array(x.length / 4);
  for (let n = 0, at = 0; n < count; n++) {
    for (let row = 0; row < half; row++) {
      for (let column = 0; column < half; column++) {
        for (let c = 0; c < channels; c++) {
          const pixel = (i, j) =>
            x[((n * side + 2 * row + i) * side + 2 * column + j) * channels + c];
          smaller[at++] = (pixel(0, 0) + pixel(0, 1) + pixel(1, 0) + pixel(1, 1)) / 4;
        }
      }
    }
  }
  return smaller;
}

/** Numbers of all images, drawn of one key each by `draw(key, numbers per image)`. */
function drawn(keys, size, draw) {
  const values = new Float32Array(keys.length * size);
  keys.forEach((key, i) => values.set(draw(key, size), i * size));
  return values;
}

/** Where chains from noise start, images of so many pixels, see `start_noise`. */
export function noiseStart(keys, size, settings) {
  const [low, high] = settings.clip ?? [-1, 1];
  const x = drawn(keys, size, (key) => uniform(foldIn(key, 0, START), size, low, high));
  if (settings.start_noise === "uniform") return x;
  const middle = (low + high) / 2, half = (high - low) / 2;
  const share = 0.6826894921370859; // erf(√½), inside one standard deviation
  return x.map((u) => middle + half * Math.SQRT2 * inverseErf((share * (u - middle)) / half));
}

/** The inverse of the error function for |y| below 0.99 (Giles 2012). */
function inverseErf(y) {
  const w = -Math.log((1 - y) * (1 + y)) - 2.5;
  const coefficients = [
    2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087,
    -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
  ];
  return y * coefficients.reduce((sum, c) => sum * w + c, 0);
}

/** Images plus white noise, as `keras_cfebm.tasks.add_noise` adds it. */
export function addNoise(x, keys, sigma) {
  const size = x.length / keys.length;
  const noise = drawn(keys, size, (key) => normal(foldIn(key, 0, WHITE_NOISE), size));
  return x.map((value, i) => value + sigma * noise[i]);
}

/**
 * What a mask leaves of an image, at each level, coarsest first.
 *
 * @param image Float32Array, one image of the finest level.
 * @param missing array of booleans, one per pixel, true where it is to be filled.
 * @returns array of functions that put known pixels back, in place, into all images.
 *     A coarse pixel is the mean of those known below it, and free if less than half
 *     of them are.
 */
export function knownPixels(image, missing, side, channels, levels) {
  let weights = Float32Array.from(missing, (hole) => (hole ? 0 : 1));
  let sums = image.map((v, i) => v * weights[Math.floor(i / channels)]);
  const constraints = [];
  for (let level = levels - 1; level >= 0; level--) {
    const [known, total] = [weights, sums];
    constraints.unshift((x) => {
      for (let i = 0; i < x.length; i++) {
        const at = i % total.length, share = known[Math.floor(at / channels)];
        if (share >= 0.5) x[i] = total[at] / share;
      }
      return x;
    });
    if (level > 0) {
      weights = downsample(weights, 1, side, 1);
      sums = downsample(sums, 1, side, channels);
      side /= 2;
    }
  }
  return constraints;
}

/** The energy E(x) + λ‖x − source‖², as far as steps need it. */
function faithful(energy, sources, weight) {
  const valueAndGradient = (x, count) => {
    const { energies, gradient } = energy.valueAndGradient(x, count);
    const size = x.length / count;
    const apart = x.map((value, i) => value - sources[i]);
    return {
      energies: energies.map((e, n) => {
        const own = apart.subarray(n * size, (n + 1) * size);
        return e + weight * own.reduce((sum, d) => sum + d * d, 0);
      }),
      gradient: gradient.map((g, i) => g + 2 * weight * apart[i]),
    };
  };
  return { ...energy, valueAndGradient };
}

/** One step in place: x − stepSize · ∂E/∂x + noiseScale · noise; returns energies. */
export function langevinStep(energy, x, keys, step, stepSize, noiseScale) {
  const { energies, gradient } = energy.valueAndGradient(x, keys.length);
  const size = x.length / keys.length;
  const noise = drawn(keys, size, (key) => normal(foldIn(key, step, NOISE), size));
  for (let i = 0; i < x.length; i++) {
    x[i] += noiseScale * noise[i] - stepSize * gradient[i];
  }
  return energies;
}

/**
 * Runs one chain up a ladder of energies and shows it on its way (Alg. 2).
 *
 * @param energies array of energies, coarsest first.
 * @param x Float32Array, the start, images of the coarsest energy.
 * @param keys array of the images' keys.
 * @param settings see above.
 * @param constraints of each level a function that changes images in place, or none.
 * @yields `{level, step, x, energies}` after every step: steps made since the chain
 *     began, a copy of the images, and the energies before the step. The last images of
 *     a level are clipped; the very last ones are the sample.
 */
export function* coarseToFine(energies, x, keys, settings, constraints = []) {
  const counts = energies.map((_, level) => stepsAt(settings, level));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const weight = settings.faithfulness;  // of a chain from images, at one level
  if (weight) energies = [faithful(energies[0], Float32Array.from(x), weight)];
  let done = 0;
  for (const [level, energy] of energies.entries()) {
    const constrain = constraints[level] ?? ((images) => images);
    if (level > 0) x = entered(x, keys, energies[level - 1], settings, level);
    x = constrain(Float32Array.from(x));
    for (let i = 0; i < counts[level]; i++, done++) {
      const sizes = [stepSizeAt(settings, level), noiseScaleAt(settings, done, total)];
      const found = langevinStep(energy, x, keys, done, ...sizes);
      constrain(x);
      if (i === counts[level] - 1) constrain(clipped(x, settings.clip));
      yield { level, step: done + 1, x: Float32Array.from(x), energies: found };
    }
    if (!counts[level]) constrain(clipped(x, settings.clip));
  }
}

/** Images of the level below as a chain takes them up: doubled, noise mixed in. */
function entered(x, keys, { resolution, channels }, settings, level) {
  const larger = upsample(x, keys.length, resolution, channels);
  const share = settings.transition_noise;
  if (!share) return larger;
  const own = keys.map((key) => foldIn(key, level, TRANSITION));
  const noise = noiseStart(own, larger.length / keys.length, settings);
  const kept = Math.sqrt(1 - share ** 2);
  return clipped(larger.map((v, i) => kept * v + share * noise[i]), settings.clip);
}
