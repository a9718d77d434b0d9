"""Restorations judged beside classical methods, on energies made for it."""

import numpy as np
import pytest
from keras import ops

from keras_cfebm import evaluation, tasks
from keras_cfebm.evaluation import Encoder, Expects
from keras_cfebm.sampling import Langevin

QUICK = Langevin(steps=4, noise_scale=0.05)


def well(x):
    """A step goes a quarter of the way to -0.5."""
    return 0.125 * ops.sum(ops.square(x + 0.5), axis=(1, 2, 3))


def images(channels=1, side=12):
    rng = np.random.default_rng(0)
    return rng.uniform(-0.9, 0.0, (4, side, side, channels)).astype("float32")


def evaluated(operator, noise=0.0, channels=1, **options):
    options = {"samples": 2, "settings": QUICK, **options}
    return evaluation.evaluate_restoration(
        well, images(channels), operator, noise, **options
    )


@pytest.mark.parametrize(
    ("operator", "channels", "names"),
    [
        (tasks.Mask("center"), 1, {"mean", "biharmonic"}),
        (tasks.MeanPool(2), 1, {"nearest", "bicubic"}),
        (tasks.Grey(), 3, {"measured"}),
    ],
)
def test_each_damage_has_its_classical_methods(operator, channels, names):
    found = evaluated(operator, channels=channels)
    methods = found.figures["methods"]
    assert set(methods) == names | {"model", "model_mean"}
    assert methods["model_mean"]["psnr"] > methods["model"]["psnr"]
    assert found.images["deviation"].shape == (4, 12, 12, 1)
    original = images(channels)
    for name in names:
        version = found.images[name]
        seen = np.asarray(operator.forward(version)) - operator.forward(original)
        # What they make of the measurements is near to these.
        assert np.abs(seen).mean() < 0.15
        judged = evaluation.mean_figures(
            version,
            original,
            ~operator.known(original.shape, 0, 0)
            if isinstance(operator, tasks.Mask)
            else None,
        )
        assert methods[name] == judged


def test_chains_start_at_a_classical_method_and_distances_are_to_the_originals():
    encoder = Encoder(
        "mean",
        lambda x: np.stack([x.mean((1, 2, 3)), x.std((1, 2, 3))], axis=1),
        "0",
        "none",
        Expects(None, (1, 3)),
    )
    still = Langevin(steps=0)
    options = {"initial": "gaussian", "settings": still, "encoder": encoder}
    found = evaluated(tasks.Identity(), 0.2, **options)
    methods = found.figures["methods"]
    assert set(methods) == {"model", "model_mean", "measured", *evaluation.FILTERS}
    assert methods["model"] == methods["gaussian"] != methods["median"]
    assert methods["measured"]["frechet_distance"] > 0
    assert found.figures["deviation_correlation"] == 0
    with pytest.raises(ValueError, match=r"initial as None or one of .*'bicubic'"):
        evaluated(tasks.MeanPool(2), initial="gaussian")


def test_filters_take_the_strength_that_is_best_on_other_images():
    y, known = images(), np.ones((4, 12, 12, 1), bool)
    flat = np.full_like(y, -0.5)
    given = (tasks.Identity(), y, known, 0.3)
    first, tuned = (evaluation.baselines(*given, t) for t in (None, flat))
    # Of flat images noise is removed best by the widest filter.
    assert tuned["gaussian"].std() < first["gaussian"].std()


def test_correlation_of_deviations_with_errors_is_that_of_the_hole():
    std = np.array([[[0.0, 1.0], [2.0, 9.0]], [[1.0, 1.0], [1.0, 1.0]]])
    error = np.array([[[0.0, 2.0], [4.0, 0.0]], [[0.0, 1.0], [2.0, 3.0]]])
    hole = np.ones((2, 2, 2, 1), bool)
    hole[:, 1, 1] = False
    found = evaluation.deviation_correlation(std, error, hole)
    assert found == pytest.approx(0.5)  # 1 of the first image, 0 of a constant
    assert evaluation.deviation_correlation(std[:1], error[:1]) < 0
