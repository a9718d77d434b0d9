"""List the named configurations that `cfebm train --preset=NAME` trains."""

from keras_cfebm.configs import PRESETS, costs

_COLUMNS = ("preset", "pixels", "parameters", "whole ladder", "memory", "data")


def define_flags(values):
    """This command has no flags."""


def main(values):
    """Prints one row per preset."""
    rows = [_COLUMNS, *(_row(name, preset) for name, preset in PRESETS.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *numbers, data in rows:
        cells = [n.rjust(width) for n, width in zip(numbers, widths[1:], strict=False)]
        print("  ".join([name.ljust(widths[0]), *cells, data]))
    print(
        "\nParameters of the finest network, and of all networks of the ladder.\n"
        "Memory: an estimate for a training step of the last stage, in float32;\n"
        "--accumulation and --dtype=mixed_bfloat16 lower it."
    )


def _row(name, preset):
    config = preset.config
    shape = (config.data.resolution, preset.channels, config.network)
    memory = costs.training_bytes(config, preset.channels)
    return (
        name,
        str(config.data.resolution),
        f"{costs.network_parameters(*shape):,}",
        f"{costs.ladder_parameters(*shape):,}",
        f"{memory / 2**30:.1f} GiB",
        f"{config.data.name} ({preset.origin})",
    )
