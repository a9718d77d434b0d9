"""What JAX and PyTorch share: one process, one replica, and a batch as a whole."""

import contextlib

from keras import ops, tree

from keras_cfebm.utils.validation import INDIVISIBLE


def fused(function):
    """The function as it is: XLA fuses it with all around it, PyTorch nothing."""
    return function


@contextlib.contextmanager
def portable():
    """Around what is exported; nothing is compiled for this machine alone."""
    yield


def replica():
    """Index of this replica and their number: there is one, with a global batch."""
    return 0, 1


def replicas(model):
    """1: one process gives the whole batch, which JAX may split by itself."""
    return 1


def strategy(name):
    """None, for the name None; strategies are TensorFlow's.

    Raises:
        ValueError: for any other name.
    """
    if name is not None:
        raise ValueError(
            f"Expected strategy=None, received {name!r}: tf.distribute is for the "
            "TensorFlow backend, with JAX use keras.distribution."
        )


def is_chief(model):
    """True: several processes are TensorFlow's strategies."""
    return True


def scope(model):
    """The context to make weights in; `keras.distribution` needs none."""
    return contextlib.nullcontext()


def in_parallel(function):
    """The function as it is: a batch as a whole is shared among the cores."""
    return function


def places(rows):
    """Indices of the images in the batch, and its size."""
    return ops.arange(rows), rows


def parts_of(batch, parts):
    """The tensors `(batch, …)` of a structure as `(parts, batch / parts, …)`.

    Raises:
        ValueError: if the batch cannot be divided.
    """

    def split(x):
        if x is None:
            return None
        if x.shape[0] % parts:
            message = INDIVISIBLE.format(parts=parts)
            raise ValueError(f"{message}, received {x.shape[0]}.")
        return ops.reshape(x, (parts, -1, *x.shape[1:]))

    return tree.map_structure(split, batch)


def global_norm(gradients, optimizer):
    """Norm of all gradients together, unscaled."""
    squares = sum(ops.sum(ops.square(gradient)) for gradient in gradients)
    return ops.sqrt(squares) / optimizer.scale_loss(ops.ones(()))


def sum_over_replicas(values):
    """The values: there is one replica."""
    return values


def as_logs(results):
    """The results: there is one process."""
    return results
