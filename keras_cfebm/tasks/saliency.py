"""Why an energy is what it is: gradient maps of single images, by tf-keras-vis.

They show which pixels an energy depends on. (Where a *chain* changes an image is its
generative saliency, which the tasks return with `saliency=True`.) Maps are not scaled:
`keras_cfebm.visualization.saliency_overlay` does that.
"""

import importlib
import os
import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_cfebm.backend import random
from keras_cfebm.sampling import bind
from keras_cfebm.tasks.batches import (
    SMOOTHING,
    check_energy_inputs,
    run_batches,
    stream_keys,
)
from keras_cfebm.utils.validation import check_count, check_number


def input_gradient(
    energy: Any, images: np.ndarray, labels: Any = None, batch_size: int = 64
) -> np.ndarray:
    """Input-gradient saliency |∂E/∂x|, the largest over channels.

    Args:
        energy: `EnergyNetwork`, or any function of images that returns energies.
        images: float array of shape `(n, h, w, c)` in [-1, 1].
        labels: of a conditional energy, an int or an integer array `(n,)`.
        batch_size: int, images at a time; it bounds the memory.

    Returns:
        Non-negative float32 NumPy array of shape `(n, h, w)`.

    Raises:
        ValueError: if images or labels do not fit the energy.

    Reference:
        Simonyan, Vedaldi and Zisserman, *Deep inside convolutional networks*, 2014.
    """
    arrays = check_energy_inputs(energy, images, labels)
    return run_batches(_saliency(energy), arrays, batch_size)


def smooth_grad(
    energy: Any,
    images: np.ndarray,
    labels: Any = None,
    batch_size: int = 64,
    *,
    samples: int = 20,
    noise: float = 0.2,
    seed: int = 0,
    start: int = 0,
) -> np.ndarray:
    """SmoothGrad: `input_gradient` averaged over noisy copies of the image.

    tf-keras-vis draws that noise from NumPy's global state; here each image has its
    own stream, so its map depends neither on that nor on the images beside it.

    Args:
        energy: see `input_gradient`.
        images: float array of shape `(n, h, w, c)` in [-1, 1].
        labels: of a conditional energy, an int or an integer array `(n,)`.
        batch_size: int, images at a time.
        samples: int, noisy copies of each image.
        noise: float of at least 0, standard deviation of the noise as a share of the
            image's range, max − min.
        seed: int, the stream of images.
        start: int, index in the stream of the first image.

    Returns:
        Non-negative float32 NumPy array of shape `(n, h, w)`.

    Raises:
        ValueError: if images or labels do not fit the energy or a number is out of
            range.

    Reference:
        Smilkov et al., *SmoothGrad: removing noise by adding noise*, 2017.
    """
    images, labels = check_energy_inputs(energy, images, labels)
    check_count(samples, "samples")
    check_number(noise, "noise", "[0, inf)")
    saliency = _saliency(energy)

    def function(x, keys, labels):
        axes = (1, 2, 3)
        spread = ops.max(x, axes, keepdims=True) - ops.min(x, axes, keepdims=True)
        total = 0.0
        for sample in range(samples):
            copy_keys = random.fold_in(keys, sample, SMOOTHING)
            copies = x + noise * spread * random.normal(copy_keys, tuple(x.shape[1:]))
            total = total + saliency(copies, labels)
        return total / samples

    keys = stream_keys(seed, len(images), start)
    return run_batches(function, (images, keys, labels), batch_size)


def grad_cam(
    network: Any,
    images: np.ndarray,
    labels: Any = None,
    batch_size: int = 64,
    *,
    layer: str | None = None,
    toward: str = "unlikely",
) -> np.ndarray:
    """Grad-CAM: where the features of a layer raise, or lower, the energy.

    Args:
        network: `EnergyNetwork`.
        images: float array of shape `(n, h, w, c)` in [-1, 1].
        labels: of a network with classes, an int or an integer array `(n,)`.
        batch_size: int, images at a time.
        layer: name of one of `network.blocks`; None for the outermost, whose features
            have half the side of the image. Maps are enlarged bilinearly.
        toward: `"unlikely"` marks what raises the energy, `"likely"` what lowers it.

    Returns:
        Non-negative float32 NumPy array of shape `(n, h, w)`.

    Raises:
        ValueError: if images or labels do not fit the network, or `layer` or `toward`
            is unknown.

    Reference:
        Selvaraju et al., *Grad-CAM*, ICCV 2017.
    """
    images, labels = check_energy_inputs(network, images, labels)
    names = [block.name for block in network.blocks]
    layer = names[0] if layer is None else layer
    if layer not in names:
        raise ValueError(f"Expected layer, one of {names}, received {layer!r}.")
    if toward not in ("unlikely", "likely"):
        raise ValueError(
            f"Expected toward to be 'unlikely' or 'likely', received {toward!r}."
        )
    sign = 1.0 if toward == "unlikely" else -1.0
    gradcam = _visualization("gradcam").Gradcam(network, clone=False)

    def function(x, labels):
        maps = gradcam(
            lambda energies: sign * energies,
            [x] if labels is None else [x, labels],
            penultimate_layer=layer,
            seek_penultimate_conv_layer=False,
            expand_cam=False,
            normalize_cam=False,
        )
        maps = ops.cast(maps, "float32")[..., None]
        return ops.image.resize(maps, tuple(x.shape[1:3]))[..., 0]

    return run_batches(function, (images, labels), batch_size)


def _saliency(energy):
    """The function `(images, labels) -> maps` of tf-keras-vis' Saliency.

    The score that it differentiates is a function of a model's outputs. Here the model
    hands images through, and the score is the energy with its labels bound.
    """
    module = _visualization("saliency")

    def function(x, labels):
        images = keras.Input(x.shape[1:])
        saliency = module.Saliency(keras.Model([images], images), clone=False)
        return saliency(bind(energy, labels), x, normalize_map=False)

    return function


def _visualization(name):
    """Imports a module of tf-keras-vis, which only these functions need.

    The import may change KERAS_BACKEND, which child processes would inherit.
    """
    if keras.backend.backend() != "tensorflow":
        raise ImportError(
            "Expected the Keras backend 'tensorflow' for tf-keras-vis, which makes "
            f"these maps, received {keras.backend.backend()!r}. The environment "
            "variable KERAS_BACKEND sets it."
        )
    backend = os.environ.get("KERAS_BACKEND")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return importlib.import_module(f"tf_keras_vis.{name}")
    finally:
        if backend is None:
            os.environ.pop("KERAS_BACKEND", None)
        else:
            os.environ["KERAS_BACKEND"] = backend
