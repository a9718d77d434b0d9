"""What the task commands share: flags, model and data of a run, output, tables."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from absl import flags, logging

from keras_cfebm import datasets
from keras_cfebm.configs.run_config import DataConfig, RunConfig
from keras_cfebm.datasets import ImageData
from keras_cfebm.evaluation import FashionClassifier, fashion_classifier
from keras_cfebm.runs.run_folder import RunError, RunFolder, load_ladder
from keras_cfebm.runs.train import held_out_split, load_data
from keras_cfebm.sampling import Langevin
from keras_cfebm.utils import atomic_files

#: Columns of the pictures.
SHOWN = 8


def define_model_flags(values: flags.FlagValues) -> None:
    """Adds the flag of every command that needs a trained model."""
    flags.DEFINE_string("model", None, "Run folder or .keras file.", flag_values=values)
    flags.mark_flag_as_required("model", flag_values=values)


def define_data_flags(values: flags.FlagValues) -> None:
    """Adds the flags that say which images a command reads."""
    flags.DEFINE_string(
        "data", None, "Image set; by default that of the run.", flag_values=values
    )
    flags.DEFINE_string(
        "split", None, "Split; by default the test split.", flag_values=values
    )
    flags.DEFINE_string("fit", None, "exact, pad, resize or crop.", flag_values=values)
    flags.DEFINE_list("classes", None, "Classes to keep.", flag_values=values)


def define_task_flags(values: flags.FlagValues, count: int, data: bool = True) -> None:
    """Adds the flags of every task.

    Args:
        values: where to add them.
        count: int, default of --count.
        data: bool, whether the task reads images.
    """
    define_model_flags(values)
    flags.DEFINE_string(
        "output",
        None,
        "Folder of pictures and figures; by default tasks/<task> beside the model.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "count", count, "Number of images.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer("seed", 0, "Of all noise.", lower_bound=0, flag_values=values)
    flags.DEFINE_integer(
        "batch_size", 64, "Images at a time.", lower_bound=1, flag_values=values
    )
    if data:
        define_data_flags(values)


def define_chain_flags(values: flags.FlagValues) -> None:
    """Adds the flags that change the task's Langevin settings."""
    flags.DEFINE_integer(
        "steps", None, "Langevin steps per level.", lower_bound=0, flag_values=values
    )
    flags.DEFINE_float("step_size", None, "η.", flag_values=values)
    flags.DEFINE_float("noise_scale", None, "σ of the first step.", flag_values=values)


def chain_settings(values: flags.FlagValues, default: Langevin) -> Langevin:
    """A task's Langevin settings, with what the flags change."""
    names = ("steps", "step_size", "noise_scale")
    given = {name: values[name].value for name in names}
    return default.replace(**{k: v for k, v in given.items() if v is not None})


