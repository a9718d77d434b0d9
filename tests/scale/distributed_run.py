"""`cfebm train` on a tiny set, in a process of its own under a strategy.

python distributed_run.py CONFIG RUN_FOLDER [STRATEGY]
"""

import functools
import sys

import keras
import tensorflow as tf

from keras_cfebm.cli.main import main


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


if __name__ == "__main__":
    if sys.argv[-1] == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)
    sys.exit(train(*sys.argv[1:]))
