"""Write a SavedModel for TensorFlow Serving."""

import pathlib

from absl import flags, logging

from keras_cfebm.cli.task import Task, define_data_flags, define_model_flags
from keras_cfebm.serving.export import MAX_ROWS, MAX_STEPS, export_saved_model
from keras_cfebm.serving.image_files import FITS
from keras_cfebm.tasks import AnomalyDetector
from keras_cfebm.tasks.anomaly import SCORES


def define_flags(values):
    """Adds the flags of this command."""
    define_model_flags(values)
    define_data_flags(values)
    flags.DEFINE_string(
        "output",
        None,
        "Folder of the versions; by default serving/<run> beside the model.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "version", None, "By default the next one.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer(
        "max_steps",
        MAX_STEPS,
        "Largest number of Langevin steps per level that a request may ask for.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_rows",
        MAX_ROWS,
        "Largest number of rows of a request, or of what a server merges.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_enum(
        "image_fit",
        None,
        FITS,
        "How image files fit: exactly, or smaller ones padded with black; by default "
        "pad if the run pads its images.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "threshold",
        True,
        "Fit the threshold of anomaly_score to held-out images of the run.",
        flag_values=values,
    )
    flags.DEFINE_enum("score", "energy", SCORES, "Of anomalies.", flag_values=values)
    flags.DEFINE_float(
        "false_positive_rate",
        0.05,
        "Share of held-out normal images above the threshold.",
        lower_bound=0,
        upper_bound=1,
        flag_values=values,
    )


def main(values):
    """Exports a model with all its signatures."""

    task = Task("export", values)
    path = pathlib.Path(
        values.output or task.folder / "serving" / task.folder.resolve().name
    )
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
    )
    print(f"\nSavedModel: {target}\nTry it: cfebm serve --model={path}")


def _detector(task, values):
    if not values.threshold:
        return None
    if task.config is None and values.data is None:
        logging.warning(
            "No run's config.json beside the model and no --data: anomaly_score will "
            "have no threshold."
        )
        return None
    data = task.data()
    detector = AnomalyDetector(task.model.sampling_network, values.score)
    detector.fit(data.images(), values.false_positive_rate, task.labels(data))
    print(f"Threshold of {data}: {detector.threshold:.4f}")
    return detector
