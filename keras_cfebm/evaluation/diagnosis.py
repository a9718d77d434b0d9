"""Is this energy sound? Its chains, energies and samples, measured and judged.

An energy that gives good samples may still be wrong everywhere else: it is trained on
where chains of one length go. These checks look beside that path.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_cfebm.datasets.image_data import ImageData
from keras_cfebm.evaluation import verdicts
from keras_cfebm.evaluation.anomalies import anomaly_images
from keras_cfebm.evaluation.control_images import pixelate
from keras_cfebm.evaluation.detail import finest_detail
from keras_cfebm.evaluation.detection_protocol import detection_figures
from keras_cfebm.evaluation.distances import frechet_distance
from keras_cfebm.evaluation.encoders import Encoder
from keras_cfebm.evaluation.feature_statistics import FeatureStatistics
from keras_cfebm.evaluation.long_chains import LongChains, other_settings, saturated
from keras_cfebm.evaluation.mixing import mixing_figures
from keras_cfebm.evaluation.random_encoder import random_encoder
from keras_cfebm.tasks.anomaly import AnomalyDetector
from keras_cfebm.tasks.energies import any_class
from keras_cfebm.tasks.generation import generate
from keras_cfebm.utils.validation import check_count

#: Lengths of chains, as multiples of the trained one.
FACTORS = (1, 3, 10)
#: Images of nothing.
NONSENSE = ("uniform", "constant")
#: Training images that distances are to.
_REFERENCE = 5000


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
    progress: bool = False,
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
        progress: bool, show a progress bar.

    Returns:
        `Diagnosis`.

    Raises:
        ValueError: if the model's chains start at source images, the side of its images
            is not a multiple of 4, it takes no steps at the finest level, its samples
            are not finite, or a number is out of range.
        ImportError: without the extra `eval` (scikit-learn).

    Example:

    ```python
    encoder = evaluation.fashion_classifier().encoder
    found = evaluation.diagnose(model, test, train, encoder)
    print(found.figures["verdict"], found.figures["meaning"])
    ```
    """
    factors = _checked(model, factors)
    count = min(check_count(count, "count", 2), len(held_out))
    held_out = held_out.subset(limit=count, seed=seed)
    training = training.subset(limit=_REFERENCE, seed=seed)
    images, known = held_out.images(), training.images()
    classes = model.num_classes is not None
    labels = held_out.labels() if classes else None
    known_labels = np.resize(training.labels(), count) if classes else None
    distance = _Distance(encoder or random_encoder(model.image_shape[-1]), known)
    others = other_settings(model.langevin)
    parts = 1 + len(others) + 2 * math.ceil(count / batch_size)
    bar = keras.utils.Progbar(parts, unit_name="part") if progress else None
    finished = (lambda parts: None) if bar is None else bar.add

    samples = model.generate(count, seed, known_labels, batch_size)
    if not np.isfinite(samples).all():
        raise ValueError(
            "Expected a model of finite samples, received NaN or infinity."
        )
    finished(1)
    scale = {"samples": distance.to(samples), "held_out": distance.to(images)}
    for name, parts in (("half_resolution", 2), ("quarter_resolution", 4)):
        scale[name] = distance.to(pixelate(images, model.resolution // parts))

    levels = len(model.langevin.of_chain(model.ladder))
    durations = {"as_trained": _steps_of(model.langevin, levels, scale["samples"])}
    for name, settings in others.items():
        drawn = generate(
            model.sampling_ladder, count, seed, settings, known_labels, batch_size
        )
        durations[name] = _steps_of(settings, levels, distance.to(drawn))
        finished(1)

    long = LongChains(model, factors[-1], batch_size)
    # With noise that the samples have not had: of images further on in the stream.
    later = [factor - 1 for factor in factors]
    noise = long.run(samples, known_labels, seed, count, later, finished)
    data = long.run(images, labels, seed, 2 * count, (0, *factors), finished)
    states = {
        "noise": {factor + 1: some for factor, some in noise.images.items()},
        "data": data.images,
    }
    chains = {
        start: {
            factor: {
                "steps": factor * long.trained_steps,
                "distance": distance.to(some),
                "saturated": saturated(some, model.langevin),
            }
            for factor, some in lengths.items()
        }
        for start, lengths in states.items()
    }

    network = any_class(model.sampling_network) if classes else model.sampling_network
    energy = AnomalyDetector(network, "energy", batch_size)
    sets = {"training": known[:count], "held_out": images, "samples": samples}
    sets |= {kind: anomaly_images(kind, images, count, seed) for kind in NONSENSE}
    energies = {name: energy.scores(some) for name, some in sets.items()}

    figures = {
        "metric": distance.name,
        "scale": scale,
        "chains": chains,
        "durations": durations,
        "energies": {name: _spread(some) for name, some in energies.items()},
        "nonsense": {
            kind: detection_figures(energies["held_out"], energies[kind])["auroc"]
            for kind in NONSENSE
        },
        "detail": {
            "samples": finest_detail(samples),
            "held_out": finest_detail(images),
        },
        "mixing": mixing_figures(np.concatenate([noise.energies, data.energies])),
    }
    found = verdicts.checks(figures)
    worst = verdicts.overall(found)
    judged = {
        **worst._asdict(),
        "checks": {name: check._asdict() for name, check in found.items()},
        **figures,
    }
    shown = {
        f"{start} {factor}x": some
        for start, lengths in states.items()
        for factor, some in lengths.items()
    }
    return Diagnosis(_for_json(judged), shown, energies)


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


class _Distance:
    """The Fréchet distance of images to those of training; infinite if images are."""

    def __init__(self, encoder, known):
        self._encoder = encoder
        self._known = self._statistics(known, "training images")
        self.name = encoder.frechet_name

    def to(self, images):
        if not np.isfinite(images).all():
            return math.inf
        return frechet_distance(self._statistics(images, "images"), self._known)

    def _statistics(self, images, name):
        return FeatureStatistics.from_images([images], self._encoder, name)


def _steps_of(settings, levels, distance):
    """How long a chain is, and how far from real images it ends."""
    steps = [settings.steps_at(level) for level in range(levels)]
    sizes = [settings.step_size_at(level) for level in range(levels)]
    duration = float(np.dot(steps, sizes))
    return {"steps": sum(steps), "duration": duration, "distance": distance}


def _spread(values):
    return {"mean": float(values.mean()), "deviation": float(values.std())}


def _for_json(value):
    """The same with lengths as `"3x"`, and None for what is infinite or unknown."""
    if isinstance(value, dict):
        return {
            f"{key}x" if isinstance(key, int) else key: _for_json(item)
            for key, item in value.items()
        }
    is_float = isinstance(value, float)
    return None if is_float and not math.isfinite(value) else value
