"""A training run in a folder: logs, checkpoints, pictures and the trained ladder."""

import contextlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from absl import logging

from keras_cfebm import backend, callbacks, configs, datasets, visualization
from keras_cfebm.configs.run_config import DataConfig, RunConfig
from keras_cfebm.configs.stages import capped_stages
from keras_cfebm.growing import fit_progressively
from keras_cfebm.model import CFEBM
from keras_cfebm.runs.pictures import draw_chains, shown_sources
from keras_cfebm.runs.resume import resume
from keras_cfebm.runs.run_folder import RunFolder
from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.paths import is_image_folder
from keras_cfebm.utils.terminal import say
from keras_cfebm.utils.typing import PathLike


def load_data(config: DataConfig, split: str | None = None) -> datasets.ImageData:
    """The image set of a run, or another split of it."""
    try:
        data = datasets.load(
            config.name,
            split=split or config.split,
            resolution=config.resolution,
            fit=config.fit,
            **config.options,
        )
    except TypeError as error:  # an option that the loader does not have
        raise ValueError(
            f"The options {config.options} do not fit the data {config.name!r}: {error}"
        ) from error
    except FileNotFoundError as error:
        presets = configs.PRESETS.values()
        said = {p.origin for p in presets if p.config.data.name == config.name}
        raise FileNotFoundError(
            " ".join([f"{error}", *(f"Its preset says: {text}." for text in said)])
        ) from error
    return data if config.classes is None else data.subset(classes=config.classes)


def held_out_split(config: DataConfig) -> str | None:
    """The split that training on `config` has not seen; see `datasets.test_split`.

    It is that of the training itself where it has left nothing, as of a folder without
    splits, all of whose sub-folders it has seen.
    """
    in_folder = is_image_folder(config.name)
    if config.split is None and in_folder and not datasets.default_split(config.name):
        return None
    return datasets.test_split(config.name, config.split)


def new_model(config: RunConfig, data: datasets.ImageData) -> CFEBM:
    """The untrained `CFEBM` of a configuration's first stage, weights set by its seed.

    Args:
        config: `RunConfig`.
        data: `ImageData`, for the channels and classes.

    Raises:
        ValueError: if the energy is to be conditional and the data have no labels.
    """
    if not config.network.conditional:
        return CFEBM.from_run_config(config, data.channels)
    if not data.has_labels:
        raise ValueError(
            f"Expected labels for a conditional energy, received {data!r} without."
        )
    num_classes = int(data.labels().max()) + 1
    names = None if data.class_names is None else data.class_names[:num_classes]
    return CFEBM.from_run_config(config, data.channels, num_classes, names)


def numbered_as(model: CFEBM, data: datasets.ImageData) -> datasets.ImageData:
    """The image set of a run with the labels that its model knows.

    Args:
        model: `CFEBM`.
        data: `ImageData`, whose classes may have been others when the run began: of a
            folder, those of the sub-folders that are there now.

    Returns:
        `ImageData`; the given one for a model without classes.

    Raises:
        ValueError: if there are images of a class that the model does not have.
    """
    if model.num_classes is None:
        return data
    if model.class_names is not None:
        data = data.relabelled(model.class_names)
    present = np.unique(data.labels()).tolist()
    if present[-1] >= model.num_classes:
        raise ValueError(
            f"Expected labels below {model.num_classes}, the number of classes of the "
            f"run, received {present} from {data!r}."
        )
    if len(present) < model.num_classes:
        logging.warning(
            "Classes without images will be samples of nothing; there are images of "
            "%s, of %d classes.",
            present,
            model.num_classes,
        )
    return data


