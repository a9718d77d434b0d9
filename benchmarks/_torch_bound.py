"""The PyTorch peer of `benchmarks.gpu`: our function and rewrites, compiled.

Spectral normalisation and the composition of kernels are done once, before the chain,
as here. Memory is channels-last, and `torch.compile` makes the kernels.

It runs in a process of its own, as Triton and JAX bring different LLVMs with them:

    python -m benchmarks._torch_bound INPUT.npz OUTPUT.npz

`time_steps` writes the one and reads the other.
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np


def time_steps(network, images, dtype, settings, repeats):
    """Times Langevin steps at one level in PyTorch.

    Args:
        network: `EnergyNetwork` of float32, without fade path and classes.
        images: float32 NumPy array `(batch, height, width, channels)`, the start.
        dtype: `"bfloat16"` or `"float32"`, of the convolutions.
        settings: `Langevin`.
        repeats: int, timed runs.

    Returns:
        Dict of NumPy arrays: energies and gradients of `images`, and the seconds of
        each run of `settings.steps` steps.
    """
    layers = {}
    for place, block in enumerate(network.blocks):
        residual = getattr(block, "residual", block)
        conv1, skip = block.input_affines()
        layers[f"block_{place}_conv1"], layers[f"block_{place}_skip"] = conv1, skip
        layers[f"block_{place}_conv2"] = residual.conv2.affine()
    layers["head_conv"] = network.head.conv.affine()
    layers["head_to_vector"] = network.head.to_vector.affine()
    layers["linear"] = network.head.linear.kernel, network.head.linear.bias
    arrays = {
        f"{name}/{part}": np.asarray(tensor)
        for name, pair in layers.items()
        for part, tensor in zip(("kernel", "bias"), pair, strict=True)
    }
    given = {
        "blocks": len(network.blocks),
        "dtype": dtype,
        "steps": settings.steps_at(0),
        "step_size": settings.step_size,
        "noise_scale": settings.noise_scale,
        "repeats": repeats,
    }
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder) / name for name in ("input.npz", "output.npz")]
        np.savez(paths[0], images=images, given=json.dumps(given), **arrays)
        command = [sys.executable, "-m", "benchmarks._torch_bound", *paths]
        subprocess.run(command, check=True)
        with np.load(paths[1]) as results:
            return dict(results)


def _measure(arrays):
    import torch
    from torch.nn import functional as F

    given = json.loads(str(arrays.pop("given")))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.allow_tf32 = True  # as XLA's convolutions
    dtype = getattr(torch, given["dtype"])

    def tensor(array, dtype=torch.float32):
        axes = {4: (0, 3, 1, 2), 2: (0, 1), 1: (0,)}[array.ndim]
        x = torch.from_numpy(array).permute(axes).to(device, dtype)
        return x.contiguous(
            memory_format=torch.channels_last
            if x.ndim == 4
            else torch.contiguous_format
        )

    images = tensor(arrays.pop("images"))
    parameters = {
        # Kernels to (filters, height, width, channels), then as images are.
        name: tensor(np.moveaxis(a, -1, 0), None if "linear" in name else dtype)
        for name, a in arrays.items()
    }

    def conv(name, x, **options):
        kernel, bias = (parameters[f"{name}/{part}"] for part in ("kernel", "bias"))
        return F.conv2d(x, kernel, bias, **options)

    def swish(x):
        return F.silu(x) * (1.0 / 1.1)

    def energy(images):
        x = torch.cat([images, torch.ones_like(images[:, :1])], dim=1).to(dtype)
        for block in (f"block_{place}" for place in range(given["blocks"])):
            main = swish(conv(f"{block}_conv1", x, padding=1))
            main = F.avg_pool2d(F.pad(main, (1, 1, 1, 1)), 2, stride=1)
            main = swish(conv(f"{block}_conv2", main, stride=2))
            skip = conv(f"{block}_skip", F.avg_pool2d(x, 2))
            x = (main + skip) * math.sqrt(0.5)
        x = swish(conv("head_conv", x, padding=1))
        x = swish(conv("head_to_vector", x)).flatten(1).float()
        kernel, bias = parameters["linear/kernel"], parameters["linear/bias"]
        return F.linear(x, kernel, bias)[:, 0]

    mode = "max-autotune-no-cudagraphs" if device == "cuda" else "default"
    energy = torch.compile(energy, mode=mode)

    def energies_and_gradients(x):
        x = x.detach().requires_grad_()
        energies = energy(x)
        (gradient,) = torch.autograd.grad(energies.sum(), x)
        return energies.detach(), gradient

    def run():
        x = images
        for _ in range(given["steps"]):
            _, gradient = energies_and_gradients(x)
            noise = given["noise_scale"] * torch.randn_like(x)
            x = x - given["step_size"] * gradient + noise
        return x.sum().item()  # waits for the device

    run()
    seconds = []
    for _ in range(given["repeats"]):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    energies, gradients = energies_and_gradients(images)
    gradients = gradients.permute(0, 2, 3, 1)
    return {
        "energies": energies.cpu().numpy(),
        "gradients": gradients.cpu().numpy(),
        "seconds": np.array(seconds),
    }


if __name__ == "__main__":
    with np.load(sys.argv[1]) as arrays:
        np.savez(sys.argv[2], **_measure(dict(arrays)))
