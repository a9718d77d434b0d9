"""Named configurations: plain data, from which `RunConfig` makes a run."""

from keras_cfebm.config import RunConfig


def _embedded(widths, stages, resolution=32, fit="pad", **training):
    return {
        "data": {
            "name": "fashion_mnist_embedded",
            "split": "train",
            "resolution": resolution,
            "fit": fit,
        },
        "network": {"base_width": 16, "widths": widths},
        "langevin": {"steps": 15},
        "stages": stages,
        **training,
    }


PRESETS = {
    # What `make demo` trains: minutes on two CPU cores.
    "fashion_mnist_quick": _embedded(
        widths={4: 64, 8: 64, 16: 64, 32: 32},
        stages=[
            {
                "resolution": 8,
                "fade_images": 0,
                "settle_images": 64_000,
                "batch_size": 128,
            },
            {
                "resolution": 16,
                "fade_images": 12_800,
                "settle_images": 19_200,
                "batch_size": 64,
            },
            {
                "resolution": 32,
                "fade_images": 9_600,
                "settle_images": 14_400,
                "batch_size": 64,
            },
        ],
    ),
    # Seconds; for tests and for trying the commands. Its samples are worth nothing.
    "tiny": _embedded(
        widths={4: 8, 8: 8, 16: 8, 32: 4},
        stages=[
            {
                "resolution": 8,
                "fade_images": 0,
                "settle_images": 64,
                "batch_size": 16,
            },
            {
                "resolution": 16,
                "fade_images": 32,
                "settle_images": 32,
                "batch_size": 16,
            },
        ],
        resolution=16,
        fit="resize",
        report_steps=2,
    ),
}


def config(name):
    """The configuration of a preset.

    Args:
        name: str, a key of `PRESETS`.

    Returns:
        `RunConfig`.

    Raises:
        ValueError: if the name is unknown.
    """
    if name not in PRESETS:
        raise ValueError(
            f"Unknown preset. Expected one of {sorted(PRESETS)}. Received: {name!r}"
        )
    return RunConfig.from_dict(PRESETS[name])
