"""Activations compiled with XLA, which tests do without elsewhere: see conftest.py."""

import gc
import weakref

import keras
import numpy as np
import pytest

from keras_cfebm.layers.activations import ACTIVATIONS

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow's only", allow_module_level=True)

import tensorflow as tf

from keras_cfebm import backend
from keras_cfebm.backend.tensorflow_backend import fused


def value_and_slope(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return y, tape.gradient(y, x)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_compiled_it_is_the_same_function(name):
    x = tf.reshape(tf.linspace(-6.0, 6.0, 48), (2, 4, 6))
    given = value_and_slope(fused(ACTIVATIONS[name]), x)
    expected = value_and_slope(ACTIVATIONS[name], x)
    np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-6)


def test_graphs_are_freed_with_what_they_compute():
    activate = fused(ACTIVATIONS["swish"])

    def graph_of_slope():
        @tf.function(autograph=False)
        def slope(x):
            return value_and_slope(activate, 2.0 * x)[1]

        return weakref.ref(slope.get_concrete_function(tf.TensorSpec((4,))).graph)

    graph = graph_of_slope()
    gc.collect()
    assert graph() is None


def test_what_is_exported_is_not_compiled():
    with backend.portable():
        graph = tf.function(fused(ACTIVATIONS["swish"])).get_concrete_function(
            tf.TensorSpec((4,))
        )
    assert not [op for op in graph.graph.get_operations() if "Call" in op.type]
