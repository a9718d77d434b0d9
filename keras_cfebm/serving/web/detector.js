/**
 * Tells anomalies from normal images, as `keras_cfebm.tasks.LadderDetector` does: how an
 * image moves on the energies' surfaces, and how near its features are to normal ones.
 */

import { clipped, downsample, stepSizeAt } from "./sampling.js";

const STEPS = 5; // Langevin steps, without noise, that an image is followed for

const norm = (x) => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));

/** Four statistics and the features of one image at the resolution of an energy. */
function measurements(energy, image, stepSize, clip) {
  const anyClass = energy.anyClass();
  let x = Float32Array.from(image);
  let length = 0, first = 0, gradientNorm = 0;
  for (let step = 0; step < STEPS; step++) {
    const { energies, gradient } = anyClass.valueAndGradient(x, 1);
    if (step === 0) [first, gradientNorm] = [energies[0], norm(gradient)];
    length += stepSize * norm(gradient);
    x = x.map((v, i) => v - stepSize * gradient[i]);
  }
  const last = anyClass.valueAndGradient(clipped(x, clip), 1).energies[0];
  const logs = [gradientNorm, length].map((v) => Math.log(v + 1e-12));
  const { maps, head } = energy.features(image);
  return { statistics: [first, ...logs, last - first], quarters: meansOfQuarters(maps), head };
}

/** Means of the quarters of maps `{values, side, channels}`, as of `LadderDetector`. */
function meansOfQuarters({ values, side, channels }) {
  const half = Math.ceil(side / 2), starts = [0, side - half];
  const mean = (top, left, channel) => {
    let sum = 0;
    for (let row = top; row < top + half; row++) {
      for (let column = left; column < left + half; column++) {
        sum += values[(row * side + column) * channels + channel];
      }
    }
    return sum / half ** 2;
  };
  const all = Array.from({ length: channels }, (_, channel) => channel);
  return starts.flatMap((top) => starts.flatMap((left) => all.map((c) => mean(top, left, c))));
}

/** −log p by a curve of rows: scores, −log p, slopes. */
function along(curve, points, score) {
  let index = 0;
  while (index < points - 1 && curve[index + 1] <= score) index++;
  const beyond = (score - curve[index]) * curve[2 * points + index];
  return Math.max(curve[points + index] + beyond, 0);
}

/** The negative log-density of statistics under a mixture of Gaussians. */
function surprise(statistics, { centre, spread, whitening, whitened_means: means, log_peaks: peaks }) {
  const size = centre.length;
  const x = statistics.map((v, i) => (v - centre[i]) / spread[i]);
  const logs = Array.from(peaks, (peak, k) => {
    let squares = 0;
    for (let d = 0; d < size; d++) {
      let value = -means[k * size + d];
      for (let s = 0; s < size; s++) value += x[s] * whitening[(k * size + s) * size + d];
      squares += value * value;
    }
    return peak - 0.5 * squares;
  });
  const highest = Math.max(...logs);
  return -highest - Math.log(logs.reduce((sum, v) => sum + Math.exp(v - highest), 0));
}

/** The distance of features to the nearest of the references' principal components. */
function distance(features, normality) {
  const { feature_centre: centre, feature_spread: spread, principal, reference_features: references } = normality;
  const y = features.map((v, i) => (v - centre[i]) / spread[i]);
  const directions = principal.length / y.length;
  const components = new Float32Array(directions);
  y.forEach((v, i) => components.forEach((_, d) => (components[d] += v * principal[i * directions + d])));
  const square = (x) => x.reduce((sum, v) => sum + v * v, 0);
  const leftOut = square(y) - square(components);
  let nearest = Infinity;
  for (let from = 0; from < references.length; from += directions) {
    nearest = Math.min(nearest, square(components.map((v, d) => v - references[from + d])));
  }
  return Math.sqrt(Math.max(nearest + leftOut, 0));
}

/**
 * The score −log p of one image of the finest level, high = anomalous.
 *
 * @param energies array of `Energy`, coarsest first.
 * @param detector `{settings, normality}`, arrays of numbers inside.
 */
export function score(energies, image, { settings, normality }) {
  const found = [];
  let x = image;
  for (let level = energies.length - 1; level >= 0; level--) {
    const energy = energies[level];
    found.unshift(measurements(energy, x, stepSizeAt(settings, level), settings.clip));
    if (level > 0) x = downsample(x, 1, energy.resolution, energy.channels);
  }
  const scores = [
    surprise(found.flatMap((f) => f.statistics), normality),
    distance([...found.flatMap((f) => f.quarters), ...found.flatMap((f) => [...f.head])], normality),
  ];
  const points = normality.curves.length / 9;
  const curves = [0, 1, 2].map((i) => normality.curves.subarray(3 * points * i, 3 * points * (i + 1)));
  const combined = along(curves[0], points, scores[0]) + along(curves[1], points, scores[1]);
  return along(curves[2], points, combined);
}
