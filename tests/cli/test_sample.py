"""`cfebm sample`, and how any command finds its model: on models of a few channels."""

import re

import numpy as np
import PIL.Image
import pytest

from keras_cfebm import CFEBM, configs, load_ladder
from keras_cfebm.cli.labels import in_rows, labels_of
from keras_cfebm.cli.main import main
from keras_cfebm.cli.serve import find_versions
from keras_cfebm.runs.run_folder import RunError, RunFolder
from keras_cfebm.sampling import Langevin
from keras_cfebm.utils import model_files


@pytest.fixture(scope="module")
def run(make_model, tmp_path_factory):
    """The folder of a run of three classes, as if trained."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "classes")
    folder.prepare(configs.config("tiny"))
    names = ["T-shirt", "Trouser", "9"]
    make_model(num_classes=3, class_names=names).save(folder.ladder)
    return folder.path


@pytest.fixture(scope="module")
def plain(make_model, tmp_path_factory):
    """A `.keras` file of a model without classes."""
    path = tmp_path_factory.mktemp("models") / "plain.keras"
    make_model().save(path)
    return path


def sample(model, folder, *arguments):
    """The images of `cfebm sample`."""
    path = folder / "s.png"
    assert main(["sample", f"--model={model}", f"--output={path}", *arguments]) == 0
    with PIL.Image.open(path) as grid:
        grid.verify()
    return np.load(folder / "s.npy")


# --- Where it is written --------------------------------------------------------------


def test_folders_of_the_output_are_made(plain, tmp_path):
    assert sample(plain, tmp_path / "new" / "one", "--count=2").shape == (2, 8, 8, 1)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("{}/", "Expected --output as the file of a picture"),
        ("{}/s.npy", "Expected --output as the file of a picture"),
        ("{}/s", "Expected --output as the file of a picture"),
        ("{}/file/s.png", "--output names another place"),
    ],
)
def test_an_output_is_checked_before_the_chain(
    plain, tmp_path, monkeypatch, capsys, output, message
):
    (tmp_path / "file").touch()
    monkeypatch.setattr(CFEBM, "generate", lambda *_, **__: pytest.fail("drawn"))
    output = output.format(tmp_path)
    assert main(["sample", f"--model={plain}", f"--output={output}"]) == 1
    assert message in capsys.readouterr().err


def test_a_task_checks_its_output_before_its_work(plain, tmp_path, capsys):
    (tmp_path / "file").touch()
    output = f"--output={tmp_path}/file/folder"
    assert main(["interpolate", f"--model={plain}", output]) == 1
    assert "--output names another place" in capsys.readouterr().err


def test_images_of_a_chain_that_does_not_clip(make_model, tmp_path):
    free = Langevin(steps=1, noise_scale=5.0, final_noise_scale=5.0, clip=None)
    model = tmp_path / "free.keras"
    make_model(langevin=free).save(model)
    assert np.abs(sample(model, tmp_path, "--count=2")).max() > 1.5
    output = f"--output={tmp_path / 'rows'}"
    command = ["interpolate", f"--model={model}", "--count=1", "--columns=3", output]
    assert main(command) == 0
    assert (tmp_path / "rows" / "interpolations.png").is_file()


# --- Seeds ----------------------------------------------------------------------------


def test_every_time_other_images_that_can_be_made_again(plain, tmp_path, capsys):
    first = sample(plain, tmp_path, "--count=2")
    seed = re.search(r"--seed=(\d+)", capsys.readouterr().out)
    assert np.abs(sample(plain, tmp_path, "--count=2") - first).max() > 0.1
    again = sample(plain, tmp_path, "--count=2", seed.group())
    np.testing.assert_array_equal(again, first)


# --- Classes --------------------------------------------------------------------------


def test_all_classes_are_drawn_in_rows(run, tmp_path):
    images = sample(run, tmp_path, "--count=7", "--seed=3")
    labels = [0, 0, 0, 1, 1, 2, 2]
    wanted = load_ladder(run).generate(7, seed=3, labels=labels)
    np.testing.assert_allclose(images, wanted, atol=1e-5)
    rows, columns = in_rows(images, np.array(labels))
    assert columns == 3 and rows.shape == (9, 8, 8, 1)
    np.testing.assert_array_equal(rows[[0, 1, 2, 3, 4, 6, 7]], images)
    assert (rows[[5, 8]] == 1).all()


@pytest.mark.parametrize("label", ["1", "Trouser"])
def test_a_class_by_number_or_name(run, tmp_path, label):
    images = sample(run, tmp_path, "--count=2", "--seed=3", f"--label={label}")
    wanted = load_ladder(run).generate(2, seed=3, labels=1)
    np.testing.assert_allclose(images, wanted, atol=1e-5)


def test_a_name_comes_before_a_number(run):
    np.testing.assert_array_equal(labels_of(load_ladder(run), "9", 2), [2, 2])


@pytest.mark.parametrize("label", ["3", "-1", "Bag", "1.0"])
def test_a_class_that_the_model_has_not(run, label, capsys):
    assert main(["sample", f"--model={run}", f"--label={label}"]) == 1
    message = capsys.readouterr().err
    assert "error: --label: Expected a class, one of ['T-shirt', 'Trouser'" in message


def test_guidance_and_speed_reach_the_chain(run, plain, tmp_path, capsys):
    dials = ["--guidance=1.5", "--speed=2"]
    images = sample(run, tmp_path, "--count=2", "--seed=3", "--label=1", *dials)
    model = load_ladder(run)
    wanted = model.generate(2, seed=3, labels=1, guidance=1.5, speed=2)
    np.testing.assert_allclose(images, wanted, atol=1e-5)
    assert main(["sample", f"--model={plain}", "--guidance=1"]) == 1
    assert "Expected --guidance of 0 for a model without" in capsys.readouterr().err


def test_a_label_of_a_model_without_classes(plain, capsys):
    assert main(["sample", f"--model={plain}", "--label=1"]) == 1
    assert "Expected no --label" in capsys.readouterr().err


# --- One way to name a model ----------------------------------------------------------


@pytest.fixture
def shipped(plain, tmp_path, monkeypatch):
    """A folder of saved models with one of the preset "tiny"."""
    folder = tmp_path / "saved_models" / "tiny"
    folder.mkdir(parents=True)
    (folder / "model.keras").write_bytes(plain.read_bytes())
    monkeypatch.setattr(model_files, "PRETRAINED", (tmp_path / "saved_models",))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize("spelling", ["tiny", "{}", "{}/model.keras"])
def test_a_model_is_a_name_a_folder_or_a_file(shipped, assert_equal, spelling):
    model = spelling.format(shipped)
    found = [load_ladder(model), CFEBM.from_preset(model)]
    wanted = load_ladder(shipped / "model.keras")
    for some in found:
        assert_equal(
            [w.numpy() for w in some.weights], [w.numpy() for w in wanted.weights]
        )
    assert main(["interpolate", f"--model={model}", "--count=1", "--columns=2"]) == 0
    # Not into an installed package.
    assert (shipped.parents[1] / "tasks/tiny/interpolate/figures.json").is_file()
    assert [path.name for path in shipped.iterdir()] == ["model.keras"]


def test_a_run_folder_is_found_too(run, assert_equal):
    wanted = load_ladder(run / "ladder.keras").weights
    assert_equal(CFEBM.from_preset(run).get_weights(), [w.numpy() for w in wanted])


def test_a_folder_named_like_a_preset_does_not_hide_it(shipped, tmp_path):
    (tmp_path / "tiny").mkdir()
    assert model_files.find_model("tiny") == shipped / "model.keras"
    assert model_files.find_model("absent") is None


def test_a_run_that_is_not_finished_says_so(tmp_path):
    RunFolder(tmp_path).prepare(configs.config("tiny"))
    with pytest.raises(RunError, match=r"not finished: cfebm train --run_dir="):
        load_ladder(tmp_path)


def test_what_was_exported_is_found_by_its_model(run, tmp_path):
    with pytest.raises(FileNotFoundError, match="cfebm export"):
        find_versions(str(run))
    for folder in (run / "serving" / run.name, tmp_path):
        (folder / "1").mkdir(parents=True)
        (folder / "1" / "saved_model.pb").touch()
    assert find_versions(str(run)) == (run / "serving" / run.name, run.name)
    assert find_versions(str(tmp_path)) == (tmp_path, None)
    assert find_versions("absent")[0].name == "absent"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\nsize 9\n", "git lfs pull"),
        (None, "received 2,000 bytes that are none: the end of the file may be"),
        (b"", "received 0 bytes that are none"),
    ],
)
def test_a_damaged_file_says_what_is_there(plain, tmp_path, capsys, content, message):
    path = tmp_path / "model.keras"
    path.write_bytes(plain.read_bytes()[:2000] if content is None else content)
    with pytest.raises(ValueError, match=message):
        CFEBM.from_preset(path)
    assert main(["sample", f"--model={path}"]) == 1
    error = capsys.readouterr().err
    assert message in error and "not found" not in error


def test_a_file_of_another_kind(plain, tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(plain.read_bytes())
    with pytest.raises(RunError, match=r"ends in \.keras"):
        load_ladder(path)
    load_ladder(plain).network.save(tmp_path / "energy.keras")
    with pytest.raises(RunError, match=r"Expected a CFEBM .* received a EnergyNetwork"):
        load_ladder(tmp_path / "energy.keras")
