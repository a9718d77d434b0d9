"""Presets for Fashion-MNIST: the embedded part in minutes on two CPU cores, or all."""

from keras_cfebm.configs.preset import DOWNLOADED, Preset

_EMBEDDED = "fashion_mnist_embedded"
_QUICK_WIDTHS = {4: 64, 8: 64, 16: 64, 32: 32}


def _settings(widths, stages, classes=None, resolution=32, fit="pad", **training):
    return {
        "data": {
            "name": _EMBEDDED,
            "split": "train",
            "resolution": resolution,
            "fit": fit,
            "classes": classes,
        },
        "network": {"base_width": 16, "widths": widths},
        "langevin": {"steps": 15},
        "stages": stages,
        **training,
    }


def _stages(first, second, third, batch_sizes=(128, 64, 64)):
    """Stages at 8, 16 and 32 pixels, of (images while fading, images after it)."""
    return [
        {
            "resolution": resolution,
            "fade_images": fade_images,
            "stabilise_images": stabilise_images,
            "batch_size": batch_size,
        }
        for resolution, batch_size, (fade_images, stabilise_images) in zip(
            (8, 16, 32), batch_sizes, (first, second, third), strict=True
        )
    ]


def _quick_stages(first=38_400):
    return _stages((0, first), (9_600, 28_800), (6_400, 6_400))


def _class_to_class(source, target):
    """Chains run at one level only and start at images: more steps are affordable."""
    settings = _settings(
        _QUICK_WIDTHS,
        _quick_stages(first=32_000),
        classes=[target],
        langevin={"steps": 20},
    )
    return {**settings, "source": {**settings["data"], "classes": [source]}}


def _denoising(noise):
    """Translation of noisy images to clean ones of the same set."""
    settings = _settings(_QUICK_WIDTHS, _quick_stages(first=19_200))
    return {**settings, "source": settings["data"], "source_noise": noise}


def _complete():
    """All 60,000 training images, and longer chains where they cost little."""
    stages = _stages(
        (0, 102_400), (12_800, 179_200), (12_800, 128_000), batch_sizes=(128, 32, 32)
    )
    langevin = {"steps": [25, 20, 15], "noise_scale": 0.005}
    settings = _settings(_QUICK_WIDTHS, stages, langevin=langevin)
    return {
        **settings,
        "data": {**settings["data"], "name": "fashion_mnist"},
        "ema_decay": 0.999,
        "report_steps": 200,
    }


def _conditional():
    """One energy per class, in one network."""
    stages = _stages((0, 51_200), (12_800, 51_200), (9_600, 16_000))
    settings = _settings(_QUICK_WIDTHS, stages)
    return {**settings, "network": {**settings["network"], "conditional": True}}


def _preset(settings):
    embedded = settings["data"]["name"] == _EMBEDDED
    origin = "in this package" if embedded else DOWNLOADED
    return Preset(settings, channels=1, num_classes=10, origin=origin)


_SETTINGS = {
    # What `make demo` trains: minutes on two CPU cores.
    "fashion_mnist_quick": _settings(_QUICK_WIDTHS, _quick_stages()),
    # Without trousers and bags, which `cfebm detect` then has to find.
    "fashion_mnist_eight_classes": _settings(
        _QUICK_WIDTHS,
        _quick_stages(),
        classes=[
            "T-shirt/top",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Ankle boot",
        ],
    ),
    # Translations, as quick: from one class of 1,000 images to another.
    "fashion_mnist_sneaker_to_boot": _class_to_class("Sneaker", "Ankle boot"),
    "fashion_mnist_shirt_to_dress": _class_to_class("Shirt", "Dress"),
    # What `cfebm denoise` is best with: chains learn to start at noisy images.
    "fashion_mnist_denoise": _denoising(noise=0.4),
    "fashion_mnist_conditional": _conditional(),
    # The one that is worth two hours: all images of the set, which are downloaded.
    "fashion_mnist": _complete(),
    # Seconds; for tests and for trying the commands. Its samples are worth nothing.
    "tiny": _settings(
        widths={4: 8, 8: 8, 16: 8, 32: 4},
        stages=[
            {
                "resolution": 8,
                "fade_images": 0,
                "stabilise_images": 64,
                "batch_size": 16,
            },
            {
                "resolution": 16,
                "fade_images": 32,
                "stabilise_images": 32,
                "batch_size": 16,
            },
        ],
        resolution=16,
        fit="resize",
        report_steps=2,
    ),
}

PRESETS = {name: _preset(settings) for name, settings in _SETTINGS.items()}
