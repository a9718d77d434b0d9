"""Presets for Fashion-MNIST: the embedded part in minutes on two CPU cores, or all."""

import functools
from dataclasses import replace

from keras_cfebm.configs.preset import DOWNLOADED, Preset
from keras_cfebm.configs.run_config import DataConfig, NetworkConfig, RunConfig
from keras_cfebm.configs.stages import Stage
from keras_cfebm.datasets.embedded import CLASS_NAMES
from keras_cfebm.sampling import Langevin


def _stages(*images, batch_sizes=(128, 64, 64), rates=3 * (1e-3,), decays=(0, 0, 0)):
    """Stages at 8, 16 … pixels, of (images while fading in, images after it)."""
    return tuple(
        Stage(8 * 2**level, fade, stable, size, rate, decay_images=decay)
        for level, ((fade, stable), size, rate, decay) in enumerate(
            zip(images, batch_sizes, rates, decays, strict=False)
        )
    )


_QUICK = RunConfig(
    data=DataConfig("fashion_mnist_embedded", split="train", resolution=32, fit="pad"),
    network=NetworkConfig(base_width=16, widths={4: 64, 8: 64, 16: 64, 32: 32}),
    langevin=Langevin(steps=15),
    stages=_stages((0, 38_400), (9_600, 28_800), (6_400, 6_400)),
)

#: Of what was tried at a quarter of an hour this had the best samples: few and large
#: steps of the chain, larger still at finer levels, where a pixel's gradient is a
#: quarter of that one level below; most of the time for 16 pixels, whose faults 32
#: cannot mend; learning rates that fall in every stage; and an energy of image and
#: class, which halves the distance. On a small colour set a chain of η = 2 diverged:
#: other images had better start from `_QUICK`.
_DEMO = _QUICK.replace(
    network=replace(_QUICK.network, conditional=True),
    langevin=Langevin(steps=(8, 8, 4), step_size=(2.0, 8.0, 32.0), noise_scale=0.005),
    stages=_stages(
        (0, 60_800),
        (3_200, 48_000),
        (3_200, 22_400),
        batch_sizes=(64, 32, 32),
        rates=(1e-3, 4e-3, 3e-3),
        decays=(38_400, 24_000, 12_800),
    ),
    ema_decay=0.998,
    coarse_pool=8_000,
)

_EIGHT_CLASSES = tuple(n for n in CLASS_NAMES if n not in ("Trouser", "Bag"))

#: Eight steps of every level, large ones, as in `_DEMO`, but smaller at 32 pixels.
_EIGHT_STEPS = _DEMO.langevin.replace(steps=8, step_size=(2.0, 8.0, 16.0))

#: All 60,000 training images. 8 pixels are trained once more, and with more steps, when
#: 16 pixels have learned from samples of theirs that were rough: from good ones they
#: learn less.
_COMPLETE = _QUICK.replace(
    data=replace(_QUICK.data, name="fashion_mnist"),
    langevin=_EIGHT_STEPS,
    stages=(
        Stage(8, 0, 128_000, 64, 1e-3, decay_images=76_800),
        Stage(16, 6_400, 377_600, 32, 3e-3, decay_images=192_000),
        Stage(
            8,
            0,
            256_000,
            32,
            7e-4,
            langevin=_EIGHT_STEPS.replace(steps=(16, 8, 8)),
            decay_images=192_000,
        ),
        Stage(32, 12_800, 211_200, 32, 2e-3, decay_images=96_000),
        Stage(32, 0, 128_000, 32, 2e-3, decay_images=112_000),
    ),
    ema_decay=0.999,
    coarse_pool=24_000,
    report_steps=200,
)

#: More and smaller steps: samples are a little worse, and the detector is better.
_DETECTION = _COMPLETE.replace(
    data=replace(_COMPLETE.data, classes=_EIGHT_CLASSES),
    langevin=Langevin((16, 15, 15), step_size=(2.0, 2.0, 4.0), noise_scale=0.005),
    stages=(
        Stage(8, 0, 96_000, 64, 1e-3, decay_images=48_000),
        Stage(16, 6_400, 108_800, 32, 1.5e-3, decay_images=64_000),
        Stage(8, 0, 192_000, 32, 7e-4, decay_images=128_000),
        Stage(32, 12_800, 76_800, 32, 1.5e-3, decay_images=51_200),
    ),
    coarse_pool=12_000,
)

