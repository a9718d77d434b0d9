"""Presets of the paper's experiments: one per row of its table of settings.

Batch sizes, learning rates and the two phases of each stage are those of
`default_stages`.
"""

import dataclasses

from keras_cfebm.configs.preset import DOWNLOADED, Preset
from keras_cfebm.growing import default_stages

_BY_HAND = "put {} into TensorFlow Datasets' downloads/manual"
_FOLDER = "a folder of images: name it with --data"


def _stages(resolution, images_per_phase):
    stages = default_stages(resolution, images_per_phase=images_per_phase)
    return [dataclasses.asdict(stage) for stage in stages]


def _generation(
    data,
    resolution,
    images_per_phase,
    fit="exact",
    *,
    origin=DOWNLOADED,
    split="train",
    flip=True,
    options=None,
    channels=3,
    num_classes=None,
    base_width=32,
    steps=15,
    data_noise=0.0,
):
    settings = {
        "data": {
            "name": data,
            "split": split,
            "resolution": resolution,
            "fit": fit,
            "flip": flip,
            "options": options or {},
        },
        "network": {"base_width": base_width, "activation": "swish"},
        "langevin": {"steps": steps, "step_size": 1.0},
        "stages": _stages(resolution, images_per_phase),
        "data_noise": data_noise,
    }
    return Preset(settings, channels, num_classes, origin)


def _translation(
    data,
    source,
    target,
    *,
    activation="swish",
    step_size=1.0,
    data_noise=0.0,
):
    """From one domain to another: splits of a set, or classes of one.

    The network grows here as well, images and sources mean-pooled; the coarse stages
    cost next to nothing beside the finest one, on which the authors' scripts train
    alone. Chains run at one level only, hence the many steps.
    """
    shared = {"name": data, "resolution": 256, "fit": "crop", "flip": True}
    settings = {
        "data": {**shared, **target},
        "source": {**shared, **source},
        "network": {"base_width": 16, "activation": activation},
        "langevin": {"steps": 50, "step_size": step_size},
        "stages": _stages(256, images_per_phase=200_000),
        "data_noise": data_noise,
    }
    return Preset(settings, channels=3, num_classes=None, origin=DOWNLOADED)


def _both_ways(first, second, data, **training):
    """Domain A of the set is `first`, B is `second`."""
    a, b = {"split": "trainA"}, {"split": "trainB"}
    return {
        f"{first}_to_{second}": _translation(data, a, b, **training),
        f"{second}_to_{first}": _translation(data, b, a, **training),
    }


GENERATION = {
    "mnist": _generation(
        "mnist",
        32,
        150_000,
        fit="pad",
        flip=False,
        channels=1,
        num_classes=10,
        base_width=16,
        steps=50,
        data_noise=0.03,
    ),
    "cifar10": _generation("cifar10", 32, 1_200_000, num_classes=10),
    "imagenet_32": _generation(
        "imagenet_resized/32x32", 32, 4_000_000, num_classes=1000
    ),
    "celeb_a_64": _generation("celeb_a", 64, 1_500_000, "resize", data_noise=0.01),
    "celeb_a_64_crop": _generation(
        "celeb_a", 64, 1_200_000, "crop", options={"crop_size": 140}, steps=20
    ),
    "ffhq_128": _generation(
        "./ffhq", 128, 1_000_000, "resize", split=None, origin=_FOLDER
    ),
    "lsun_church_128": _generation("lsun/church", 128, 1_000_000, "crop"),
    "celeb_a_hq_256": _generation(
        "celeb_a_hq/256", 256, 800_000, origin=_BY_HAND.format("data256x256.tar")
    ),
    "celeb_a_hq_512": _generation(
        "celeb_a_hq/512",
        512,
        800_000,
        origin=_BY_HAND.format("data512x512.tar"),
        base_width=48,
    ),
}

# Cats and dogs have no test split: a tenth is kept for judging.
_CATS_AND_DOGS = {"split": "train[:90%]"}
TRANSLATION = {
    "cat_to_dog": _translation(
        "cats_vs_dogs",
        source={**_CATS_AND_DOGS, "classes": ["cat"]},
        target={**_CATS_AND_DOGS, "classes": ["dog"]},
        data_noise=0.03,
    ),
    **_both_ways("apple", "orange", "cycle_gan/apple2orange"),
    **_both_ways(
        "vangogh",
        "photo",
        "cycle_gan/vangogh2photo",
        activation="gelu",
        step_size=2.0,
        data_noise=0.03,
    ),
    **_both_ways("horse", "zebra", "cycle_gan/horse2zebra"),
    **_both_ways("summer", "winter", "cycle_gan/summer2winter"),
}
