"""What figures of chains mean, of those that run on and of those of other steps."""

import math
from collections.abc import Mapping, Sequence

from keras_cfebm.evaluation.result import FAULT, NOTE, SOUND, WEAK, Check

#: A chain of so many times the trained length has to keep images, or it is a fault.
NEAR = 3
#: How many times further from real images than samples are a longer chain may end: up
#: to `NEAR` times the trained length, and beyond.
FURTHER = (2.0, 4.0)
#: How much larger than that of images the share of saturated pixels may become.
MORE_SATURATED = 0.1
#: How many times further a chain of other steps and the same duration may end.
OTHER_STEPS = 1.5
#: Below it, R-hat tells chains not apart.
MIXED = 1.05


def judge_chains(
    start: str,
    chains: Mapping[int, Mapping[str, float]],
    scale: Mapping[str, float],
    saturated: float,
) -> Check:
    """Judges whether chains that run on keep to images.

    Args:
        start: str, where they start, in words.
        chains: multiple of the trained length, ascending → dict of `distance` to real
            images and `saturated`, the share of pixels at the ends of the range.
        scale: dict of distances to real images: of `samples`, the yardstick, unless
            those of `held_out` images are further away.
        saturated: float, that share in images.
    """
    yardstick = max(scale["samples"], scale["held_out"])

    def leaves(factor: int) -> bool:
        limit = FURTHER[factor > NEAR] * yardstick
        more = chains[factor]["saturated"] - saturated
        return chains[factor]["distance"] > limit or more > MORE_SATURATED

    gone = next(filter(leaves, chains), None)
    if gone is None:
        return Check(
            SOUND,
            f"Chains from {start} keep to images for {max(chains)} times the trained "
            "length: more steps do no harm.",
        )
    how = (
        f"after {gone} times the trained length (distance "
        f"{chains[gone]['distance']:.1f}, of samples {scale['samples']:.1f}; "
        f"{chains[gone]['saturated']:.0%} of pixels at the ends of the range, of "
        f"images {saturated:.0%})"
    )
    if gone > NEAR:
        return Check(
            WEAK, f"Chains from {start} have left the images {how}: stop them earlier."
        )
    return Check(
        FAULT,
        f"Chains from {start} have left the images {how}: the energy has no minimum "
        "there. Keep to the trained number of steps, or train with data_chains=0.25.",
    )


def judge_duration(same: Sequence[float], trained: float) -> Check:
    """Judges whether the duration K · η decides where chains end, whatever K is.

    Args:
        same: distances to real images of chains of the trained duration in other steps.
        trained: float, that of the trained steps.
    """
    if max(same) <= OTHER_STEPS * trained:
        return Check(
            SOUND,
            "Fewer and more steps of the same duration K·η end at images as good: a "
            "chain follows the energy downhill for a fixed time. --speed=2 is safe.",
        )
    return Check(
        WEAK,
        "Fewer or more steps of the same duration K·η end at other images: keep K and "
        "η as they were trained, and --speed at 1.",
    )


def judge_mixing(r_hat: float) -> Check:
    """What R-hat of the energies of chains from noise and data says; it is no verdict.

    Args:
        r_hat: float; not finite where chains are too short or do not move.
    """
    if not math.isfinite(r_hat):
        return Check(NOTE, "Chains are too short, or do not move: R-hat is unknown.")
    if r_hat >= MIXED:
        return Check(
            NOTE,
            f"Where a chain has started still shows in its energy (R-hat {r_hat:.2f}): "
            "it is a path from there, not a draw from exp(−E). So are all short, cold "
            "chains.",
        )
    return Check(
        NOTE,
        "The energies of chains no longer tell where these have started (R-hat "
        f"{r_hat:.2f}). That does not show an equilibrium: chains that are all stuck, "
        "or all drift alike, agree as well.",
    )
