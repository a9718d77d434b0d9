"""RunConfig: everything that decides a training run, as plain data in a JSON file."""

import dataclasses
import json
import typing

import keras

from keras_cfebm.configs.from_dict import build
from keras_cfebm.datasets.resize import check_fit
from keras_cfebm.growing import Stage
from keras_cfebm.layers import activations
from keras_cfebm.layers.levels import checked_widths, levels_of
from keras_cfebm.model import CFEBM
from keras_cfebm.network import EnergyNetwork
from keras_cfebm.sampling import Langevin
from keras_cfebm.utils.validation import check_count, check_number, check_seed

DTYPES = ("float32", "mixed_bfloat16")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which images to train on; the arguments of `keras_cfebm.datasets.load`.

    Args:
        name: str, name or path of the image set.
        split: str or None, as the set defines it.
        resolution: int, side of the finest images.
        fit: `"exact"`, `"pad"`, `"resize"` or `"crop"`.
        flip: bool, mirror half of the images left to right.
        classes: optional tuple of class names or numbers to keep.
        options: further arguments of the loader, for example `{"channels": 1}`.
    """

    name: str
    split: str | None = None
    resolution: int = 32
    fit: str = "exact"
    flip: bool = False
    classes: tuple | None = None
    options: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        check_fit(self.fit, self.resolution)
        own = sorted({"name", "split", "resolution", "fit"} & set(self.options))
        if own:
            raise ValueError(f"{own} are no options but values of their own.")
        if self.classes is not None:
            classes = tuple(self.classes)
            if not classes or not all(type(c) in (int, str) for c in classes):
                raise ValueError(
                    f"Expected classes as names or numbers, received {classes!r}."
                )
            object.__setattr__(self, "classes", classes)


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The arguments of `EnergyNetwork` but for its resolution.

    Image channels are those of the data. `dtype` is `"float32"` or `"mixed_bfloat16"`:
    convolutions in bfloat16; weights, energies and the images of a chain in float32.
    """

    base_resolution: int = 8
    base_width: int = 32
    widths: dict = dataclasses.field(default_factory=dict)
    activation: str = "swish"
    spectral_norm: bool = True
    conditional: bool = False
    dtype: str = "float32"

    def __post_init__(self):
        activations.get(self.activation)
        check_count(self.base_resolution, "base_resolution", minimum=2)
        check_count(self.base_width, "base_width")
        if self.dtype not in DTYPES:
            # float16 would need its gradients scaled, also those of the chains.
            raise ValueError(f"Expected a dtype of {DTYPES}, received {self.dtype!r}.")
        object.__setattr__(self, "widths", checked_widths(self.widths))


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """A training run.

    Args:
        data: `DataConfig`.
        network: `NetworkConfig`.
        langevin: `Langevin`.
        stages: tuple of `Stage`s, coarsest first.
        data_noise: float, see `CFEBM`.
        energy_l2: float, see `CFEBM`.
        ema_decay: float or None, see `CFEBM`.
        seed: int, of weights, noise and the order of the images.
        report_steps: int, training steps per epoch, about.
        source: optional `DataConfig`: learn to translate images of this set to those of
            `data`, see `chain_start="source"` of `CFEBM`. None for chains from noise.
        source_noise: float, see `keras_cfebm.datasets.pairs`: with the data themselves
            as the source, the model learns to remove noise up to this σ.

    Raises:
        ValueError: if the stages do not double the resolution from a level on and end
            at the resolution of the data, an accumulation does not divide a batch, or
            source images have another resolution or flip, are to be translated by a
            conditional energy, or are the data themselves without noise.
    """

    data: DataConfig
    network: NetworkConfig
    langevin: Langevin
    stages: tuple[Stage, ...]
    data_noise: float = 0.0
    energy_l2: float = 0.0
    ema_decay: float | None = 0.99
    seed: int = 0
    report_steps: int = 100
    source: DataConfig | None = None
    source_noise: float = 0.0

    def __post_init__(self):
        if not self.stages:
            raise ValueError("Expected at least one stage. Received none.")
        check_count(self.report_steps, "report_steps")
        check_seed(self.seed)
        check_number(self.data_noise, "data_noise", "[0, inf)")
        check_number(self.energy_l2, "energy_l2", "[0, inf)")
        if self.ema_decay is not None:
            check_number(self.ema_decay, "ema_decay", "[0, 1)")
        resolutions = [stage.resolution for stage in self.stages]
        if resolutions != sorted(set(resolutions)):
            raise ValueError(f"Stages go from coarse to fine. Received: {resolutions}")
        wanted = levels_of(resolutions[-1], resolutions[0])
        levels_of(resolutions[0], self.network.base_resolution)
        if resolutions != wanted:
            raise ValueError(
                f"Stages double the resolution each time, {wanted}. "
                f"Received: {resolutions}"
            )
        if resolutions[-1] != self.data.resolution:
            raise ValueError(
                f"The last stage is that of the data, {self.data.resolution} pixels. "
                f"Received: {resolutions}"
            )
        self._check_accumulation()
        check_number(self.source_noise, "source_noise", "[0, inf)")
        if self.source is not None:
            self._check_source()
        elif self.source_noise:
            raise ValueError(
                "source_noise is the noise of source images: expected a source. "
                f"Received: source_noise={self.source_noise} without one"
            )

    def _check_source(self):
        if self.source.resolution != self.data.resolution:
            raise ValueError(
                "Source images have the resolution of the data, "
                f"{self.data.resolution}. Received: {self.source.resolution}"
            )
        if self.source.flip != self.data.flip:
            raise ValueError(
                "Source images are mirrored as the data are, with the same flip. "
                f"Received: {self.source.flip} and {self.data.flip}"
            )
        if self.network.conditional:
            raise ValueError(
                "A translation has no class labels: expected network.conditional=False "
                "where there is a source. Received: True"
            )
        own, source = (
            (data.name, data.split, data.classes) for data in (self.data, self.source)
        )
        if own == source and not self.source_noise:
            raise ValueError(
                "Expected source images other than the data, or source_noise: a "
                f"translation of images to themselves teaches nothing. Received: {own} "
                "as both"
            )

    def _check_accumulation(self):
        parts = 1
        for stage in self.stages:
            parts = stage.accumulation or parts
            if stage.batch_size % parts:
                raise ValueError(
                    f"Expected batch sizes that accumulation={parts} divides, from its "
                    f"stage on. Received: {stage.batch_size} at {stage.resolution} "
                    "pixels"
                )

    def replace(self, **changes: typing.Any) -> "RunConfig":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def first_network(
        self, channels: int, num_classes: int | None = None
    ) -> EnergyNetwork:
        """The `EnergyNetwork` that the first stage trains."""
        arguments = dataclasses.asdict(self.network)
        conditional = arguments.pop("conditional")
        return EnergyNetwork(
            self.stages[0].resolution,
            channels=channels,
            num_classes=num_classes if conditional else None,
            **arguments,
        )

    def first_model(self, channels: int, num_classes: int | None = None) -> CFEBM:
        """The untrained `CFEBM` that the first stage trains, weights set by the seed.

        Args:
            channels: int, image channels of the data.
            num_classes: int, classes of the data; needed for a conditional energy.

        Returns:
            `CFEBM` of the first stage's resolution.
        """
        keras.utils.set_random_seed(self.seed % 2**32)
        return CFEBM(
            [self.first_network(channels, num_classes)],
            langevin=self.langevin,
            data_noise=self.data_noise,
            energy_l2=self.energy_l2,
            ema_decay=self.ema_decay,
            chain_start="noise" if self.source is None else "source",
            seed=self.seed,
        )

    def to_dict(self) -> dict[str, typing.Any]:
        """Plain data; `RunConfig.from_dict` is its inverse."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """The configuration as JSON text."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @classmethod
    def from_dict(cls, values: dict[str, typing.Any]) -> "RunConfig":
        """Builds a configuration from plain data.

        Raises:
            ValueError: if a key is unknown or missing, or a value has the wrong type
                or range.
        """
        return build(cls, values, "config")

    @classmethod
    def from_json(cls, text: str) -> "RunConfig":
        """Builds a configuration from JSON text; errors as in `from_dict`."""
        try:
            values = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"Expected a JSON configuration. {error}") from error
        return cls.from_dict(values)
