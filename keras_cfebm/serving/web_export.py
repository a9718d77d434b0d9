"""A model for the browser: weights and JavaScript that samples as Python does."""

import dataclasses
import json
import math
import pathlib
import re
import shutil
from typing import Any

import numpy as np
from keras import ops

from keras_cfebm.datasets.pixels import to_uint8
from keras_cfebm.ladder import EnergyLadder
from keras_cfebm.layers.convolution import gain
from keras_cfebm.sampling import Langevin
from keras_cfebm.serving.web_runtime import write_runtime
from keras_cfebm.tasks import LadderDetector
from keras_cfebm.tasks.restoration import DENOISING, LADDER_INPAINTING
from keras_cfebm.tasks.translation import single_settings
from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.half_floats import halved
from keras_cfebm.utils.paths import user_path
from keras_cfebm.utils.typing import PathLike
from keras_cfebm.utils.validation import check_images

#: Our JavaScript modules.
PAGE = pathlib.Path(__file__).with_name("web")
#: Images, at most, that a page offers to begin with.
EXAMPLES = 12


def export_web(
    model: EnergyLadder,
    path: PathLike,
    name: str = "model",
    *,
    detector: LadderDetector | None = None,
    examples: np.ndarray | None = None,
    runtime: str | None = None,
) -> str:
    """Writes a web page that runs the model in the reader's browser.

    A static file server is all that it needs: in the folder are the page, our
    JavaScript modules, TensorFlow.js and the weights, as float16 where that is exact,
    else as float32. So image i of seed s is that of `model.generate`, to about 1e-3.

    A folder may hold several models, named in `models.json`. A model of a name
    that is there already is replaced.

    Args:
        model: `EnergyLadder` or `CFEBM`.
        path: folder to write, or an earlier export to add to.
        name: str, what the page calls the model: letters, digits, `-`, `_`, `.`.
        detector: fitted `LadderDetector` of the model's `sampling_ladder`, whose score
            the page shows; None for `model.detector`, if it has one.
        examples: float array of shape `(n, resolution, resolution, channels)` in
            [-1, 1], images that the page offers to begin with, of which 12 at most are
            taken; None for none.
        runtime: str, a folder or an address that has TensorFlow.js; None to ask npm, or
            to keep what is there. See `web_runtime.write_runtime`.

    Returns:
        Path of the folder, str.

    Raises:
        ValueError: if an argument does not fit, β of a network has not reached 1, or
            TensorFlow.js cannot be had or is not what was expected.
        OSError: if something cannot be fetched or written.
    """
    if not re.fullmatch(r"[\w.-]+", name):
        raise ValueError(
            f"Expected name of letters, digits, '-', '_' and '.', received {name!r}."
        )
    if detector is None:
        detector = model.detector
    buffer = bytearray()
    description = _described(model, detector, examples, _Numbers(buffer).put)
    folder = user_path(path)
    (folder / "models").mkdir(parents=True, exist_ok=True)
    if runtime is not None or not (folder / "runtime").is_dir():
        shutil.rmtree(folder / "runtime", ignore_errors=True)
        with atomic_files.new_folder(folder / "runtime") as fetched:
            write_runtime(fetched, runtime)
    with atomic_files.replacing(folder / "models" / f"{name}.bin") as file:
        file.write_bytes(buffer)
    atomic_files.write_text(
        folder / "models" / f"{name}.json", json.dumps(description, ensure_ascii=False)
    )
    names = sorted(file.stem for file in (folder / "models").glob("*.bin"))
    atomic_files.write_text(folder / "models.json", json.dumps(names))
    for file in PAGE.iterdir():
        shutil.copyfile(file, folder / file.name)
    return str(folder)


class _Numbers:
    """Appends arrays to a buffer; of each, JSON keeps where it is."""

    def __init__(self, buffer: bytearray):
        self.buffer = buffer

    def put(self, array: Any, scale: float = 1.0) -> dict[str, Any]:
        """The entry of an array, which stands for `scale` · its numbers."""
        array = np.asarray(array)
        if array.dtype != np.uint8:
            array = halved(array.astype("float32"))
        self.buffer.extend(bytes(-len(self.buffer) % 4))
        offset = len(self.buffer)
        self.buffer.extend(np.ascontiguousarray(array).tobytes())
        return {
            "dtype": str(array.dtype),
            "shape": list(array.shape),
            "offset": offset,
            "scale": scale,
        }


def _described(model, detector, examples, put):
    """What the page is told of a model; arrays go to `put`."""
    from_source = model.chain_start == "source"
    finest = single_settings(model, DENOISING)
    tasks = {"image": finest, "inpaint": model.adapted(LADDER_INPAINTING)}
    if from_source:
        tasks.pop("inpaint")
    else:
        tasks["noise"] = model.langevin
    height, _, channels = model.image_shape
    if examples is not None:
        examples = check_images(examples[:EXAMPLES], model.image_shape, "examples")
        examples = put(to_uint8(examples))
    return {
        "resolution": height,
        "channels": channels,
        "translates": from_source,
        "class_names": _class_names(model),
        "tasks": {task: _settings(settings) for task, settings in tasks.items()},
        "levels": [_level(network, put) for network in model.sampling_ladder],
        "detector": None if detector is None else _detector(detector, put),
        "examples": examples,
    }


def _settings(settings: Langevin) -> dict[str, Any]:
    return dataclasses.asdict(settings)


def _class_names(model):
    if model.num_classes is None:
        return None
    return list(model.class_names or map(str, range(model.num_classes)))


def _level(network, put):
    """One network, its kernels bound: a chain of convolutions."""
    if network.fading:
        network = network.without_fade()
    head = network.head
    linear_scale = gain(head.width) if head.equalized else 1.0
    primal, *rest = network.blocks
    return {
        "resolution": network.resolution,
        "channels": network.channels,
        "activation": network.activation,
        "blocks": [
            _block(primal.residual, map(_affine(put), primal.input_affines()), put),
            *(_block(block, _inputs(block, put), put) for block in rest),
        ],
        "head": {
            "conv": _convolution(head.conv, put),
            "to_vector": _convolution(head.to_vector, put),
            "linear": {
                "kernel": put(head.linear.kernel, linear_scale),
                "bias": put(head.linear.bias),
            },
            "embedding": None
            if network.num_classes is None
            else put(head.embedding.embeddings),
        },
    }


def _block(residual, inputs, put):
    conv1, skip = inputs
    return {"conv1": conv1, "skip": skip, "conv2": _convolution(residual.conv2, put)}


def _inputs(block, put):
    scale = gain(block.skip.kernel.shape[-2]) if block.equalized else 1.0
    kernel, bias = block.skip.kernel, block.skip.bias
    skip = {"kernel": put(kernel, scale), "bias": put(bias)}
    return _convolution(block.conv1, put), skip


def _affine(put):
    return lambda affine: dict(zip(("kernel", "bias"), map(put, affine), strict=True))


def _convolution(layer, put):
    """The kernel as it is stored, and what spectral normalisation scales it by."""
    kernel = np.asarray(layer.kernel, "float64")
    scaled = ops.convert_to_numpy(layer.normalized_kernel()).astype("float64")
    scale = np.linalg.norm(scaled) / max(np.linalg.norm(kernel), np.finfo("f4").tiny)
    return {"kernel": put(layer.kernel, float(scale)), "bias": put(layer.bias)}


def _detector(detector, put):
    state = detector.state()
    weights = detector.normality.weights
    threshold = state["threshold"]
    return {
        "threshold": None if threshold == math.inf else threshold,
        "settings": _settings(detector.settings),
        "normality": {w.name: put(w) for w in weights},
    }
