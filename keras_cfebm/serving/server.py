"""Servable: a SavedModel that answers predict requests; plain TensorFlow."""

import dataclasses
import itertools
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_cfebm.utils.typing import PathLike

#: Names of the status codes that TensorFlow and gRPC have in common.
_CODES = {
    number: name
    for name, number in vars(tf.errors).items()
    if name.isupper() and isinstance(number, int)
}
#: Numbers of the queues of this process.
_QUEUES = itertools.count()


class ServingError(Exception):
    """A request that cannot be answered.

    Args:
        code: str, name of a gRPC status code such as `"INVALID_ARGUMENT"`.
        message: str.
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


@dataclasses.dataclass(frozen=True)
class Batching:
    """Merges the rows of requests that come together, by TensorFlow's own scheduler.

    It is the one of TensorFlow Serving; there these values are the lines of the file of
    `--batching_parameters_file`.

    Args:
        max_batch_size: int, rows that are worked on together.
        batch_timeout_micros: int, microseconds that the first of them waits for more.
        num_batch_threads: int, batches worked on at a time.
        max_enqueued_batches: int, batches that may wait; beyond, requests are refused.
    """

    max_batch_size: int = 64
    batch_timeout_micros: int = 5000
    num_batch_threads: int = 2
    max_enqueued_batches: int = 100


class Servable:
    """The newest version of a SavedModel.

    Args:
        path: folder that holds the versions, `1/`, `2/`, …
        name: str, name in requests; None for the folder's.
        batching: `Batching`, or None to run each request by itself.

    Raises:
        FileNotFoundError: if there is no version.
    """

    def __init__(
        self, path: PathLike, name: str | None = None, batching: Batching | None = None
    ):
        path = pathlib.Path(path)
        found = list(path.iterdir()) if path.is_dir() else []
        versions = [int(p.name) for p in found if p.name.isdecimal()]
        if not versions:
            raise FileNotFoundError(
                f"Expected versions of a SavedModel in {path}, such as {path / '1'}."
            )
        self.name = name or path.resolve().name
        self.version = max(versions)
        self._loaded = tf.saved_model.load(str(path / str(self.version)))
        self._specs, self._functions = {}, {}
        for signature, function in self._loaded.signatures.items():
            _, specs = function.structured_input_signature
            self._specs[signature] = specs
            self._functions[signature] = (
                function if batching is None else _batched(function, specs, batching)
            )

    def check(self, name: str, version: int | None = None) -> None:
        """Raises `ServingError` unless this is the model and version asked for."""
        if name != self.name or version not in (None, self.version):
            asked = name if version is None else f"{name}, version {version}"
            raise ServingError(
                "NOT_FOUND",
                f"Expected {self.name}, version {self.version}. Received: {asked}",
            )

    def inputs(self, signature: str) -> dict[str, tf.TensorSpec]:
        """The inputs of a signature; `ServingError` if there is no such."""
        if signature not in self._specs:
            raise ServingError(
                "INVALID_ARGUMENT",
                f"Expected a signature, one of {sorted(self._specs)}. "
                f"Received: {signature!r}",
            )
        return self._specs[signature]

    def predict(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Answers one request.

        Args:
            signature: str.
            inputs: dict of name → array.

        Returns:
            Dict of name → NumPy array.

        Raises:
            ServingError: if the request does not fit, or the model refuses it.
        """
        specs = self.inputs(signature)
        if set(inputs) != set(specs):
            raise ServingError(
                "INVALID_ARGUMENT",
                f"Expected the inputs {sorted(specs)}. Received: {sorted(inputs)}",
            )
        tensors = {name: _tensor(inputs[name], specs[name]) for name in specs}
        try:
            outputs = self._functions[signature](**tensors)
        except tf.errors.OpError as error:
            code = _CODES.get(error.error_code, "UNKNOWN")
            raise ServingError(code, error.message) from error
        return {name: output.numpy() for name, output in outputs.items()}


def _tensor(value, spec):
    wanted = np.dtype(spec.dtype.as_numpy_dtype)
    is_text = spec.dtype == tf.string
    expected = f"Expected {spec.name} as {spec.dtype.name}, {len(spec.shape)} axes"
    try:
        # NumPy's own type of bytes would drop zeros at their end.
        array = np.asarray(value, dtype=object if is_text else None)
    except ValueError as error:  # ragged lists
        raise ServingError("INVALID_ARGUMENT", f"{expected}. {error}") from error
    kinds = {"f": "fiu", "i": "iu", "b": "b", "O": "O"}[wanted.kind]
    fits = array.dtype.kind in kinds and array.ndim == len(spec.shape)
    if fits and is_text:
        fits = all(isinstance(item, bytes | str) for item in array.flat)
    if fits and wanted.kind == "i" and array.size:
        limits = np.iinfo(wanted)
        fits = limits.min <= array.min() and array.max() <= limits.max
    if not fits:
        raise ServingError(
            "INVALID_ARGUMENT",
            f"{expected}. Received: {array.dtype} of shape {array.shape}",
        )
    return tf.constant(array.astype(wanted), spec.dtype)


def _batched(function, specs, batching):
    names = list(specs)
    # TensorFlow names the queue after the scope: with one name for all functions it
    # would merge their requests and run one function on them all.
    scope = f"queue_{next(_QUEUES)}"

    @tf.nondifferentiable_batch_function(
        num_batch_threads=batching.num_batch_threads,
        max_batch_size=batching.max_batch_size,
        batch_timeout_micros=batching.batch_timeout_micros,
        max_enqueued_batches=batching.max_enqueued_batches,
    )
    def run(*tensors):
        return function(**dict(zip(names, tensors, strict=True)))

    @tf.function(input_signature=list(specs.values()), autograph=False)
    def call(*tensors):
        with tf.name_scope(scope):
            return run(*tensors)

    return lambda **tensors: call(*(tensors[name] for name in names))
