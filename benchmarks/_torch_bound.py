"""The strong PyTorch contender: our function and rewrites, compiled.

Spectral normalisation and the composition of kernels are done once per chain, as here.
Memory is channels-last, and `torch.compile` makes the kernels.
"""

import functools
import math

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks._torch import TorchContender, torch_kernel


class BoundTorch(TorchContender):
    """A contender, see `benchmarks._package`; bfloat16 is that of the kernels."""

    fused = True

    def __init__(self, problem):
        super().__init__(problem)
        # One function is compiled for every level, for samples and for the loss.
        torch._dynamo.config.recompile_limit = 64
        mode = "max-autotune-no-cudagraphs" if self.device == "cuda" else "default"
        compiled = torch.compile(_energy, mode=mode, dynamic=False)
        dtype = torch.bfloat16 if self.mixed else torch.float32
        self.mixed = False  # no autocast
        self.networks = [
            _Bound(layers, compiled, dtype).to(self.device) for layers in problem.layers
        ]


class _Bound(nn.Module):
    def __init__(self, layers, compiled, dtype):
        super().__init__()
        self.compiled, self.dtype = compiled, dtype
        self.kernels, self.biases = nn.ParameterList(), nn.ParameterList()
        self.norms = []
        for index, (kernel, bias, right) in enumerate(layers.values()):
            self.kernels.append(torch_kernel(kernel))
            self.biases.append(torch.tensor(bias))
            if right is not None:
                self.norms.append(index)
                self.register_buffer(f"right_{index}", torch.tensor(right))

    def bind(self, update=False):
        """The energy as a function of images, its kernels computed now."""
        kernels = list(self.kernels)
        for index in self.norms:
            kernels[index] = self._normalized(index, update)
        (from_image, *kernels), (constant, *biases) = kernels, self.biases
        # From the image and a channel of ones: rewrite 3.
        first = torch.cat([from_image[:, :, 0, 0], constant[:, None]], dim=1)
        for index in (0, 2):  # conv1 and skip of the first block
            kernels[index] = torch.einsum("owhk,wc->ochk", kernels[index], first)
        *convolutions, linear = zip(kernels, biases, strict=True)
        convolutions = [
            (
                kernel.to(self.dtype, memory_format=torch.channels_last),
                bias.to(self.dtype),
            )
            for kernel, bias in convolutions
        ]
        return functools.partial(self.compiled, convolutions, linear)

    def _normalized(self, index, update):
        kernel, right = self.kernels[index], getattr(self, f"right_{index}")
        matrix = kernel.flatten(1)
        with torch.no_grad():
            left = F.normalize(right @ matrix, dim=0)
            moved = F.normalize(matrix @ left, dim=0)
            if update:
                right.copy_(moved)
        return kernel / (moved @ matrix @ left)


def _energy(convolutions, linear, images):
    *blocks, conv, to_vector = convolutions
    x = torch.cat([images, torch.ones_like(images[:, :1])], dim=1).to(conv[0].dtype)
    for index in range(0, len(blocks), 3):
        conv1, conv2, skip = blocks[index : index + 3]
        main = _swish(F.conv2d(x, *conv1, padding=1))
        main = F.avg_pool2d(F.pad(main, (1, 1, 1, 1)), 2, stride=1)  # rewrite 1
        main = _swish(F.conv2d(main, *conv2, stride=2))
        skipped = F.conv2d(F.avg_pool2d(x, 2), *skip)  # rewrite 2
        x = (main + skipped) * math.sqrt(0.5)
    x = _swish(F.conv2d(x, *conv, padding=1))
    x = _swish(F.conv2d(x, *to_vector)).flatten(1).float()
    return F.linear(x, *linear)[:, 0]


def _swish(x):
    return F.silu(x) * (1.0 / 1.1)
