"""Export: one SavedModel with a signature per task, for TensorFlow Serving."""

from collections.abc import Collection

import keras

from keras_cfebm.model import CFEBM
from keras_cfebm.tasks import AnomalyDetector, LadderDetector
from keras_cfebm.utils.typing import PathLike

#: Langevin steps per level that a request may ask for, unless the exporter says.
MAX_STEPS = 200
#: Rows that a request, or what a server merges, may have, unless the exporter says.
MAX_ROWS = 1024


def export_saved_model(
    model: CFEBM,
    path: PathLike,
    version: int | None = None,
    *,
    detector: AnomalyDetector | LadderDetector | None = None,
    max_steps: int = MAX_STEPS,
    max_rows: int = MAX_ROWS,
    fit: str = "exact",
    signatures: Collection[str] | None = None,
    dtype: str = "float32",
) -> str:
    """Writes `<path>/<version>/`, a SavedModel that needs neither Keras nor Python.

    Its signatures, each with named inputs and outputs and n rows, from 1 to `max_rows`:

    | signature | inputs | outputs |
    |---|---|---|
    | `energy`, `serving_default` | images | energy (n,) |
    | `anomaly_score` | images | score (n,), anomalous (n,) |
    | `saliency` | images | saliency (n, h, w), largest \\|∂E/∂x\\| over channels |
    | `generate` | *chain* | images |
    | `denoise` | images, *chain* | images, saliency |
    | `inpaint` | images, masks, *chain* | images, saliency |
    | `restore` | images, masks, noise, samples, *chain* | sample, mean, std (n, h, w) |
    | `restore_mean_pool_2` | images, noise, samples, *chain* | as of `restore` |
    | `restore_mean_pool_4` | images, noise, samples, *chain* | as of `restore` |
    | `restore_grey` | images, noise, samples, *chain* | as of `restore` |
    | `translate` | images, *chain* | images, saliency |
    | `energy_bytes`, `anomaly_score_bytes` | image_bytes | as above |
    | `generate_png` | *chain* | image_bytes |
    | `translate_png` | image_bytes, *chain* | image_bytes |

    *chain* stands for seeds, steps and speed. A model with classes takes labels, and
    where there is a chain guidance; but not for the `anomaly_score` of a
    `LadderDetector`, which is that of any class. A model whose chains start at source
    images has `translate` in place of `generate`, `inpaint` and `restore`, and its
    `denoise` is `translate` for any finite images. Without a detector the score is the
    energy, and there is no `anomalous`. `restore_grey` is for images of three channels.

    What the signatures do not say is in `assets.extra/metadata.json`: the limits, the
    range of images, the names of the classes, and the detector's threshold with the
    share of normal images that it was fitted to flag.

    - `images`: float32 (n, resolution, resolution, channels), or what was measured of
      them: at half the resolution for `restore_mean_pool_2`, a quarter for
      `restore_mean_pool_4`, of one channel for `restore_grey`. Inputs are of
      `model.value_range`, or else in [-1, 1], but any finite numbers for `denoise` and
      where there is noise; outputs are in [-1, 1]. Or all of them are bytes, see
      `dtype`.
    - `masks`: bool (n, resolution, resolution), True where a pixel is missing; in
      `restore` none need be, which is then to denoise.
    - `seeds`: int64 (n,), at least 0. A row with seed s is what the Python function
      returns first with `seed=s`; other rows change it by rounding only, which is
      1e-7 at few steps and up to 1e-3 at 200.
    - `steps`: int32 (n,), Langevin steps per level, from 0 to `max_steps`; 0 stands
      for the number that the Python function takes by default.
    - `speed`: float32 (n,), from 1 to 100, how many times fewer and larger steps are
      taken, see `Langevin.faster`; 1 leaves them.
    - `labels`: int32 (n,). `guidance`: float32 (n,), from -100 to 100, see
      `keras_cfebm.tasks.energies.guided`; 0 is the model itself.
    - `noise`: float32 (n,), standard deviation of the noise of `images`, on their
      scale; 0 means that they are exact.
    - `samples`: int32 (n,), from 1 to 16, chains that `mean` and `std` are of; `sample`
      is where the first one ends.
    - `image_bytes`: files, PNG, JPEG, BMP or GIF (the first frame); what is transparent
      is white. REST clients send `{"b64": "..."}`.

    Anything else is refused with an InvalidArgument error that says what was expected.

    Args:
        model: `CFEBM`.
        path: folder of the model, to which TensorFlow Serving is pointed.
        version: int of at least 1; None for the one after the last.
        detector: for `anomaly_score`, fitted `LadderDetector` of the model's
            `sampling_ladder`, or `AnomalyDetector` of its `sampling_network`; None for
            `model.detector`, if it has one.
        max_steps: int; with `max_rows` it bounds the time that a request can take.
        max_rows: int, see above; at least the largest batch that a server is to merge.
        fit: what image files may be: `"exact"`, of the model's resolution, or `"pad"`,
            of at most that, then centred on black.
        signatures: names of those to write, beside `energy`, which always is: fewer are
            written, loaded and warmed up sooner. None for all.
        dtype: `"float32"`, or `"uint8"` for images as bytes, 0 … 255, in requests and
            answers, whatever the `value_range` is; `noise` and `std` are on that scale.

    Returns:
        Path of the SavedModel, str.

    Raises:
        ValueError: if an argument is out of range, the model has no signature of a
            name, the detector is not fitted or of another energy, or the Keras backend
            is not TensorFlow.
        FileExistsError: if that version is there already; it is never overwritten.
        OSError: if it cannot be written; then nothing is left behind.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Expected the Keras backend 'tensorflow' for a SavedModel, received "
            f"{keras.backend.backend()!r}. A saved ladder loads under any."
        )
    # Here, because TensorFlow may be missing under other backends.
    from keras_cfebm.serving import saved_model

    limits = saved_model.Limits(max_steps, max_rows)
    if detector is None:
        detector = getattr(model, "detector", None)
    return saved_model.write(
        model, path, version, detector, limits, fit, signatures, dtype
    )
