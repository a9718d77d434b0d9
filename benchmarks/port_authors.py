"""The authors' network and ours with the same weights: is it the same function?

From a clone of https://github.com/YangNaruto/ProEBM a network of theirs is made, with
random weights and biases and converged norms; for each resolution its weights are
carried over to an `EnergyNetwork(inner="output", equalized=True)`. The table tells the
parameters that a forward pass uses, and the largest differences of energies and of
input gradients relative to the largest value, at β = 1 and in the middle of a fade.

What is set right in theirs from outside: see `benchmarks._authors`. Needs PyTorch. Run
from the repository's root:

    python -m benchmarks.port_authors --clone=path/to/ProEBM
"""

import math

import numpy as np
import torch
from absl import flags
from keras import ops

from benchmarks import _common
from benchmarks._authors import make_ebm, networks_of
from benchmarks._authors_layers import layers_of, network_of
from benchmarks._package import assign
from keras_cfebm import backend

_TOLERANCE = 1e-5
_HEADER = ["pixels", "β", "parameters", "energies", "gradients"]


def define_flags():
    flags.DEFINE_string("clone", None, "Path of a clone of ProEBM.", required=True)
    flags.DEFINE_list("resolutions", ["32", "64", "256"], "Pixels.")
    flags.DEFINE_integer("base_width", 32, "Their base_channel.", lower_bound=8)
    flags.DEFINE_integer("channels", 3, "Image channels.", lower_bound=1)
    flags.DEFINE_string("activation", "swish", "Of both.")
    flags.DEFINE_integer("images", 2, "Images that are compared.", lower_bound=1)
    flags.DEFINE_string("json", None, "File for all the numbers.")


def random_ebm(networks, options):
    """A network of theirs in evaluation mode, all of whose weights matter."""
    torch.manual_seed(0)
    ebm = make_ebm(networks, options.base_width, options.activation)
    with torch.no_grad():
        for layer in ebm.from_rgb:
            filters = layer.conv.weight_orig.shape[0]
            layer.conv.weight_orig.data = torch.randn(filters, options.channels, 1, 1)
        for name, weight in ebm.named_parameters():
            if name.endswith("bias"):
                weight.normal_(std=0.3)
        for layer in ebm.modules():
            if hasattr(layer, "weight_u"):
                left, _, right = torch.linalg.svd(
                    layer.weight_orig.flatten(1).double(), full_matrices=False
                )
                layer.weight_u.copy_(left[:, 0])
                layer.weight_v.copy_(right[0])
    return ebm.eval()


def compare(ebm, resolution, beta, options):
    """Both networks on the same images.

    Returns:
        Dict of JSON values.
    """
    step = int(math.log2(resolution)) - 2
    shape = (options.images, resolution, resolution, options.channels)
    x = np.random.default_rng(resolution).uniform(-1, 1, shape).astype("float32")

    images = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    theirs = -ebm(images, step=step, alpha=beta)[:, 0]
    (gradient,) = torch.autograd.grad(theirs.sum(), images)
    expected = theirs.detach().numpy(), gradient.numpy().transpose(0, 2, 3, 1)

    state = {name: value.numpy() for name, value in ebm.state_dict().items()}
    layers = layers_of(state, step)
    fading = beta < 1
    network = network_of(layers, options.activation, fading)
    if fading:
        network.beta = beta
    else:
        layers.pop(f"from_image_{resolution // 2}", None)
    assign(network, layers)
    found = backend.value_and_input_gradient(network.bind(), ops.convert_to_tensor(x))
    energies, gradients = (
        float(np.abs(np.array(ours) - other).max() / np.abs(other).max())
        for ours, other in zip(found, expected, strict=True)
    )
    used = sum(kernel.size + bias.size for kernel, bias, _ in layers.values())
    return {
        "resolution": resolution,
        "beta": beta,
        "parameters": used,
        "energies": energies,
        "gradients": gradients,
    }


def run(options):
    """Prints the table; see `_common.main`."""
    ebm = random_ebm(networks_of(options.clone), options)
    results = [
        compare(ebm, int(resolution), beta, options)
        for resolution in options.resolutions
        for beta in (1.0, 0.3)
    ]
    rows = [
        [
            str(found["resolution"]),
            f"{found['beta']:g}",
            f"{found['parameters']:,}",
            f"{found['energies']:.1e}",
            f"{found['gradients']:.1e}",
        ]
        for found in results
    ]
    machine = _common.machine(["tensorflow", "keras", "torch"])
    print(_common.markdown_table(_HEADER, rows))
    print(f"\n{_common.machine_line(machine)}")
    worst = max(max(found["energies"], found["gradients"]) for found in results)
    if not worst < _TOLERANCE:
        raise _common.BenchmarkError(
            f"expected differences below {_TOLERANCE}, received {worst:.1e}."
        )
    return {"results": results, "machine": machine}


if __name__ == "__main__":
    _common.main(run, define_flags)