#: Chains begin at noisy images, at one level only, and have not far to go.
_DENOISE = _COMPLETE.replace(
    source=_COMPLETE.data,
    source_noise=0.5,
    langevin=_EIGHT_STEPS.replace(step_size=2.0),
    stages=_stages(
        (0, 64_000),
        (6_400, 89_600),
        (12_800, 115_200),
        batch_sizes=(64, 32, 32),
        rates=(1e-3, 1.5e-3, 1.5e-3),
        decays=(32_000, 48_000, 80_000),
    ),
    coarse_pool=0,
)

#: Last stages, in which a quarter of the chains start at noisy images: after them long
#: chains stay near images, and what is no image has a high energy. Steps and noise
#: grow: long chains from much noise make a training diverge that has had none.
_NOISY_START_STAGES = tuple(
    Stage(
        32,
        0,
        images,
        32,
        rate,
        decay_images=3 * images // 4,
        data_chains=0.25,
        data_chain_steps=steps,
        data_chain_noise=noise,
    )
    for images, rate, steps, noise in (
        (6_400, 5e-4, 12, 0.3),
        (6_400, 5e-4, 48, 1.0),
        (19_200, 1e-3, 48, 1.0),
    )
)

#: The recipe of the demo with more of everything, and smaller steps at 32 pixels.
_CONDITIONAL = _COMPLETE.replace(
    network=replace(_QUICK.network, conditional=True),
    stages=(
        *_stages(
            (0, 128_000),
            (6_400, 192_000),
            (6_400, 89_600),
            batch_sizes=(64, 32, 32),
            rates=(1e-3, 3e-3, 2e-3),
            decays=(76_800, 96_000, 51_200),
        ),
        *_NOISY_START_STAGES,
    ),
    coarse_pool=12_000,
)


def _class_to_class(source, target):
    """Chains run at one level only and start at images: more steps are affordable."""
    data = _COMPLETE.data
    return _QUICK.replace(
        data=replace(data, classes=(target,)),
        source=replace(data, classes=(source,)),
        langevin=Langevin(steps=20, noise_scale=0.005),
        stages=_stages(
            (0, 32_000), (6_400, 25_600), (6_400, 19_200), batch_sizes=(128, 32, 32)
        ),
        ema_decay=0.995,
    )


_TINY = _QUICK.replace(
    data=replace(_QUICK.data, resolution=16, fit="resize"),
    network=replace(_QUICK.network, widths={4: 8, 8: 8, 16: 8, 32: 4}),
    stages=_stages((0, 64), (32, 32), batch_sizes=(16, 16)),
    report_steps=2,
)

_preset = functools.partial(
    Preset, channels=1, num_classes=10, origin="in this package"
)
PRESETS = {
    "fashion_mnist_quick": _preset("Clothes, in minutes on two CPU cores.", _QUICK),
    "fashion_mnist_demo": _preset(
        "What `make demo` trains: clothes by class, in 8 to 15 minutes.", _DEMO
    ),
    "fashion_mnist_eight_classes": _preset(
        "Without trousers and bags, which `cfebm detect` then has to find.",
        _DETECTION,
        origin=DOWNLOADED,
    ),
    "fashion_mnist_sneaker_to_boot": _preset(
        "Translates sneakers to ankle boots.",
        _class_to_class("Sneaker", "Ankle boot"),
        origin=DOWNLOADED,
    ),
    "fashion_mnist_boot_to_sneaker": _preset(
        "Translates ankle boots to sneakers.",
        _class_to_class("Ankle boot", "Sneaker"),
        origin=DOWNLOADED,
    ),
    "fashion_mnist_shirt_to_dress": _preset(
        "Translates shirts to dresses.",
        _class_to_class("Shirt", "Dress"),
        origin=DOWNLOADED,
    ),
    "fashion_mnist_dress_to_shirt": _preset(
        "Translates dresses to shirts.",
        _class_to_class("Dress", "Shirt"),
        origin=DOWNLOADED,
    ),
    "fashion_mnist_denoise": _preset(
        "Translates noisy images to clean ones; `cfebm denoise` is best with it.",
        _DENOISE,
        origin=DOWNLOADED,
    ),
    "fashion_mnist_conditional": _preset(
        "One energy per class, in one network: all images of the set, in an hour.",
        _CONDITIONAL,
        origin=DOWNLOADED,
    ),
    "fashion_mnist": _preset(
        "The best clothes: all images of the set, in one to two hours.",
        _COMPLETE,
        origin=DOWNLOADED,
    ),
    "tiny": _preset(
        "Trains in seconds, for trying the commands; its samples are worth nothing.",
        _TINY,
    ),
}
