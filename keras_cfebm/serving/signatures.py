"""The signatures: each task as a function of tensors, a start point and a chain."""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import tensorflow as tf
from keras import ops

from keras_cfebm import backend
from keras_cfebm.backend import random
from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import bind
from keras_cfebm.serving import image_files
from keras_cfebm.serving.request_checks import (
    SPECS,
    Limits,
    check_request,
    refuse_bad_images,
)
from keras_cfebm.serving.stored_weights import StoredWeights
from keras_cfebm.tasks import AnomalyDetector, LadderDetector
from keras_cfebm.tasks.chain import Chain
from keras_cfebm.tasks.energies import ComposedEnergy
from keras_cfebm.tasks.inverse_problems import RESTORATION, TEMPERATURE, restore_batch
from keras_cfebm.tasks.operators import LUMA, measured_levels, operator_of
from keras_cfebm.tasks.restoration import DENOISING, LADDER_INPAINTING
from keras_cfebm.tasks.translation import single_settings
from keras_cfebm.utils.image_range import INNER
from keras_cfebm.utils.value_range import rescaled


class Signature(NamedTuple):
    """A function of named tensors, in their order, that returns a dict of others.

    `image_shape` is that of its images, which may be smaller than the model's.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: dict[str, tf.TensorSpec]
    image_shape: tuple[int, ...]


#: The range of images as bytes.
_BYTES = (0.0, 255.0)
#: What every chain is given, and every restoration.
_CHAIN = ("seeds", "steps", "speed")
_RESTORATION = ("noise", "samples", *_CHAIN)


class Signatures:
    """Builds the signatures of one model; see `export_saved_model`."""

    def __init__(
        self,
        model: CFEBM,
        detector: AnomalyDetector | LadderDetector | None,
        limits: Limits,
        fit: str,
        dtype: str = "float32",
    ):
        images = tf.TensorSpec(SPECS["images"].shape, dtype, "images")
        self.specs = {**SPECS, "images": images}
        self.as_bytes = dtype == "uint8"
        self.energy = model.sampling_network
        self.image_shape = model.image_shape
        self.num_classes = model.num_classes
        self.value_range = _BYTES if self.as_bytes else model.value_range or INNER
        self.detector = detector
        weights = [w for network in model.sampling_ladder for w in network.weights]
        ladder = detector if isinstance(detector, LadderDetector) else None
        if ladder is not None and ladder.normality is not None:
            weights += ladder.normality.weights
        self.weights = StoredWeights(weights)
        if ladder is not None:
            # Traced once, for images and for files of them.
            self.ladder_scores = tf.function(
                self.weights.read_by(ladder.tensor_scores), autograph=False
            )
        self.limits = limits
        # A function of its own, so that all signatures have one copy of it.
        self._decode = tf.function(
            lambda files: image_files.decode(files, model.image_shape, fit),
            input_signature=[SPECS["image_bytes"]],
            autograph=False,
        )
        self.from_source = model.chain_start == "source"
        self.ladder = model.sampling_ladder
        if self.num_classes is not None:
            self.ladder = [_guidable(network) for network in self.ladder]
        self.finest = Chain(self.ladder[-1], single_settings(model, DENOISING))
        if not self.from_source:
            self.generation = Chain(self.ladder, model.langevin)
            self.inpainting = Chain(self.ladder, model.adapted(LADDER_INPAINTING))
            self.restoration = Chain(self.ladder, model.adapted(RESTORATION))

    def build(self, chosen: Collection[str] | None = None) -> dict[str, Signature]:
        """The signatures by name: the default one first, then those chosen, or all."""
        functions: dict[str, tuple] = {
            "energy": (self._energy, ("images",)),
            "anomaly_score": (self._anomaly_score, ("images",)),
            "saliency": (self._saliency, ("images",)),
            "denoise": (self._from_image, ("images", *_CHAIN)),
            "energy_bytes": (self._energy, ("image_bytes",)),
            "anomaly_score_bytes": (self._anomaly_score, ("image_bytes",)),
        }
        if self.from_source:
            functions |= {
                "translate": (self._from_image, ("images", *_CHAIN)),
                "translate_png": (_as_png(self._from_image), ("image_bytes", *_CHAIN)),
            }
        else:
            functions |= {
                "generate": (self._generate, _CHAIN),
                "generate_png": (_as_png(self._generate), _CHAIN),
                "inpaint": (self._inpaint, ("images", "masks", *_CHAIN)),
                "restore": (self._restore, ("images", "masks", *_RESTORATION)),
                **{
                    f"restore_{name}": (self._restore, ("images", *_RESTORATION), shape)
                    for name, shape in _measured_shapes(self.image_shape).items()
                },
            }
        if unknown := set(chosen or ()) - set(functions):
            raise ValueError(
                f"Expected signatures of {list(functions)}, received {sorted(unknown)}."
            )
        return {
            name: self._signature(name, *described)
            for name, described in functions.items()
            if chosen is None or name == "energy" or name in chosen
        }

    def _signature(self, name, function, names, image_shape=None):
        image_shape = image_shape or self.image_shape
        in_range = name != "denoise"
        if self.num_classes is not None and not (
            name.startswith("anomaly_score")
            and isinstance(self.detector, LadderDetector)
        ):
            names = (*names, "labels", *(["guidance"] if "speed" in names else []))

        def checked(*tensors):
            given = dict(zip(names, tensors, strict=True))
            given = self._check(given, image_shape, in_range)
            if "guidance" in given:
                given["labels"] = given["labels"], given.pop("guidance")
            outputs = function(**given)
            return _with_levels(outputs) if self.as_bytes else outputs

        inputs = {name: self.specs[name] for name in names}
        return Signature(self.weights.read_by(checked), inputs, image_shape)

    # --- Inputs ---------------------------------------------------------------------

    def _check(self, given, image_shape, in_range):
        """The inputs once they are as described, image files as images."""
        given = check_request(given, image_shape, self.limits, self.num_classes)
        if "image_bytes" in given:
            files = given.pop("image_bytes")
            given["images"] = self._decode(files)
        elif "images" in given:
            # What was measured with noise may leave the range.
            exact = None if "noise" not in given else tf.equal(given["noise"], 0)
            images = refuse_bad_images(
                tf.cast(given["images"], tf.float32),
                self.value_range if in_range else None,
                exact,
            )
            given["images"] = rescaled(images, self.value_range)
        if "noise" in given:
            least, most = self.value_range
            given["noise"] *= 2 / (most - least)
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

    def _generate(self, seeds, labels=None, **dials):
        keys = _keys(seeds)
        start = self.generation.noise(keys)
        found, _ = self.generation.run(start, keys, labels, **dials)
        return {"images": found}

    def _from_image(self, images, seeds, labels=None, **dials):
        found, maps = self.finest.run(images, _keys(seeds), labels, **dials)
        return {"images": found, "saliency": maps}

    def _inpaint(self, images, masks, seeds, labels=None, **dials):
        keys = _keys(seeds)
        chain = self.inpainting
        known = (images, masks[..., None])
        found, maps = chain.run(chain.noise(keys), keys, labels, known, **dials)
        return {"images": found, "saliency": maps}

    def _restore(self, images, noise, samples, seeds, masks=None, labels=None, **dials):
        chain = self.restoration
        if masks is None:
            masks = tf.zeros_like(images[..., 0], tf.bool)
        measured = measured_levels(
            images,
            ~masks[..., None],
            len(chain.energies),
            self.image_shape,
            noise,
            TEMPERATURE,
        )
        keys = _keys(seeds)
        found = restore_batch(
            chain,
            chain.noise,
            keys,
            labels,
            measured,
            self.image_shape,
            samples,
            loop=ops.fori_loop,
            **dials,
        )
        return found._asdict()


def _guidable(network):
    """The energy of a network, whose labels are pairs of labels and guidance."""

    def bound(pair):
        labels, guidance = pair
        return network.bind(labels, guidance)

    return ComposedEnergy(bound, network.image_shape, network.num_classes)


def _measured_shapes(image_shape):
    """Operators other than a mask that fit the images → shape of what they measure."""
    names = [f"mean_pool_{n}" for n in (2, 4) if image_shape[0] % n == 0]
    if image_shape[-1] == len(LUMA):
        names.append("grey")
    return {name: operator_of(name).measured_shape(image_shape) for name in names}


def _keys(seeds):
    """The keys of the first image of each seed's stream."""
    words = [tf.bitwise.right_shift(seeds, tf.constant(32, tf.int64)), seeds]
    low_word = tf.constant(0xFFFFFFFF, tf.int64)
    words = [tf.cast(tf.bitwise.bitwise_and(w, low_word), tf.uint32) for w in words]
    return random.fold_in(tf.stack(words, axis=-1), 0)


def _with_levels(outputs):
    """Outputs with images as bytes, and their deviation on the same scale."""
    converted = {
        **dict.fromkeys(("images", "sample", "mean"), image_files.to_bytes),
        "std": lambda std: std * 127.5,
    }
    return {name: converted.get(name, tf.identity)(x) for name, x in outputs.items()}


def _as_png(function):
    def encoded(**inputs: Any):
        return {"image_bytes": image_files.encode(function(**inputs)["images"])}

    return encoded
