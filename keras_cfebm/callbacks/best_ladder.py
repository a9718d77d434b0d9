"""BestLadder: judges samples as training goes on, and keeps the best model."""

import keras
import numpy as np
from absl import logging

from keras_cfebm.evaluation import Encoder, FeatureStatistics, evaluate_generation
from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.typing import PathLike
from keras_cfebm.utils.validation import check_count


class BestLadder(keras.callbacks.Callback):
    """Measures the Fréchet distance of samples; saves the model when it is smallest.

    Samples are drawn from the averaged weights, always with the same seed, so that two
    distances differ by what was learned in between. Only a model of the resolution
    asked for, with β = 1, is judged: distances at two resolutions do not compare.

    It measures at the end of epochs, the first one after every `every` steps and the
    last one of the stage. The distance stands in the epoch's `logs`.

    Args:
        path: `.keras` file of the best model so far.
        encoder: `keras_cfebm.evaluation.Encoder`, any.
        reference: `FeatureStatistics` of real images, of that encoder.
        resolution: int, side of the images that are judged.
        count: int of at least 2, number of samples.
        every: int, training steps between two measurements.
        seed: int, the stream of samples.
        batch_size: int, images per chain; it bounds the memory.

    Attributes:
        history: list of dicts `step`, `frechet_distance`, one per measurement.

    Raises:
        ValueError: if a number is out of range, or the statistics are of another
            encoder.

    Example:

    ```python
    encoder = cf.evaluation.fashion_classifier().encoder
    reference = cf.evaluation.reference_statistics(data, encoder, "training images")
    best = BestLadder("best.keras", encoder, reference, resolution=32)
    cf.train(config, "runs/mine", extra_callbacks=[best])
    ```
    """

    def __init__(
        self,
        path: PathLike,
        encoder: Encoder,
        reference: FeatureStatistics,
        *,
        resolution: int,
        count: int = 30_000,
        every: int = 2000,
        seed: int = 0,
        batch_size: int = 64,
    ):
        super().__init__()
        if reference.encoder_hash != encoder.hash:
            raise ValueError(
                f"Expected statistics of the encoder {encoder.name!r}, received those "
                f"of {reference.encoder_name!r}."
            )
        self.path = path
        self.encoder = encoder
        self.reference = reference
        self.resolution = check_count(resolution, "resolution")
        self.count = check_count(count, "count", 2)
        self.every = check_count(every, "every")
        self.seed = seed
        self.batch_size = check_count(batch_size, "batch_size")
        self.history: list[dict[str, float]] = []

    def on_epoch_end(self, epoch, logs=None):
        model = self.model
        if model.resolution != self.resolution or model.network.beta < 1:
            return
        # A guard may have turned the run back before the last measurements.
        measured = [e["step"] for e in self.history if e["step"] < model.step]
        last = max(measured, default=0)
        due = model.step // self.every > last // self.every
        if not due and epoch + 1 != self.params["epochs"]:
            return
        distance = self._distance()
        best = min(
            (entry["frechet_distance"] for entry in self.history), default=np.inf
        )
        self.history.append({"step": model.step, "frechet_distance": distance})
        if logs is not None:
            logs["frechet_distance"] = distance
        if distance < best:
            atomic_files.save(model.finished().save, self.path)
        logging.info(
            "%s of %d samples at step %d: %.3f, the best before %.3f.",
            self.encoder.frechet_name,
            self.count,
            model.step,
            distance,
            best,
        )

    def _distance(self):
        classes = self.model.num_classes
        labels = None if classes is None else np.arange(self.count) % classes
        evaluation = evaluate_generation(
            self.model,
            self.count,
            self.encoder,
            self.reference,
            labels=labels,
            seed=self.seed,
            batch_size=self.batch_size,
            shown=1,
            progress=False,
        )
        return float(evaluation.figures["frechet_distance"])

    # --- What a checkpoint keeps ----------------------------------------------------

    def get_state(self):
        """The measurements so far, as plain data; see `Checkpoints`."""
        return {"history": self.history}

    def get_arrays(self):
        """No arrays."""
        return {}

    def set_state(self, state, arrays):
        """Takes up what `get_state` returned."""
        self.history = list(state["history"])
