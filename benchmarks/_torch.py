"""The PyTorch contender of `benchmarks.langevin`, and how a network gets our weights.

The authors' repository could not be had where this was written, so nothing here knows
its names. `torch_network.naive_network` is a stand-in: the same layers, written as one
writes them in PyTorch. To time the authors' own network, write a function
`settings -> torch.nn.Module` that builds it, and pass it as
`--peer=path/to/file.py:function`.

- `settings` is a dict: `resolution`, `levels` (list, finest first, down to 8),
  `channels`, `base_width`, `widths` (dict of level → channels there) and
  `widths_below` (dict of level → channels that its block puts out).
- The module takes float32 images `(batch, channels, resolution, resolution)` in
  [-1, 1] and returns energies `(batch,)`, **low = likely**. The authors' network learns
  f = −E: let the function wrap it in a module that negates. Let it also fix β at 1.
- `copy_weights` fills the module.
"""

import importlib.util
import pathlib
import sys

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks._networks import layer_weights
from keras_cfebm.layers.levels import default_width, levels_of


class TorchContender:
    """Langevin in PyTorch: `autograd.grad`, `randn_like`, a Python loop, channels_last.

    See `benchmarks._tensorflow` for the methods. bfloat16 is PyTorch's autocast.
    """

    def __init__(self, name, ladder, settings, dtype, build, device="cpu"):
        self.name = name
        self.settings = settings
        self.shapes = [network.image_shape for network in ladder]
        self.device = device
        self.mixed = dtype == "mixed_bfloat16"
        self.modules = []
        for network in ladder:
            module = build(network_settings(network))
            copy_weights(network, module)
            module = module.to(device, memory_format=torch.channels_last)
            self.modules.append(module)

    def energies_and_gradients(self, batches):
        pairs = [
            self._energy_and_gradient(module, self._tensor(images))
            for module, images in zip(self.modules, batches, strict=True)
        ]
        return [(e.detach().float().cpu().numpy(), _array(g)) for e, g in pairs]

    def steps_at(self, level, images):
        x, steps = self._tensor(images), self.settings.steps_at(level)
        scales = self._noise_scales(steps)
        return lambda: _array(self._langevin(self.modules[level], x, scales))

    def chain(self, batch):
        scales = self._noise_scales(self.settings.total_steps(len(self.modules)))
        height, width, channels = self.shapes[0]

        def run():
            x = torch.rand((batch, channels, height, width), device=self.device)
            x = (2.0 * x - 1.0).to(memory_format=torch.channels_last)
            first = 0
            for level, module in enumerate(self.modules):
                if level > 0:
                    x = F.interpolate(x, scale_factor=2, mode="nearest")
                last = first + self.settings.steps_at(level)
                x = self._langevin(module, x, scales[first:last])
                x = x.clamp(*self.settings.clip)
                first = last
            return _array(x)

        return run

    def _tensor(self, images):
        x = torch.from_numpy(images).permute(0, 3, 1, 2)
        return x.to(self.device, memory_format=torch.channels_last)

    def _noise_scales(self, total):
        return [float(self.settings.noise_scale_at(k, total)) for k in range(total)]

    def _energy_and_gradient(self, module, x):
        x = x.detach().requires_grad_()
        with torch.autocast(self.device, torch.bfloat16, enabled=self.mixed):
            energies = module(x)
        (gradient,) = torch.autograd.grad(energies.sum(), x)
        return energies, gradient

    def _langevin(self, module, x, scales):
        for scale in scales:
            _, gradient = self._energy_and_gradient(module, x)
            noise = torch.randn_like(x)
            x = x - self.settings.step_size * gradient + scale * noise
        return x


def _array(x):
    return x.detach().permute(0, 2, 3, 1).cpu().numpy()


def network_settings(network):
    """The dict that a builder gets for an `EnergyNetwork`; see this module's top."""
    levels = levels_of(network.resolution, network.base_resolution)[::-1]
    widths = {level: default_width(level, network.base_width) for level in levels}
    below = [*levels[1:], levels[-1]]
    return {
        "resolution": network.resolution,
        "levels": levels,
        "channels": network.channels,
        "base_width": network.base_width,
        "widths": widths,
        "widths_below": {k: widths[b] for k, b in zip(levels, below, strict=True)},
    }


def load_builder(spec):
    """Loads the function of `path/to/file.py:function`.

    The file's folder is put on the import path, so that the file can import its
    neighbours.
    """
    path, separator, function = spec.rpartition(":")
    if not separator or not pathlib.Path(path).is_file():
        raise ValueError(f"--peer expects path/to/file.py:function. Received: {spec!r}")
    path = pathlib.Path(path).resolve()
    sys.path.insert(0, str(path.parent))
    module_spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    return getattr(module, function)


def copy_weights(network, module):
    """Copies our weights into a module, by order and shape.

    Our arrays, from the image to the energy, each go to the first free parameter of
    their shape in the order of `module.parameters()`. The singular vectors of spectral
    normalisation go likewise to the buffers whose names end in `_u` and `_v`, those of
    both of PyTorch's implementations. Which of several arrays of one shape belongs
    where is a guess: the benchmark's agreement check is what judges it.

    Args:
        network: `EnergyNetwork`.
        module: `torch.nn.Module` whose parameters have the same shapes.

    Raises:
        ValueError: if an array finds no parameter or buffer, or one is left over.
    """
    buffers = list(module.named_buffers())
    free = list(module.named_parameters())
    free_u = [item for item in buffers if item[0].endswith("_u")]
    free_v = [item for item in buffers if item[0].endswith("_v")]
    for name, (kernel, bias, right) in layer_weights(network).items():
        kernel = kernel.transpose((3, 2, 0, 1) if kernel.ndim == 4 else (1, 0))
        _give(kernel, f"{name}/kernel", free)
        _give(bias, f"{name}/bias", free)
        if right is not None:
            left = right @ kernel.reshape(len(right), -1)
            _give(right, f"{name}/right_vector", free_u)
            _give(left / np.linalg.norm(left), f"{name}/left_vector", free_v)
    left_over = [f"{name} {tuple(p.shape)}" for name, p in free + free_u + free_v]
    if left_over:
        raise ValueError(
            "Every parameter of the peer must get one of our weights. "
            f"Left over: {left_over}"
        )


def _give(array, name, free):
    for i, (_, tensor) in enumerate(free):
        if tuple(tensor.shape) == array.shape:
            tensor.data.copy_(torch.from_numpy(np.ascontiguousarray(array)))
            del free[i]
            return
    raise ValueError(
        f"No free parameter of the peer has the shape {array.shape} of our {name}. "
        f"Free ones: {[f'{name} {tuple(p.shape)}' for name, p in free]}"
    )
