"""Short names in the graphs of shipped SavedModels: two fifths of the bytes less.

    python -m keras_cfebm.serving.compact_graph saved_models/*/serving/1

A third of a `saved_model.pb` are names of operations, and a tenth shapes that
TensorFlow infers again. What is computed stays, but for rounding: TensorFlow orders
some sums by name. Signatures keep the names of their inputs and outputs.
"""

import itertools
import pathlib
from collections.abc import Container
from typing import Any

from absl import app
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.paths import user_path
from keras_cfebm.utils.typing import PathLike

_COLOCATED = b"loc:@"


def compact(folder: PathLike) -> int:
    """Gives the operations of a SavedModel short names and leaves out known shapes.

    Args:
        folder: str or path-like, with a `saved_model.pb`.

    Returns:
        int, by how many bytes the file has become smaller; 0 the second time.
    """
    path = pathlib.Path(user_path(folder)) / "saved_model.pb"
    content = path.read_bytes()
    model = SavedModel.FromString(content)
    for graph in model.meta_graphs:
        for function in graph.graph_def.library.function:
            _shorten(function)
    smaller = model.SerializeToString(deterministic=True)
    with atomic_files.replacing(path) as draft:
        draft.write_bytes(smaller)
    # A hash of the graph as it was; TensorFlow does without.
    (path.parent / "fingerprint.pb").unlink(missing_ok=True)
    return len(content) - len(smaller)


def _shorten(function: Any) -> None:
    """Renames the operations of a function, in place, and whatever refers to them."""
    taken = {argument.name for argument in function.signature.input_arg}
    names = _short_names([node.name for node in function.node_def], taken)

    def renamed(reference: str) -> str:  # "operation:output:0", "^operation", "input"
        control = reference[: reference.startswith("^")]
        name, *output = reference.removeprefix(control).split(":")
        return control + ":".join([names.get(name, name), *output])

    for node in function.node_def:
        node.name = names[node.name]
        node.input[:] = map(renamed, node.input)
        node.ClearField("experimental_debug_info")
        node.attr.pop("_output_shapes", None)
        if "_class" in node.attr:
            places = node.attr["_class"].list
            places.s[:] = [
                _COLOCATED + renamed(place.removeprefix(_COLOCATED).decode()).encode()
                for place in places.s
            ]
    for results in (function.ret, function.control_ret):
        for name, reference in list(results.items()):
            results[name] = renamed(reference)


def _short_names(names: list[str], taken: Container[str]) -> dict[str, str]:
    free = (name for i in itertools.count() if (name := f"o{i}") not in taken)
    return dict(zip(names, free, strict=False))


def main(argv: list[str]) -> None:
    """Compacts the SavedModels of some folders."""
    for folder in argv[1:]:
        print(f"{folder}: {compact(folder):,} bytes smaller")


if __name__ == "__main__":
    app.run(main)
