"""What `fit` is given: its first batch, and the parts of a batch."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_image_shape


def first_batch(x: Any, y: Any = None) -> tuple[Any, Any] | None:
    """Images and what is paired with them, for a check before anything is compiled.

    Args:
        x: array, `tf.data.Dataset`, `keras.utils.PyDataset`, or anything else.
        y: labels or source images of an array, or None.

    Returns:
        Pair of arrays: of an array all of it, of a data set its first batch; None where
        looking at the data would use them up.
    """
    if isinstance(x, np.ndarray):
        return x, y
    if hasattr(x, "take"):  # a tf.data.Dataset
        batches = iter(x.take(1))
    elif isinstance(x, keras.utils.PyDataset):
        batches = itertools.islice(x, 1)
    else:
        return None
    for batch in batches:
        images, paired, _ = keras.utils.unpack_x_y_sample_weight(batch)
        return images, paired
    return None


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
    data: Any, image_shape: Sequence[int], num_classes: int | None, translates: bool
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """The images of a batch and what comes with them, while a step is traced.

    Args:
        data: images; or a pair of images and labels or source images; or a triple of
            these (None where there is nothing) and weights.
        image_shape: tuple of ints, shape of one image.
        num_classes: int, or None where there are no labels.
        translates: bool, whether chains start at source images.

    Returns:
        Tuple of images, labels, source images and weights, tensors or None.

    Raises:
        ValueError: if shapes or dtypes do not fit, or images are alone where they need
            a partner, or have one that the model cannot use.
    """
    images, paired, weights = keras.utils.unpack_x_y_sample_weight(data)
    check_image_shape(tuple(images.shape), image_shape)
    dtype = keras.backend.standardize_dtype(images.dtype)
    if "float" not in dtype:
        raise ValueError(f"Expected images as floats in [-1, 1], received {dtype}.")
    check_partner(paired, num_classes, translates)
    sources = labels = None
    if translates:
        check_image_shape(tuple(paired.shape), image_shape, "source images")
        sources = paired
    elif num_classes is not None:
        labels = ops.cast(paired, "int32")
    if weights is not None:
        weights = ops.reshape(ops.cast(weights, "float32"), (-1,))
    return images, labels, sources, weights


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
