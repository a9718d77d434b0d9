"""What a model is given: images of a declared range, labels by number or by name."""

import functools
from typing import Any

import keras
import numpy as np

from keras_cfebm.utils.labels import class_index, named_labels
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


def numbered_batches(model: keras.Model, x: Any) -> Any:
    """A data set of images and class names with numbers in place of the names.

    Args:
        model: `EnergyLadder`.
        x: `tf.data.Dataset`, or anything else, which is returned as it is.

    Raises:
        ValueError: if the model's classes have no names.
    """
    spec = getattr(x, "element_spec", None)
    labels = spec[1] if isinstance(spec, tuple) and len(spec) > 1 else None
    if model.num_classes is None or getattr(labels, "dtype", None) != "string":
        return x
    if model.class_names is None:
        raise ValueError(
            "Expected a data set of numbers as labels: the model has no class_names, "
            "received one of text."
        )
    number = keras.layers.StringLookup(
        vocabulary=list(model.class_names), num_oov_indices=0
    )
    return x.map(lambda images, names, *rest: (images, number(names), *rest))


def numbered_options(model: keras.Model, options: dict[str, Any]) -> dict[str, Any]:
    """Further arguments of `fit`, with numbers where they name classes.

    Args:
        model: `EnergyLadder`.
        options: dict, of which `validation_data` and `class_weight` may name classes.

    Raises:
        ValueError: if a name is of no class.
    """
    options = dict(options)
    validation, weights = map(options.get, ("validation_data", "class_weight"))
    if isinstance(validation, (tuple, list)) and len(validation) > 1:
        x, y, *rest = validation
        options["validation_data"] = (x, numbered(model, y), *rest)
    elif validation is not None:
        options["validation_data"] = numbered_batches(model, validation)
    if weights is not None and model.num_classes is not None:
        options["class_weight"] = {
            class_index(label, model.class_names, model.num_classes): weight
            for label, weight in weights.items()
        }
    return options


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
