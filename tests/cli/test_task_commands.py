"""The task commands, each once, on two runs of a few steps; and wrong input."""

import json
import shutil
import types

import numpy as np
import PIL.Image
import pytest
import quick_graphs
import tensorflow as tf

from keras_cfebm import datasets, evaluation, load_ladder
from keras_cfebm.cli import detect
from keras_cfebm.cli.main import main
from keras_cfebm.runs.run_folder import RunFolder
from keras_cfebm.tasks import AnomalyDetector
from keras_cfebm.tasks.anomaly import SCORES

SMALL = [
    "--preset=tiny",
    "--resolution=32",
    "--fit=pad",
    "--fade_images=8",
    "--stabilise_images=8",
    "--batch_size=8",
    "--steps=1",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run on two classes."""
    folder = tmp_path_factory.mktemp("runs") / "noise"
    arguments = ["--classes=Sneaker,Ankle boot", f"--run_dir={folder}"]
    with quick_graphs.eagerly():
        assert main(["train", *SMALL, *arguments]) == 0
    return folder


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    """The folder of a run from one class to another; --source is that of --data."""
    folder = tmp_path_factory.mktemp("runs") / "source"
    arguments = ["--classes=9", "--source_classes=Sneaker", f"--run_dir={folder}"]
    with quick_graphs.eagerly():
        assert main(["train", *SMALL, *arguments]) == 0
    return folder


def figures_of(command, folder, *arguments, pictures):
    """Runs a command and returns its record; the pictures must be there."""
    assert main([command, f"--model={folder}", *arguments]) == 0
    output = folder / "tasks" / command
    for name in pictures:
        PIL.Image.open(output / name).verify()
    record = json.loads((output / "figures.json").read_text(encoding="utf-8"))
    assert record["task"] == command and record["model"] == folder.name
    return record


def test_a_translation_run_leaves_everything_it_promises(translator):
    run = RunFolder(translator)
    config = run.read_config()
    assert config.source.name == config.data.name == datasets.EMBEDDED
    assert config.source.classes == ("Sneaker",) and config.data.classes == ("9",)
    assert config.source.fit == "pad" and config.source.split == "train"
    model = load_ladder(translator)
    assert model.chain_start == "source"
    assert [network.resolution for network in model.ladder] == [8, 16, 32]
    grids = sorted(path.name for path in run.samples.glob("*.png"))
    places = [name.partition("_epoch")[0] for name in grids]
    assert places == ["01_0008px", "02_0016px", "03_0032px"]
    with PIL.Image.open(run.samples / grids[-1]) as grid:
        wide, high = grid.size
    assert wide > 4 * high  # sixteen sources above their translations
    PIL.Image.open(run.chain).verify()


def test_export_with_a_threshold_of_held_out_images(run, capsys):
    chosen = "--signatures=anomaly_score,energy_bytes"
    assert main(["export", f"--model={run}", "--max_steps=3", chosen]) == 0
    path = run / "serving" / run.name / "1"
    assert str(path) in capsys.readouterr().out
    signatures = tf.saved_model.load(str(path)).signatures
    named = {"energy", "anomaly_score", "energy_bytes", "serving_default"}
    assert set(signatures) == named
    data = datasets.load(datasets.EMBEDDED, "test", resolution=32, fit="pad").subset(
        classes=["Sneaker", "Ankle boot"]
    )
    found = signatures["anomaly_score"](images=tf.constant(data.images()))
    assert abs(np.mean(found["anomalous"]) - 0.05) < 0.01
    # Files smaller than the model's images are padded, as the run pads its own.
    png = tf.io.encode_png(np.zeros((28, 28, 1), "uint8"))
    black = np.full((1, 32, 32, 1), -1, "float32")
    found = signatures["energy_bytes"](image_bytes=png[None])["energy"]
    wanted = signatures["energy"](images=tf.constant(black))["energy"]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_export_of_a_page_takes_the_models_of_several_commands(
    run, translator, tmp_path, capsys
):
    (tmp_path / "runtime").mkdir()  # which is kept, and not fetched
    page = ["export", "--format=web", f"--output={tmp_path}", "--nothreshold"]
    for model in (run, translator):
        assert main([*page, f"--model={model}"]) == 0
    assert str(tmp_path / "index.html") in capsys.readouterr().out
    assert json.loads((tmp_path / "models.json").read_text()) == ["noise", "source"]
    for name, tasks in [
        ("noise", {"noise", "inpaint", "image"}),
        ("source", {"image"}),
    ]:
        model = json.loads((tmp_path / "models" / f"{name}.json").read_text())
        assert set(model["tasks"]) == tasks and model["detector"] is None
        assert model["examples"]["shape"] == [12, 32, 32, 1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--format=web", "--version=2"], "Expected no --version with --format=web"),
        (["--format=web", "--score=energy"], "Expected --score=ladder"),
        (["--runtime=tfjs"], "Expected no --runtime with --format=saved_model"),
    ],
)
def test_export_refuses_flags_of_the_other_format(run, flags, message, capsys):
    assert main(["export", f"--model={run}", *flags]) == 1
    assert message in capsys.readouterr().err


def test_interpolate(run):
    record = figures_of(
        "interpolate",
        run,
        "--count=2",
        "--columns=3",
        "--even",
        pictures=["interpolations.png"],
    )
    assert record["even"]
    assert record["figures"]["largest_step"] >= record["figures"]["step"] > 0


def test_neighbours(run):
    record = figures_of("neighbours", run, "--count=8", pictures=["neighbours.png"])
    assert set(record["figures"]) == {"pixels", "features"}
    assert record["training_images"] == 2000


def test_denoise(run, capsys):
    record = figures_of(
        "denoise",
        run,
        "--count=4",
        "--sigma=0.1,0.3",
        pictures=["denoised_0.1.png", "denoised_0.3.png"],
    )
    assert list(record["figures"]) == ["0.1", "0.3"]
    for row in record["figures"].values():
        assert set(row) == {
            "noisy",
            "model",
            "gaussian",
            "median",
            "non_local_means",
            "filter_then_model",
        }
        assert set(row["model"]) == {"psnr", "ssim", "strength"}
    assert "non_local_means" in capsys.readouterr().out


def test_inpaint_with_a_mask_of_a_file(run, tmp_path):
    mask = np.zeros((32, 32), "uint8")
    mask[8:16, 8:16] = 255
    PIL.Image.fromarray(mask).save(tmp_path / "mask.png")
    record = figures_of(
        "inpaint",
        run,
        "--count=3",
        f"--mask={tmp_path / 'mask.png'}",
        "--steps=2",
        "--samples=2",
        pictures=["inpainted.png"],
    )
    assert record["figures"]["missing"] == 1 / 16
    assert record["langevin"]["steps"] == 2
    assert set(record["figures"]["model"]) == {"psnr", "ssim"}
    assert record["figures"]["model_mean"] != record["figures"]["model"]


def test_restore_small_images(run, translator, capsys):
    record = figures_of(
        "restore",
        run,
        "--count=3",
        "--operator=mean_pool_4",
        "--initial=bicubic",
        "--samples=2",
        pictures=["restored.png"],
    )
    methods = record["figures"]["methods"]
    assert set(methods) == {"model", "model_mean", "nearest", "bicubic"}
    assert record["langevin"]["chain_levels"] == 1 and record["samples"] == 2
    assert "bicubic" in capsys.readouterr().out
    assert main(["restore", f"--model={translator}"]) == 1
    assert "start at noise" in capsys.readouterr().err


def test_detect(run):
    names = ("ladder", *SCORES, "energy_sum", "mahalanobis", "pca")
    pictures = [f"{kind}_{name}.png" for name in names for kind in ("roc", "histogram")]
    record = figures_of(
        "detect",
        run,
        "--count=60",
        "--false_positive_rate=0.1",
        pictures=["images.png", *pictures],
    )
    assert set(record["figures"]) == {
        "digits",
        "uniform",
        "constant",
        "interpolation",
        "held_out_classes",
    }
    for row in record["figures"].values():
        assert set(row) == set(names)
        assert set(row["energy"]) == {"auroc", "aupr", "fpr95", "found"}
    assert record["figures"]["uniform"]["pca"]["auroc"] == 1
    text = (run / "tasks" / "detect" / "thresholds.json").read_text(encoding="utf-8")
    state = json.loads(text)["typicality"]
    detector = AnomalyDetector.from_state(load_ladder(run).sampling_network, state)
    assert detector.false_positive_rate == 0.1
    assert json.loads(text)["ladder"]["threshold"] == pytest.approx(-np.log(0.1))


def test_detect_against_another_set(run, noise_images, tmp_path):
    path = tmp_path / "noise.npy"
    np.save(path, datasets.to_uint8(noise_images(5, 32)))
    arguments = [f"--against={path}", f"--output={tmp_path}", "--count=20"]
    assert main(["detect", f"--model={run}", *arguments]) == 0
    record = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert record["anomalies"] == {"noise": 5}


def test_mirrored_copies_would_be_found(run, tmp_path, monkeypatch):
    whole = tmp_path / "run"
    shutil.copytree(run, whole)
    config = json.loads((whole / "config.json").read_text(encoding="utf-8"))
    config["data"]["flip"] = True
    (whole / "config.json").write_text(json.dumps(config), encoding="utf-8")
    seen = []

    def evaluate(samples, training, test, encoder):
        seen.append(training)
        raise ValueError("that is all")

    monkeypatch.setattr(evaluation, "evaluate_neighbours", evaluate)
    assert main(["neighbours", f"--model={whole}", "--count=2"]) == 1
    first, mirrored = np.split(seen[0], 2)
    np.testing.assert_array_equal(first, mirrored[:, :, ::-1])


@pytest.mark.parametrize(
    ("own", "flag", "name", "expected"),
    [
        ("crop", None, "photos", "crop"),
        ("crop", "pad", "photos", "pad"),
        ("exact", None, "photos", "resize"),
        ("exact", None, datasets.EMBEDDED, "pad"),
        (None, None, "photos", "resize"),
    ],
)
def test_anomalies_are_read_as_normal_images_are(own, flag, name, expected):
    config = own and types.SimpleNamespace(data=types.SimpleNamespace(fit=own))
    task, values = types.SimpleNamespace(config=config), types.SimpleNamespace(fit=flag)
    assert detect.anomaly_fit(task, name, values) == expected


def test_translate(translator):
    record = figures_of(
        "translate",
        translator,
        *("--count=70", "--paired", "--faithfulness=0.02", "--speed=0.5"),
        pictures=["translations.png"],
    )
    assert record["langevin"]["faithfulness"] == 0.02
    duration = np.dot(record["langevin"]["steps"], record["langevin"]["step_size"])
    own = load_ladder(translator).finest_settings
    assert duration == own.steps * own.step_size
    assert record["langevin"]["steps"] == [2 * own.steps]
    assert list(record["figures"]) == ["translation", "source", "random_target"]
    assert record["figures"]["random_target"]["called_target"] > 0.8
    assert record["figures"]["source"]["ssim"] == pytest.approx(1)
    assert set(record["figures"]["translation"]) == {
        "called_target",
        "frechet_distance",
        "ssim",
        "correlation",
        "true_psnr",
        "true_ssim",
    }


@pytest.mark.parametrize("kind", ["denoise", "translate"])
def test_saliency(run, translator, kind):
    pictures = ["generative", "input_gradient", "smooth_grad", "grad_cam"]
    defects = kind == "denoise"
    record = figures_of(
        "saliency",
        run if kind == "denoise" else translator,
        "--count=2",
        *(["--defects"] if defects else []),
        pictures=[f"{name}.png" for name in [*pictures, *["neighbours"] * defects]],
    )
    assert record["of"] == kind
    assert list(record["figures"]) == pictures
    assert set(record["defects"]) == ({"patch", "hole"} if defects else set())
    assert record["figures"]["generative"]["correlation"] == pytest.approx(1)


def test_evaluate(run, tmp_path):
    record = figures_of(
        "evaluate",
        run,
        "--count=70",
        f"--cache_dir={tmp_path}",
        "--speed=2",
        pictures=["samples.png"],
    )
    assert record["speed"] == 2 and record["guidance"] == 0
    assert record["figures"]["metric"] == "classifier FID"
    assert record["figures"]["samples"] == 70
    assert "2000 training images" in record["figures"]["reference"]
    assert len(list(tmp_path.glob("statistics-*.npz"))) == 1


def test_diagnose(make_model, noise_images, tmp_path, capsys):
    # A model of one small level: there are five chains of other steps.
    model, images = tmp_path / "model.keras", tmp_path / "images.npy"
    make_model().save(model)
    np.save(images, datasets.to_uint8(noise_images(73, 8)))
    arguments = [f"--data={images}", "--count=73", "--factors=1,3"]
    with quick_graphs.eagerly():
        assert main(["diagnose", f"--model={model}", *arguments]) == 0
    output = tmp_path / "tasks" / "diagnose"
    for name in ("chains.png", "energies.png"):
        PIL.Image.open(output / name).verify()
    record = json.loads((output / "figures.json").read_text(encoding="utf-8"))
    figures = record["figures"]
    assert "random-filters" in figures["metric"]
    assert list(figures["chains"]["noise"]) == ["1x", "3x"]
    shown = capsys.readouterr().out
    assert "noise, 3x" in shown and "half the duration" in shown
    assert f"\n{figures['verdict']:<7}in all\n       {figures['meaning'][:40]}" in shown
    for check in figures["checks"].values():
        assert check["meaning"][:30] in " ".join(shown.split())


def test_a_model_without_its_run_needs_data(run, tmp_path, capsys):
    model = tmp_path / "model.keras"
    model.write_bytes((run / "ladder.keras").read_bytes())
    assert main(["denoise", f"--model={model}"]) == 1
    assert "Expected --data" in capsys.readouterr().err
    arguments = ["--data=fashion_mnist_embedded", "--sigma=0.2", "--count=2"]
    assert main(["denoise", f"--model={model}", *arguments]) == 0
    assert (tmp_path / "tasks" / "denoise" / "denoised_0.2.png").is_file()


@pytest.fixture(scope="module")
def odd_files(tmp_path_factory):
    """Masks and images that do not fit."""
    folder = tmp_path_factory.mktemp("odd")
    blank = np.zeros((16, 16), "uint8")
    PIL.Image.fromarray(blank).save(folder / "small.png")
    PIL.Image.fromarray(np.zeros((32, 32), "uint8")).save(folder / "known.png")
    np.save(folder / "colour.npy", np.zeros((4, 32, 32, 3), "uint8"))
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inpaint", "--mask={odd}/small.png"], "mask of shape (32, 32)"),
        (["inpaint", "--mask={odd}/known.png"], "no pixel to fill"),
        (["inpaint", "--mask={odd}/absent.png"], "absent.png"),
        (["restore", "--operator=mean_pool_3"], "power of two"),
        (["restore", "--operator=grey"], "three channels"),
        (["restore", "--initial=best"], "'bicubic'"),
        (["denoise", "--sigma=-0.1"], "sigma in (0, inf)"),
        (["denoise", "--sigma=much"], "--sigma as a number"),
        (["denoise", "--classes=Hat"], "received 'Hat'"),
        (["denoise", "--data={odd}/colour.npy"], "(n, 32, 32, 1)"),
        (["denoise", "--data={odd}/none.npy"], "none.npy"),
        (["detect", "--against=./cats"], "found none"),
        (["detect", "--against=uniform,constant,uniform"], "different names"),
        (["translate"], "trained to translate"),
        (["saliency", "--of=translate"], "trained to translate"),
        (["saliency", "--of=denoise", "--sigma=-1"], "sigma"),
        (["diagnose", "--factors=1,much"], "--factors as an integer"),
        (["diagnose", "--factors=3,1"], "factors that ascend"),
        (["evaluate", "--count=1", "--cache_dir={odd}"], "count of at least 2"),
    ],
)
def test_wrong_input(run, odd_files, arguments, message, capsys):
    name, *rest = [argument.format(odd=odd_files) for argument in arguments]
    assert main([name, f"--model={run}", "--count=4", *rest]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["translate", "--source={odd}/colour.npy"], "source images of shape"),
        (["translate", "--source_classes=Hat"], "received 'Hat'"),
        (["translate", "--source_classes=Bag,Coat", "--paired"], "as many target"),
        (["evaluate"], "translate"),
        (["interpolate"], "translate"),
        (["diagnose"], "translates"),
        (["translate", "--faithfulness=0.6"], "faithfulness in [0, 0.5]"),
    ],
)
def test_wrong_input_of_a_translator(translator, odd_files, arguments, message, capsys):
    name, *rest = [argument.format(odd=odd_files) for argument in arguments]
    assert main([name, f"--model={translator}", "--count=4", *rest]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source={odd}/colour.npy"], "number of channels"),
        (["--source_classes=Hat"], "received 'Hat'"),
        (["--source_classes=Sneaker", "--conditional"], "no class labels"),
    ],
)
def test_wrong_sources_of_a_training(odd_files, tmp_path, arguments, message, capsys):
    given = [argument.format(odd=odd_files) for argument in arguments]
    assert main(["train", *SMALL, f"--run_dir={tmp_path / 'run'}", *given]) == 1
    assert message in capsys.readouterr().err
