"""Checks of requests inside the graph: InvalidArgument, and the server goes on."""

import tensorflow as tf

from keras_cfebm.utils.image_range import RANGE_TOLERANCE


def _checked(x, *checks):
    """`x`, once the checks `(condition, message, what to show)` have passed."""
    assertions = [
        tf.debugging.Assert(condition, [message, *shown], summarize=8)
        for condition, message, shown in checks
    ]
    with tf.control_dependencies(assertions):
        return tf.identity(x)


def check_shape(x: tf.Tensor, shape: list, name: str, most: int) -> tf.Tensor:
    """Returns the tensor, its shape certain; a server checks none before the graph.

    A None in `shape` stands for any size from 1; there may be `most` rows.
    """
    received = tf.shape(x)
    rank = len(shape)
    wanted = ", ".join("n" if size is None else str(size) for size in shape)
    right_rank = tf.equal(tf.rank(x), rank)
    padded = tf.concat([received, tf.fill([rank], -1)], 0)[:rank]
    sizes = [
        tf.constant(True) if size is None else tf.equal(padded[axis], size)
        for axis, size in enumerate(shape)
    ]
    fits = tf.reduce_all([right_rank, *sizes])
    message = f"Expected {name} of shape ({wanted}), n from 1 to {most}, received:"
    some = tf.reduce_all(received > 0) & tf.reduce_all(received[:1] <= most)
    x = _checked(x, (fits & some, message, [received]))
    return tf.ensure_shape(x, shape)


def check_rows(x: tf.Tensor, rows: tf.Tensor, name: str) -> tf.Tensor:
    """Returns the tensor if it has as many rows as the other inputs."""
    received = tf.shape(x)[0]
    message = f"Expected {name} with one row per row of the other inputs, received:"
    return _checked(x, (tf.equal(received, rows), message, [received, rows]))


def refuse_bad_images(
    x: tf.Tensor, value_range: tuple[float, float] | None
) -> tf.Tensor:
    """Returns images if they are finite and, unless it is None, in a range."""
    finite = tf.reduce_all(tf.math.is_finite(x))
    checks: list[tuple] = [
        (finite, "Expected finite images, received NaN or infinity.", [])
    ]
    if value_range is not None:
        least, most = value_range
        rounding = RANGE_TOLERANCE * (most - least) / 2
        low, high = tf.reduce_min(x), tf.reduce_max(x)
        inside = (low >= least - rounding) & (high <= most + rounding)
        message = (
            f"Expected images in [{least:g}, {most:g}], received smallest and largest "
            "value:"
        )
        checks.append((inside | ~finite, message, [low, high]))
    return _checked(x, *checks)


def check_between(x: tf.Tensor, low: int, high: int | None, name: str) -> tf.Tensor:
    """Returns integers if all lie from `low` to `high`, None for no upper end."""
    least, largest = tf.reduce_min(x), tf.reduce_max(x)
    inside = least >= low
    wanted = f"of at least {low}"
    if high is not None:
        inside &= largest <= high
        wanted = f"from {low} to {high}"
    message = f"Expected {name} {wanted}, received smallest and largest value:"
    return _checked(x, (inside, message, [least, largest]))
