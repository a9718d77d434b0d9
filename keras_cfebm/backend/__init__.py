"""What Keras does not cover, per backend, under the same names: see `__all__`.

Nothing else that a training needs imports TensorFlow, JAX or PyTorch;
`datasets.pipeline` and `serving` are TensorFlow's in any case.
"""

import keras

_NAME = keras.backend.backend()

if _NAME == "tensorflow":
    from keras_cfebm.backend.channels_last import average_pool, conv
    from keras_cfebm.backend.tensorflow_backend import (
        compiled,
        fused,
        global_norm,
        gradients,
        portable,
        step_function,
        sum_over_replicas,
        threefry2x32,
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
elif _NAME in ("jax", "torch"):
    from keras_cfebm.backend.single_replica import (
        as_logs,
        fused,
        global_norm,
        in_parallel,
        is_chief,
        places,
        portable,
        replica,
        replicas,
        scope,
        strategy,
        sum_over_replicas,
    )

    if _NAME == "jax":
        from keras_cfebm.backend.channels_last import average_pool
        from keras_cfebm.backend.jax_backend import (
            compiled,
            gradients,
            step_function,
            sum_over_parts,
            threefry2x32,
            traced_once,
            value_and_input_gradient,
        )
        from keras_cfebm.backend.jax_convolution import conv
    else:
        from keras_cfebm.backend.torch_backend import (
            compiled,
            gradients,
            step_function,
            sum_over_parts,
            threefry2x32,
            traced_once,
            value_and_input_gradient,
        )
        from keras_cfebm.backend.torch_ops import average_pool, conv
else:
    raise ImportError(
        "Expected the Keras backend 'tensorflow', 'jax' or 'torch', received "
        f"{_NAME!r}: set the environment variable KERAS_BACKEND."
    )

__all__ = [
    "as_logs",
    "average_pool",
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
    "threefry2x32",
    "traced_once",
    "value_and_input_gradient",
]
