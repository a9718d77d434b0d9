"""What `fit` is given: its first batch, and the parts of a batch."""

import itertools
from collections.abc import Sequence
from typing import Any

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


def unpack(
    data: Any, image_shape: Sequence[int], num_classes: int | None, translates: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The images, labels or None, and source images or None of a batch.

    Args:
        data: images, or a pair of images and labels or source images.
        image_shape: tuple of ints, shape of one image.
        num_classes: int, or None where there are no labels.
        translates: bool, whether chains start at source images.

    Returns:
        Tuple of tensors or None.

    Raises:
        ValueError: if shapes or dtypes do not fit, or images are alone where they need
            a partner; raised while the step is traced.
    """
    images, paired, _ = keras.utils.unpack_x_y_sample_weight(data)
    check_image_shape(tuple(images.shape), image_shape)
    dtype = keras.backend.standardize_dtype(images.dtype)
    if "float" not in dtype:
        raise ValueError(f"Expected images as floats in [-1, 1], received {dtype}.")
    if paired is None and (translates or num_classes is not None):
        partner = "source images" if translates else f"labels of {num_classes} classes"
        raise ValueError(
            f"Expected pairs of images and {partner}, received images only."
        )
    if translates:
        check_image_shape(tuple(paired.shape), image_shape, "source images")
        return images, None, paired
    labels = None if num_classes is None else ops.cast(paired, "int32")
    return images, labels, None
