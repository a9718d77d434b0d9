"""What the task commands share: the model, the images of its run, and the output."""

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np
from absl import flags, logging

from keras_cfebm import configs, datasets
from keras_cfebm.cli.text import prepare_folder, write_json
from keras_cfebm.configs.run_config import DataConfig, RunConfig
from keras_cfebm.datasets import ImageData
from keras_cfebm.evaluation import FashionClassifier, fashion_classifier
from keras_cfebm.model import CFEBM
from keras_cfebm.runs.run_folder import RunError, RunFolder, load_ladder, model_file
from keras_cfebm.runs.train import held_out_split, load_data
from keras_cfebm.sampling import Langevin
from keras_cfebm.tasks.batches import drawn_seed
from keras_cfebm.utils import preset_folder
from keras_cfebm.utils.model_files import preset_of
from keras_cfebm.utils.paths import is_image_folder, user_path
from keras_cfebm.utils.typing import Tensor
from keras_cfebm.visualization import comparison_grid

#: Columns of the pictures.
SHOWN = 8


class Trained:
    """A trained model, and the images that it was trained on and is judged by.

    Args:
        values: parsed flags of the command.

    Attributes:
        model: `CFEBM`.
        folder: `pathlib.Path`, the run folder, or the folder of the file.
        preset: str, the preset that the model comes with, or None.
        config: `RunConfig` of the run or preset that the model is of, or None.

    Raises:
        RunError: if there is no readable model, or a run's config cannot be read.
    """

    def __init__(self, values: flags.FlagValues):
        self.values = values
        file = model_file(values.model)
        self.folder = file.parent
        self.preset = preset_of(file)
        self.config = config_beside(file, values.model)
        self.model = load_ladder(file)

    def data(self, training: bool = False) -> ImageData:
        """The images of the task: held-out ones, or those of the training.

        Raises:
            ValueError: if neither a flag nor a run names them, or they do not fit.
        """
        v = self.values
        own = None if self.config is None else self.config.data
        return self._load(own, v.data, v.split, v.classes, training, "data")

    def source(self, training: bool = False) -> ImageData:
        """The images that a translation starts from; flags as for `data`."""
        v = self.values
        own = None if self.config is None else self.config.source
        given = (v.source, v.source_split, v.source_classes)
        return self._load(own, *given, training, "source")

    def other_classes(self) -> ImageData:
        """Held-out images of the classes that the run has left out.

        Raises:
            ValueError: if it has left out none.
        """
        own = None if self.config is None else self.config.data
        if own is None or own.classes is None:
            raise ValueError(
                "Expected --model of a run that was trained on some classes only, "
                "received one of all, or one without its config.json."
            )
        split = held_out_split(own)
        whole = load_data(dataclasses.replace(own, classes=None), split)
        return whole.subset(exclude_classes=own.classes)

    def _load(
        self,
        own: DataConfig | None,
        name: str | None,
        split: str | None,
        classes: list[str] | None,
        training: bool,
        flag: str,
    ) -> ImageData:
        """Loads what flags name, or else what the run has: `own`."""
        if own is not None and (name is None or _same(name, own.name)):
            config, other = own, False
        elif name is not None:
            config, other = self._other(name, own), True
        else:
            raise ValueError(
                f"Expected --{flag}, received none. There is no run's config.json "
                "beside the model that says what it was trained on."
            )
        changes: dict[str, Any] = {"resolution": self.model.resolution}
        if self.values.fit:
            changes["fit"] = self.values.fit
            if self.values.fit != "crop":
                changes["options"] = {**config.options}
                changes["options"].pop("crop_size", None)
        if not other and is_image_folder(config.name):
            # One split of it may be grey while the other is not.
            options = changes.get("options", config.options)
            changes["options"] = {"channels": self.model.image_shape[-1], **options}
        if classes:
            changes["classes"] = tuple(classes)
        config = dataclasses.replace(config, **changes)
        held_out = datasets.test_split(config.name) if other else held_out_split(config)
        own = own if own is not None and is_image_folder(own.name) else None
        if training:
            # Of other data too, not those that are judged. A folder knows its own.
            named = other and held_out and not is_image_folder(config.name)
            return self._numbered(load_data(config, "train" if named else None), own)
        split = split or held_out
        if not other and (held_out is None or split == _trained_split(config)):
            logging.warning(
                "Figures are of images that the model was trained on: %s, split %s. "
                "--data or --split names other ones.",
                config.name,
                split,
            )
        return self._numbered(load_data(config, split), own)

    def _numbered(self, data: ImageData, own: DataConfig | None) -> ImageData:
        """Labels as the model numbers its classes, which are matched by name."""
        if self.model.num_classes is None:
            return data
        names = self.model.class_names
        if names is None and own is not None:  # saved before models had names
            names = load_data(own).class_names
        return data if names is None else data.relabelled(names)

    def _other(self, name: str, own: DataConfig | None) -> DataConfig:
        """Data that the run does not know, read as the model needs them."""
        fit = "pad" if name == datasets.EMBEDDED else "exact"
        options: dict[str, Any] = {}
        if name != datasets.EMBEDDED and not name.endswith((".npy", ".npz")):
            options["channels"] = self.model.image_shape[-1]
            ours = {} if own is None or is_image_folder(name) else own.options
            if "data_dir" in ours:
                options["data_dir"] = ours["data_dir"]
        return DataConfig(
            name, resolution=self.model.resolution, fit=fit, options=options
        )

    def labels(self, data: ImageData) -> np.ndarray | None:
        """Labels for the energies of images: None without classes."""
        return None if self.model.num_classes is None else data.labels()


