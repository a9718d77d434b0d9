"""List the named configurations that `cfebm train --preset=NAME` trains."""

from absl import flags

from keras_cfebm.cli.text import print_table
from keras_cfebm.configs import PRESETS, Preset, costs


def main(values: flags.FlagValues) -> None:
    """Prints one row per preset."""
    print_table(
        ["preset", "pixels", "parameters", "whole ladder", "memory", "data"],
        [_row(name, preset) for name, preset in PRESETS.items()],
    )
    print(
        "\nParameters of the finest network, and of all networks of the ladder.\n"
        "Memory: an estimate for a training step of the last stage, in float32;\n"
        "--accumulation and --dtype=mixed_bfloat16 lower it."
    )


def _row(name: str, preset: Preset) -> tuple[str | int, ...]:
    """The cells of one preset."""
    config = preset.config
    classes = preset.num_classes if config.network.conditional else None
    shape = (config.data.resolution, preset.channels, config.network, classes)
    memory = costs.training_bytes(config, preset.channels)
    return (
        name,
        config.data.resolution,
        costs.network_parameters(*shape),
        costs.ladder_parameters(*shape),
        f"{memory / 2**30:5.1f} GiB",
        f"{config.data.name} ({preset.origin})",
    )
