"""Flags to configuration: what is given wins, what belonged to other data goes."""

import dataclasses

import pytest

from keras_cfebm import configs
from keras_cfebm.cli.commands import COMMANDS
from keras_cfebm.cli.config import config_from_flags
from keras_cfebm.sampling import Langevin

BIG = "celeb_a_hq_512"


def config_of(*arguments):
    values = COMMANDS["demo"].flag_values()
    values(["cfebm", *arguments])
    return config_from_flags(values, "tiny")


def test_flags_override_a_preset():
    config = config_of(
        f"--preset={BIG}",
        "--accumulation=512:4",
        "--batch_size=512:8",
        "--dtype=mixed_bfloat16",
        "--base_width=16",
        "--steps=20",
    )
    assert [stage.accumulation for stage in config.stages] == [None] * 6 + [4]
    assert config.stages[-1].batch_size == 8
    assert (config.network.dtype, config.network.base_width) == ("mixed_bfloat16", 16)
    assert config.langevin.steps == (20,)
    assert config.data == configs.config(BIG).data


def test_own_images_do_not_get_the_sizes_of_the_default_preset():
    config = config_of("--data=photos", "--resolution=64", "--stabilise_images=9")
    assert (config.network.base_width, config.network.widths) == (32, {})
    assert [stage.fade_images for stage in config.stages] == [0, *[500_000] * 3]
    assert {stage.stabilise_images for stage in config.stages} == {9}
    named = config_of("--preset=tiny", "--data=photos")
    assert named.network == configs.config("tiny").network
    assert named.stages == configs.config("tiny").stages


def test_files_of_a_folder_may_have_any_size(tmp_path):
    assert config_of(f"--data={tmp_path}").data.fit == "crop"
    assert config_of(f"--data={tmp_path}", "--fit=pad").data.fit == "pad"
    assert config_of(f"--data={tmp_path}", "--preset=tiny").data.fit == (
        configs.config("tiny").data.fit
    )


def test_a_base_width_is_that_of_every_level():
    config = config_of("--base_width=4")
    assert (config.network.base_width, config.network.widths) == (4, {})
    assert config.stages == configs.config("tiny").stages


def test_a_preset_for_other_data_leaves_its_classes_and_reading_behind():
    config = config_of(
        "--preset=fashion_mnist_sneaker_to_boot", "--data=boots", "--source=sneakers"
    )
    assert config.data.classes is config.source.classes is None
    assert config.data.split is config.source.split is None
    config = config_of("--preset=celeb_a_64_crop", "--fit=resize")
    assert "crop_size" not in config.data.options
    config = config_of("--data=photos", "--resolution=64")
    assert (config.data.fit, config.data.split) == ("exact", None)


def test_classes_can_be_taken_back():
    config = config_of("--preset=fashion_mnist_eight_classes", "--classes=")
    assert config.data.classes is None


def test_a_denoiser_learns_from_its_own_images():
    config = config_of("--preset=fashion_mnist_denoise", "--classes=Sneaker")
    assert config.data.classes == ("Sneaker",) and config.source == config.data


def test_a_translation_needs_a_source_that_is_not_its_target():
    for arguments in (
        ["--preset=horse_to_zebra", "--data=zebras"],
        ["--preset=photo_to_vangogh", "--data=cycle_gan/horse2zebra"],
    ):
        with pytest.raises(ValueError, match="other than the data"):
            config_of(*arguments)
    config = config_of(
        "--preset=photo_to_vangogh",
        "--data=cycle_gan/horse2zebra",
        "--split=trainB",
        "--source_split=trainA",
    )
    assert config.source.name == config.data.name == "cycle_gan/horse2zebra"
    assert (config.source.split, config.data.split) == ("trainA", "trainB")


def test_a_file_is_taken_as_it_is(tmp_path):
    tiny = configs.config("tiny")
    stages = [
        dataclasses.replace(tiny.stages[1], langevin=Langevin(steps=7), fade_images=0)
    ]
    config = tiny.replace(
        data=dataclasses.replace(tiny.data, name="a.npz", fit="exact"),
        source=dataclasses.replace(
            tiny.data, name="photos", fit="crop", options={"channels": 1}
        ),
        stages=tuple(stages),  # from 16 pixels on
    )
    path = tmp_path / "config.json"
    path.write_text(config.to_json(), encoding="utf-8")
    assert config_of(f"--config={path}") == config
    changed = config_of(f"--config={path}", "--steps=3", "--step_size=0.5")
    assert changed.stages[0].langevin == Langevin(steps=(3,), step_size=0.5)


def test_a_coarser_base_moves_the_first_stage_up():
    first, second = configs.config("tiny").stages
    config = config_of("--base_resolution=4", "--base_width=4")
    assert [stage.resolution for stage in config.stages] == [4, 8, 16]
    assert config.stages[0] == dataclasses.replace(first, resolution=4)
    assert config.stages[1].fade_images == config.stages[1].stabilise_images == 32
    assert config.stages[2] == second


def test_a_second_stage_of_a_resolution_stays_one(tmp_path):
    first, second = configs.config("tiny").stages
    third = dataclasses.replace(second, fade_images=0, data_chains=0.5)
    config = configs.config("tiny").replace(stages=(first, second, third))
    (tmp_path / "config.json").write_text(config.to_json(), encoding="utf-8")
    given = f"--config={tmp_path / 'config.json'}"
    assert config_of(given) == config and config.levels == 2
    stages = config_of(given, "--base_resolution=4", "--learning_rate=16:0.5").stages
    assert [stage.resolution for stage in stages] == [4, 8, 16, 16]
    assert stages[-1] == dataclasses.replace(third, learning_rate=0.5)


def test_a_share_of_chains_from_data_is_that_of_a_resolution():
    config = config_of(
        "--data_chains=16:0.25", "--data_chain_steps=12", "--data_chain_noise=16:0.5"
    )
    assert [stage.data_chains for stage in config.stages] == [None, 0.25]
    assert [stage.data_chain_steps for stage in config.stages] == [12, 12]
    assert [stage.data_chain_noise for stage in config.stages] == [None, 0.5]
    with pytest.raises(ValueError, match="Expected data_chains as 0, 1/2"):
        config_of("--data_chains=0.3")


def test_an_accumulation_holds_from_its_stage_on():
    with pytest.raises(ValueError, match=r"accumulation=32 divides.*16 at 256"):
        config_of("--preset=celeb_a_hq_256", "--accumulation=128:32")
