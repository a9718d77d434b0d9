"""What `fit` and its kin are given: its first batch, and the parts of a batch."""

import itertools
import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_image_shape
from keras_cfebm.utils.value_range import Range, check_dtype, rescaled


def first_batch(x: Any, y: Any = None) -> tuple[tuple[Any, Any] | None, Any]:
    """Images and what is paired with them, for a check before anything is compiled.

    Args:
        x: array, tensor, `tf.data.Dataset`, `keras.utils.PyDataset`, generator, or
            anything else.
        y: labels or source images of an array, or None.

    Returns:
        Pair of the batch and of what to go on with in place of `x`: a generator that
        yields what was taken from it again, or `x`. The batch is a pair of images and
        what stands beside them, of arrays all of them, of a data set its first; None
        where looking at the data would use them up.
    """
    if isinstance(x, np.ndarray) or ops.is_tensor(x):
        return (x, y), x
    taken: Any = ()
    if hasattr(x, "take"):  # a tf.data.Dataset
        taken = x.take(1)
    elif isinstance(x, (keras.utils.PyDataset, types.GeneratorType)):
        taken = itertools.islice(x, 1)
    for batch in taken:
        images, paired, _ = keras.utils.unpack_x_y_sample_weight(batch)
        restored = isinstance(x, types.GeneratorType)
        return (images, paired), _with_first(batch, x) if restored else x
    return None, x


def first_inputs(x: Any) -> tuple[tuple[Any, Any] | None, Any]:
    """`first_batch` of what is to be predicted, where labels stand in `x` itself."""
    batch, x = ((x, None), x) if isinstance(x, (tuple, list)) else first_batch(x)
    if batch is None:
        return None, x
    images, _ = batch
    pair = isinstance(images, (tuple, list))
    return ((*images, None)[:2] if pair else (images, None)), x


def labels_beside(x: Any, y: Any, weights: Any) -> Any:
    """What to give Keras as the labels of images that have none but are weighted.

    Keras passes weights on with labels only, and drops others without a word.

    Returns:
        `y`, or labels with nothing in them, which `unpack` takes for none.
    """
    has_rows = isinstance(x, np.ndarray) or ops.is_tensor(x)
    if y is not None or weights is None or not has_rows:
        return y
    return np.empty((x.shape[0], 0), "float32")


def _with_first(batch, generator):
    yield batch
    yield from generator


def one_in(
    n: int,
    first: Callable[..., Tensor],
    others: Callable[..., Tensor],
    *arguments: Tensor | None,
) -> Tensor:
    """Computes one function for the first row of each n, another for all others.

    Args:
        n: int of at least 2.
        first: function of tensors `(rows, …)` that returns one of `(rows, …)`.
        others: such a function of the same arguments.
        *arguments: tensors `(batch, …)`, or None, which stays None.

    Returns:
        Tensor `(batch, …)` of the results, in the order of the rows.
    """
    rows = ops.shape(arguments[0])[0]
    place = ops.arange(rows)
    chosen = place[::n]
    rest = ops.concatenate([place[offset::n] for offset in range(1, n)])
    # Of a single row there is no other; layers want one, whose result is not taken.
    filled = ops.concatenate([rest, ops.arange(1 // rows)])
    results = [
        function(*(None if x is None else ops.take(x, part, axis=0) for x in arguments))
        for function, part in ((first, chosen), (others, filled))
    ]
    back = ops.argsort(ops.concatenate([chosen, rest]))
    return ops.take(ops.concatenate(results), back, axis=0)


class Batch(NamedTuple):
    """The images of one replica's batch, and what belongs to each of them.

    Attributes:
        images: tensor of shape `(batch, r, r, c)`.
        places: int32 tensor `(batch,)`, indices in the batch of all replicas.
        data_shares: float32 tensor `(batch,)`, share of each image in the mean over the
            batch of all replicas: its weight over the sum of all weights.
        shares: the same of its negative, which has no weight.
        labels: int32 tensor `(batch,)`, or None.
        sources: tensor of source images `(batch, r, r, c)`, or None.
    """

    images: Tensor
    places: Tensor
    data_shares: Tensor
    shares: Tensor
    labels: Tensor | None = None
    sources: Tensor | None = None


def unpack(
    data: Any,
    image_shape: Sequence[int],
    num_classes: int | None,
    translates: bool,
    value_range: Range | None = None,
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """The images of a batch and what comes with them, while a step is traced.

    Args:
        data: images; or a pair of images and labels or source images; or a triple of
            these (None where there is nothing) and weights.
        image_shape: tuple of ints, shape of one image.
        num_classes: int, or None where there are no labels.
        translates: bool, whether chains start at source images.
        value_range: pair of floats, the range of the images; None for [-1, 1].

    Returns:
        Tuple of images in [-1, 1], labels, source images and weights, tensors or None.

    Raises:
        ValueError: if shapes or dtypes do not fit, or images are alone where they need
            a partner, or have one that the model cannot use.
    """
    images, paired, weights = keras.utils.unpack_x_y_sample_weight(data)
    if paired is not None and paired.shape[-1:] == (0,):
        paired = None
    check_image_shape(tuple(images.shape), image_shape)
    check_dtype(images.dtype, value_range)
    check_partner(paired, num_classes, translates)
    sources = labels = None
    if translates:
        check_image_shape(tuple(paired.shape), image_shape, "source images")
        check_dtype(paired.dtype, value_range, "source images")
        sources = rescaled(paired, value_range)
    elif num_classes is not None:
        labels = ops.cast(paired, "int32")
    if weights is not None:
        weights = ops.reshape(ops.cast(weights, "float32"), (-1,))
    return rescaled(images, value_range), labels, sources, weights


def check_partner(paired: Any, num_classes: int | None, translates: bool) -> None:
    """Checks that images come with what the model needs, and with nothing else.

    Raises:
        ValueError: if not.
    """
    partner = None
    if translates:
        partner = "source images"
    elif num_classes is not None:
        partner = f"labels of {num_classes} classes"
    if paired is None and partner is not None:
        raise ValueError(
            f"Expected pairs of images and {partner}, received images only."
        )
    if paired is not None and partner is None:
        raise ValueError(
            "Expected images only, as this model has no classes, received pairs: "
            "make the network with num_classes=..., or leave the labels out, for "
            "example by dataset.map(lambda image, label: image)."
        )
