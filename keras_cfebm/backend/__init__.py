"""What Keras does not cover, per backend: the only importer of TensorFlow or JAX.

Exports `value_and_input_gradient(energy, x)`, `compiled(function)`,
`fused(function)`, `portable()`, `replica()` and the
`TrainStep` mixin of the active Keras backend.
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
    from keras_cfebm.backend.tensorflow_strategies import (
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
