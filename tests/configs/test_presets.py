"""Presets: data that build, grow and train; pretrained weights."""

import dataclasses
import math
import pathlib

import numpy as np
import pytest
import quick_graphs

from keras_cfebm import CFEBM, configs
from keras_cfebm.cli.main import main
from keras_cfebm.growing import grown_to
from keras_cfebm.utils import model_files

ROOT = pathlib.Path(__file__).parents[2]
BIG = "celeb_a_hq_512"
QUICK = (
    "tiny",
    "mnist",
    "fashion_mnist_conditional",
    "fashion_mnist_sneaker_to_boot",
)


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


# --- The table of the paper ---------------------------------------------------------

ROWS = {  # last resolution, base width, steps, η, σ_data, images per phase
    "mnist": (32, 16, 50, 1.0, 0.03, 150_000),
    "cifar10": (32, 32, 15, 1.0, 0.0, 1_200_000),
    "imagenet_32": (32, 32, 15, 1.0, 0.0, 4_000_000),
    "celeb_a_64": (64, 32, 15, 1.0, 0.01, 1_500_000),
    "celeb_a_64_crop": (64, 32, 20, 1.0, 0.0, 1_200_000),
    "ffhq_128": (128, 32, 15, 1.0, 0.0, 1_000_000),
    "lsun_church_128": (128, 32, 15, 1.0, 0.0, 1_000_000),
    "celeb_a_hq_256": (256, 32, 15, 1.0, 0.0, 800_000),
    BIG: (512, 48, 15, 1.0, 0.0, 800_000),
    "horse_to_zebra": (256, 16, 50, 1.0, 0.0, 200_000),
    "photo_to_vangogh": (256, 16, 50, 2.0, 0.03, 200_000),
}
BATCHES = {8: 256, 16: 128, 32: 64, 64: 64, 128: 32, 256: 16, 512: 16}
RATES = {8: 1e-3, 16: 1e-3, 32: 1e-3, 64: 1.2e-3, 128: 1.5e-3, 256: 2e-3, 512: 2e-3}


@pytest.mark.parametrize("name", ROWS)
def test_settings_are_those_of_the_authors(name):
    config = configs.config(name)
    last = config.stages[-1]
    langevin = config.langevin
    assert ROWS[name] == (
        config.data.resolution,
        config.network.base_width,
        langevin.steps,
        langevin.step_size,
        config.data_noise,
        last.fade_images,
    )
    assert [s.resolution for s in config.stages] == [
        r for r in BATCHES if r <= ROWS[name][0]
    ]
    *others, last = config.stages
    for stage in config.stages:
        assert stage.batch_size == BATCHES[stage.resolution]
        assert stage.learning_rate == RATES[stage.resolution]
    for stage in others:
        assert stage.fade_images + stage.stabilise_images == 2 * ROWS[name][5]
    if config.source is None and name != "mnist":
        assert sum(stage.steps for stage in config.stages) == 1_000_000
    else:  # ours
        assert last.stabilise_images == last.fade_images
    assert config.stages[0].fade_images == 0
    assert config.data.flip == (name != "mnist")
    assert config.network.inner == "output" and not config.network.equalized


def test_the_authors_mnist_is_another_script():
    """In their units, images in [0, 1]: η = 1, σ = 0.01, noise on data 0.03."""
    config = configs.config("mnist_train_v0")
    chain = config.langevin
    # x in [0, 1] is (y + 1) / 2: half as far, by a gradient that is twice as large.
    assert chain.step_size / 4 == 1.0 and config.data_noise / 2 == 0.03
    assert chain.noise_scale / 2 == chain.final_noise_scale / 2 == 0.01
    assert chain.steps == 50 and config.network.base_width == 16
    phases = [(s.fade_images, s.stabilise_images) for s in config.stages[:2]]
    assert phases == [(0, 300_000), (225_000, 225_000)]
    assert config.stages[2].fade_images == 300_000
    assert {stage.learning_rate for stage in config.stages} == {1.5e-3}
    assert sum(stage.steps for stage in config.stages) == 1_000_000


@pytest.mark.parametrize("name", ["apple_to_orange", "photo_to_vangogh", "cat_to_dog"])
def test_translations_at_256_pixels_are_those_of_the_authors(name):
    growing, config = configs.config(name), configs.config(f"{name}_256")
    (stage,) = config.stages
    assert (stage.resolution, stage.batch_size, stage.learning_rate) == (256, 16, 2e-3)
    assert stage.steps == 1_000_000 and stage.fade_images == 0
    chain = config.langevin
    assert (chain.noise_scale, chain.final_noise_scale, chain.clip) == (0, 0, None)
    assert chain.steps == 50 and chain.step_size == growing.langevin.step_size
    assert config.data_noise == config.chain_start_noise == 0.01
    assert config.data.random_crop == config.source.random_crop == 0.9
    assert config.network == growing.network
    assert growing.data.random_crop == 1 and growing.chain_start_noise == 0


