"""Presets of the paper's experiments: one per script of the authors' code.

Batch sizes, learning rates and the two phases of each stage are those of
`default_stages`; the last stage goes on to a million training steps of the whole run.
What is not theirs is said where it stands: "ours".
"""

from dataclasses import replace

from keras_cfebm.configs.preset import Preset
from keras_cfebm.configs.run_config import DataConfig, NetworkConfig, RunConfig
from keras_cfebm.configs.stages import default_stages, prolonged
from keras_cfebm.sampling import Langevin

#: Training steps of the authors' runs, all stages together.
_STEPS = 1_000_000
_BY_HAND = "put {} into TensorFlow Datasets' downloads/manual"


def _generation(data, images_per_phase, base_width=32, steps=15, data_noise=0.0):
    """From noise to the images of a set."""
    return RunConfig(
        data,
        NetworkConfig(base_width=base_width, inner="output"),
        Langevin(steps=steps),
        tuple(
            prolonged(
                default_stages(data.resolution, images_per_phase=images_per_phase),
                _STEPS,
            )
        ),
        data_noise,
    )


def _mnist():
    """Sampler, learning rates and length are ours: theirs are `_mnist_train_v0`."""
    config = _generation(
        _data("mnist", 32, "pad", flip=False),
        150_000,
        base_width=16,
        steps=50,
        data_noise=0.03,
    )
    return config.replace(stages=tuple(default_stages(32, images_per_phase=150_000)))


def _mnist_train_v0():
    """What `run_mnist.sh` sets for `train_v0.py`, a script of its own.

    Its images and starts are in [0, 1]. In [-1, 1] the noise is twice that, and so is
    the way of a step by a gradient that is half as large: η = 4 for its 1. Ours: images
    are resized to 32 pixels and pooled, not resized to each level; each level has a
    network and an optimizer of its own; the networks see [-1, 1], which is also where
    images are clipped (theirs clips to [-1, 1] what is in [0, 1]).
    """
    config = _mnist()
    stages = [
        replace(
            stage,
            fade_images=int(factor * stage.fade_images),
            stabilise_images=int(factor * stage.stabilise_images),
            learning_rate=1.5e-3,
        )
        for factor, stage in zip((1, 1.5, 2), config.stages, strict=True)
    ]
    return config.replace(
        data=replace(config.data, fit="resize"),
        langevin=Langevin(
            steps=50, step_size=4.0, noise_scale=0.02, final_noise_scale=0.02
        ),
        stages=tuple(prolonged(stages, _STEPS)),
        data_noise=0.06,
    )


def _data(name, resolution, fit="exact", split="train", flip=True, **options):
    return DataConfig(name, split, resolution, fit, flip, options=options)


def _translation(source, data, data_noise=0.0, activation="swish", step_size=1.0):
    """From one domain to another; ours but for the network, K, η and the phases.

    The network grows here as well, images and sources mean-pooled; the coarse stages
    cost next to nothing beside the finest one, on which the authors' scripts train
    alone. Chains run at one level only, hence the many steps.
    """
    return RunConfig(
        data,
        NetworkConfig(base_width=16, activation=activation, inner="output"),
        Langevin(steps=50, step_size=step_size),
        tuple(default_stages(256, images_per_phase=200_000)),
        data_noise,
        source=source,
    )


def _at_256(preset):
    """What `run_i2i.sh` and `train_i2i.py` set, with the network and η of a preset.

    All of it is at 256 pixels, without a fade. Chains have no noise and do not clip;
    noise of 0.01 is on the images of both domains, whatever `--base_sigma` says.
    """
    stage = default_stages(256)[-1]
    images = _STEPS * stage.batch_size
    config = preset.config
    config = config.replace(
        data=replace(config.data, random_crop=0.9),
        source=replace(config.source, random_crop=0.9),
        langevin=config.langevin.replace(
            noise_scale=0.0, final_noise_scale=0.0, clip=None
        ),
        stages=(replace(stage, fade_images=0, stabilise_images=images),),
        data_noise=0.01,
        chain_start_noise=0.01,
    )
    description = f"{preset.description[:-1]}, at 256 pixels from the start."
    return replace(preset, description=description, config=config)


def _both_ways(first, second, name, **settings):
    """Domain A of the set is `first`, B is `second`."""
    a = _data(name, 256, "crop", split="trainA")
    b = replace(a, split="trainB")
    return {
        f"{first}_to_{second}": Preset(
            f"Translates {first} to {second}.", _translation(a, b, **settings)
        ),
        f"{second}_to_{first}": Preset(
            f"Translates {second} to {first}.", _translation(b, a, **settings)
        ),
    }


GENERATION = {
    "mnist": Preset(
        "Digits, with a sampler and learning rates that are ours.",
        _mnist(),
        channels=1,
        num_classes=10,
    ),
    "mnist_train_v0": Preset(
        "Digits, as the authors' run_mnist.sh trains them.",
        _mnist_train_v0(),
        channels=1,
        num_classes=10,
    ),
    "cifar10": Preset(
        "Small photographs of ten classes.",
        _generation(_data("cifar10", 32), 1_200_000),
        num_classes=10,
    ),
    "imagenet_32": Preset(
        "Small photographs of a thousand classes.",
        _generation(_data("imagenet_resized/32x32", 32), 4_000_000),
        num_classes=1000,
    ),
    "celeb_a_64": Preset(
        "Faces, the whole picture squeezed into the square.",
        _generation(_data("celeb_a", 64, "resize"), 1_500_000, data_noise=0.01),
    ),
    "celeb_a_64_crop": Preset(
        "Faces, cut out of the middle of the picture.",
        _generation(_data("celeb_a", 64, "crop", crop_size=140), 1_200_000, steps=20),
    ),
    "ffhq_128": Preset(
        "Faces of FFHQ.",
        _generation(_data("./ffhq", 128, "resize", split=None), 1_000_000),
        origin="a folder of images: name it with --data",
    ),
    "lsun_church_128": Preset(
        "Churches.", _generation(_data("lsun/church", 128, "crop"), 1_000_000)
    ),
    "celeb_a_hq_256": Preset(
        "Faces.",
        _generation(_data("celeb_a_hq/256", 256), 800_000),
        origin=_BY_HAND.format("data256x256.tar"),
    ),
    "celeb_a_hq_512": Preset(
        "Faces, the finest of all.",
        _generation(_data("celeb_a_hq/512", 512), 800_000, base_width=48),
        origin=_BY_HAND.format("data512x512.tar"),
    ),
}

# Cats and dogs have no test split: a tenth is kept for judging.
_CATS = replace(
    _data("cats_vs_dogs", 256, "crop", split="train[:90%]"), classes=("cat",)
)
TRANSLATION = {
    "cat_to_dog": Preset(
        "Translates cats to dogs.",
        _translation(_CATS, replace(_CATS, classes=("dog",)), data_noise=0.03),
    ),
    **_both_ways("apple", "orange", "cycle_gan/apple2orange"),
    **_both_ways(
        "vangogh",
        "photo",
        "cycle_gan/vangogh2photo",
        data_noise=0.03,
        activation="gelu",
        step_size=2.0,
    ),
    **_both_ways("horse", "zebra", "cycle_gan/horse2zebra"),
    **_both_ways("summer", "winter", "cycle_gan/summer2winter"),
}
TRANSLATION |= {f"{name}_256": _at_256(preset) for name, preset in TRANSLATION.items()}
