"""What `model.summary()` prints: the networks of a ladder and their parameters."""

from typing import Any

from keras_cfebm.configs import costs
from keras_cfebm.configs.run_config import NetworkConfig


def parameters(ladder: list[Any]) -> dict[int, int]:
    """Number of trainable weights of each network, by its resolution.

    They are those of a trained model: fade paths are not counted.

    Args:
        ladder: list of `EnergyNetwork`s.
    """
    return {
        network.resolution: costs.network_parameters(
            network.resolution,
            network.channels,
            NetworkConfig(
                base_resolution=network.base_resolution,
                base_width=network.base_width,
                widths=network.widths,
                inner=network.inner,
            ),
            network.num_classes,
        )
        for network in ladder
    }


def text(heading: str, ladder: list[Any], average: Any = None) -> str:
    """The table of a model's networks, coarsest first.

    Args:
        heading: str, what stands above it.
        ladder: list of `EnergyNetwork`s.
        average: the network of the averaged weights, or None.
    """
    counts = parameters(ladder)
    rows = [("network", "pixels", "parameters")]
    for network in ladder:
        side = network.resolution
        rows.append((network.name, f"{side} × {side}", f"{counts[side]:,}"))
    if average is not None:
        rows.append((average.name, rows[-1][1], "(a copy)"))
    table = "\n".join(f"{a:<20}{b:>11}{c:>14}" for a, b, c in rows)
    return (
        f"{heading}\n\n{table}\n\n"
        f"Parameters: {counts[ladder[-1].resolution]:,} of the finest network, "
        f"{sum(counts.values()):,} of the whole ladder."
    )
