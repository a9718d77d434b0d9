"""Writes a model's signatures as one version of a SavedModel."""

import json
import math
import pathlib
import re
from collections.abc import Collection

import tensorflow as tf

from keras_cfebm import backend
from keras_cfebm.model import CFEBM
from keras_cfebm.serving import image_files, warmup
from keras_cfebm.serving.request_checks import RANGES, Limits
from keras_cfebm.serving.signatures import Signatures
from keras_cfebm.tasks import AnomalyDetector, LadderDetector
from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.progress import progress_bar
from keras_cfebm.utils.typing import PathLike
from keras_cfebm.utils.validation import check_count

#: What a client may want to know of the model, see `_metadata`.
METADATA = warmup.PATH.with_name("metadata.json")
_VERSION = re.compile("0|[1-9][0-9]{0,17}")


def write(
    model: CFEBM,
    path: PathLike,
    version: int | None,
    detector: AnomalyDetector | LadderDetector | None,
    limits: Limits,
    fit: str,
    chosen: Collection[str] | None,
    dtype: str,
) -> str:
    """See `keras_cfebm.serving.export.export_saved_model`."""
    if not isinstance(model, CFEBM):
        raise ValueError(f"Expected a CFEBM, received {type(model).__name__}.")
    for name, limit in limits._asdict().items():
        check_count(limit, f"max_{name}")
    if fit not in image_files.FITS:
        raise ValueError(
            f"Expected fit to be one of {image_files.FITS}, received {fit!r}."
        )
    if dtype not in ("float32", "uint8"):
        raise ValueError(f"Expected dtype 'float32' or 'uint8', received {dtype!r}.")
    if detector is not None:
        _check_detector(detector, model)
    path = pathlib.Path(path)
    path.mkdir(parents=True, exist_ok=True)
    version = next_version(path) if version is None else check_count(version, "version")
    target = path / str(version)
    if target.exists():
        raise FileExistsError(
            f"Expected a new version, received {target}, which is never overwritten."
        )
    with atomic_files.new_folder(target) as folder:
        options = detector, limits, fit, chosen, dtype
        _write_signatures(model, folder, path.resolve().name, *options)
    return str(target)


def versions(path: pathlib.Path) -> list[int]:
    """Numbers of the versions in a folder that can be served, the newest first.

    Such a version is a folder with a `saved_model.pb`, named by its number alone:
    neither `01` nor a file called `2` is one.
    """
    names = (file.parent.name for file in path.glob("*/saved_model.pb"))
    return sorted((int(n) for n in names if _VERSION.fullmatch(n)), reverse=True)


def next_version(path: pathlib.Path) -> int:
    """One more than the largest version in a folder; 1 in an empty one."""
    found = (int(p.name) for p in path.iterdir() if p.name.isdecimal())
    return max(found, default=0) + 1


def _write_signatures(model, folder, model_name, detector, limits, fit, chosen, dtype):
    # Not keras.export.ExportArchive, which would trace, and store, everything twice.
    module = tf.Module()
    # Traced anew inside, so that nothing of it has been compiled by XLA.
    with backend.portable():
        builder = Signatures(model, detector, limits, fit, dtype)
        module.weights = builder.weights.variables
        signatures = builder.build(chosen)
        functions = {}
        with progress_bar(len(signatures) + 1, "signature") as done:
            for name, signature in signatures.items():
                functions[name] = tf.function(
                    signature.function,
                    input_signature=list(signature.inputs.values()),
                    autograph=False,
                ).get_concrete_function()
                done(1)
            functions["serving_default"] = functions["energy"]
            # Nobody differentiates what is served: gradients of activations stay out.
            options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
            tf.saved_model.save(module, str(folder), functions, options)
            done(1)
    warmup.write(folder, model_name, signatures, builder.value_range[0])
    found = {
        **_metadata(model, detector, limits, fit),
        "value_range": builder.value_range,
    }
    text = json.dumps(found, ensure_ascii=False)
    (folder / METADATA).write_text(text, encoding="utf-8")


def _metadata(model, detector, limits, fit):
    """What the signatures do not say, as plain data."""
    found = {
        "image_shape": list(model.image_shape),
        "image_fit": fit,
        "max_steps": limits.steps,
        "max_rows": limits.rows,
        "max_samples": RANGES["samples"][1],
    }
    if model.class_names is not None:
        found["class_names"] = list(model.class_names)
    if detector is not None:
        # Of a detector that flags nothing it is infinite, which JSON does not know.
        found["anomaly_score"] = {
            name: None if value == math.inf else value
            for name, value in detector.state().items()
        }
    return found


def _check_detector(detector, model):
    by_ladder = isinstance(detector, LadderDetector)
    own = model.sampling_ladder if by_ladder else [model.sampling_network]
    theirs = detector.energies if by_ladder else [detector.energy]
    if list(map(id, own)) != list(map(id, theirs)):
        name = "sampling_ladder" if by_ladder else "sampling_network"
        raise ValueError(
            f"Expected a detector of model.{name}, received one of another energy."
        )
    detector.state()  # raises if it is not fitted
