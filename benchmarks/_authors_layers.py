"""Weights of the authors' network as layers of ours, in NumPy.

Their `step` s is the resolution 4 · 2ˢ. Of n blocks in their progression, that of step
s has the index n − 1 − s, and so has its 1×1 convolution from the image.
"""

from keras_cfebm import EnergyNetwork


def layers_of(state, step):
    """The layers that a forward pass of one resolution uses.

    Args:
        state: dict of name → array, the `state_dict` of their network.
        step: int, their number of the resolution, 1 for 8 pixels.

    Returns:
        Dict as an entry of `benchmarks._problem.Problem.layers`, with the old 1×1
        convolution from the image too. Kernels of 1×1 and linear layers are those of
        `EnergyNetwork(equalized=True)`.
    """
    finest = len({n.split(".")[1] for n in state if n.startswith("progression.")})
    finest -= 1 + step

    def layer(name, sign=1):
        kernel = sign * state[f"{name}.weight_orig"]
        kernel = kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T
        return kernel, sign * state[f"{name}.bias"], state.get(f"{name}.weight_u")

    layers = {f"from_image_{4 << step}": layer(f"from_rgb.{finest}.conv")}
    if step > 1:
        layers[f"from_image_{2 << step}"] = layer(f"from_rgb.{finest + 1}.conv")
    for index in range(step):
        theirs = f"progression.{finest + index}"
        ours = f"residual_{4 << step >> index}"
        layers[f"{ours}/conv1"] = layer(f"{theirs}.conv1.0")
        layers[f"{ours}/conv2"] = layer(f"{theirs}.conv2.0")
        layers[f"{ours}/skip"] = layer(f"{theirs}.skip.0.conv")
    layers["head/conv"] = layer("final_conv.conv1.0")
    layers["head/to_vector"] = layer("final_conv.conv2.0")
    layers["head/linear"] = layer("linear.linear", sign=-1)  # they learn f = −E
    return layers


def network_of(layers, activation="swish", fading=False):
    """An `EnergyNetwork` of the sizes of these layers.

    Args:
        layers: dict from `layers_of`.
        activation: str, see `EnergyNetwork`.
        fading: bool, whether the old path is part of it.

    Returns:
        `EnergyNetwork` with other weights.
    """
    widths = {
        int(name.split("/")[0].removeprefix("residual_")): kernel.shape[2]
        for name, (kernel, *_) in layers.items()
        if name.endswith("/conv1")
    }
    resolution = max(widths)
    widths[4] = layers["head/conv"][0].shape[2]
    return EnergyNetwork(
        resolution,
        channels=layers[f"from_image_{resolution}"][0].shape[2],
        widths=widths,
        activation=activation,
        inner="output",
        equalized=True,
        fading=fading,
    )
