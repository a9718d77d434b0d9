"""What Keras does not cover, per backend: the only importer of TensorFlow or JAX.

Exports `value_and_input_gradient(energy, x)`, `compiled(function)`,
`fused(function)`, `replica()` and the
`TrainStep` mixin of the active Keras backend.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from keras_cfebm.backend.tensorflow_backend import (
        TrainStep,
        compiled,
        fused,
        replica,
        traced_once,
        value_and_input_gradient,
    )
else:
    raise ImportError(
        "keras_cfebm runs on the Keras backend 'tensorflow'. Received: "
        f"{keras.backend.backend()!r}; set the environment variable KERAS_BACKEND."
    )

__all__ = [
    "TrainStep",
    "compiled",
    "fused",
    "replica",
    "traced_once",
    "value_and_input_gradient",
]
