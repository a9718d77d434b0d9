"""The diagnosis of a tiny model, and chains whose states are known."""

import json
import types

import numpy as np
import pytest
from keras import ops

from keras_cfebm import Langevin, datasets, evaluation
from keras_cfebm.evaluation import Encoder, Expects, long_chains

CHECKS = [
    "samples",
    "chains_from_noise",
    "chains_from_data",
    "duration",
    "energy_gap",
    "detail",
    "nonsense",
    "mixing",
]


def model_of(energy, **settings):
    """What `LongChains` asks of a model, of any energy."""
    langevin = Langevin(**settings)
    return types.SimpleNamespace(
        langevin=langevin,
        finest_settings=langevin,
        ladder=[energy],
        sampling_network=energy,
    )


def well(x):
    """A step of size 1 halves the distance to 0."""
    return 0.25 * ops.sum(ops.square(x), axis=(1, 2, 3))


def test_long_chains_go_where_the_closed_form_says():
    model = model_of(well, steps=6, noise_scale=0.0)
    x = np.full((5, 8, 8, 1), 0.8, "float32")
    long = long_chains.LongChains(model, factor=3, batch_size=4)
    batches = []
    trace = long.run(x, None, seed=0, start=0, kept=(0, 1, 3), finished=batches.append)
    assert list(trace.images) == [0, 1, 3] and batches == [1, 1]
    for factor, images in trace.images.items():
        np.testing.assert_allclose(images, x / 2 ** (6 * factor), rtol=1e-5)
    # The energy at the start and every second step: a third of 6.
    steps = np.arange(0, 19, 2)
    wanted = 0.25 * 64 * (0.8 / 2.0**steps) ** 2
    np.testing.assert_allclose(trace.energies, np.tile(wanted, (5, 1)), rtol=1e-5)


def test_the_noise_of_long_chains_is_the_mean_of_training_and_its_own():
    model = model_of(well, steps=(3, 4), noise_scale=0.12)
    model.ladder, model.finest_settings = [well, well], model.langevin.at_level(1)
    long = long_chains.LongChains(model, factor=1)
    # From 0.12 at step 0 to 0 at step 6: 0.06 at the finest level's first step.
    assert long.noise_scale == pytest.approx(0.03)
    x = np.zeros((2, 8, 8, 1), "float32")
    first, later = (long.run(x, None, 0, start, (1,)).images[1] for start in (0, 2))
    # After four steps that halve: σ² (1 + 1/4 + 1/16 + 1/64).
    assert first.std() == pytest.approx(0.03 * np.sqrt(85 / 64), rel=0.2)
    assert np.abs(first - later).max() > 0.03


def test_other_steps_keep_or_change_the_duration():
    others = long_chains.other_settings(Langevin(steps=(6, 4), step_size=0.5))
    durations = {
        name: sum(s.steps_at(level) * s.step_size_at(level) for level in (0, 1))
        for name, s in others.items()
    }
    assert durations == {
        "fewer_steps": 5.0,
        "more_steps": 5.0,
        "half_the_duration": 2.5,
        "twice_the_duration": 10.0,
    }


def test_saturated_is_the_share_at_both_ends():
    images = np.float32([-1, -0.995, -0.98, 0, 0.98, 1]).reshape(1, 2, 3, 1)
    assert long_chains.saturated(images, Langevin()) == pytest.approx(3 / 6)
    assert long_chains.saturated(images, Langevin(clip=(-2, 2))) == 0


@pytest.fixture(scope="module")
def encoder():
    """Two features: mean and spread."""

    def function(images):
        axes = (1, 2, 3)
        return np.stack([images.mean(axis=axes), images.std(axis=axes)], axis=1)

    return Encoder("two", function, "0", "none", Expects(None, (1,)))


@pytest.fixture(scope="module")
def data(noise_images):
    labels = np.arange(12) % 2
    return datasets.from_arrays(noise_images(12, 8), labels)


@pytest.fixture(scope="module")
def diagnosed(make_model, data, encoder):
    """A model with classes, and its diagnosis; chains of 6 steps, traces of 12."""
    model = make_model(num_classes=2, langevin=Langevin(steps=3))
    held_out, training = data.part(0, 5), data.part(5, 12)
    return model, evaluation.diagnose(
        model, held_out, training, encoder, count=8, factors=(1, 4), batch_size=3
    )


def test_figures_hold_everything_and_json_takes_them(diagnosed):
    _, (figures, images, energies) = diagnosed
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert list(figures["checks"]) == CHECKS
    assert figures["verdict"] in ("sound", "weak", "fault") and figures["meaning"]
    assert list(images) == [
        *("noise 1x", "noise 4x"),
        *("data 0x", "data 1x", "data 4x"),
    ]
    assert {len(some) for some in images.values()} == {5}  # as many as are held out
    assert [row["steps"] for row in figures["chains"]["data"].values()] == [0, 3, 12]
    assert list(energies) == ["training", "held_out", "samples", "uniform", "constant"]
    assert figures["mixing"]["chains"] == 10 and figures["mixing"]["draws"] == 7
    durations = figures["durations"]
    assert [row["steps"] for row in durations.values()] == [3, 2, 6, 2, 3]


def test_chains_begin_at_the_samples_and_at_the_images(diagnosed, data):
    model, (figures, images, _) = diagnosed
    labels = np.resize(data.part(5, 12).subset(limit=5000, seed=0).labels(), 5)
    samples = model.generate(5, 0, labels)
    np.testing.assert_allclose(images["noise 1x"], samples, atol=1e-6)
    held_out = data.part(0, 5).subset(seed=0).images()
    np.testing.assert_array_equal(images["data 0x"], held_out)
    scale, chains = figures["scale"], figures["chains"]
    assert chains["noise"]["1x"]["distance"] == pytest.approx(scale["samples"])
    assert chains["data"]["0x"]["distance"] == pytest.approx(scale["held_out"])
    assert np.abs(images["noise 4x"] - samples).max() > 1e-3


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"chain_start": "source"}, {}, "start at noise"),
        ({"resolution": 6}, {}, "multiple of 4"),
        ({}, {"factors": (3, 1)}, "factors that ascend"),
        ({}, {"factors": ()}, "factors that ascend"),
        ({}, {"factors": (0, 1)}, "factors of at least 1"),
        ({}, {"count": 1}, "count of at least 2"),
    ],
)
def test_wrong_input(data, encoder, changes, options, message):
    fields = {"chain_start": "noise", "resolution": 8, "image_shape": (8, 8, 1)}
    model = types.SimpleNamespace(**fields | changes)
    with pytest.raises(ValueError, match=message):
        evaluation.diagnose(model, data, data, encoder, **options)


def test_a_model_that_has_diverged_is_refused(make_model, data, encoder):
    model = make_model()
    model.generate = lambda *arguments: np.full((5, 8, 8, 1), np.nan, "float32")
    with pytest.raises(ValueError, match="finite samples"):
        evaluation.diagnose(model, data, data, encoder)


def test_a_finest_level_without_steps_has_no_length():
    with pytest.raises(ValueError, match="steps of the finest level"):
        long_chains.LongChains(model_of(well, steps=0), factor=3)
