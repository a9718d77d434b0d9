"""What the figures of a diagnosis mean: a verdict each, and a sentence on what to do.

These are functions of numbers alone. Their limits are conventions, chosen so that they
part models whose faults were known.
"""

from collections.abc import Mapping
from typing import Any

from keras_cfebm.evaluation.chain_verdicts import (
    judge_chains,
    judge_duration,
    judge_mixing,
)
from keras_cfebm.evaluation.detail import ENOUGH
from keras_cfebm.evaluation.result import FAULT, SOUND, WEAK, Check

#: How many times further than images of half the resolution samples may be: of few
#: images a distance is not known better.
AS_GOOD = 1.25
#: Differences of mean energies that are weak, and a fault, in standard deviations of
#: the energies of held-out images: of samples, and of training images.
GAPS, OVERFIT = (1.0, 3.0), (0.5, 1.0)
#: Detail of samples, as a share of that of images, which is still sound.
DETAIL = 0.75
#: AUROC by which an energy has to tell images of nothing apart.
TOLD_APART = 0.9


def judge_samples(scale: Mapping[str, float]) -> Check:
    """Judges samples beside images that are known to be worse than real ones.

    Args:
        scale: dict of distances to real images: of `samples`, and of held-out images
            pixelated to `half_resolution` and `quarter_resolution`.
    """
    if scale["samples"] <= AS_GOOD * scale["half_resolution"]:
        return Check(
            SOUND,
            "Samples are at least about as good as images of half the resolution.",
        )
    if scale["samples"] <= scale["quarter_resolution"]:
        return Check(
            WEAK,
            "Samples are worse than images of half the resolution, and better than "
            "images of a quarter of it: train for longer, or a wider network.",
        )
    return Check(
        FAULT,
        "Samples are worse than images of a quarter of the resolution: the model has "
        "learned little, or its training rolled back (guard.json).",
    )


def judge_gap(samples: float, training: float) -> Check:
    """Judges mean energies.

    Args:
        samples: float, mean energy of samples minus that of held-out images, in
            standard deviations of the energies of held-out images.
        training: float, the same of training images.
    """
    if abs(samples) > GAPS[0]:
        verdict = FAULT if abs(samples) > GAPS[1] else WEAK
        than = f"than held-out images, by {abs(samples):.1f} standard deviations"
        if samples < 0:
            return Check(
                verdict,
                f"Samples have a lower energy {than}: chains run past the images, and "
                "the energy prefers what it makes. Train for longer, at a lower "
                "learning rate.",
            )
        return Check(
            verdict,
            f"Samples have a higher energy {than}: chains do not get to where images "
            "are. Train with more steps, or for longer.",
        )
    if -training > OVERFIT[0]:
        return Check(
            FAULT if -training > OVERFIT[1] else WEAK,
            "Training images have a lower energy than held-out ones, by "
            f"{-training:.1f} standard deviations: the energy has learned them by "
            "heart. Train with more images, or for less long.",
        )
    return Check(
        SOUND,
        "Samples, training and held-out images have about the same energy, as maximum "
        "likelihood wants it.",
    )


def judge_detail(ratio: float) -> Check:
    """Judges the finest detail of samples, as a share of that of held-out images."""
    share = f"{ratio:.0%} of the finest detail of images"
    if DETAIL <= ratio <= 1 / DETAIL:
        return Check(SOUND, f"Samples have {share}.")
    verdict = WEAK if ENOUGH <= ratio <= 1 / ENOUGH else FAULT
    if ratio < 1:
        return Check(
            verdict,
            f"Samples have {share}: the finest level has learned too little. Train it "
            "for longer, and see whether training rolled back (guard.json).",
        )
    return Check(
        verdict,
        f"Samples have {share}, which is noise: lower noise_scale, or train the finest "
        "level for longer.",
    )


def judge_nonsense(auroc: Mapping[str, float]) -> Check:
    """Judges whether raw energy knows that images of nothing are no data.

    Args:
        auroc: dict of kind of images → probability that one has a higher energy than a
            held-out image.
    """
    worst = min(auroc, key=lambda kind: auroc[kind])
    if auroc[worst] >= TOLD_APART:
        return Check(SOUND, f"Raw energy tells {' and '.join(auroc)} images from data.")
    instead = (
        "Take no raw energy of the finest level as an anomaly score, but "
        "LadderDetector, as cfebm detect does; or train with chains from noisy images "
        "(data_chains=0.25, data_chain_noise)."
    )
    if auroc[worst] < 0.5:
        return Check(
            FAULT,
            f"Raw energy calls {worst} images more normal than data (AUROC "
            f"{auroc[worst]:.3f}). {instead}",
        )
    return Check(
        WEAK,
        f"Raw energy confuses {worst} images with data (AUROC {auroc[worst]:.3f}). "
        f"{instead}",
    )


def checks(figures: Mapping[str, Any]) -> dict[str, Check]:
    """Judges all figures of a `Diagnosis`, by name of the check."""
    scale, chains, energies = (figures[k] for k in ("scale", "chains", "energies"))
    durations, detail = figures["durations"], figures["detail"]
    saturated = chains["data"][0]["saturated"]
    middle, unit = energies["held_out"].values()
    from_noise, from_data = (
        judge_chains(where, chains[start], scale, saturated)
        for start, where in (("noise", "noise"), ("data", "held-out images"))
    )
    return {
        "samples": judge_samples(scale),
        "chains_from_noise": from_noise,
        "chains_from_data": from_data,
        "duration": judge_duration(
            **{name: row["distance"] for name, row in durations.items()}
        ),
        "energy_gap": judge_gap(
            *(
                (energies[name]["mean"] - middle) / max(unit, 1e-12)
                for name in ("samples", "training")
            )
        ),
        "detail": judge_detail(detail["samples"] / max(detail["held_out"], 1e-12)),
        "nonsense": judge_nonsense(figures["nonsense"]),
        "mixing": judge_mixing(**figures["mixing"]),
    }


def overall(found: Mapping[str, Check]) -> Check:
    """The worst verdict, and which checks have it.

    Args:
        found: name → `Check`.
    """
    for verdict in (FAULT, WEAK):
        names = [name for name, check in found.items() if check.verdict == verdict]
        if names:
            return Check(verdict, f"See {', '.join(names).replace('_', ' ')}.")
    return Check(SOUND, "No check has found a fault, which is no proof of anything.")
