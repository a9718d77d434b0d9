"""The best model of a training is kept, by any encoder."""

import json
import types

import numpy as np
import pytest
from tiny_runs import fit

from keras_cfebm import load_ladder
from keras_cfebm.callbacks import BestLadder, Checkpoints
from keras_cfebm.configs.stages import Stage
from keras_cfebm.evaluation import Encoder, FeatureStatistics
from keras_cfebm.evaluation.encoders import Expects

STAGES = [Stage(8, 0, 8, batch_size=4), Stage(16, 8, 24, batch_size=4)]


class Scripted(BestLadder):
    """The real measurement, and then a distance that the test has chosen."""

    distances = (3.0, 1.0, 2.0)

    def _distance(self):
        assert super()._distance() > 0
        self.weights = getattr(self, "weights", [])
        self.weights.append(self.model.sampling_network.get_weights())
        return self.distances[len(self.history)]


@pytest.fixture(scope="module")
def judged():
    """A tiny encoder that counts what it is given, and statistics of constants."""
    seen = []

    def encode(images):
        seen.append(images.shape)
        return np.stack([images.mean(axis=(1, 2, 3)), images.std(axis=(1, 2, 3))], 1)

    encoder = Encoder("two numbers", encode, "0", "none", Expects(None, (1,)))
    images = np.random.default_rng(0).uniform(-1, 1, (8, 4, 4, 1)).astype("float32")
    return encoder, FeatureStatistics.from_images([images], encoder, "noise"), seen


@pytest.fixture(scope="module")
def trained(judged, tmp_path_factory):
    """Two steps per epoch, β = 1 after the second of five epochs of the last stage."""
    encoder, reference, seen = judged
    folder = tmp_path_factory.mktemp("best")
    seen.clear()
    best = Scripted(
        folder / "kept" / "best.keras",
        encoder,
        reference,
        resolution=16,
        count=3,
        every=3,
        batch_size=2,
    )
    checkpoints = Checkpoints(folder / "checkpoints", companions=[best])
    fit(STAGES, callbacks=[best], checkpoints=checkpoints)
    return best, checkpoints


def test_only_the_finest_level_with_its_fade_over_is_judged(trained, judged):
    best, _ = trained
    # Epochs end at steps 2, 4, 6, 8; β is 1 from 2 on, and 3 and 6 are due.
    assert [entry["step"] for entry in best.history] == [4, 6, 8]
    assert all(shape[1:] == (16, 16, 1) for shape in judged[2])
    assert sum(shape[0] for shape in judged[2]) == 3 * 3


def test_the_file_is_the_model_of_the_smallest_distance(trained):
    best, _ = trained
    assert [entry["frechet_distance"] for entry in best.history] == [3.0, 1.0, 2.0]
    kept = load_ladder(best.path)
    assert [network.resolution for network in kept.ladder] == [8, 16]
    kernels = [w for w in kept.network.get_weights() if w.ndim == 4]
    measured = [[w for w in own if w.ndim == 4] for own in best.weights]
    same = [
        all(any(np.array_equal(k, w) for w in own) for k in kernels) for own in measured
    ]
    assert same == [False, True, False]


def test_measurements_travel_with_checkpoints(trained, judged):
    best, checkpoints = trained
    encoder, reference, _ = judged
    again = BestLadder("x.keras", encoder, reference, resolution=16)
    Checkpoints(checkpoints.folder, companions=[again]).restore()
    assert again.history == best.history
    json.dumps(best.get_state())


def test_statistics_of_another_encoder_are_refused(judged):
    encoder, reference, _ = judged
    other = Encoder("other", encoder.function, "1", "none", encoder.expects)
    with pytest.raises(ValueError, match=r"encoder 'other', received .* 'two numbers'"):
        BestLadder("x.keras", other, reference, resolution=16)


def test_a_run_that_was_turned_back_is_judged_anew(judged, monkeypatch):
    encoder, reference, _ = judged
    best = BestLadder("x.keras", encoder, reference, resolution=16, every=3)
    monkeypatch.setattr(best, "_distance", lambda: 5.0)
    best.set_params({"epochs": 9})
    best.set_model(
        types.SimpleNamespace(
            resolution=16, network=types.SimpleNamespace(beta=1.0), step=7
        )
    )
    best.history = [{"step": step, "frechet_distance": 4.0} for step in (4, 9)]
    best.on_epoch_end(0)
    assert [entry["step"] for entry in best.history] == [4, 9, 7]
    best.on_epoch_end(1)
    assert len(best.history) == 4
