"""A SavedModel of weights that float16 has is as small as the `.keras` file."""

import numpy as np
import pytest
import tensorflow as tf

from keras_cfebm.assets import half_precision
from keras_cfebm.model import CFEBM
from keras_cfebm.serving.export import export_saved_model
from keras_cfebm.serving.stored_weights import StoredWeights


def dtypes(path):
    """Dtypes of the large variables of a SavedModel."""
    reader = tf.train.load_checkpoint(f"{path}/variables/variables")
    shapes, kinds = (
        reader.get_variable_to_shape_map(),
        reader.get_variable_to_dtype_map(),
    )
    return {kinds[name].name for name, shape in shapes.items() if np.prod(shape) > 100}


@pytest.mark.parametrize("rounded", [False, True])
def test_what_float16_has_is_stored_so(rounded, make_network, noise_images, tmp_path):
    model = CFEBM([make_network(8), make_network(16)]).finished()
    if rounded:
        for network in model.sampling_ladder:
            half_precision.round_weights(network)
    path = export_saved_model(model, tmp_path / "m", signatures=["energy"])
    assert dtypes(path) == {"float16" if rounded else "float32"}
    images = noise_images(3, 16)
    found = tf.saved_model.load(path).signatures["energy"](images=tf.constant(images))
    expected = model.sampling_network(images)
    np.testing.assert_allclose(found["energy"], expected, rtol=1e-5)


def test_only_what_is_stored_is_read_instead(make_network, noise_images):
    network = make_network(8)
    stored = StoredWeights([network.head.linear.bias])
    energy = stored.read_by(network)
    images = noise_images(2, 8)
    before = np.array(network(images))
    np.testing.assert_array_equal(energy(images), before)
    (bias,) = stored.variables
    bias.assign_add([1.0])
    np.testing.assert_allclose(energy(images), before + 1, rtol=1e-5)
    np.testing.assert_array_equal(network(images), before)
