"""What a model is given: images of a declared range, labels by number or by name."""

import functools
from typing import Any

import keras
import numpy as np

from keras_cfebm.utils.labels import named_labels
from keras_cfebm.utils.validation import check_labels
from keras_cfebm.utils.value_range import check_inputs


def numbered(model: keras.Model, labels: Any) -> Any:
    """Labels, names of classes among them replaced by their numbers.

    Args:
        model: `EnergyLadder`.
        labels: array or list of `fit`, `predict` or `evaluate`, or anything else, which
            is returned as it is.

    Raises:
        ValueError: if a name is of no class.
    """
    if model.num_classes is None or not isinstance(labels, (np.ndarray, list)):
        return labels
    return named_labels(labels, model.class_names, model.num_classes)


def check_arrays(
    model: keras.Model, images: Any, paired: Any = None, once: bool = True
) -> None:
    """Checks images and what stands beside them: labels, or source images.

    Args:
        model: `EnergyLadder`.
        images: array or tensor of shape `(n, resolution, resolution, channels)`.
        paired: integers of shape `(n,)`, or images; None where nothing is.
        once: bool, whether a warning is given once per process.

    Raises:
        ValueError: if they do not fit the network, or hold NaN.
    """
    check = functools.partial(
        check_inputs, image_shape=model.image_shape, value_range=model.value_range
    )
    images = check(images, once=once)
    if model.num_classes is not None:
        check_labels(paired, len(images), model.num_classes)
    elif model.chain_start == "source" and paired is not None:
        # They may be noisy, where the model is to remove noise.
        check(paired, name="source images", noisy=True)