def train(
    config: RunConfig,
    folder: PathLike,
    *,
    guard: bool = True,
    replace_config: bool = False,
    strategy: str | None = None,
    extra_callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: Any = "auto",
) -> CFEBM:
    """Trains a run in its folder, or goes on with it where it was stopped.

    Batches that are larger than the image set are cut to its size, with a warning;
    `config.json` then holds the sizes that are used.

    Of several workers, each calls this with the same arguments and sees the same
    folder; only the chief (or first) one writes into it.

    Args:
        config: `RunConfig`.
        folder: path of the run folder.
        guard: bool, whether divergence is rolled back.
        replace_config: bool, see `RunFolder.prepare`.
        strategy: `"mirrored"`, all GPUs of this machine; `"multi_worker"`, all
            processes in `TF_CONFIG`; or None. Batch sizes are those of all replicas
            together.
        extra_callbacks: sequence of Keras callbacks, such as `callbacks.BestLadder`, of
            the process that writes. Those with `get_state` travel with checkpoints: to
            go on with a run, give the same ones.
        verbose: see `fit_progressively`; 0 prints nothing.

    Returns:
        The trained `CFEBM`; of a run that is finished, the one that is there.

    Raises:
        RunError: the folder is of another configuration, in use or not writable.
        CheckpointError, DivergenceError, Interrupted: see `keras_cfebm.callbacks`.
        ValueError, OSError: the data do not fit the configuration or cannot be read.
    """
    run = RunFolder(folder)
    if run.is_finished(config):
        _tell(verbose, f"{run.path} is finished: nothing is left to train.")
        return run.load()
    # The first use of TensorFlow: workers have to find each other before any other.
    strategy = backend.strategy(strategy)
    writes = backend.is_chief(strategy)
    asked = config
    with run.locked() if writes else contextlib.nullcontext():
        if writes and replace_config:
            run.check_network(config)  # before data are read
        data = load_data(config.data)
        source = None if config.source is None else load_data(config.source)
        _tell(verbose and writes, f"Training on {data!r} in {run.path}")
        config = _within(config, data, source, backend.replicas(strategy))
        if writes:
            run.prepare(config, replace_config)
        watch = callbacks.DivergenceGuard(run.guard if writes else None)
        extra = list(extra_callbacks) if writes else []
        log = callbacks.EnergyLog(run.metrics if writes else None, watch)
        companions = [log, watch, *(c for c in extra if hasattr(c, "get_state"))]
        checkpoints = callbacks.Checkpoints(run.checkpoints, companions=companions)
        shown = shown_sources(config, source)
        grids = callbacks.SampleGrid(run.samples, seed=config.seed, sources=shown)

        def make_dataset(stage, start):
            sizes = stage.resolution, stage.batch_size
            order = {
                "seed": config.seed,
                "start": start,
                "flip": config.data.flip,
                "random_crop": config.data.random_crop,
            }
            if source is not None:
                noise = config.source_noise
                return datasets.pairs(source, data, *sizes, **order, source_noise=noise)
            return data.batches(*sizes, **order, labels=config.network.conditional)

        def stage_callbacks(stage):
            number = config.stages.index(stage) + 1
            active = [log, *([watch] if guard else [])]
            if writes:
                board = run.tensorboard / f"{number:02d}_{stage.resolution:04d}px"
                active += [*_tensorboard(board), grids]
            return [*active, *extra, stop, checkpoints]

        with callbacks.StopOnSignal(checkpoints) as stop, datasets.reading_errors():
            with backend.scope(strategy):
                model = new_model(config, data)
            try:
                model, place = resume(checkpoints, model, config.stages)
                model.value_range = (-1, 1)  # of every `ImageData`
                data = numbered_as(model, data)
                model = fit_progressively(
                    model,
                    make_dataset,
                    config.stages,
                    resumed_at=place,
                    callbacks=stage_callbacks,
                    report_steps=config.report_steps,
                    verbose=verbose,
                )
                model.value_range = None  # those of users have to be declared
            except callbacks.DivergenceError:
                checkpoints.save()  # the last good state: the guard has put it back
                raise
        if not writes:
            return model
        atomic_files.save(model.save, run.ladder)
        visualization.energy_curves(log.rows, path=run.energies)
        draw_chains(model, run.chain, run.film, seed=config.seed, sources=shown)
        run.finish(asked, config)
        if watch.events:
            _tell(
                verbose, f"The guard rolled back {len(watch.events)} times: {run.guard}"
            )
    return model


def _tell(verbose, text):
    if verbose:
        say(text)


def _within(config, data, source, replicas):
    """The configuration with no batch larger than the images that there are."""
    images = min(len(some) for some in (data, source) if some is not None)
    stages = capped_stages(config.stages, images, replicas)
    changed = [
        f"{stage.batch_size} instead of {asked.batch_size} at {stage.resolution} pixels"
        for stage, asked in zip(stages, config.stages, strict=True)
        if stage != asked
    ]
    if changed:
        logging.warning(
            "There are %d images to train on: batches are of %s.",
            images,
            ", ".join(changed),
        )
    return config.replace(stages=tuple(stages))


def _tensorboard(folder):
    """The callback in a list; an empty one where TensorFlow, which it needs, is not."""
    try:
        optional_import("tensorflow")
    except ImportError as error:
        logging.warning("No logs for TensorBoard: %s", error)
        return []
    return [keras.callbacks.TensorBoard(folder, write_graph=False)]
