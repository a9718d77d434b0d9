"""`Task`: which images a command reads, and beside which model."""

import dataclasses
import shutil
import types

import pytest

from keras_cfebm import datasets
from keras_cfebm.cli import task as module
from keras_cfebm.cli.commands import COMMANDS
from keras_cfebm.cli.config import config_from_flags
from keras_cfebm.cli.task import Task, two_parts
from keras_cfebm.runs.run_folder import RunFolder
from keras_cfebm.sampling import Langevin


@pytest.fixture(scope="module")
def run(make_model, tmp_path_factory):
    """The folder of a run on two classes, as if its model were trained."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "noise")
    values = COMMANDS["train"].flag_values()
    values(["cfebm", "--preset=tiny", "--resolution=32", "--fit=pad"])
    values.classes = ["Sneaker", "Ankle boot"]
    folder.prepare(config_from_flags(values))
    make_model(32).save(folder.ladder)
    return folder.path


def task_of(name, *arguments):
    """A task as the command line makes it."""
    values = COMMANDS[name].flag_values()
    values(["cfebm", *arguments])
    return Task(name, values)


def test_other_data_are_judged_apart_from_their_training_images(
    run, tmp_path, monkeypatch
):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
    loaded = []
    monkeypatch.setattr(module, "load_data", lambda *given: loaded.append(given))
    task = task_of("neighbours", f"--model={run}", f"--data={tmp_path}")
    task.data()
    task.data(training=True)  # of a folder of splits that is train/
    assert [split for _, split in loaded] == ["test", None]
    assert {config.options["channels"] for config, _ in loaded} == {1}


@pytest.mark.parametrize("spelling", ["{}", "{}/../{}"])
@pytest.mark.parametrize(
    ("split", "folders", "judged"),
    [
        (None, ["test", "cat"], None),
        ("train", ["test", "cat"], "test"),
        (None, ["test", "train"], "test"),
        (None, ["train"], None),
    ],
)
def test_a_folder_seen_as_a_whole_leaves_nothing_to_judge(
    run, tmp_path, monkeypatch, caplog, split, folders, judged, spelling
):
    for folder in folders:
        (tmp_path / folder).mkdir()
    loaded = []
    monkeypatch.setattr(module, "load_data", lambda *given: loaded.append(given))
    data = spelling.format(tmp_path, tmp_path.name)
    task = task_of("neighbours", f"--model={run}", f"--data={data}")
    own = dataclasses.replace(
        task.config.data, name=str(tmp_path), split=split, classes=None
    )
    task.config = task.config.replace(data=own)
    caplog.set_level("WARNING", "absl")
    task.data()
    assert [split for _, split in loaded] == [judged]
    assert ("trained on" in caplog.text) == (judged is None)
    assert loaded[0][0].options == {"channels": 1}


@pytest.mark.parametrize("stored", [("cat", "dog", "horse"), None])
def test_sub_folders_of_a_split_are_classes_of_the_training_by_name(
    run, tmp_path, monkeypatch, noise_images, stored
):
    names = {None: ("cat", "dog", "horse"), "test": ("cat", "horse")}
    (tmp_path / "test").mkdir()

    def load(config, split=None):
        labels = range(len(names[split]))
        return datasets.from_arrays(
            noise_images(len(labels), 8), labels, names[split], name="pets"
        )

    monkeypatch.setattr(module, "load_data", load)
    task = task_of("denoise", f"--model={run}")
    own = dataclasses.replace(
        task.config.data, name=str(tmp_path), split="train", classes=None
    )
    task.config = task.config.replace(data=own)
    assert task.data().class_names == ("cat", "horse")  # an energy without classes
    task.model = types.SimpleNamespace(
        num_classes=3, class_names=stored, resolution=32, image_shape=(1,)
    )
    assert task.data().labels().tolist() == [0, 2]
    names["test"] = ("cat", "gnu", "horse")
    with pytest.raises(ValueError, match=r"in 'pets', received some of \['gnu'\]"):
        task.data()
    # Where the model knows its classes, the training may have others by now.
    names |= {"test": ("dog", "horse"), None: ("dog", "horse")}
    expected = [0, 1] if stored is None else [1, 2]
    assert task.data().labels().tolist() == expected
    assert task.data(training=True).labels().tolist() == expected


def test_a_model_file_may_lie_beside_anything(run, tmp_path):
    shutil.copy(run / "ladder.keras", tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert task_of("denoise", f"--model={tmp_path / 'ladder.keras'}").config is None


def test_flags_change_the_settings_of_a_task(run):
    task = task_of("denoise", f"--model={run}", "--steps=3", "--noise_scale=0")
    default = Langevin(steps=(1, 2), step_size=0.5, noise_scale=0.1)
    assert task.langevin(default) == default.replace(steps=3, noise_scale=0.0)


def test_what_a_run_has_left_out(run):
    task = task_of("detect", f"--model={run}")
    left_out = task.other_classes()
    names = {left_out.class_names[label] for label in left_out.labels()}
    assert len(names) == 8 and names.isdisjoint(task.config.data.classes)
    task.config = None
    with pytest.raises(ValueError, match="some classes only"):
        task.other_classes()


def test_two_parts_have_no_image_in_common(noise_images):
    data = datasets.from_arrays(noise_images(10, 8), range(10))
    first, second = two_parts(data, 20, 3, seed=0)
    assert sorted([*first.labels(), *second.labels()]) == list(range(10))
    assert len(second) == 3
    with pytest.raises(ValueError, match="at least two images"):
        two_parts(data.part(0, 1), 1, 1, seed=0)
