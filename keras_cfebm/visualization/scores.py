"""How energies tell data sets apart: histograms and ROC curves."""

import numpy as np
from matplotlib.figure import Figure

from keras_cfebm.utils.atomic_files import save
from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.typing import PathLike, Tensor
from keras_cfebm.utils.validation import check_mapping, check_scores

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "black")
LINE_STYLES = ("-", "--", "-.", ":")
BINS = 60
FIGURE_DPI = 150


def energy_histogram(
    energies: dict[str, Tensor],
    threshold: float | None = None,
    xlabel: str = "energy (low = likely)",
    *,
    path: PathLike | None = None,
) -> Figure:
    """Draws the energies of several sets of images as overlaid histograms.

    Each bar is a share of its own set, so sets of unequal size compare. The range
    covers the central 99 % of every set; what lies outside counts in the outer bars.

    Args:
        energies: dict of label -> array `(n,)` of finite energies.
        threshold: energy above which an image counts as anomalous, drawn as a
            dashed line; None for no line.
        xlabel: label of the energy axis.
        path: where to save the figure as well.

    Raises:
        ValueError: if there is no set, or a set is empty or not finite.
    """
    energies = {
        str(label): check_scores(values, f"energies[{label!r}]")
        for label, values in check_mapping(energies, "energies").items()
    }
    limits = [np.quantile(values, [0.005, 0.995]) for values in energies.values()]
    low, high = np.min(limits), np.max(limits)
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for i, (label, values) in enumerate(energies.items()):
        color = COLORS[i % len(COLORS)]
        counts, _ = np.histogram(np.clip(values, low, high), edges)
        axes.stairs(
            counts / len(values),
            edges,
            fill=True,
            facecolor=(color, 0.25),
            edgecolor=color,
            linewidth=1.5,
            linestyle=LINE_STYLES[i // len(COLORS) % len(LINE_STYLES)],
            label=f"{label} (n = {len(values)})",
        )
    if threshold is not None:
        axes.axvline(
            threshold,
            color="black",
            linestyle="--",
            linewidth=1.2,
            label=f"threshold {threshold:.4g}",
        )
    axes.set(xlabel=xlabel, ylabel="share of images")
    axes.set_ylim(bottom=0)
    return _finished(figure, path)


def roc_curves(
    scores: dict[str, tuple[Tensor, Tensor]], *, path: PathLike | None = None
) -> Figure:
    """Draws how well a score finds anomalies: one ROC curve per kind of anomaly.

    Args:
        scores: dict of label -> `(normal_scores, anomaly_scores)`, arrays
            `(n,)` and `(m,)`; **high = anomalous**, as the energy is.
        path: where to save the figure as well.

    Returns:
        A `matplotlib.figure.Figure`; the legend holds the areas under the curves.

    Raises:
        ValueError: if there is no entry, or an entry is no pair of finite vectors.
        ImportError: without the extra `eval` (scikit-learn).
    """
    metrics = optional_import("sklearn.metrics", "eval")
    figure = Figure(figsize=(6.2, 3.9), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for i, (label, pair) in enumerate(check_mapping(scores, "scores").items()):
        if len(pair) != 2:
            raise ValueError(
                f"Expected scores[{label!r}] as (normal_scores, anomaly_scores), "
                f"received {len(pair)} values."
            )
        normal = check_scores(pair[0], f"normal scores of {label!r}")
        anomalous = check_scores(pair[1], f"anomaly scores of {label!r}")
        false_rate, true_rate, _ = metrics.roc_curve(
            np.repeat([0, 1], [len(normal), len(anomalous)]),
            np.concatenate([normal, anomalous]),
        )
        area = metrics.auc(false_rate, true_rate)
        axes.plot(
            false_rate,
            true_rate,
            color=COLORS[i % len(COLORS)],
            linestyle=LINE_STYLES[i % len(LINE_STYLES)],
            linewidth=1.8,
            label=f"{label}: {area:.3f}",
        )
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.set_xlabel("false alarms (share of normal images)")
    axes.set_ylabel("found (share of anomalies)")
    return _finished(figure, path, title="AUROC", alignment="left")


def _finished(figure, path, **legend):
    """The figure with a legend beside the plot, where it hides nothing; saved too."""
    [axes] = figure.axes
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    figure.legend(loc="outside right upper", frameon=False, **legend)
    if path is not None:
        save(figure.savefig, path, dpi=FIGURE_DPI)
    return figure
