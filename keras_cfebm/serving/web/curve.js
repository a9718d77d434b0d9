/** The energy along a chain: one small chart per level, as each level has its own energy. */

export const HEIGHT = 190;
const LEFT = 8, TOP = 24, BOTTOM = 24, GAP = 56;
const rounded = (value) => value.toPrecision(3).replace("e+", "e").replace("-", "−");

const line = (points, name) =>
  points.length < 2
    ? points.map(([x, y]) => `<circle class="${name}" cx="${x}" cy="${y}" r="2"/>`).join("")
    : `<polyline class="${name}" points="${points.map((p) => p.map((v) => v.toFixed(1))).join(" ")}"/>`;

/**
 * The inside of an SVG.
 *
 * @param film array of `{level, side, energies}`, one per step so far, in order.
 * @param steps array of `{side, steps}`, of each level of the whole chain.
 * @param shown index of the step that is shown.
 * @param chosen index of the image whose own energy is drawn beside the mean.
 * @param width of the drawing, whose height is `HEIGHT`.
 */
export function curve(film, steps, shown, chosen, width) {
  const room = width - LEFT - GAP * steps.length;
  const total = steps.reduce((sum, level) => sum + level.steps, 0);
  let left = LEFT + GAP - 8, first = 0;
  const parts = steps.map(({ side, steps: count }, level) => {
    const own = Math.max((room / 2) * (1 / steps.length + count / total), 8);
    const states = film.slice(first, first + count).filter((state) => state?.level === level);
    const drawn = chart(states, { side, count, left, width: own, first, shown, chosen });
    left += own + GAP;
    first += count;
    return drawn;
  });
  return parts.join("");
}

function chart(states, { side, count, left, width, first, shown, chosen }) {
  const mean = (energies) => energies.reduce((sum, v) => sum + v, 0) / energies.length;
  const means = states.map(({ energies }) => mean(energies));
  const own = states.map(({ energies }) => energies[chosen]);
  const values = [...means, ...own].filter(Number.isFinite);
  const [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 0];
  const bottom = HEIGHT - BOTTOM;
  const x = (i) => left + (count > 1 ? (width * i) / (count - 1) : width / 2);
  const y = (v) => bottom - ((v - low) / (high - low || 1)) * (bottom - TOP);
  const points = (of) => of.map((v, i) => [x(i), y(v)]).filter(([, at]) => Number.isFinite(at));
  const text = (at, height, anchor, words) =>
    `<text x="${at}" y="${height}" text-anchor="${anchor}">${words}</text>`;
  const cursor = shown >= first && shown < first + count ? x(shown - first) : null;
  return [
    `<path class="axis" d="M${left} ${TOP}V${bottom}H${left + width}"/>`,
    text(left + width / 2, 14, "middle", `${side}×${side}`),
    text(left + width / 2, HEIGHT - 6, "middle", count === 1 ? "1 step" : `${count} steps`),
    values.length ? text(left - 4, TOP + 5, "end", rounded(high)) : "",
    values.length && high > low ? text(left - 4, bottom + 3, "end", rounded(low)) : "",
    cursor === null ? "" : `<path class="cursor" d="M${cursor} ${TOP}V${bottom}"/>`,
    line(points(own), "own"),
    line(points(means), "mean"),
  ].join("");
}