class Task:
    """One run of a task command.

    Args:
        name: str, the task.
        values: parsed flags, see `define_task_flags`.

    Attributes:
        model: `CFEBM`.
        folder: `pathlib.Path`, the run folder, or the folder of the file.
        config: `RunConfig` of the run that the model is of, or None.
        output: folder, `pathlib.Path`.

    Raises:
        RunError: if there is no readable model, or a run's config cannot be read.
    """

    def __init__(self, name: str, values: flags.FlagValues):
        self.name = name
        self.values = values
        self.model = load_ladder(values.model)
        path = pathlib.Path(values.model).expanduser()
        self.folder = path if path.is_dir() else path.parent
        run = RunFolder(self.folder)
        self.config: RunConfig | None = None
        if run.config.is_file():
            try:
                self.config = run.read_config()
            except RunError as error:
                if path.is_dir():
                    raise
                # Beside a model file it may be of anything.
                logging.warning("%s", error)
        output = pathlib.Path(values.output or run.path / "tasks" / name)
        self.output = output.expanduser()

    def require_noise(self) -> None:
        """Raises ValueError if the model's chains start at source images."""
        if self.model.chain_start == "source":
            raise ValueError(
                "Expected a model whose chains start at noise. Received one that "
                "translates: see cfebm translate."
            )

    def data(self, training: bool = False) -> ImageData:
        """The images of the task: held-out ones, or those of the training."""
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
                "Expected a run that was trained on some classes only (--classes). "
                "Received one of all, or a model without its config.json"
            )
        split = held_out_split(own)
        whole = load_data(dataclasses.replace(own, classes=None), split)
        return whole.subset(exclude_classes=own.classes)

    def _load(self, own, name, split, classes, training, flag):
        if own is None and name is None:
            raise ValueError(
                f"Expected --{flag}: there is no run's config.json beside the model "
                "that says what it was trained on."
            )
        other = own is None or not (name is None or _same(name, own.name))
        config = self._other(name, own) if other else own
        changes: dict[str, Any] = {"resolution": self.model.resolution}
        if self.values.fit:
            changes["fit"] = self.values.fit
            if self.values.fit != "crop":
                changes["options"] = {**config.options}
                changes["options"].pop("crop_size", None)
        if not other and _is_folder(config.name):
            # One split of it may be grey while the other is not.
            options = changes.get("options", config.options)
            changes["options"] = {"channels": self.model.image_shape[-1], **options}
        if classes:
            changes["classes"] = tuple(classes)
        config = dataclasses.replace(config, **changes)
        held_out = datasets.test_split(config.name) if other else held_out_split(config)
        if training:
            # Of other data too, not those that are judged.
            return load_data(config, "train" if other and held_out else None)
        split = split or held_out
        if not other and (held_out is None or split == (own.split or "train")):
            logging.warning(
                "Figures are of images that the model was trained on: %s, split %s. "
                "--data or --split names other ones.",
                config.name,
                split,
            )
        data = load_data(config, split)
        if own is not None and _is_folder(own.name) and _is_folder(config.name):
            self._check_classes(data, own)
        return data

    def _check_classes(self, data, own):
        """Sub-folders are numbered within one root: labels need the same ones."""
        if self.model.num_classes is None:
            return
        trained = load_data(own).class_names
        if data.class_names != trained:
            raise ValueError(
                f"Expected sub-folders for the classes of the training, {trained}. "
                f"Received: {data.class_names}"
            )

    def _other(self, name, own):
        """Data that the run does not know, read as the model needs them."""
        fit = "pad" if name == datasets.EMBEDDED else "exact"
        options = {}
        if name != datasets.EMBEDDED and not name.endswith((".npy", ".npz")):
            options["channels"] = self.model.image_shape[-1]
            if not _is_folder(name) and own is not None and "data_dir" in own.options:
                options["data_dir"] = own.options["data_dir"]
        return DataConfig(
            name, resolution=self.model.resolution, fit=fit, options=options
        )

    def classifier(self) -> FashionClassifier | None:
        """The shipped classifier, if the model's images are of a kind that it takes."""
        height, _, channels = self.model.image_shape
        fits = height in (28, 32) and channels == 1
        return fashion_classifier() if fits else None

    def labels(self, data: ImageData) -> np.ndarray | None:
        """Labels for the energies of images: None without classes."""
        return None if self.model.num_classes is None else data.labels()

    def finish(self, figures: Any, **settings: Any) -> None:
        """Writes figures.json and says where everything is.

        Args:
            figures: what JSON can hold.
            **settings: more to record beside them.
        """
        record = {
            "task": self.name,
            "model": pathlib.Path(self.values.model).name,
            "count": self.values.count,
            "seed": self.values.seed,
            **settings,
            "figures": figures,
        }
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        self.output.mkdir(parents=True, exist_ok=True)
        atomic_files.write_text(self.output / "figures.json", text)
        print(f"\nPictures and figures.json: {self.output}")


def _is_folder(name):
    return pathlib.Path(name).expanduser().is_dir()


def _same(name, other):
    """Whether two names are of one image set, or two spellings of one path."""
    paths = [pathlib.Path(text).expanduser() for text in (name, other)]
    if all(path.exists() for path in paths):
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
        raise ValueError(f"Expected at least two images. Received: {data!r}")
    others = min(others, len(data) // 2)
    count = min(count, len(data) - others)
    drawn = data.subset(limit=count + others, seed=seed)
    return drawn.part(0, count), drawn.part(count, count + others)


def print_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Prints a table: first column to the left, numbers to the right."""
    cells = [[str(name) for name in header]]
    cells += [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        first, *rest = (
            f"{cell:<{w}}" if i == 0 else f"{cell:>{w}}"
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *rest]).rstrip())


def _cell(value):
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
