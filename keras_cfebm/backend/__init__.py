"""What Keras does not cover, per backend, under the same names: see `__all__`.

Nothing else that a training needs imports TensorFlow or JAX; `datasets.tf_data` and
`datasets.unpaired`, `export` and `serving` are TensorFlow's in any case.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from keras_cfebm.backend.tensorflow_backend import (
        TrainStep,
        compiled,
        conv,
        fused,
        portable,
        traced_once,
        value_and_input_gradient,
    )
    from keras_cfebm.backend.tensorflow_distribution import (
        is_chief,
        replica,
        replicas,
        scope,
        strategy,
    )
elif keras.backend.backend() == "jax":
    from keras_cfebm.backend.jax_backend import (
        TrainStep,
        compiled,
        fused,
        is_chief,
        portable,
        replica,
        replicas,
        scope,
        strategy,
        traced_once,
        value_and_input_gradient,
    )
    from keras_cfebm.backend.jax_convolution import conv
else:
    raise ImportError(
        "keras_cfebm runs on the Keras backends 'tensorflow' and 'jax'. Received: "
        f"{keras.backend.backend()!r}; set the environment variable KERAS_BACKEND."
    )

__all__ = [
    "TrainStep",
    "compiled",
    "conv",
    "fused",
    "is_chief",
    "portable",
    "replica",
    "replicas",
    "scope",
    "strategy",
    "traced_once",
    "value_and_input_gradient",
]
