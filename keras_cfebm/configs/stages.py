"""Stage: what happens at one resolution of a training, and the stages of the paper."""

import dataclasses
import math
from collections.abc import Sequence

from keras_cfebm.layers.levels import levels_of
from keras_cfebm.sampling import Langevin
from keras_cfebm.utils.validation import check_count, check_data_chains, check_number

#: (largest resolution, value), from the settings of the authors' runs.
_BATCH_SIZES = ((8, 256), (16, 128), (64, 64), (128, 32), (math.inf, 16))
_LEARNING_RATES = ((32, 1e-3), (64, 1.2e-3), (128, 1.5e-3), (math.inf, 2e-3))


@dataclasses.dataclass(frozen=True)
class Stage:
    """What happens at one resolution.

    Args:
        resolution: int, side of the images.
        fade_images: int, training images over which β goes from 0 to 1; the first
            stage has no other path to fade from and just adds them to the rest.
        stabilise_images: int, training images at β = 1.
        batch_size: int, images per training step.
        learning_rate: float, of Adam.
        langevin: optional `Langevin` from this stage on.
        accumulation: optional int, parts that a batch is worked on in, one after the
            other, from this stage on; see `CFEBM`.
        decay_images: int, the last training images of the stage, over which the
            learning rate falls in a line, to a hundredth.
        data_chains: optional float, share of the chains that start at images, from this
            stage on; see `CFEBM`.
        data_chain_steps: optional int, Langevin steps of those chains, from this stage
            on.
        data_chain_noise: optional float, noise on the images where those chains start,
            from this stage on; see `CFEBM`.

    Raises:
        ValueError: if a number is out of range, or the batch cannot be divided.
    """

    resolution: int
    fade_images: int
    stabilise_images: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    langevin: Langevin | None = None
    accumulation: int | None = None
    decay_images: int = 0
    data_chains: float | None = None
    data_chain_steps: int | None = None
    data_chain_noise: float | None = None

    def __post_init__(self):
        check_count(self.resolution, "resolution")
        check_count(self.fade_images, "fade_images", minimum=0)
        check_count(self.stabilise_images, "stabilise_images", minimum=0)
        check_count(self.batch_size, "batch_size")
        if self.steps < 1:
            raise ValueError(f"Expected images to train on, received none: {self}.")
        check_number(self.learning_rate, "learning_rate", "(0, inf)")
        images = self.fade_images + self.stabilise_images
        check_count(self.decay_images, "decay_images", minimum=0, maximum=images)
        if not isinstance(self.langevin, Langevin | None):
            raise ValueError(
                f"Expected a Langevin or None, received {self.langevin!r}."
            )
        if self.data_chains is not None:
            check_data_chains(self.data_chains)
        if self.data_chain_steps is not None:
            check_count(self.data_chain_steps, "data_chain_steps")
        if self.data_chain_noise is not None:
            check_number(self.data_chain_noise, "data_chain_noise", "[0, inf)")
        if self.accumulation is not None:
            check_count(self.accumulation, "accumulation")
            if self.batch_size % self.accumulation:
                raise ValueError(
                    f"Expected a batch_size that accumulation={self.accumulation} "
                    f"divides, received {self.batch_size}."
                )

    @property
    def fade_steps(self) -> int:
        """Training steps of the fade-in phase."""
        return -(-self.fade_images // self.batch_size)  # rounded up, of any size

    @property
    def steps(self) -> int:
        """Training steps of the whole stage."""
        return self.fade_steps - (-self.stabilise_images // self.batch_size)

    @property
    def decay_steps(self) -> int:
        """Training steps over which the learning rate falls."""
        return min(self.steps, -(-self.decay_images // self.batch_size))

    def epochs(self, report_steps: int) -> tuple[int, int]:
        """Splits the stage for `fit`: `(epochs, steps_per_epoch)`.

        The steps are rounded up to whole epochs of about `report_steps` steps.
        """
        epochs = max(1, round(self.steps / report_steps))
        return epochs, -(-self.steps // epochs)


def capped_stages(
    stages: Sequence[Stage], images: int, replicas: int = 1
) -> list[Stage]:
    """The stages with no batch larger than the image set.

    Args:
        stages: list of `Stage`s.
        images: int, number of images to train on.
        replicas: int, between which batches are divided.

    Returns:
        List of `Stage`s of the same number of images; those of small enough batches, or
        that no smaller batch could train, are as they were.
    """
    capped, parts = [], 1
    for stage in stages:
        parts = stage.accumulation or parts
        size = images // (parts * replicas) * parts * replicas
        if 0 < size < stage.batch_size:
            stage = dataclasses.replace(stage, batch_size=size)
        capped.append(stage)
    return capped


def prolonged(stages: Sequence[Stage], steps: int) -> list[Stage]:
    """The stages with a last one that goes on at β = 1.

    Args:
        stages: list of `Stage`s.
        steps: int, training steps of all stages together.

    Returns:
        List of `Stage`s of so many steps.

    Raises:
        ValueError: if they have more steps already.
    """
    own = sum(stage.steps for stage in stages)
    if own > steps:
        raise ValueError(
            f"Expected at least {own} steps, those of the stages, received {steps}."
        )
    *others, last = stages
    images = (steps - sum(s.steps for s in others) - last.fade_steps) * last.batch_size
    return [*others, dataclasses.replace(last, stabilise_images=images)]


def learning_rate_at(resolution: int) -> float:
    """The learning rate of the authors' runs at a resolution."""
    return next(rate for top, rate in _LEARNING_RATES if resolution <= top)


def default_stages(
    resolution: int, base_resolution: int = 8, images_per_phase: int = 500_000
) -> list[Stage]:
    """Stages up to a resolution with the batch sizes and learning rates of the paper.

    Args:
        resolution: int, side of the finest images.
        base_resolution: int, side of the coarsest ones.
        images_per_phase: int, images of the fade-in, and again at β = 1; the first
            stage, which has nothing to fade in, takes both at β = 1.

    Returns:
        List of `Stage`s, coarsest first.

    Raises:
        ValueError: if `resolution` is not `base_resolution` · 2^k.
    """
    return [
        Stage(
            level,
            fade_images=0 if level == base_resolution else images_per_phase,
            stabilise_images=images_per_phase * (2 if level == base_resolution else 1),
            batch_size=next(size for top, size in _BATCH_SIZES if level <= top),
            learning_rate=learning_rate_at(level),
        )
        for level in levels_of(resolution, base_resolution)
    ]
