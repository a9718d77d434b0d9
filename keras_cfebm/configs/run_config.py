"""RunConfig: everything that decides a training run, as plain data in a JSON file."""

import dataclasses
import json
import typing

from keras_cfebm.configs.from_dict import build
from keras_cfebm.configs.stages import Stage
from keras_cfebm.datasets.resize import check_fit
from keras_cfebm.layers import activations
from keras_cfebm.layers.levels import check_inner, checked_widths, levels_of
from keras_cfebm.sampling import Langevin
from keras_cfebm.utils.validation import (
    check_count,
    check_data_chains,
    check_number,
    check_seed,
)

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
        random_crop: float in (0, 1], smallest share of the area of random crops, see
            `ImageData.batches`; 1 for none.

    Raises:
        ValueError: if a value is out of range, or an option is a value of its own.
    """

    name: str
    split: str | None = None
    resolution: int = 32
    fit: str = "exact"
    flip: bool = False
    classes: tuple | None = None
    options: dict = dataclasses.field(default_factory=dict)
    random_crop: float = 1.0

    def __post_init__(self):
        check_fit(self.fit, self.resolution)
        check_number(self.random_crop, "random_crop", "(0, 1]")
        own = sorted({"name", "split", "resolution", "fit"} & set(self.options))
        if own:
            raise ValueError(
                f"Expected {own} as values of their own, received them as options."
            )
        if self.classes is not None:
            classes = tuple(self.classes)
            if not classes or not all(type(c) in (int, str) for c in classes):
                raise ValueError(
                    f"Expected classes as names or numbers, received {classes!r}."
                )
            object.__setattr__(self, "classes", classes)


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The arguments of `EnergyNetwork` but for what the data decide.

    Args:
        base_resolution: int, side of the coarsest images.
        base_width: int, sets the channels at every resolution.
        widths: dict of resolution → channels, which overrides single resolutions.
        activation: str, see `keras_cfebm.layers.activations`.
        spectral_norm: bool, whether convolutions are normalised.
        inner: `"input"` or `"output"`, how wide blocks are inside.
        equalized: bool, whether 1×1 and linear layers have an equalised learning rate.
        conditional: bool, whether the energy is one of image and class label.
        dtype: `"float32"`, or `"mixed_bfloat16"`: convolutions in bfloat16; weights,
            energies and the images of a chain in float32.

    Raises:
        ValueError: if a value is out of range.
    """

    base_resolution: int = 8
    base_width: int = 32
    widths: dict = dataclasses.field(default_factory=dict)
    activation: str = "swish"
    spectral_norm: bool = True
    inner: str = "input"
    equalized: bool = False
    conditional: bool = False
    dtype: str = "float32"

    def __post_init__(self):
        activations.get(self.activation)
        check_count(self.base_resolution, "base_resolution", minimum=2)
        check_count(self.base_width, "base_width")
        check_inner(self.inner)
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
        stages: tuple of `Stage`s. The first is of the coarsest level; each of the
            others doubles the largest resolution so far, or trains a level again that
            there is; and the last is of the resolution of the data.
        data_noise: float, see `CFEBM`.
        energy_l2: float, see `CFEBM`.
        ema_decay: float or None, see `CFEBM`.
        seed: int, of weights, noise and the order of the images.
        report_steps: int, training steps per epoch, about.
        source: optional `DataConfig`: learn to translate images of this set to those of
            `data`, see `chain_start="source"` of `CFEBM`. None for chains from noise.
        source_noise: float, see `keras_cfebm.datasets.pairs`: with the data themselves
            as the source, the model learns to remove noise up to this σ.
        chain_start_noise: float, see `CFEBM`.
        data_chains: float, see `CFEBM`; a `Stage` may have its own.
        data_chain_steps: int, see `CFEBM`; a `Stage` may have its own.
        data_chain_noise: float, see `CFEBM`; a `Stage` may have its own.
        coarse_pool: int, see `CFEBM`.

    Raises:
        ValueError: if a value is out of range, the stages are others than said above,
            an accumulation does not divide a batch, or source images have another
            resolution, flip or random crop than the data, are to be translated by a
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
    chain_start_noise: float = 0.0
    data_chains: float = 0.0
    data_chain_steps: int = 60
    data_chain_noise: float = 0.0
    coarse_pool: int = 0

    def __post_init__(self):
        check_count(self.report_steps, "report_steps")
        check_seed(self.seed)
        for name in (
            "data_noise",
            "energy_l2",
            "source_noise",
            "chain_start_noise",
            "data_chain_noise",
        ):
            check_number(getattr(self, name), name, "[0, inf)")
        if self.ema_decay is not None:
            check_number(self.ema_decay, "ema_decay", "[0, 1)")
        for share in (self.data_chains, *(s.data_chains or 0 for s in self.stages)):
            check_data_chains(share, "source" if self.source else "noise")
        check_count(self.data_chain_steps, "data_chain_steps")
        check_count(self.coarse_pool, "coarse_pool", minimum=0)
        self._check_stages()
        if self.source is not None:
            self._check_source(self.source)
        else:
            for name in ("source_noise", "chain_start_noise"):
                if getattr(self, name):
                    raise ValueError(
                        f"Expected a source where there is {name}, received "
                        f"{name}={getattr(self, name)} alone."
                    )
            if self.langevin.faithfulness:
                raise ValueError(
                    "Expected a source where there is faithfulness to it, received "
                    f"faithfulness={self.langevin.faithfulness} alone."
                )

    def _check_stages(self):
        if not self.stages:
            raise ValueError("Expected at least one stage, received none.")
        resolutions = [stage.resolution for stage in self.stages]
        levels_of(resolutions[0], self.network.base_resolution)
        wanted = levels_of(self.data.resolution, resolutions[0])
        # In the order in which they are first trained.
        if list(dict.fromkeys(resolutions)) != wanted or resolutions[-1] != wanted[-1]:
            raise ValueError(
                f"Expected stages that come to the levels {wanted} one after the other "
                f"and end at that of the data, received {resolutions}."
            )
        parts = 1
        for stage in self.stages:
            parts = stage.accumulation or parts
            if stage.batch_size % parts:
                raise ValueError(
                    f"Expected batch sizes that accumulation={parts} divides, from its "
                    f"stage on, received {stage.batch_size} at {stage.resolution} "
                    "pixels."
                )

    def _check_source(self, source):
        for name in ("resolution", "flip", "random_crop"):
            own, other = getattr(self.data, name), getattr(source, name)
            if own != other:
                raise ValueError(
                    f"Expected source images of the {name} of the data, {own}, "
                    f"received {other}."
                )
        if self.network.conditional:
            raise ValueError(
                "Expected conditional=False where there is a source, received True: a "
                "translation has no class labels."
            )
        own, other = ((d.name, d.split, d.classes) for d in (self.data, source))
        if own == other and not self.source_noise:
            raise ValueError(
                "Expected source images other than the data, or source_noise, "
                f"received {own} as both: images translated to themselves teach "
                "nothing."
            )

    @property
    def levels(self) -> int:
        """Number of resolutions, which is that of the model's networks."""
        return len({stage.resolution for stage in self.stages})

    @property
    def final_langevin(self) -> Langevin:
        """The sampler of the trained model: that of the last stage with one of its own.

        Without such a stage it is `langevin`.
        """
        own = [stage.langevin for stage in self.stages if stage.langevin is not None]
        return own[-1] if own else self.langevin

    def replace(self, **changes: typing.Any) -> "RunConfig":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

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
            raise ValueError(
                f"Expected a configuration in JSON, received text that is none: {error}"
            ) from error
        return cls.from_dict(values)
