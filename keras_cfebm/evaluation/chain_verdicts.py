"""What figures of chains mean, of those that run on and of those of other steps."""

import math
from collections.abc import Mapping

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
#: R-hat below which Vehtari et al. (2021) call chains mixed.
MIXED = 1.01


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
        f"after {gone}× the trained length (distance "
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


def judge_duration(
    as_trained: float,
    fewer_steps: float,
    more_steps: float,
    half_the_duration: float,
    twice_the_duration: float,
) -> Check:
    """Judges whether the duration K · η decides where chains end, whatever K is.

    Args:
        as_trained: float, distance to real images where chains of the training end.
        fewer_steps: float, that of fewer steps of the same duration.
        more_steps: float, that of more steps of the same duration.
        half_the_duration: float, of another duration.
        twice_the_duration: float, of another duration.
    """
    limit = OTHER_STEPS * as_trained
    if max(fewer_steps, more_steps) > limit:
        return Check(
            WEAK,
            "Fewer or more steps of the same duration K·η end at other images: keep K "
            "and η as they were trained, and --speed at 1.",
        )
    decides = min(half_the_duration, twice_the_duration) > limit
    return Check(
        SOUND,
        "Fewer and more steps of the same duration K·η end at images as good"
        + (", half and twice the duration do not: " if decides else ": ")
        + "a chain follows the energy downhill for a fixed time. --speed=2 is safe.",
    )


def judge_mixing(
    r_hat: float, effective_draws: float, draws: int, chains: int
) -> Check:
    """What R-hat of the energies of chains from noise and data says; it is no verdict.

    Args:
        r_hat: float; not finite where chains are too short or do not move.
        effective_draws: float, the effective number of all draws.
        draws: int, of each chain.
        chains: int.
    """
    if not math.isfinite(r_hat):
        return Check(NOTE, "Chains are too short, or do not move: R-hat is unknown.")
    number = f"{effective_draws:,.0f} effective of {draws * chains:,} draws"
    if r_hat >= MIXED:
        return Check(
            NOTE,
            "Energies of chains from noise and from data do not agree, or still move "
            f"(R-hat {r_hat:.2f}): a chain is a path from its start, not a draw from "
            "exp(−E). So are all short, cold chains, and the number of draws means "
            f"nothing then ({number}).",
        )
    return Check(
        NOTE,
        f"Energies of chains from noise and from data agree (R-hat {r_hat:.3f}, "
        f"{number}). That does not show an equilibrium: chains that are all stuck in "
        "one place agree as well.",
    )
