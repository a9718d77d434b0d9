"""Write a SavedModel for TensorFlow Serving."""

import pathlib

from absl import flags, logging

from keras_cfebm.cli.task import Trained
from keras_cfebm.cli.text import prepare_folder
from keras_cfebm.serving.export import export_saved_model
from keras_cfebm.tasks import AnomalyDetector, LadderDetector
from keras_cfebm.tasks.ladder_detector import MOST
from keras_cfebm.utils.paths import user_path


def main(values: flags.FlagValues) -> None:
    """Exports a model with all its signatures."""
    task = Trained(values)
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
