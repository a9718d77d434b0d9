"""The signatures: each task as a function of tensors, a start point and a chain."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf
from keras import ops

from keras_cfebm import backend
from keras_cfebm.backend import random
from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import bind
from keras_cfebm.serving import image_files, request_checks
from keras_cfebm.tasks import AnomalyDetector, LadderDetector
from keras_cfebm.tasks.chain import Chain
from keras_cfebm.tasks.restoration import DENOISING, LADDER_INPAINTING
from keras_cfebm.utils.image_range import INNER
from keras_cfebm.utils.value_range import rescaled


class Signature(NamedTuple):
    """A function of named tensors, in their order, that returns a dict of others."""

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: dict[str, tf.TensorSpec]


_SPECS = {
    # Of unknown sizes, because a server does not compare them with the request: the
    # graph has to, and would believe what is declared.
    "images": tf.TensorSpec([None, None, None, None], tf.float32, "images"),
    "masks": tf.TensorSpec([None, None, None], tf.bool, "masks"),
    "image_bytes": tf.TensorSpec([None], tf.string, "image_bytes"),
    "labels": tf.TensorSpec([None], tf.int32, "labels"),
    "seeds": tf.TensorSpec([None], tf.int64, "seeds"),
    "steps": tf.TensorSpec([None], tf.int32, "steps"),
}


class Limits(NamedTuple):
    """What a request may ask for at most: Langevin steps per level, and rows."""

    steps: int
    rows: int


class Signatures:
    """Builds the signatures of one model; see `export_saved_model`."""

    def __init__(
        self,
        model: CFEBM,
        detector: AnomalyDetector | LadderDetector | None,
        limits: Limits,
        fit: str,
    ):
        self.energy = model.sampling_network
        self.image_shape = model.image_shape
        self.num_classes = model.num_classes
        self.value_range = model.value_range or INNER
        self.detector = detector
        if isinstance(detector, LadderDetector):
            # Traced once, for images and for files of them.
            self.ladder_scores = tf.function(detector.tensor_scores, autograph=False)
        self.limits = limits
        self.fit = fit
        self.from_source = model.chain_start == "source"
        self.ladder = model.sampling_ladder
        settings = model.finest_settings if self.from_source else DENOISING
        self.finest = Chain(self.energy, settings)
        if not self.from_source:
            self.generation = Chain(self.ladder, model.langevin)
            self.inpainting = Chain(self.ladder, LADDER_INPAINTING)

    def build(self) -> dict[str, Signature]:
        """All signatures by name, the default one first."""
        chain = ("seeds", "steps")
        functions = {
            "energy": (self._energy, ("images",)),
            "anomaly_score": (self._anomaly_score, ("images",)),
            "saliency": (self._saliency, ("images",)),
            "denoise": (self._from_image, ("images", *chain)),
            "energy_bytes": (self._energy, ("image_bytes",)),
            "anomaly_score_bytes": (self._anomaly_score, ("image_bytes",)),
        }
        if self.from_source:
            functions |= {
                "translate": (self._from_image, ("images", *chain)),
                "translate_png": (_as_png(self._from_image), ("image_bytes", *chain)),
            }
        else:
            functions |= {
                "generate": (self._generate, chain),
                "generate_png": (_as_png(self._generate), chain),
                "inpaint": (self._inpaint, ("images", "masks", *chain)),
            }
        return {
            name: self._signature(name, function, inputs)
            for name, (function, inputs) in functions.items()
        }

    def _signature(self, name, function, names):
        in_range = name != "denoise"
        if self.num_classes is not None and not (
            name.startswith("anomaly_score")
            and isinstance(self.detector, LadderDetector)
        ):
            names = (*names, "labels")

        def checked(*tensors):
            return function(
                **self._check(dict(zip(names, tensors, strict=True)), in_range)
            )

        return Signature(checked, {name: _SPECS[name] for name in names})

    # --- Inputs ---------------------------------------------------------------------

    def _check(self, given, in_range):
        """The inputs once they are as described, image files as images."""
        height, width, _ = self.image_shape
        most = self.limits.rows
        shapes = {"images": [None, *self.image_shape], "masks": [None, height, width]}
        given = {
            name: request_checks.check_shape(x, shapes.get(name, [None]), name, most)
            for name, x in given.items()
        }
        first, *others = given
        rows = tf.shape(given[first])[0]
        for name in others:
            given[name] = request_checks.check_rows(given[name], rows, name)
        ranges = {
            "seeds": (0, None),
            "steps": (0, self.limits.steps),
            "labels": (0, (self.num_classes or 1) - 1),
        }
        for name in ranges.keys() & given.keys():
            given[name] = request_checks.check_between(given[name], *ranges[name], name)
        if "image_bytes" in given:
            files = given.pop("image_bytes")
            given["images"] = image_files.decode(files, self.image_shape, self.fit)
        elif "images" in given:
            images = request_checks.refuse_bad_images(
                given["images"], self.value_range if in_range else None
            )
            given["images"] = rescaled(images, self.value_range)
        return given

    # --- Tasks ----------------------------------------------------------------------

    def _energy(self, images, labels=None):
        return {"energy": bind(self.energy, labels)(images)}

    def _anomaly_score(self, images, labels=None):
        if self.detector is None:
            return {"score": bind(self.energy, labels)(images)}
        if isinstance(self.detector, LadderDetector):
            score = self.ladder_scores(images)
        else:
            score = self.detector.tensor_scores(images, labels)
        return {"score": score, "anomalous": score > self.detector.threshold}

    def _saliency(self, images, labels=None):
        energy = bind(self.energy, labels)
        _, gradient = backend.value_and_input_gradient(energy, images)
        return {"saliency": ops.max(ops.abs(gradient), axis=-1)}

    def _generate(self, seeds, steps, labels=None):
        keys = _keys(seeds)
        start = self.generation.noise(keys)
        found, _ = self.generation.run(start, keys, labels, steps=steps)
        return {"images": found}

    def _from_image(self, images, seeds, steps, labels=None):
        found, maps = self.finest.run(images, _keys(seeds), labels, steps=steps)
        return {"images": found, "saliency": maps}

    def _inpaint(self, images, masks, seeds, steps, labels=None):
        keys = _keys(seeds)
        chain = self.inpainting
        known = (images, masks[..., None])
        found, maps = chain.run(chain.noise(keys), keys, labels, known, steps)
        return {"images": found, "saliency": maps}


def _keys(seeds):
    """The keys of the first image of each seed's stream."""
    words = [tf.bitwise.right_shift(seeds, tf.constant(32, tf.int64)), seeds]
    low_word = tf.constant(0xFFFFFFFF, tf.int64)
    words = [tf.cast(tf.bitwise.bitwise_and(w, low_word), tf.uint32) for w in words]
    return random.fold_in(tf.stack(words, axis=-1), 0)


def _as_png(function):
    def encoded(**inputs: Any):
        return {"image_bytes": image_files.encode(function(**inputs)["images"])}

    return encoded
