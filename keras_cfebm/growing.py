"""⑤ Progressive training: the one visible loop grow → compile → fit (Alg. 1)."""

import dataclasses
import math

import keras


@dataclasses.dataclass(frozen=True)
class Stage:
    """What happens at one resolution.

    Args:
        resolution: int, side of the images.
        fade_images: int, training images over which β goes from 0 to 1; the first
            stage has no other path to fade from and just adds them to the rest.
        settle_images: int, training images at β = 1.
        batch_size: int, images per training step.
        learning_rate: float, of Adam.
        langevin: optional `Langevin` from this stage on.

    Raises:
        ValueError: if a number is out of range.
    """

    resolution: int
    fade_images: int
    settle_images: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    langevin: object = None

    def __post_init__(self):
        sizes = (self.resolution, self.batch_size, self.fade_images, self.settle_images)
        lowest = (1, 1, 0, 0)
        if any(s < low for s, low in zip(sizes, lowest, strict=True)):
            raise ValueError(
                "A stage needs a resolution and a batch_size of at least 1 and numbers "
                f"of images of at least 0. Received: {self}"
            )
        if self.steps < 1:
            raise ValueError(f"A stage needs images to train on. Received: {self}")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(
                f"learning_rate must be above 0. Received: {self.learning_rate}"
            )

    @property
    def fade_steps(self):
        """Training steps of the fade-in phase."""
        return math.ceil(self.fade_images / self.batch_size)

    @property
    def steps(self):
        """Training steps of the whole stage."""
        return self.fade_steps + math.ceil(self.settle_images / self.batch_size)

    def epochs(self, report_steps):
        """Splits the stage for `fit`: `(epochs, steps_per_epoch)`.

        The steps are rounded up to whole epochs of about `report_steps` steps.
        """
        epochs = max(1, round(self.steps / report_steps))
        return epochs, math.ceil(self.steps / epochs)


def adam(stage):
    """The optimizer of the paper: Adam with β₁ = 0.5 and β₂ = 0.999."""
    return keras.optimizers.Adam(stage.learning_rate, beta_1=0.5, beta_2=0.999)


def enter(model, stage):
    """The model that trains in a stage, uncompiled: the given one, or it grown.

    Args:
        model: `CFEBM` of the stage's resolution or of half of it.
        stage: `Stage`.

    Returns:
        New `CFEBM` of `stage.resolution`.

    Raises:
        ValueError: if the stage's resolution is neither.
    """
    if stage.resolution == 2 * model.resolution:
        model = model.grown(fade_steps=stage.fade_steps)
    elif stage.resolution != model.resolution:
        raise ValueError(
            "A stage continues the resolution of the model or doubles it. Received: "
            f"a model of {model.resolution} and a stage of {stage.resolution}"
        )
    if stage.langevin is not None:
        model.langevin = stage.langevin
    return model


def fit_progressively(
    model,
    make_dataset,
    stages,
    *,
    optimizer=adam,
    callbacks=(),
    report_steps=100,
    verbose="auto",
):
    """Trains a model stage by stage, growing it between two of them.

    Args:
        model: `CFEBM` whose resolution is that of the first stage (or half of it).
        make_dataset: function of a `Stage` that returns batches of its `batch_size` of
            images of its resolution, or of pairs of images and labels, without end.
        stages: list of `Stage`s, coarsest first.
        optimizer: function of a `Stage` that returns a new Keras optimizer.
        callbacks: Keras callbacks. Before each stage, those that have a method
            `on_stage_begin(stage, model)` are told.
        report_steps: int, training steps per epoch, about; an epoch is what progress
            bars, logs and callbacks count in.
        verbose: as in `keras.Model.fit`.

    Returns:
        The trained `CFEBM`, with averaged weights and without fade path; compile it
        again to train on.

    Raises:
        ValueError: if there is no stage, or stages and model do not fit together.
    """
    stages = list(stages)
    if not stages:
        raise ValueError("Expected at least one stage. Received none.")
    for index, stage in enumerate(stages):
        model = enter(model, stage) if index == 0 else enter(model.finished(), stage)
        model.compile(optimizer=optimizer(stage))
        for callback in callbacks:
            if hasattr(callback, "on_stage_begin"):
                callback.on_stage_begin(stage, model)
        epochs, steps = stage.epochs(report_steps)
        model.fit(
            make_dataset(stage),
            epochs=epochs,
            steps_per_epoch=steps,
            callbacks=list(callbacks),
            verbose=verbose,
        )
    return model.finished()
