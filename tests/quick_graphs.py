"""Importing this makes TensorFlow start trainings quickly, for the processes of tests.

A third of what starting a training costs is TensorFlow's search for a faster graph,
which the few steps of a test do not repay. Another third is XLA, which compiles an
activation anew for each shape. The rest is tracing, which is saved where steps run
`eagerly`.
"""

import contextlib
import pathlib
import warnings

import keras

from keras_cfebm import backend
from keras_cfebm.layers import activations

#: The cell of a notebook, or the lines of a process, that do the same there.
IMPORT = f"""\
import sys
sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
import quick_graphs
"""
#: The same, and what is compiled is not traced: see `eagerly`.
EAGERLY = f"""\
{IMPORT}\
import tensorflow as tf
tf.config.run_functions_eagerly(True)
"""

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    backend.fused = backend.traced_once
    activations.get.cache_clear()  # of what importing the package has got
    _sum_over_replicas = keras.optimizers.Optimizer._all_reduce_sum_gradients

    def _sum_over_several(optimizer, pairs):
        """Leaves the sum out with one replica: TensorFlow never frees its graph."""
        one = tf.distribute.get_strategy().num_replicas_in_sync == 1
        return pairs if one else _sum_over_replicas(optimizer, pairs)

    keras.optimizers.Optimizer._all_reduce_sum_gradients = _sum_over_several
    # It says so whenever it prepares data.
    warnings.filterwarnings("ignore", "Even though the `tf.config.exp", UserWarning)


@contextlib.contextmanager
def eagerly():
    """Inside, compiled functions are not traced: good for a run of a few steps."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
