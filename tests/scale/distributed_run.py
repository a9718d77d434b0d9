"""`cfebm train` on a tiny set, in a process of its own under a strategy.

python distributed_run.py CONFIG RUN_FOLDER [STRATEGY]
"""

import functools
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import quick_graphs  # noqa: F401

from keras_cfebm import backend
from keras_cfebm.cli.main import main
from keras_cfebm.model import CFEBM
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.sampling import Langevin


def train(config, folder, strategy=None):
    """Runs the command, with an optimizer that lets rounding stay rounding.

    Adam divides tiny gradients by their own size, so that the last bit of a sum decides
    about whole steps; with a large epsilon it does not.

    Returns:
        int, the exit code.
    """
    adam = keras.optimizers.Adam
    keras.optimizers.Adam = functools.partial(adam, epsilon=0.1)
    try:
        flags = [f"--config={config}", f"--run_dir={folder}"]
        return main(
            ["train", *flags, *([f"--strategy={strategy}"] if strategy else [])]
        )
    finally:
        keras.optimizers.Adam = adam


def two_uneven_steps(images, strategy=None):
    """Trains on six images and then on five, which two replicas share as three and two.

    Returns:
        Dict of the last figures and of all weights by path.
    """
    with backend.scope(backend.strategy(strategy)):
        network = EnergyNetwork(8, channels=1, base_width=1)
        network.draw_weights(0)
        model = CFEBM(network, Langevin(steps=2), data_noise=0.1)
        model.compile(keras.optimizers.SGD(0.1))
    batches = tf.data.Dataset.from_tensor_slices(images).batch(6)
    history = model.fit(batches, shuffle=False, verbose=0).history
    figures = {name: value for name, (value,) in history.items()}
    weights = {
        f"{i} {w.path}": np.array(w) for i, w in enumerate(model.network.weights)
    }
    return figures | weights


if __name__ == "__main__":
    if sys.argv[-1] == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)
        images = np.load(pathlib.Path(sys.argv[1]).with_name("images.npy"))[:11, :8, :8]
        np.savez(f"{sys.argv[2]}_uneven.npz", **two_uneven_steps(images, "mirrored"))
    sys.exit(train(*sys.argv[1:]))