def test_a_translation_and_its_reverse_swap_the_domains():
    there, back = map(configs.config, ("apple_to_orange", "orange_to_apple"))
    assert (there.source, there.data) == (back.data, back.source)
    assert there.source.split == "trainA"
    cats = configs.config("cat_to_dog")
    assert (cats.source.classes, cats.data.classes) == (("cat",), ("dog",))


# --- They train ---------------------------------------------------------------------


@pytest.mark.parametrize("name", QUICK)
def test_a_preset_grows_to_its_top_and_trains(name, monkeypatch):
    from benchmarks import presets as benchmark

    preset = configs.find(name)
    brief = preset.config.langevin.replace(steps=1)
    config = preset.config.replace(langevin=brief, data_chain_steps=1)
    shortened = dataclasses.replace(preset, config=config)
    monkeypatch.setattr(configs, "find", {name: shortened}.__getitem__)
    with quick_graphs.eagerly():
        result = benchmark.measure(name, images=2)
    assert result["resolution"] == configs.config(name).stages[-1].resolution
    assert result["step_bytes"] >= 0 and result["seconds"] > 0


def test_the_largest_preset_trains_at_a_sixteenth_of_its_width():
    from benchmarks import presets as benchmark

    config = configs.config(BIG)
    width = config.network.base_width // 16
    config = config.replace(
        network=dataclasses.replace(config.network, base_width=width),
        langevin=config.langevin.replace(steps=1),
    )
    model = benchmark.grown_to_the_top(configs.Preset("", config))
    assert model.image_shape == (512, 512, 3) and len(model.ladder) == 7
    images = np.random.default_rng(0).uniform(-1, 1, (1, 512, 512, 3))
    with quick_graphs.eagerly():
        logs = model.train_on_batch(images.astype("float32"), return_dict=True)
    assert all(math.isfinite(value) for value in logs.values())


def test_the_command_lists_every_preset(capsys):
    assert main(["presets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines if line]
    assert set(configs.PRESETS) <= set(names)
    row = next(line for line in lines if line.startswith("cifar10"))
    assert "1,345,537" in row and "GiB" in row and "cifar10 (" in row


# --- from_preset --------------------------------------------------------------------


def test_a_preset_without_weights_warns_and_is_untrained(recwarn):
    with pytest.warns(UserWarning, match="cifar10.*untrained"):
        model = CFEBM.from_preset("cifar10")
    assert model.image_shape == (8, 8, 3) and model.langevin.steps == 15
    recwarn.clear()
    again = CFEBM.from_preset("cifar10", load_weights=False)
    assert not recwarn
    for one, other in zip(model.network.weights, again.network.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_pretrained_weights_are_found_and_loaded(tmp_path, monkeypatch, recwarn):
    stage = configs.config("tiny").stages[1]
    saved = CFEBM.from_preset("tiny", load_weights=False)
    saved = grown_to(saved.finished(), stage)
    (tmp_path / "tiny").mkdir()
    saved.save(tmp_path / "tiny" / "model.keras")
    monkeypatch.setattr(model_files, "PRETRAINED", (tmp_path / "absent", tmp_path))
    model = CFEBM.from_preset("tiny")
    assert not [w for w in recwarn if "untrained" in str(w.message)]
    assert [network.resolution for network in model.ladder] == [8, 16]
    np.testing.assert_array_equal(model.network.weights[0], saved.network.weights[0])
    assert len(CFEBM.from_preset("tiny", load_weights=False).ladder) == 1


def test_an_unknown_preset_is_refused_with_all_names():
    with pytest.raises(ValueError, match="Expected a preset") as error:
        CFEBM.from_preset("imagenet_1k")
    assert all(name in str(error.value) for name in configs.PRESETS)


@pytest.mark.parametrize("name", configs.PRESETS)
def test_channels_and_classes_fit_the_preset(name):
    preset = configs.PRESETS[name]
    conditional = preset.num_classes is not None and preset.config.source is None
    config = preset.config.replace(
        network=dataclasses.replace(preset.config.network, conditional=conditional)
    )
    network = CFEBM.from_run_config(config, preset.channels, preset.num_classes).network
    assert network.channels == preset.channels
    if conditional:
        assert network.num_classes == preset.num_classes
