"""Figures of a model's card: measured of the file, and shown as they were measured."""

import json

import numpy as np
import pytest
from PIL import Image

from keras_cfebm import configs
from keras_cfebm.assets import card_sections, model_figures
from keras_cfebm.assets.yardsticks import Yardstick
from keras_cfebm.configs.run_config import DataConfig
from keras_cfebm.model import CFEBM
from keras_cfebm.sampling import Langevin


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "some_model"
    path.mkdir()
    (path / "README.md").write_text("# some_model\n\nMade by hand.\n")
    return path


FIGURES = {
    "check": {"energies": [1.0], "means_of_images_made": [0.5]},
    "generation": [
        {
            "speed": 1.0,
            "steps": [8, 4],
            "metric": "classifier FID",
            "frechet_distance": 4.26,
            "images_per_cpu_second": 8,
        },
        {
            "speed": 2.0,
            "steps": [4, 2],
            "metric": "classifier FID",
            "frechet_distance": 5.51,
            "images_per_cpu_second": 14,
        },
    ],
    "smaller": {
        "resolution": 32,
        "metric": "Fréchet distance",
        "frechet_distance": 6.3,
        "pixelated_to_16": 7.2,
    },
    "novelty": {"samples": 6.021, "test": 9.5, "ratio": 0.634},
    "detection": {
        "auroc": {
            "uniform": {"ladder": 1.0, "energy": 0.2},
            "held_out": {"ladder": 0.8, "energy": 0.4},
        },
        "false_alarms": 0.048,
    },
    "soundness": {
        "samples": {"verdict": "sound", "meaning": "Good."},
        "chains_from_noise": {"verdict": "fault", "meaning": "They leave."},
    },
    "dates": {
        "check": "2026-11-28",
        "generation": "2026-11-28",
        "novelty": "2026-11-28",
        "detection": "2026-11-29",
    },
}


def test_the_card_shows_what_was_measured_and_keeps_its_head(folder):
    for _ in range(2):  # written anew, it is there once
        model_figures.write(folder, FIGURES)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# some_model\n\nMade by hand.\n\n## What it does\n")
    assert card.count("## What it does") == 1
    for text in (
        "| 2 | 4 + 2 | 5.5 | 1.8× |",
        "**At 32×32 pixels**, without its last level: Fréchet distance 6.3, of",
        "mean AUROC 0.900, worst 0.800 (held out); at a nominal 5 % it flags 4.8% of",
        "is at a distance of 6.02 from a sample, and of 9.50 from a",
        "- chains from noise (fault): They leave.",
        "a shared 2-core machine, 2026-11-28, detection 2026-11-29. All numbers",
    ):
        assert text in card
    assert "Good." not in card
    assert json.loads((folder / "figures.json").read_text()) == FIGURES


@pytest.mark.parametrize("told", [False, True])
def test_the_card_says_whether_the_class_was_told(folder, told):
    quality = {"psnr": 12.5, "ssim": 0.4}
    methods = dict.fromkeys(("model", "model_mean", "biharmonic"), quality)
    figures = {**methods, "deviation_correlation": 0.3, "knows_classes": told}
    model_figures.write(folder, {**FIGURES, "inpainting": figures})
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "| model, mean of 8 | 12.50 | 0.400 |" in card
    assert ("is told the class" in card) == told


def test_translations_of_emoji_are_judged_by_the_file_of_the_same_name(tmp_path):
    rng = np.random.default_rng(0)
    for side in ("train", "test"):
        for place, name in enumerate("abcd"):
            pixels = rng.integers(0, 100, (16, 16, 3), "uint8")
            for domain in ("dark", "light"):
                path = tmp_path / domain / side / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                brighter = 100 + 10 * place if domain == "light" else 0
                Image.fromarray(pixels + np.uint8(brighter)).save(path)

    def config(domain):
        options = {"channels": 3}
        return DataConfig(str(tmp_path / domain), "train", 16, "crop", options=options)

    class Model:
        def translate(self, images, seed):
            return images + 230 / 255  # 115 grey levels, which is right on average

    figures = card_sections.translation(
        Model(), Yardstick(config("light")), config("dark")
    )
    errors = np.array([-15, -5, 5, 15]) / 127.5
    right = 10 * np.log10(4 / np.square(errors).mean())
    assert figures["translation"]["true_psnr"] == pytest.approx(right, abs=1e-3)
    assert figures["source"]["true_psnr"] < 10
    (tmp_path / "README.md").write_text("# some_model\n")
    model_figures.write(tmp_path, {**FIGURES, "translation": figures})
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "|  | ssim | correlation | true psnr | true ssim |" in card
    assert f"| {right:.3f} |" in card


