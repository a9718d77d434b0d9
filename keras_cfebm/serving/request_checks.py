"""What may be asked, checked in the graph: InvalidArgument, and the server goes on."""

from typing import NamedTuple

import tensorflow as tf

from keras_cfebm.utils.image_range import RANGE_TOLERANCE

#: Every input that a signature may have.
SPECS = {
    # Of unknown sizes, because a server does not compare them with the request: the
    # graph has to, and would believe what is declared.
    "images": tf.TensorSpec([None, None, None, None], tf.float32, "images"),
    "masks": tf.TensorSpec([None, None, None], tf.bool, "masks"),
    "image_bytes": tf.TensorSpec([None], tf.string, "image_bytes"),
    "labels": tf.TensorSpec([None], tf.int32, "labels"),
    "seeds": tf.TensorSpec([None], tf.int64, "seeds"),
    "steps": tf.TensorSpec([None], tf.int32, "steps"),
    "speed": tf.TensorSpec([None], tf.float32, "speed"),
    "guidance": tf.TensorSpec([None], tf.float32, "guidance"),
    "noise": tf.TensorSpec([None], tf.float32, "noise"),
    "samples": tf.TensorSpec([None], tf.int32, "samples"),
}
#: Least and largest value of inputs whose limits no exporter sets.
RANGES = {"speed": (1, 100), "guidance": (-100, 100), "samples": (1, 16)}


class Limits(NamedTuple):
    """What a request may ask for at most: Langevin steps per level, and rows."""

    steps: int
    rows: int


def checked(x: tf.Tensor, *checks: tuple) -> tf.Tensor:
    """A tensor, once all checks, `(condition, message, what to show)`, have passed."""
    assertions = [
        tf.debugging.Assert(condition, [message, *shown], summarize=8)
        for condition, message, shown in checks
    ]
    with tf.control_dependencies(assertions):
        return tf.identity(x)


def check_request(
    given: dict[str, tf.Tensor],
    image_shape: tuple[int, ...],
    limits: Limits,
    num_classes: int | None,
) -> dict[str, tf.Tensor]:
    """The inputs of a signature once their shapes, and all numbers, are as described.

    Only what images hold is not looked at here, see `refuse_bad_images`.
    """
    shapes = {"images": [None, *image_shape], "masks": [None, *image_shape[:2]]}
    ranges = RANGES | {
        "noise": (0, None),
        "seeds": (0, None),
        "steps": (0, limits.steps),
        "labels": (0, (num_classes or 1) - 1),
    }
    found: dict[str, tf.Tensor] = {}
    for name, x in given.items():
        x = _shaped(x, shapes.get(name, [None]), name, limits.rows)
        rows = [tf.shape(one)[0] for one in (x, next(iter(found.values()), x))]
        message = f"Expected {name} with one row per row of the other inputs, received:"
        checks: list[tuple] = [(tf.equal(*rows), message, rows)]
        if name in ranges:
            low, high = ranges[name]
            wanted = f"of at least {low}" if high is None else f"from {low} to {high}"
            most = x.dtype.max if high is None else high  # no infinity
            inside = tf.reduce_all((x >= low) & (x <= most))
            message = f"Expected {name} {wanted}, received smallest and largest value:"
            checks.append((inside, message, [tf.reduce_min(x), tf.reduce_max(x)]))
        found[name] = checked(x, *checks)
    return found


def _shaped(x, shape, name, most):
    """The tensor, its shape certain; a server checks none before the graph.

    A None in `shape` stands for any size from 1; there may be `most` rows.
    """
    received = tf.shape(x)
    rank = len(shape)
    # Counted, because tf.rank would be the one that is declared.
    right_rank = tf.equal(tf.reduce_sum(tf.cast(received >= 0, tf.int32)), rank)
    padded = tf.concat([received, tf.fill([rank], -1)], 0)[:rank]
    wanted = [-1 if size is None else size for size in shape]
    fits = right_rank & tf.reduce_all((padded == wanted) | tf.equal(wanted, -1))
    fits &= tf.reduce_all(received > 0) & tf.reduce_all(received[:1] <= most)
    shown = ", ".join("n" if size is None else str(size) for size in shape)
    message = f"Expected {name} of shape ({shown}), n from 1 to {most}, received:"
    return tf.ensure_shape(checked(x, (fits, message, [received])), shape)


def refuse_bad_images(
    x: tf.Tensor,
    value_range: tuple[float, float] | None,
    rows: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns images if they are finite and, unless it is None, in a range.

    Of `rows`, a bool tensor `(n,)` or None, others than the True ones may leave it.
    """
    finite = tf.reduce_all(tf.math.is_finite(x))
    checks: list[tuple] = [
        (finite, "Expected finite images, received NaN or infinity.", [])
    ]
    if value_range is not None:
        least, most = value_range
        rounding = RANGE_TOLERANCE * (most - least) / 2
        judged = x if rows is None else tf.boolean_mask(x, rows)
        low, high = tf.reduce_min(judged), tf.reduce_max(judged)
        inside = (low >= least - rounding) & (high <= most + rounding)
        message = (
            f"Expected images in [{least:g}, {most:g}], received smallest and largest "
            "value:"
        )
        checks.append((inside | ~finite, message, [low, high]))
    return checked(x, *checks)
