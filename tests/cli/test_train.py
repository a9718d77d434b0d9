"""`cfebm train`, on 32 images, with `cfebm sample` of what it leaves."""

import dataclasses
import json
import shutil

import numpy as np
import PIL.Image
import pytest

from keras_cfebm import configs, datasets, load_ladder
from keras_cfebm.cli.main import main
from keras_cfebm.configs.run_config import RunConfig
from keras_cfebm.runs.run_folder import RunError, RunFolder
from keras_cfebm.runs.train import new_model, numbered_as

SMALL = [
    "--preset=tiny",
    "--fade_images=8",
    "--stabilise_images=8:32,16:8",
    "--batch_size=8",
    "--steps=2,1",
    "--fit=exact",
    "--resolution=16",
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 32 small grey images."""
    folder = tmp_path_factory.mktemp("photos")
    images = datasets.load(datasets.EMBEDDED, resolution=16, fit="resize").images(32)
    for index, image in enumerate(datasets.to_uint8(images)):
        PIL.Image.fromarray(image[..., 0]).save(folder / f"{index:02d}.png")
    return folder


@pytest.fixture(scope="module")
def finished(photos, tmp_path_factory):
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    assert main(["train", f"--data={photos}", f"--run_dir={folder}", *SMALL]) == 0
    return folder


def test_a_run_leaves_everything_it_promises(finished):
    run = RunFolder(finished)
    for path in (run.config, run.metrics, run.energies, run.chain, run.film):
        assert path.stat().st_size > 0
    assert list(run.tensorboard.rglob("events.out.tfevents.*"))
    assert run.checkpoints.is_dir()
    assert len(list(run.samples.glob("*.png"))) == len(
        run.metrics.read_text(encoding="utf-8").splitlines()[1:]
    )
    model = load_ladder(finished)
    assert [network.resolution for network in model.ladder] == [8, 16]
    assert not model.network.fading


def test_flags_override_the_preset(finished):
    config = RunFolder(finished).read_config()
    assert config.langevin.steps == (2, 1)
    assert [stage.stabilise_images for stage in config.stages] == [32, 8]
    assert [stage.batch_size for stage in config.stages] == [8, 8]
    assert config.network.widths == {4: 8, 8: 8, 16: 8, 32: 4}  # the preset's own


def test_the_config_recreates_the_run(finished, tmp_path):
    config = finished / "config.json"
    again = tmp_path / "again"
    assert main(["train", f"--config={config}", f"--run_dir={again}"]) == 0
    a, b = load_ladder(finished), load_ladder(again)
    for x, y in zip(a.network.weights, b.network.weights, strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_a_finished_run_stays_as_it_is(finished, photos):
    before = (finished / "metrics.csv").read_text(encoding="utf-8")
    assert main(["train", f"--data={photos}", f"--run_dir={finished}", *SMALL]) == 0
    assert (finished / "metrics.csv").read_text(encoding="utf-8") == before


def test_a_finished_run_says_so_without_reading_its_data(
    finished, photos, monkeypatch, capsys
):
    def refuse(*arguments, **options):
        raise AssertionError("nothing is left to train")

    monkeypatch.setattr("keras_cfebm.runs.train.load_data", refuse)
    assert main(["train", f"--data={photos}", f"--run_dir={finished}", *SMALL]) == 0
    assert f"{finished} is finished: nothing is left" in capsys.readouterr().out


def test_a_preset_says_where_its_missing_data_come_from(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--preset=emoji_portraits", "--run_dir=run"]) == 1
    error = capsys.readouterr().err
    assert "at emoji/portraits, found none. Its preset says: python -m" in error


def test_a_run_goes_on_without_its_flags(finished, capsys):
    assert main(["train", f"--run_dir={finished}"]) == 0
    shown = capsys.readouterr().out
    assert f"Going on with the configuration in {finished}" in shown
    assert "is finished" in shown


def test_only_the_configuration_that_led_to_the_end_is_finished(tmp_path):
    run, tiny = RunFolder(tmp_path), configs.config("tiny")
    run.prepare(tiny)
    run.finish(tiny)
    assert not run.is_finished(tiny)  # there is no model
    run.ladder.touch()
    assert run.is_finished(tiny) and not run.is_finished(tiny.replace(seed=9))
    run.prepare(tiny.replace(seed=9), replace_config=True)
    assert not run.is_finished(tiny)  # it goes on with other values


def test_what_nobody_has_asked_for_is_said_before_it_begins(
    tmp_path, monkeypatch, capsys
):
    seen = []
    monkeypatch.setattr("keras_cfebm.cli.train.train", lambda *a, **_: seen.append(a))
    assert main(["train", f"--run_dir={tmp_path}"]) == 0
    shown = capsys.readouterr().out
    assert "Neither --data nor --preset is given: training the preset" in shown
    assert seen[0][0] == configs.config("fashion_mnist_quick")
    assert main(["train", f"--run_dir={tmp_path}", "--preset=tiny"]) == 0
    assert "Neither" not in capsys.readouterr().out


def test_photos_of_any_size_train_at_once(tmp_path, capsys, caplog):
    """60 photos, of which a batch of 256 cannot be made; the counts are for a test."""
    photos = tmp_path / "photos"
    photos.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (60, 12, 12, 3), "uint8")
    for index, image in enumerate(noise):
        image = image[: 9 + index % 4]  # of four shapes
        PIL.Image.fromarray(image).save(photos / f"{index}.png")
    given = [f"--data={photos}", "--resolution=8", "--base_width=1", "--steps=1"]
    given += ["--stabilise_images=120", f"--run_dir={tmp_path / 'run'}"]
    caplog.set_level("WARNING", "absl")
    assert main(["train", *given]) == 0
    assert "60 images to train on: batches are of 60 instead of 256" in caplog.text
    (stage,) = RunFolder(tmp_path / "run").read_config().stages
    assert (stage.batch_size, stage.steps) == (60, 2)
    capsys.readouterr()
    assert main(["train", *given]) == 0  # the same command, the same run
    assert "is finished" in capsys.readouterr().out


def test_sample_writes_a_grid_and_the_numbers(finished, tmp_path):
    grid = tmp_path / "grid.png"
    given = [f"--model={finished}", f"--output={grid}", "--count=5", "--seed=0"]
    assert main(["sample", *given]) == 0
    images = np.load(tmp_path / "grid.npy")
    assert images.shape == (5, 16, 16, 1)
    assert np.abs(images).max() <= 1
    np.testing.assert_allclose(
        images, load_ladder(finished).generate(5, seed=0), atol=1e-6
    )
    PIL.Image.open(grid).verify()


def test_another_configuration_is_refused_with_the_difference(finished, capsys):
    code = main(["train", "--preset=tiny", f"--run_dir={finished}", "--seed=9"])
    message = capsys.readouterr().err
    assert code == 1
    assert "seed: 0 there, 9 now" in message and "--replace_config" in message


def test_a_network_with_checkpoints_cannot_be_replaced(finished, photos, capsys):
    config = (finished / "config.json").read_text(encoding="utf-8")
    arguments = [f"--data={photos}", f"--run_dir={finished}", *SMALL]
    code = main(["train", *arguments, "--base_width=3", "--replace_config"])
    message = capsys.readouterr().err
    assert code == 1 and "checkpoints of another network" in message
    assert "base_width: 16 there, 3 now" in message
    assert (finished / "config.json").read_text(encoding="utf-8") == config


def test_a_finer_stage_than_all_new_ones_is_not_lost(finished, photos, capsys):
    kept = [finished / name for name in ("config.json", "ladder.keras")]
    before = [path.read_bytes() for path in kept]
    arguments = [f"--data={photos}", f"--run_dir={finished}", *SMALL[:-1]]
    coarse = ["--stabilise_images=8", "--resolution=8", "--steps=2"]
    code = main(["train", *arguments, *coarse, "--replace_config"])
    assert code == 1 and "at least 16 pixels" in capsys.readouterr().err
    assert [path.read_bytes() for path in kept] == before


def test_a_refused_first_command_does_not_take_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    run = RunFolder("~/run")
    assert run.path == tmp_path / "run"
    first, second = configs.config("tiny"), configs.config("tiny").replace(seed=9)
    run.prepare(first)
    run.prepare(second)
    assert run.read_config() == second
    run.ladder.touch()
    with pytest.raises(RunError, match="another configuration"):
        run.prepare(first)


def test_classes_without_images_are_named(noise_images, caplog):
    config = configs.config("tiny")
    network = dataclasses.replace(config.network, conditional=True)
    data = datasets.from_arrays(noise_images(4, 16), [0, 2, 2, 0])
    caplog.set_level("WARNING", "absl")
    model = new_model(config.replace(network=network), data)
    assert model.num_classes == 3 and numbered_as(model, data) is data
    assert "[0, 2], of 3 classes" in caplog.text


def test_classes_are_those_of_the_run_whatever_folders_there_are_now(tmp_path, capsys):
    def draw(name, colour):
        (tmp_path / "pets" / name).mkdir(parents=True, exist_ok=True)
        pixels = np.full((8, 8), colour, np.uint8)
        for index in range(8):
            path = tmp_path / "pets" / name / f"{index}.png"
            PIL.Image.fromarray(pixels).save(path)

    def train(stages):
        run, data = f"--run_dir={tmp_path / 'run'}", f"--data={tmp_path / 'pets'}"
        flags = ["--conditional", "--preset=tiny", "--steps=1", "--fit=exact"]
        flags += ["--resolution=8", "--batch_size=8", "--replace_config"]
        return main(["train", run, data, *flags, f"--stabilise_images={stages}"])

    draw("cat", 0)
    draw("horse", 255)
    assert train(8) == 0
    run = RunFolder(tmp_path / "run")
    assert run.load().class_names == ("cat", "horse")
    # One that comes in between would make horses of number 1 dogs.
    draw("dog", 128)
    capsys.readouterr()
    assert train(16) == 1
    assert "['cat', 'horse'] in 'pets', received some of ['dog']" in (
        capsys.readouterr().err
    )
    shutil.rmtree(tmp_path / "pets" / "dog")
    # Without cats, horses are number 0 of the folder and number 1 of the run.
    shutil.rmtree(tmp_path / "pets" / "cat")
    data = numbered_as(run.load(), datasets.load(tmp_path / "pets"))
    assert data.labels().tolist() == [1] * 8


def test_two_processes_cannot_share_a_folder(finished, photos, capsys):
    config = (finished / "config.json").read_text(encoding="utf-8")
    arguments = [f"--data={photos}", f"--run_dir={finished}", *SMALL, "--seed=9"]
    with RunFolder(finished).locked():
        code = main(["train", *arguments, "--replace_config"])
    assert (finished / "config.json").read_text(encoding="utf-8") == config
    assert code == 1
    assert "Another process is training" in capsys.readouterr().err


def test_data_of_another_resolution_is_refused(photos, tmp_path, capsys):
    arguments = ["--preset=tiny", "--fit=exact", "--resolution=32"]
    run = f"--run_dir={tmp_path / 'run'}"
    assert main(["train", f"--data={photos}", run, *arguments]) == 1
    assert "32" in capsys.readouterr().err


def test_figures_of_the_config_are_plain_json(finished):
    text = (finished / "config.json").read_text(encoding="utf-8")
    assert RunConfig.from_dict(json.loads(text)) == RunFolder(finished).read_config()
