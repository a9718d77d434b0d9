"""Is this energy sound? Its chains, energies and samples, measured and judged.

An energy that gives good samples may still be wrong everywhere else: it is trained on
where chains of one length go. These checks look beside that path.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_cfebm.datasets.image_data import ImageData
from keras_cfebm.evaluation import verdicts
from keras_cfebm.evaluation.detail import finest_detail
from keras_cfebm.evaluation.detection_protocol import detection_figures
from keras_cfebm.evaluation.diagnosis_figures import NONSENSE, Subject
from keras_cfebm.evaluation.encoders import Encoder
from keras_cfebm.evaluation.mixing import mixing_figures
from keras_cfebm.evaluation.random_encoder import random_encoder
from keras_cfebm.utils.progress import progress_bar
from keras_cfebm.utils.validation import check_count

#: Lengths of chains, as multiples of the trained one.
FACTORS = (1, 3, 10)


class Diagnosis(NamedTuple):
    """What `diagnose` finds.

    Attributes:
        figures: dict that JSON can hold: `verdict` and `meaning` of all; `checks`, the
            same of each; and what they judge: `scale` (distances), `chains`,
            `durations`, `energies`, `nonsense`, `detail` and `mixing`.
        images: label → float32 array `(n, h, w, c)`: where chains are after each
            length.
        energies: set of images → float32 array of energies `(n,)`.
    """

    figures: dict[str, Any]
    images: dict[str, np.ndarray]
    energies: dict[str, np.ndarray]


def diagnose(
    model: Any,
    held_out: ImageData,
    training: ImageData,
    encoder: Encoder | None = None,
    count: int = 128,
    factors: Sequence[int] = FACTORS,
    seed: int = 0,
    batch_size: int = 64,
    progress: bool | None = None,
) -> Diagnosis:
    """Measures whether an energy is sound, and says what is wrong with it.

    Chains run from samples of the model and from held-out images for longer than in
    training, at the finest level and with the mean noise that training has there. Other
    figures are of samples, of the energies of images, and of images of nothing.

    Args:
        model: `CFEBM` whose chains start at noise.
        held_out: `ImageData` that the model was not trained on, at its resolution, with
            labels if it has classes.
        training: `ImageData` that it was trained on.
        encoder: `Encoder`, in whose features images are compared; None for
            `random_encoder`.
        count: int of at least 2, samples and held-out images; fewer if there are not so
            many of these.
        factors: ascending ints, lengths of chains as multiples of the trained one.
        seed: int, of all noise and of the choice of images.
        batch_size: int, images at a time; it bounds the memory.
        progress: bool, show a progress bar; None shows one after two seconds.

    Returns:
        `Diagnosis`.

    Raises:
        ValueError: if the model's chains start at source images, the side of its images
            is not a multiple of 4, it takes no steps at the finest level, its samples
            are not finite, or a number is out of range.
        ImportError: without the extra `eval` (scikit-learn).

    Example:

    ```python
    found = diagnose(model, test, train, encoder)
    found.figures["verdict"]  # "sound", "weak" or "fault"
    found.figures["checks"]["nonsense"]["meaning"]  # what it means, and what to do
    ```
    """
    factors = _checked(model, factors)
    count = min(check_count(count, "count", 2), len(held_out))
    encoder = encoder or random_encoder(model.image_shape[-1])
    # Samples, four chains of other steps, and batches of longer ones from two starts.
    batches = math.ceil(count / check_count(batch_size, "batch_size"))
    parts = 1 + 4 + 2 * batches
    with progress_bar(parts, "part", progress) as done:
        subject = Subject(
            model,
            held_out.subset(limit=count, seed=seed),
            training,
            encoder,
            seed,
            batch_size,
            finished=done,
        )
        chains, energies = subject.chains(factors), subject.energies()
        durations = subject.durations()
    figures = {
        "metric": encoder.frechet_name,
        "scale": subject.scale(),
        "chains": chains.figures,
        "durations": durations,
        "energies": {
            name: {"mean": float(some.mean()), "deviation": float(some.std())}
            for name, some in energies.items()
        },
        "nonsense": {
            kind: detection_figures(energies["held_out"], energies[kind])["auroc"]
            for kind in NONSENSE
        },
        "detail": {
            "samples": finest_detail(subject.samples),
            "held_out": finest_detail(subject.images),
        },
        "mixing": mixing_figures(chains.energies),
    }
    checks = verdicts.checks(figures)
    judged = {
        **verdicts.overall(checks)._asdict(),
        "checks": {name: check._asdict() for name, check in checks.items()},
        **figures,
    }
    images = {
        f"{start} {factor}x": some
        for start, lengths in chains.images.items()
        for factor, some in lengths.items()
    }
    return Diagnosis(_for_json(judged), images, energies)


def _checked(model, factors):
    """The factors as a list of ints; ValueError if they or the model do not fit."""
    if model.chain_start == "source":
        raise ValueError(
            "Expected a model whose chains start at noise, received one that "
            "translates."
        )
    if model.resolution % 4:
        raise ValueError(
            "Expected a model of images whose side is a multiple of 4, received "
            f"{model.image_shape}."
        )
    factors = [check_count(factor, "factors") for factor in factors]
    if not factors or factors != sorted(set(factors)):
        raise ValueError(f"Expected factors that ascend, received {factors}.")
    return factors


def _for_json(value):
    """The same with lengths as `"3x"`, and None for what is infinite or unknown."""
    if isinstance(value, dict):
        return {
            f"{key}x" if isinstance(key, int) else key: _for_json(item)
            for key, item in value.items()
        }
    is_float = isinstance(value, float)
    return None if is_float and not math.isfinite(value) else value
