"""The figures of a shipped model as the part of its card that shows them."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any


def as_markdown(name: str, figures: Mapping[str, Any]) -> str:
    """The part of a card from "What it does" on.

    Args:
        name: str, the model's folder.
        figures: of `keras_cfebm.assets.model_figures.measured`.
    """
    parts = [
        _SECTIONS[section](figures[section])
        for section in _SECTIONS
        if section in figures
    ]
    source = (
        f"*`python -m keras_cfebm.assets.model_figures --name={name}`, one "
        f"seed, a shared 2-core machine, {_dates(figures['dates'])}. "
        "All numbers are in `figures.json`.*"
    )
    return "\n\n".join(["## What it does", *parts, source]) + "\n"


def _dates(dates: Mapping[str, str]) -> str:
    """When figures were measured: the date of the most, and the sections of others."""
    usual = statistics.mode(dates.values())
    others = [
        f"{section.replace('_', ' ')} {date}"
        for section, date in dates.items()
        if date != usual
    ]
    return ", ".join([usual, *others])


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---", *["--:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def _generation(rows: Sequence[Mapping[str, Any]]) -> str:
    first = rows[0]["images_per_cpu_second"]
    table = _table(
        ["speed", "steps per level", rows[0]["metric"], "images per processor second"],
        [
            (
                f"{row['speed']:g}",
                " + ".join(map(str, row["steps"])),
                f"{row['frechet_distance']:.1f}",
                f"{row['images_per_cpu_second'] / first:.1f}×",
            )
            for row in rows
        ],
    )
    return f"**Generation**, and what its speed dial costs:\n\n{table}"


def _smaller(figures: Mapping[str, Any]) -> str:
    side = figures["resolution"]
    return (
        f"**At {side}×{side} pixels**, without its last level: {figures['metric']} "
        f"{figures['frechet_distance']:.1f}, of training images pixelated to 16×16 "
        f"{figures['pixelated_to_16']:.1f}."
    )


def _novelty(figures: Mapping[str, float]) -> str:
    return (
        "**Novelty.** The nearest training image is at a distance of "
        f"{figures['samples']:.2f} from a sample, and of {figures['test']:.2f} from a "
        "test image, in the mean over a hundred (Euclidean, of all pixels)."
    )


def _guidance(rows: Sequence[Mapping[str, Any]]) -> str:
    table = _table(
        ["guidance", "class accuracy", "worst class", rows[0]["metric"]],
        [
            (
                f"{row['guidance']:g}",
                f"{row['accuracy']:.3f}",
                f"{row['worst']:.2f} ({row['worst_class']})",
                f"{row['frechet_distance']:.1f}",
            )
            for row in rows
        ],
    )
    return f"**Classes**, as the classifier sees the samples:\n\n{table}"


def _inpainting(figures: Mapping[str, Any]) -> str:
    rows = {
        "model, one sample": figures["model"],
        "model, mean of 8": figures["model_mean"],
        "biharmonic": figures["biharmonic"],
    }
    table = _quality(["the centre filled"], {(label,): rows[label] for label in rows})
    correlation = figures["deviation_correlation"]
    told = " The model is told the class that the classifier sees in the whole image."
    return (
        f"**Inpainting.** The deviation of the 8 correlates with the error of their "
        f"mean at {correlation:.2f}.{told * figures['knows_classes']}\n\n{table}"
    )


def _denoising(figures: Mapping[str, Any]) -> str:
    names = {
        "noisy": "nothing",
        "model": "model",
        "non_local_means": "non-local means",
        "filter_then_model": "non-local means, then the model",
    }
    rows = {
        (sigma, label): methods[method]
        for sigma, methods in figures.items()
        for method, label in names.items()
    }
    return f"**Denoising**\n\n{_quality(['σ', 'removed by'], rows)}"


def _quality(header: list[str], rows: Mapping[Any, Any]) -> str:
    """A table of PSNR and SSIM."""
    return _table(
        [*header, "PSNR", "SSIM"],
        [
            (*cells, f"{row['psnr']:.2f}", f"{row['ssim']:.3f}")
            for cells, row in rows.items()
        ],
    )


def _translation(figures: Mapping[str, Any]) -> str:
    columns = list(figures["translation"])
    table = _table(
        ["", *(column.replace("_", " ") for column in columns)],
        [
            (version.replace("_", " "), *(f"{row[c]:.3f}" for c in columns))
            for version, row in figures.items()
        ],
    )
    truth = ", true PSNR (dB) and true SSIM with the true translation"
    return (
        "**Translation**; SSIM and correlation are with the source"
        f"{truth * ('true_psnr' in columns)}:\n\n{table}"
    )


def _detection(figures: Mapping[str, Any]) -> str:
    auroc = figures["auroc"]
    table = _table(
        ["AUROC", "detector", "raw energy"],
        [
            (kind.replace("_", " "), f"{row['ladder']:.3f}", f"{row['energy']:.3f}")
            for kind, row in auroc.items()
        ],
    )
    mean = sum(row["ladder"] for row in auroc.values()) / len(auroc)
    worst = min(auroc, key=lambda kind: auroc[kind]["ladder"])
    return (
        "**Detection** by a `LadderDetector` that is fitted to half of the test "
        f"images, without labels, and judged on the others: mean AUROC {mean:.3f}, "
        f"worst {auroc[worst]['ladder']:.3f} ({worst.replace('_', ' ')}); at a nominal "
        f"5 % it flags {figures['false_alarms']:.1%} of normal images.\n\n{table}"
    )


def _soundness(checks: Mapping[str, Any]) -> str:
    faults = [
        f"- {name.replace('_', ' ')} ({check['verdict']}): {check['meaning']}"
        for name, check in checks.items()
        if check["verdict"] in ("weak", "fault")
    ]
    if not faults:
        return "**Failures.** `cfebm diagnose` finds none, which is no proof."
    return "**Failures** that `cfebm diagnose` names:\n\n" + "\n".join(faults)


_SECTIONS: dict[str, Callable[[Any], str]] = {
    "generation": _generation,
    "smaller": _smaller,
    "novelty": _novelty,
    "guidance": _guidance,
    "inpainting": _inpainting,
    "denoising": _denoising,
    "translation": _translation,
    "detection": _detection,
    "soundness": _soundness,
}
