"""Parts of a batch that are worked on in different ways."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_cfebm import backend
from keras_cfebm.utils.training_data import one_in


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("rows", [1, 2, 6, 7])
def test_the_first_of_each_n_rows_goes_its_own_way(n, rows):
    x = ops.reshape(ops.arange(rows, dtype="float32"), (rows, 1))
    found = one_in(n, lambda a, b: a + 100, lambda a, b: -a, x, None)
    first = np.arange(rows) % n == 0
    expected = np.where(first, np.arange(rows) + 100, -np.arange(rows))
    np.testing.assert_array_equal(found[:, 0], expected)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of its graphs")
def test_rows_may_be_unknown_when_the_graph_is_built():
    @backend.compiled
    def graph(x):
        return one_in(2, lambda a: a + 100, lambda a: -a, x)

    for rows in (1, 4, 5):
        x = np.arange(rows, dtype="float32")
        expected = np.where(x % 2 == 0, x + 100, -x)
        np.testing.assert_array_equal(graph(ops.convert_to_tensor(x)), expected)