def test_the_smaller_ladder_is_compared_with_images_of_its_size(tmp_path, make_network):
    rng = np.random.default_rng(0)
    folder = tmp_path / "train"
    folder.mkdir()
    for number in range(70):
        pixels = rng.integers(0, 256, (32, 32, 3), "uint8")
        Image.fromarray(pixels).save(folder / f"{number}.png")
    ladder = [make_network(side, channels=3) for side in (16, 32)]
    model = CFEBM(ladder, Langevin(steps=1)).finished()
    config = DataConfig(str(tmp_path), "train", 32, "crop", options={"channels": 3})
    figures = card_sections.smaller(model, config, 70)
    assert figures["resolution"] == 16
    # At 32 pixels, these images would be far from what 16×16 leaves of them.
    assert figures["pixelated_to_16"] == pytest.approx(0, abs=1e-3)
    assert figures["frechet_distance"] > 1


@pytest.mark.parametrize(
    ("preset", "sections"),
    [
        ("fashion_mnist_conditional", ["generation", "guidance", "inpainting"]),
        ("fashion_mnist_quick", ["generation", "novelty"]),
        ("fashion_mnist_eight_classes", ["generation", "soundness"]),
        ("emoji_portraits", ["generation", "smaller", "novelty", "inpainting"]),
        ("fashion_mnist_denoise", ["denoising"]),
        ("fashion_mnist_sneaker_to_boot", ["translation"]),
        ("fashion_mnist_boot_to_sneaker", ["translation"]),
        ("fashion_mnist_shirt_to_dress", ["translation"]),
        ("fashion_mnist_dress_to_shirt", ["translation"]),
        ("emoji_yellow_to_dark", ["translation"]),
        ("emoji_woman_to_man", ["translation"]),
    ],
)
def test_a_model_is_judged_by_what_it_is_for(preset, sections, monkeypatch):
    kinds = "generation smaller novelty guidance inpainting soundness denoising"
    for name in ("checked", *kinds.split(), "translation", "detection"):
        monkeypatch.setattr(card_sections, name, lambda *given, name=name: name)

    few_test_images = "emoji_yellow_to_dark", "emoji_woman_to_man"

    class Model:
        num_classes = 10 if configs.config(preset).network.conditional else None
        detector = None if preset in few_test_images else "a detector"

    figures = model_figures.measured(preset, Model(), 130, 64)
    assert set(figures) >= {"check", *sections}
    assert ("detection" in figures) == (Model.detector is not None)
    assert ("soundness" in figures) == ("generation" in figures)
    for section in ("novelty", "smaller"):
        assert (section in figures) == (section in sections)
    assert {*figures["dates"], "dates"} == set(figures)

    some = model_figures.measured(preset, Model(), 130, 64, only=sections[:1])
    assert set(some) == {sections[0], "dates"}
    with pytest.raises(ValueError, match="'colours'"):
        model_figures.measured(preset, Model(), 130, 64, only=["colours"])


def test_what_is_measured_anew_takes_the_place_of_the_former_with_its_date():
    anew = {"novelty": {"samples": 7.0}, "dates": {"novelty": "2026-12-01"}}
    figures = model_figures.updated(FIGURES, anew)
    assert figures["novelty"] == {"samples": 7.0}
    assert figures["generation"] == FIGURES["generation"]
    assert figures["dates"] == {**FIGURES["dates"], "novelty": "2026-12-01"}
