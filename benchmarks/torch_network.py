"""(c) The definition of the energy network in PyTorch, operation by operation.

A stand-in for the authors' implementation, and an example of what `--peer` takes:
`--peer=benchmarks/torch_network.py:naive_network`.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


class _Residual(nn.Module):
    def __init__(self, width, filters):
        super().__init__()
        self.conv1 = spectral_norm(nn.Conv2d(width, width, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(width, filters, 3, padding=1))
        self.skip = nn.Conv2d(width, filters, 1)

    def forward(self, x):
        main = _swish(self.conv1(x))
        main = _swish(F.avg_pool2d(self.conv2(main), 2))
        return (main + F.avg_pool2d(self.skip(x), 2)) / math.sqrt(2.0)


class _Energy(nn.Module):
    def __init__(self, settings):
        super().__init__()
        levels, widths = settings["levels"], settings["widths"]
        below = settings["widths_below"]
        self.from_image = nn.Conv2d(settings["channels"], widths[levels[0]], 1)
        self.blocks = nn.Sequential(*(_Residual(widths[k], below[k]) for k in levels))
        width = below[levels[-1]]
        self.conv = spectral_norm(nn.Conv2d(width, width, 3, padding=1))
        self.to_vector = spectral_norm(nn.Conv2d(width, width, levels[-1] // 2))
        self.linear = nn.Linear(width, 1)

    def forward(self, images):
        x = self.blocks(self.from_image(images))
        x = _swish(self.to_vector(_swish(self.conv(x))))
        return self.linear(x.flatten(1))[:, 0]


def _swish(x):
    return x * torch.sigmoid(x) / 1.1


def naive_network(settings):
    """The network of a dict of settings, see `benchmarks._torch`.

    It is left in training mode, where `spectral_norm` makes one power iteration at each
    call, so at each Langevin step.
    """
    return _Energy(settings)