class Task(Trained):
    """One run of a task command.

    Args:
        name: str, the task.
        values: parsed flags of the command.

    Attributes:
        output: folder, `pathlib.Path`; made, and known to be writable.
        seed: int, that of the flag, or where it has none a fresh one.

    Raises:
        RunError: see `Trained`.
        OSError: if the output cannot be written.
    """

    def __init__(self, name: str, values: flags.FlagValues):
        super().__init__(values)
        self.name = name
        self.seed = drawn_seed(values.seed)
        usual = "tasks" if self.preset is None else f"tasks/{self.preset}"
        folder = pathlib.Path() if self.preset else self.folder
        self.output = user_path(values.output or folder / usual / name)
        prepare_folder(self.output, "output")

    def langevin(self, default: Langevin) -> Langevin:
        """The task's Langevin settings, with what the flags change."""
        names = ("steps", "step_size", "noise_scale")
        given = {name: self.values[name].value for name in names}
        return default.replace(**{k: v for k, v in given.items() if v is not None})

    def classifier(self) -> FashionClassifier | None:
        """The shipped classifier, if the model's images are of a kind that it takes."""
        height, _, channels = self.model.image_shape
        fits = height in (28, 32) and channels == 1
        return fashion_classifier() if fits else None

    def sample_labels(self, data: ImageData) -> np.ndarray | None:
        """Labels to sample with, each class as often as in data; None without."""
        if self.model.num_classes is None:
            return None
        return np.resize(data.subset(seed=self.values.seed).labels(), self.values.count)

    def show(self, images: dict[str, Tensor], name: str) -> None:
        """Writes the first of each version of the images, one row each.

        Args:
            images: dict of label → images.
            name: str, name of the file.
        """
        shown = {k.replace("_", " "): some[:SHOWN] for k, some in images.items()}
        comparison_grid(shown, path=self.output / name)

    def record(self, figures: Any, **settings: Any) -> None:
        """Writes figures.json, before anything is drawn or printed.

        Args:
            figures: what JSON can hold.
            **settings: more to record beside them.
        """
        record = {
            "task": self.name,
            "model": pathlib.Path(self.values.model).name,
            "count": self.values.count,
            "seed": self.seed,
            **settings,
            "figures": figures,
        }
        write_json(self.output / "figures.json", record)

    def say_where(self) -> None:
        """Says where everything is."""
        print(f"\nPictures and figures.json: {self.output} (--seed={self.seed})")


def require_noise(model: CFEBM) -> None:
    """Raises ValueError if the model's chains start at source images."""
    if model.chain_start == "source":
        raise ValueError(
            "Expected --model of chains that start at noise, received one that "
            "translates. See cfebm translate."
        )


def config_beside(file: pathlib.Path, model: str) -> RunConfig | None:
    """The configuration that a model was trained with, as far as that is known."""
    preset = configs.PRESETS.get(preset_of(file) or "")
    if preset is not None:
        return preset.config
    run = RunFolder(file.parent)
    if not run.config.is_file() or file.name == preset_folder.WEIGHTS:
        return None
    try:
        return run.read_config()
    except RunError as error:
        if user_path(model) == file.parent:
            raise
        # Beside a model file it may be of anything.
        logging.warning("%s", error)
        return None


def _trained_split(config: DataConfig) -> str:
    """The split that a training on `config` has seen."""
    if config.split is None and is_image_folder(config.name):
        return datasets.default_split(config.name) or "train"
    return config.split or "train"


def _same(name: str, other: str) -> bool:
    """Whether two names are of one image set, or two spellings of one path."""
    paths = [user_path(text) for text in (name, other)]
    if all(os.path.exists(path) for path in paths):
        return paths[0].samefile(paths[1])
    return name == other


def two_parts(
    data: ImageData, count: int, others: int, seed: int
) -> tuple[ImageData, ImageData]:
    """Two sets of images, drawn at random and without common ones.

    Args:
        data: `ImageData`.
        count: int, images of the first; fewer where there are not so many.
        others: int, images of the second; at most half of all.
        seed: int.

    Returns:
        Pair of `ImageData`.

    Raises:
        ValueError: if there are fewer than two images.
    """
    if len(data) < 2:
        raise ValueError(f"Expected at least two images, received {data!r}.")
    others = min(others, len(data) // 2)
    count = min(count, len(data) - others)
    drawn = data.subset(limit=count + others, seed=seed)
    return drawn.part(0, count), drawn.part(count, count + others)
