"""What Keras does not cover, per backend, under the same names: see `__all__`.

Nothing else that a training needs imports TensorFlow or JAX; `datasets.pipeline` and
`serving` are TensorFlow's in any case.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from keras_cfebm.backend.tensorflow_backend import (
        compiled,
        conv,
        fused,
        global_norm,
        gradients,
        portable,
        step_function,
        sum_over_replicas,
        traced_once,
        value_and_input_gradient,
    )
    from keras_cfebm.backend.tensorflow_distribution import (
        as_logs,
        is_chief,
        replica,
        replicas,
        scope,
        strategy,
    )
    from keras_cfebm.backend.tensorflow_parts import (
        in_parallel,
        places,
        sum_over_parts,
    )
elif keras.backend.backend() == "jax":
    from keras_cfebm.backend.jax_backend import (
        as_logs,
        compiled,
        fused,
        global_norm,
        gradients,
        in_parallel,
        is_chief,
        places,
        portable,
        replica,
        replicas,
        scope,
        step_function,
        strategy,
        sum_over_parts,
        sum_over_replicas,
        traced_once,
        value_and_input_gradient,
    )
    from keras_cfebm.backend.jax_convolution import conv
else:
    raise ImportError(
        "Expected the Keras backend 'tensorflow' or 'jax', received "
        f"{keras.backend.backend()!r}: set the environment variable KERAS_BACKEND."
    )

__all__ = [
    "as_logs",
    "compiled",
    "conv",
    "fused",
    "global_norm",
    "gradients",
    "in_parallel",
    "is_chief",
    "places",
    "portable",
    "replica",
    "replicas",
    "scope",
    "step_function",
    "strategy",
    "sum_over_parts",
    "sum_over_replicas",
    "traced_once",
    "value_and_input_gradient",
]
