"""The course of a training run: energies, their gap, gradients and the fade-in."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from keras_cfebm.utils.atomic_files import save
from keras_cfebm.utils.typing import PathLike
from keras_cfebm.visualization.scores import COLORS, FIGURE_DPI

_PLACE = ("step", "stage", "resolution", "beta")
KEYS = (*_PLACE, "data_energy", "sample_energy", "gap", "gradient_norm")
BLUE, ORANGE, GREEN = COLORS[:3]
# Beyond this many rows a raw line is too noisy to read: a running median goes over it.
CROWDED = 200
# Below this many, each row gets a dot: a line needs two.
SPARSE = 30
# A largest value this many times the median squeezes the rest flat on a linear axis.
SPREAD = 30


def energy_curves(
    rows: Iterable[Mapping[str, Any]], path: PathLike | None = None
) -> Figure:
    """Draws a training log: energies, gap, and gradient norm with β behind it.

    Axes turn (symmetrically) logarithmic where a run spans orders of magnitude, as it
    does when it diverges; values that are not finite are marked with a cross at the
    top of their panel. Vertical lines part the stages, labelled with their resolution.

    Args:
        rows: list of dicts, one per logged step, with "step" (over the whole
            run), "stage", "resolution" (pixels), "beta" (0 to 1), "data_energy",
            "sample_energy", "gap" and "gradient_norm". Drawn in the order of "step".
        path: where to save the figure as well.

    Returns:
        A `matplotlib.figure.Figure` of three panels.

    Raises:
        ValueError: if there are no rows, or a row lacks a key.
    """
    columns = _columns(rows)
    steps = columns["step"]
    figure = Figure(figsize=(9, 7), layout="constrained")
    energies, gap, gradient = panels = figure.subplots(3, 1, sharex=True)

    _draw(energies, steps, columns["data_energy"], BLUE, "data")
    _draw(energies, steps, columns["sample_energy"], ORANGE, "samples")
    _scale(energies, columns["data_energy"], columns["sample_energy"])
    energies.set_ylabel("energy")

    gap.axhline(0, color="0.5", linewidth=0.8)
    _draw(gap, steps, columns["gap"], GREEN)
    _scale(gap, columns["gap"])
    gap.set_ylabel("gap (samples − data)")

    _draw(gradient, steps, columns["gradient_norm"], GREEN)
    norms = columns["gradient_norm"]
    if (norms[np.isfinite(norms)] > 0).any():
        gradient.set_yscale("log", nonpositive="mask")
    gradient.set(ylabel="gradient norm", xlabel="training step")
    _draw_fade(gradient, steps, columns["beta"])

    for axes in panels:
        axes.spines["top"].set_visible(False)
        axes.spines["right"].set_visible(axes is gradient)
        axes.grid(alpha=0.25)
        axes.margins(x=0.01)
    _mark_stages(panels, columns)
    # Above the panels: inside them it would cover a curve sooner or later.
    entries = {
        line.get_label(): line
        for axes in panels
        for line in axes.get_legend_handles_labels()[0]
    }
    figure.legend(
        handles=[*entries.values()], loc="outside upper right", frameon=False, ncols=3
    )
    if path is not None:
        save(figure.savefig, path, dpi=FIGURE_DPI)
    return figure


def _columns(rows):
    """The log as one float array per key, in the order of steps."""
    rows = list(rows)
    if not rows:
        raise ValueError("Expected at least one logged row, received none.")
    for i, row in enumerate(rows):
        if missing := [key for key in KEYS if key not in row]:
            raise ValueError(
                f"Expected rows with the keys {KEYS}, received row {i} without "
                f"{missing}."
            )
    rows.sort(key=lambda row: row["step"])
    numbers = [key for key in KEYS if key != "stage"]
    columns = {key: np.array([float(row[key]) for row in rows]) for key in numbers}
    return columns | {"stage": [row["stage"] for row in rows]}


def _draw(axes, steps, values, color, label=None):
    """Draws one quantity over the steps, readable with ten rows or ten thousand."""
    finite = np.isfinite(values)
    x, y = steps[finite], values[finite]
    if len(y) > CROWDED:
        axes.plot(x, y, color=color, linewidth=0.6, alpha=0.35)
        y = _running_median(y)
    marker = "o" if len(y) < SPARSE else None
    axes.plot(x, y, color=color, linewidth=1.6, marker=marker, ms=3, label=label)
    if not finite.all():
        at_top = {"transform": axes.get_xaxis_transform(), "label": "not finite"}
        x = steps[~finite]
        axes.plot(x, np.full_like(x, 0.96), "x", color=color, **at_top)


def _running_median(values):
    """The centred running median, over 2 % of the rows but at most 51."""
    half = min(len(values) // 100, 25)
    padded = np.pad(values, half, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    return np.median(windows, axis=-1)


def _scale(axes, *series):
    """Makes the y axis symmetrically logarithmic if a linear one would hide most."""
    sizes = np.abs(np.concatenate(series))
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if len(sizes) and sizes.max() > SPREAD * np.median(sizes):
        # A power of ten, or the ticks beside zero would overlap.
        threshold = 10.0 ** np.ceil(np.log10(np.median(sizes)))
        axes.set_yscale("symlog", linthresh=threshold)
        axes.yaxis.get_major_locator().set_params(numticks=9)


def _draw_fade(axes, steps, beta):
    """Shades β behind the curve of `axes`, with a scale of its own on the right."""
    fade = axes.twinx()
    # A row tells of the steps up to its own.
    fade.fill_between(steps, beta, color="0.92", step="pre", linewidth=0)
    fade.set_ylim(0, 1)
    fade.set_ylabel("β (shaded)", color="0.4")
    fade.tick_params(colors="0.4")
    fade.spines[["top"]].set_visible(False)
    axes.set_zorder(fade.get_zorder() + 1)
    axes.patch.set_visible(False)


def _mark_stages(panels, columns):
    """Parts the stages by lines in all panels; names resolutions above the first."""
    steps, stages = columns["step"], columns["stage"]
    sizes = columns["resolution"]
    room = 0.07 * (steps[-1] - steps[0])
    last_label, level = -np.inf, 0
    # A row tells of the steps up to its own: a stage begins where the last row ended.
    begins = [steps[0], *steps[:-1]]
    for i, step in enumerate(begins):
        resolution_changed = i == 0 or sizes[i] != sizes[i - 1]
        if i > 0 and (resolution_changed or stages[i] != stages[i - 1]):
            for axes in panels:
                axes.axvline(step, color="0.3", linewidth=0.8, linestyle="--")
        if resolution_changed:
            # Labels of short stages climb, so as not to cover each other.
            level = level + 1 if step - last_label < room else 0
            last_label = step
            panels[0].annotate(
                f"{sizes[i]:.0f} px",
                (step, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 4 + 12 * level),
                textcoords="offset points",
            )
