"""Models of rounded weights: half as large on disk, the same once they are loaded."""

import json
import zipfile

import numpy as np
import pytest

from keras_cfebm import CFEBM, load_ladder
from keras_cfebm.assets import half_precision


def test_rounded_weights_are_close(make_network, values):
    network = make_network(16)
    before = values(network)
    half_precision.round_weights(network)
    after = values(network)
    for old, new in zip(before, after, strict=True):
        assert new.dtype == old.dtype
        np.testing.assert_allclose(new, old, rtol=5e-4, atol=1e-7)
    assert any((old != new).any() for old, new in zip(before, after, strict=True))


def test_a_file_of_them_is_half_as_large_and_loads_bit_for_bit(
    make_network, noise_images, assert_equal, values, tmp_path
):
    model = CFEBM([make_network(base_width=16)]).finished()
    for network in (*model.ladder, *model.sampling_ladder):
        half_precision.round_weights(network)
    model.save(tmp_path / "whole.keras")
    half_precision.save(model, tmp_path / "half.keras")
    half_precision.save(model, tmp_path / "again.keras")
    half, whole, again = (
        (tmp_path / f"{name}.keras").read_bytes() for name in ("half", "whole", "again")
    )
    assert half == again
    with zipfile.ZipFile(tmp_path / "half.keras") as archive:
        assert set(json.loads(archive.read("metadata.json"))) == {"keras_version"}
    assert len(half) < 0.35 * len(whole)  # half of the bytes, and averages once
    loaded = load_ladder(tmp_path / "half.keras")
    assert {w.dtype for w in loaded.weights} == {w.dtype for w in model.weights}
    assert_equal(values(loaded), values(model))
    images = noise_images(3, 8)
    energies = (m.predict(images, verbose=0) for m in (loaded, model))
    np.testing.assert_array_equal(*energies)


def test_what_is_not_rounded_is_saved_as_it_is(
    make_model, assert_equal, values, tmp_path
):
    model = make_model().finished()
    half_precision.save(model, tmp_path / "model.keras")
    assert_equal(values(load_ladder(tmp_path / "model.keras")), values(model))


def test_weights_that_would_overflow_are_refused(make_network):
    network = make_network()
    kernel = network.head.linear.kernel
    kernel.assign(np.full(kernel.shape, 1e6, "float32"))
    with pytest.raises(ValueError, match="float16 can hold, received 1e"):
        half_precision.round_weights(network)
