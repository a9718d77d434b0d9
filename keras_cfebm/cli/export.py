"""Write a SavedModel for TensorFlow Serving, or a web page that runs the model."""

import dataclasses
import pathlib
import re

import numpy as np
from absl import flags, logging

from keras_cfebm.cli.task import Trained
from keras_cfebm.cli.text import prepare_folder
from keras_cfebm.configs.run_config import RunConfig
from keras_cfebm.datasets import EMBEDDED
from keras_cfebm.serving.export import export_saved_model
from keras_cfebm.serving.web_export import EXAMPLES, export_web
from keras_cfebm.tasks import AnomalyDetector, LadderDetector
from keras_cfebm.tasks.ladder_detector import MOST
from keras_cfebm.utils.paths import user_path

#: Flags of a SavedModel, and of a web page, that the other has no use for.
_SAVED_MODEL = (
    "version",
    "max_steps",
    "max_rows",
    "image_fit",
    "signatures",
    "dtype",
)
_WEB = ("runtime",)


def main(values: flags.FlagValues) -> None:
    """Exports a model as `--format` says."""
    is_web = values.format == "web"
    for name in _SAVED_MODEL if is_web else _WEB:
        if values[name].present:
            raise ValueError(
                f"Expected no --{name} with --format={values.format}, received "
                f"{values[name].value!r}."
            )
    if is_web and values.score != "ladder":
        raise ValueError(
            "Expected --score=ladder with --format=web, received "
            f"--score={values.score}."
        )
    (_web if is_web else _saved_model)(Trained(values), values)


def _web(task: Trained, values: flags.FlagValues) -> None:
    """Writes the page, or adds the model to it."""
    folder = pathlib.Path() if task.preset else task.folder
    path = user_path(values.output or folder / "web")
    prepare_folder(path, "output")
    name = task.preset or task.folder.resolve().name
    if task.preset and task.config is not None:
        task.config = _embedded(task.config)
    detector = _detector(task, values)
    assert detector is None or isinstance(detector, LadderDetector)
    export_web(
        task.model,
        path,
        re.sub(r"[^\w.-]", "_", name),
        detector=detector,
        examples=_examples(task, values),
        runtime=values.runtime,
    )
    print(
        f"\nWeb page: {path / 'index.html'}\n"
        f"Try it: python -m http.server --directory={path}, then open "
        "http://localhost:8000"
    )


def _embedded(config: RunConfig) -> RunConfig:
    """The config with the images of the package, of which no download is needed."""
    parts = {
        name: dataclasses.replace(part, name=EMBEDDED)
        for name in ("data", "source")
        if (part := getattr(config, name)) is not None and part.name == "fashion_mnist"
    }
    return dataclasses.replace(config, **parts)


def _examples(task: Trained, values: flags.FlagValues) -> np.ndarray | None:
    """Images that the page begins with; None where there are no data to take."""
    translates = task.model.chain_start == "source"
    given = values.source if translates else values.data
    if given is None and task.config is None:
        return None
    try:
        data = task.source() if translates else task.data()
    except (OSError, ValueError) as error:
        if given is not None:
            raise
        logging.warning("The page has no example images: %s", error)
        return None
    return data.subset(limit=EXAMPLES, seed=0).images()


def _saved_model(task: Trained, values: flags.FlagValues) -> None:
    """Writes a version with all its signatures."""
    folder = pathlib.Path() if task.preset else task.folder
    usual = folder / "serving" / task.folder.resolve().name
    path = user_path(values.output or usual)
    prepare_folder(path, "output")
    own = None if task.config is None else task.config.data.fit
    fit = values.image_fit or ("pad" if own == "pad" else "exact")
    target = export_saved_model(
        task.model,
        path,
        values.version,
        detector=_detector(task, values),
        max_steps=values.max_steps,
        max_rows=values.max_rows,
        fit=fit,
        signatures=values.signatures,
        dtype=values.dtype,
    )
    print(f"\nSavedModel: {target}\nTry it: cfebm serve --model={path}")


def _detector(
    task: Trained, values: flags.FlagValues
) -> AnomalyDetector | LadderDetector | None:
    """The detector with a threshold of held-out images, unless there can be none."""
    model, by_ladder = task.model, values.score == "ladder"
    own = model.detector
    model.detector = None  # or it would be exported where none is wanted
    if not values.threshold:
        return None
    if by_ladder and own is not None and values.data is None:
        own.false_positive_rate = values.false_positive_rate
        return own
    if task.config is None and values.data is None:
        logging.warning(
            "No run's config.json beside the model and no --data: anomaly_score will "
            "have no threshold."
        )
        return None
    data = task.data()
    detector: AnomalyDetector | LadderDetector
    if by_ladder:
        known = task.data(training=True).subset(limit=2 * MOST).images()
        detector = LadderDetector(model.sampling_ladder, model.langevin)
        held_out = data.subset(limit=MOST).images()
        detector.fit(known, values.false_positive_rate, held_out=held_out)
    else:
        detector = AnomalyDetector(model.sampling_network, values.score)
        detector.fit(data.images(), values.false_positive_rate, task.labels(data))
    print(f"Threshold of {data}: {detector.threshold:.4f}")
    return detector
