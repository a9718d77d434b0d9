"""EnergyLadder: the energies of all resolutions, and what they draw once trained."""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np

from keras_cfebm import backend, configs, tasks
from keras_cfebm.configs import RunConfig, summary
from keras_cfebm.datasets.pixels import to_uint8
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.sampling import Langevin
from keras_cfebm.utils import preset_folder
from keras_cfebm.utils.labels import check_class_names
from keras_cfebm.utils.model_files import find_model, read_model
from keras_cfebm.utils.model_inputs import check_arrays, numbered
from keras_cfebm.utils.terminal import say
from keras_cfebm.utils.training_data import first_inputs
from keras_cfebm.utils.typing import PathLike, Tensor
from keras_cfebm.utils.validation import check_image_shape
from keras_cfebm.utils.value_range import (
    Range,
    check_dtype,
    check_inputs,
    check_value_range,
    preprocessed,
    rescaled,
)

#: Langevin steps per level of a training that the tasks' defaults suit.
_USUAL_STEPS = 15


@keras.saving.register_keras_serializable(package="keras_cfebm")
class EnergyLadder(keras.Model):
    """Energies from the coarsest resolution to the finest, and their sampler.

    What a trained model does is here: it generates, translates, scores images, is saved
    and loaded. `CFEBM` adds the training.

    Args:
        ladder: list of `EnergyNetwork`s, coarsest first, each of twice the resolution
            of the one before. A single network is a ladder of one.
        langevin: `Langevin`, the sampler of `generate` and `translate`.
        chain_start: `"noise"`, where chains start at the coarsest level, or `"source"`:
            one-sided translation (Sec. 4.4), where they start at source images and run
            at the finest level alone.
        class_names: list of str, the names of the classes in the order of their
            numbers, by which labels may be given too, of `fit`, `evaluate`, `predict`
            and every task; None where they have none.
        value_range: pair of numbers, the range of the images that `fit`, `evaluate`,
            `predict`, `translate`, a call and exports are given, such as (0, 255), also
            of bytes; what is drawn is in [-1, 1] all the same. None stands for [-1, 1],
            and what looks like another range is refused. It may be set later.

    Raises:
        ValueError: if the ladder's resolutions do not double, its channels or classes
            differ, `chain_start` is unknown or of a model with classes not `"noise"`,
            chains from noise are to be faithful to a source, or there are not as many
            names as classes.

    Example:

    ```python
    model = CFEBM.from_preset("fashion_mnist")
    samples = model.generate(16, seed=0)           # (16, 32, 32, 1) in [-1, 1]
    energies = model.predict(samples)              # (16,), low = likely
    ```

    Reference:
        [Zhao, Xie and Li, ICLR 2021](https://openreview.net/forum?id=aD1_5zowqV)
    """

    #: Fitted to the `sampling_ladder`, it is saved with the model; training drops it.
    detector: tasks.LadderDetector | None = None
    #: Name → what `from_preset` gives by that name: description, resolution, and
    #: whether trained weights come with the package.
    presets = configs.DESCRIBED

    def __init__(
        self,
        ladder: EnergyNetwork | Sequence[EnergyNetwork],
        langevin: Langevin | None = None,
        chain_start: str = "noise",
        class_names: Sequence[str] | None = None,
        value_range: tuple[float, float] | None = None,
        **kwargs: Any,
    ):
        # The networks have policies of their own; images come to them as they are.
        super().__init__(**{"dtype": "float32", **kwargs})
        ladder = [ladder] if isinstance(ladder, EnergyNetwork) else list(ladder)
        check_ladder(ladder)
        if chain_start not in ("noise", "source"):
            raise ValueError(
                f"Expected chain_start 'noise' or 'source', received {chain_start!r}."
            )
        if chain_start == "source" and ladder[-1].num_classes is not None:
            raise ValueError(
                "Expected energies without classes with chain_start='source', received "
                f"num_classes={ladder[-1].num_classes}."
            )
        self.ladder = ladder
        self.langevin = Langevin() if langevin is None else langevin
        if chain_start == "noise" and self.langevin.faithfulness:
            raise ValueError(
                "Expected faithfulness=0 of chains that start at noise, which have no "
                f"source, received {self.langevin.faithfulness}."
            )
        self.chain_start = chain_start
        self.value_range = value_range
        self.class_names = check_class_names(class_names, self.num_classes)
        if self.class_names is not None:
            for network in ladder:
                network.class_names = self.class_names
        self._sampler: tasks.Chain | None = None
        self._sampler_is_of: Any = None
        # `fit` never calls the model: without this, saving would lose the optimizer.
        self.built = True

    @property
    def network(self) -> EnergyNetwork:
        """The finest `EnergyNetwork`, the one in training."""
        return self.ladder[-1]

    @property
    def sampling_network(self) -> EnergyNetwork:
        """The finest network that samples are drawn from."""
        return self.network

    @property
    def sampling_ladder(self) -> list[EnergyNetwork]:
        """The energies of `generate`, coarsest first."""
        return [*self.ladder[:-1], self.sampling_network]

    @property
    def resolution(self) -> int:
        """Side of the finest images."""
        return self.network.resolution

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape `(resolution, resolution, channels)` of one image."""
        return self.network.image_shape

    @property
    def num_classes(self) -> int | None:
        """Number of classes, or None."""
        return self.network.num_classes

    @property
    def value_range(self) -> Range | None:
        """The range of the images that the model is given; None if not declared."""
        return self._value_range

    @value_range.setter
    def value_range(self, value_range: Range | None) -> None:
        self._value_range = check_value_range(value_range)
        # What is compiled scales by the range of before.
        self.train_function = self.test_function = self.predict_function = None

    @property
    def finest_settings(self) -> Langevin:
        """The `Langevin` of a chain that runs at the finest level alone."""
        return self.langevin.at_level(len(self.langevin.of_chain(self.ladder)) - 1)

    def adapted(self, settings: Langevin) -> Langevin:
        """Settings that suit a training with 15 steps of η = 1, for this model.

        Such are the defaults of the tasks. η becomes that of the training at each
        level; and of a level that was trained with fewer steps than 15, K becomes the
        same share of them.

        Args:
            settings: `Langevin` of a chain up the ladder, or of its last levels.

        Returns:
            `Langevin`; of a model that was trained with η = 1 and 15 steps or more, the
            same.
        """
        levels = len(settings.of_chain(self.ladder))
        trained = len(self.langevin.of_chain(self.ladder))
        own = [
            self.langevin.at_level(max(trained - levels + i, 0)) for i in range(levels)
        ]
        sizes = [chain.step_size_at(0) for chain in own]
        shares = [min(chain.steps_at(0) / _USUAL_STEPS, 1.0) for chain in own]
        steps = [settings.steps_at(i) for i in range(levels)]
        fewer = [
            max(round(share * count), min(count, 1))
            for share, count in zip(shares, steps, strict=True)
        ]
        return settings.replace(
            steps=settings.steps if fewer == steps else tuple(fewer),
            step_size=sizes[0] if len(set(sizes)) == 1 else tuple(sizes),
        )

    def parameters(self) -> dict[int, int]:
        """Number of trainable weights of each level, by its resolution.

        They are those of a trained model: fade paths are not counted, nor copies of
        weights such as their running average.
        """
        return summary.parameters(self.ladder)

    def summary(self, *args: Any, print_fn: Any = None, **kwargs: Any) -> None:
        """Prints the networks of the ladder with their number of parameters.

        Args:
            *args: as of `keras.Model.summary`, without influence: the layers of a
                network are shown by its own `summary`.
            print_fn: function that takes the text; None prints it.
            **kwargs: like `args`.
        """
        average = self.sampling_network
        shown = summary.text(
            f"{type(self).__name__} {self.name!r} of images {self.image_shape}",
            self.ladder,
            None if average is self.network else average,
        )
        (print_fn or say)(shown)

    # --- Energies -------------------------------------------------------------------

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """Energies of the images; with classes, of a pair `(images, labels)`."""
        pair = isinstance(images, (tuple, list))
        given, *labels = images if pair else (images,)
        check_image_shape(tuple(given.shape), self.image_shape)
        check_dtype(given.dtype, self.value_range)
        given = rescaled(given, self.value_range)
        return self.sampling_network((given, *labels) if pair else given)

    def predict(self, x, *args, **kwargs):
        """Energies `(n,)` of images, as a NumPy array; see `keras.Model.predict`."""
        if isinstance(x, (tuple, list)) and len(x) == 2:
            x = (x[0], numbered(self, x[1]))
        batch, x = first_inputs(x)
        if batch is not None:
            check_arrays(self, *batch)
        return super().predict(x, *args, **kwargs)

    # --- Images ---------------------------------------------------------------------

    def generate(
        self,
        count: int,
        seed: int | None = None,
        labels: Any = None,
        batch_size: int = 64,
        start: int = 0,
        *,
        guidance: float = 0.0,
        speed: float = 1.0,
        return_chain: bool = False,
        dtype: str = "float32",
        progress: bool | None = None,
    ) -> Any:
        """Draws images from the model, from noise, coarse to fine.

        Args:
            count: int, number of images.
            seed: int, the stream of images; None draws a fresh one, which `last_seed`
                keeps. Image `i` of a stream is the same whatever `count` and
                `batch_size` are.
            labels: with classes, an int or a name in `class_names`, or an array of
                either of shape `(count,)`.
            batch_size: int, images per chain; it bounds the memory.
            start: int, index in the stream of the first image.
            guidance: float, with classes: how much clearer than learned an image is of
                its class, see `tasks.energies.guided`; 0 is the model itself.
            speed: float, about how many times fewer and larger steps the chain takes,
                see `Langevin.faster`; 1 are those of the training.
            return_chain: bool, return the states on the way too, in floats.
            dtype: `"float32"` for images in [-1, 1], `"uint8"` for 0 … 255.
            progress: bool, show a progress bar; None shows one after two seconds, on a
                terminal or in a notebook.

        Returns:
            NumPy array of shape `(count, resolution, resolution, channels)`; with
            `return_chain` a pair of it and of a list of `tasks.ChainState`s.

        Raises:
            ValueError: if a number is out of range, labels or guidance do not fit the
                model, or its chains start at source images.
        """
        if self.chain_start == "source":
            raise ValueError(
                "Expected a model whose chains start at noise, received one whose "
                "chains start at source images: use translate(source_images), or "
                "keras_cfebm.tasks.translate."
            )
        if guidance != 0 and self.num_classes is None:
            raise ValueError(
                "Expected guidance of 0 for a model without classes, received "
                f"{guidance!r}."
            )
        settings = self.langevin.faster(speed)
        convert = _conversion(dtype)
        chain = self._chain(self.sampling_ladder, settings, guidance)
        options = {
            "labels": labels,
            "batch_size": batch_size,
            "start": start,
            "progress": progress,
        }
        if return_chain:
            images, states = tasks.generate_with_chain(chain, count, seed, **options)
            return convert(images), states
        return convert(tasks.generate(chain, count, seed, **options))

    def translate(
        self,
        source_images: np.ndarray,
        seed: int | None = None,
        batch_size: int = 64,
        start: int = 0,
        *,
        faithfulness: float | None = None,
        speed: float = 1.0,
        dtype: str = "float32",
        progress: bool | None = None,
    ) -> np.ndarray:
        """Translates images of the source domain to the target domain (Sec. 4.4).

        Args:
            source_images: array of shape `(n, resolution, resolution, channels)`, of
                `value_range`.
            seed: int, the stream of images, or None; see `generate`.
            batch_size: int, images per chain; it bounds the memory.
            start: int, index in the stream of the first image.
            faithfulness: float, how much the source holds its image back, see
                `keras_cfebm.tasks.translate`; None for as much as in training.
            speed: float, see `generate`.
            dtype: str, see `generate`.
            progress: bool or None, see `generate`.

        Returns:
            NumPy array of the shape of `source_images`.

        Raises:
            ValueError: if the images do not fit, a number is out of range, or the model
                has not been made with `chain_start="source"`.
        """
        if self.chain_start != "source":
            raise ValueError(
                "Expected a model with chain_start='source' to translate, received one "
                f"with {self.chain_start!r}; keras_cfebm.tasks.translate takes any "
                "energy."
            )
        convert = _conversion(dtype)
        settings = self.finest_settings.faster(speed)
        sources = check_inputs(
            source_images, self.image_shape, self.value_range, "source images"
        )
        chain = self._chain([self.sampling_network], settings)
        images = tasks.translate(
            chain,
            sources,
            seed,
            batch_size=batch_size,
            start=start,
            faithfulness=faithfulness,
            progress=progress,
        )
        return convert(images)

    @property
    def last_seed(self) -> int | None:
        """The seed of the last images, to make them again; None before any."""
        return None if self._sampler is None else self._sampler.last_seed

    def _chain(self, networks, settings, guidance=0.0):
        """Kept between calls: callbacks draw samples after every epoch."""
        if self._sampler is None or self._sampler_is_of != (settings, guidance):
            if guidance != 0:
                networks = [tasks.energies.guided(n, guidance) for n in networks]
            self._sampler = tasks.Chain(networks, settings)
            self._sampler_is_of = (settings, guidance)
        return self._sampler

    # --- Saving and loading ---------------------------------------------------------

    @property
    def normality(self) -> tasks.Normality | None:
        """What the detector has learned; Keras saves each layer that it finds."""
        return None if self.detector is None else self.detector.normality

    def save(self, filepath: PathLike, *args: Any, **kwargs: Any) -> None:
        """Writes the model as a `.keras` file; see `keras.Model.save`.

        Raises:
            ValueError: of Keras' old format, HDF5, which does not hold such a model.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(
                f"Expected a path that ends in .keras, received {str(filepath)!r}."
            )
        super().save(filepath, *args, **kwargs)

    def save_to_preset(self, folder: PathLike) -> None:
        """Writes the model as a folder for `from_preset`, laid out as KerasHub's are.

        `keras_cfebm.upload_preset` puts it on a hub.

        Args:
            folder: path; it must not exist.

        Raises:
            FileExistsError: if it does.
        """
        preset_folder.write(self, folder)

    def export(self, filepath: PathLike, **kwargs: Any) -> None:
        """Writes the energy of the finest level by itself; see `EnergyNetwork.export`.

        Not what a server needs to generate: that is `keras_cfebm.export_saved_model`.
        """
        with backend.portable():
            energy = preprocessed(self.sampling_network, self.value_range)
            energy.export(filepath, **kwargs)

    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments but for the ladder."""
        return {
            "langevin": self.langevin,
            "chain_start": self.chain_start,
            "class_names": self.class_names,
            "value_range": self.value_range,
        }

    def with_ladder(self, ladder: Sequence[EnergyNetwork], **changes: Any) -> Self:
        """A new model of other networks, and else of the same arguments."""
        return type(self)(ladder, **{**self.arguments(), **changes})

    def get_config(self):
        return {
            **super().get_config(),
            **self.arguments(),
            "langevin": dataclasses.asdict(self.langevin),
            "class_names": self.class_names and list(self.class_names),
            "value_range": self.value_range and list(self.value_range),
            "ladder": [keras.saving.serialize_keras_object(n) for n in self.ladder],
            "detector": None if self.detector is None else self.detector.get_config(),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["ladder"] = [
            keras.saving.deserialize_keras_object(network)
            for network in config["ladder"]
        ]
        config["langevin"] = Langevin(**config["langevin"])
        detector = config.pop("detector", None)
        model = cls(**config)
        if detector is not None:
            ladder = model.sampling_ladder
            model.detector = tasks.LadderDetector.of_config(ladder, detector)
        return model

    @classmethod
    def from_run_config(
        cls,
        config: RunConfig,
        channels: int,
        num_classes: int | None = None,
        class_names: Sequence[str] | None = None,
    ) -> Self:
        """The untrained model that a run's first stage trains, weights set by its seed.

        Args:
            config: `RunConfig`.
            channels: int, image channels of the data.
            num_classes: int, classes of the data; needed for a conditional energy.
            class_names: sequence of str, their names, which such an energy keeps.

        Returns:
            Model of the first stage's resolution.
        """
        arguments = dataclasses.asdict(config.network)
        conditional = arguments.pop("conditional")
        network = EnergyNetwork(
            config.stages[0].resolution,
            channels=channels,
            num_classes=num_classes if conditional else None,
            **arguments,
        )
        network.draw_weights(config.seed)
        names = class_names if conditional else None
        return cls([network], class_names=names, **cls._arguments_of(config))

    @classmethod
    def _arguments_of(cls, config):
        """The arguments that a run's configuration decides."""
        chain_start = "noise" if config.source is None else "source"
        return {"langevin": config.langevin, "chain_start": chain_start}

    @classmethod
    def from_preset(cls, name: PathLike, load_weights: bool = True) -> Self:
        """The model of a named configuration, or a saved one.

        Args:
            name: a key of `presets`; or, to load what is there, a folder that
                `save_to_preset` or a run has written or of `saved_models`, a `.keras`
                file, or an address such as `"hf://user/name"` or
                `"kaggle://user/model/keras/variation"`, which needs the extra `hub`.
            load_weights: bool, whether to load pretrained weights. Without any for this
                preset the model is untrained, and a warning says so.

        Returns:
            The pretrained ladder, or the untrained model of the preset's first stage.
            Data are neither read nor downloaded.

        Raises:
            ValueError: if the name is unknown (the message lists all names), or a file
                is damaged or of another model.
        """
        file = find_model(name) if load_weights else None
        if file is not None:
            model = read_model(file)
            if not isinstance(model, cls):
                raise ValueError(
                    f"Expected a {cls.__name__} in {file}, received a "
                    f"{type(model).__name__}."
                )
            return model
        preset = configs.find(str(name))
        if load_weights:
            warnings.warn(
                f"There are no pretrained weights for the preset {name!r}: the model "
                f"is untrained. `cfebm train --preset={name} --run_dir=...` trains it.",
                stacklevel=2,
            )
        return cls.from_run_config(preset.config, preset.channels, preset.num_classes)


def _conversion(dtype):
    """The function that gives images, floats in [-1, 1], a type that users ask for."""
    conversions = {"float32": lambda images: images, "uint8": to_uint8}
    if dtype not in conversions:
        raise ValueError(
            f"Expected dtype as one of {list(conversions)}, received {dtype!r}."
        )
    return conversions[dtype]


def check_ladder(ladder: Sequence[EnergyNetwork]) -> None:
    """Raises a ValueError unless the networks are levels of one ladder."""
    if not ladder or not all(isinstance(n, EnergyNetwork) for n in ladder):
        raise ValueError(
            "Expected a ladder as a non-empty list of EnergyNetworks, coarsest first, "
            f"received {ladder}."
        )
    first = ladder[0]
    for level, network in enumerate(ladder):
        same = (network.channels, network.num_classes) == (
            first.channels,
            first.num_classes,
        )
        if network.resolution != first.resolution * 2**level or not same:
            described = [(n.image_shape, n.num_classes) for n in ladder]
            raise ValueError(
                "Expected networks each of twice the resolution of the one before, and "
                "of the same channels and classes, received (image shape, classes): "
                f"{described}."
            )
