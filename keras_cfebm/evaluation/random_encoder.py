"""An encoder for images of any kind: filters drawn at random, no training, no download.

Averages over random filters know colours, contrast and texture at three scales. That
ranks samples of one model and its controls; it knows nothing of what images show, and
its distances compare with nothing published.
"""

import numpy as np
from keras import ops

from keras_cfebm.evaluation.encoders import Encoder, Expects, weights_hash
from keras_cfebm.layers import mean_pool

_FILTERS, _SCALES = 24, 3


def random_encoder(channels: int) -> Encoder:
    """The encoder of random filters, the same each time.

    Args:
        channels: int, of the images, 1 or 3.

    Returns:
        `Encoder` of images of any square size from 8 pixels to 72 features.

    Example:

    ```python
    features = random_encoder(channels=1)(images)  # (n, 8, 8, 1) -> (n, 72)
    ```
    """
    rng = np.random.default_rng(0)
    kernels, inputs = [], channels
    for _ in range(_SCALES):
        deviation = np.sqrt(2 / (9 * inputs))
        kernels.append(rng.normal(0, deviation, (3, 3, inputs, _FILTERS)))
        inputs = _FILTERS
    kernels = [kernel.astype("float32") for kernel in kernels]

    def features(images):
        x, means = ops.convert_to_tensor(images), []
        for kernel in kernels:
            x = ops.abs(
                ops.conv(x, kernel, padding="same", data_format="channels_last")
            )
            means.append(ops.mean(x, axis=(1, 2)))
            x = mean_pool(x)
        return ops.convert_to_numpy(ops.concatenate(means, axis=-1))

    return Encoder(
        name=f"random-filters-{channels}",
        function=features,
        hash=weights_hash(kernels),
        preprocessing="none",
        expects=Expects(None, (channels,)),
    )
