"""The PyTorch contenders: what they share, and the one that is written plainly."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


class TorchContender:
    """Langevin in PyTorch: `autograd.grad`, `randn_like`, a Python loop, channels_last.

    A contender, see `benchmarks._package`. bfloat16 is PyTorch's autocast.

    Subclasses have `networks`, modules of each level with a method `bind(update)` that
    returns a function of images; with `update` the norms of the kernels move on.
    """

    networks: list[nn.Module]
    #: Whether Adam is one kernel.
    fused = False

    def __init__(self, problem):
        self.problem = problem
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.mixed = problem.dtype == "mixed_bfloat16"

    def energies_and_gradients(self):
        pairs = []
        for level, network in enumerate(self.networks):
            with torch.no_grad():
                energy = network.bind()
            energies, gradient = self._energy_and_gradient(energy, self._images(level))
            gradient = gradient.permute(0, 2, 3, 1)
            pairs.append((_array(energies), _array(gradient)))
        return pairs

    def steps_at(self, level):
        x, scales = self._images(level), self.problem.noise_scales(1)
        return lambda: _array(self._langevin(self.networks[level], x, scales))

    def chain(self):
        return lambda: _array(self._samples())

    def training_step(self):
        network, positives = self.networks[-1], self._images(-1)
        weights = list(network.parameters())
        averages = [weight.detach().clone() for weight in weights]
        optimizer = torch.optim.Adam(weights, 1e-3, (0.5, 0.999), fused=self.fused)

        def run():
            images = torch.cat([positives, self._samples()])
            with torch.autocast(self.device, torch.bfloat16, enabled=self.mixed):
                positive, negative = network.bind(update=True)(images).chunk(2)
            loss = positive.mean() - negative.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            for average, weight in zip(averages, weights, strict=True):
                average.lerp_(weight.detach(), 0.01)
            return loss.item()

        return run

    def _images(self, level):
        return self._on_device(self.problem.images(level).transpose(0, 3, 1, 2))

    def _on_device(self, array):
        x = torch.from_numpy(array)
        return x.to(self.device, memory_format=torch.channels_last)

    def _samples(self):
        problem, count = self.problem, len(self.networks)
        shape = (problem.batch, problem.channels, problem.levels[0], problem.levels[0])
        x = 2.0 * torch.rand(shape, device=self.device) - 1.0
        x = x.to(memory_format=torch.channels_last)
        scales = np.split(np.array(problem.noise_scales(count)), count)
        for level, (network, own) in enumerate(zip(self.networks, scales, strict=True)):
            if level:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = self._langevin(network, x, own.tolist()).clamp(*problem.clip)
        return x

    def _langevin(self, network, x, scales):
        with torch.no_grad():
            energy = network.bind()
        for scale in scales:
            _, gradient = self._energy_and_gradient(energy, x)
            noise = scale * torch.randn_like(x)
            x = x - self.problem.step_size * gradient + noise
        return x

    def _energy_and_gradient(self, energy, x):
        x = x.detach().requires_grad_()
        with torch.autocast(self.device, torch.bfloat16, enabled=self.mixed):
            energies = energy(x)
        (gradient,) = torch.autograd.grad(energies.sum(), x)
        return energies, gradient


def _array(x):
    return x.detach().float().cpu().numpy()


def torch_kernel(kernel):
    """A copy of a kernel of Keras' layout, in PyTorch's."""
    axes = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
    return torch.tensor(kernel.transpose(axes))


class PlainTorch(TorchContender):
    """The layers as one writes them, `spectral_norm` at each call."""

    def __init__(self, problem):
        super().__init__(problem)
        self.networks = [
            _Energy(layers).to(self.device, memory_format=torch.channels_last)
            for layers in problem.layers
        ]


def _layer(arrays, **options):
    """The convolution or dense layer of a kernel, bias and right singular vector."""
    kernel, bias, right = arrays
    kernel = torch_kernel(kernel)
    filters, inputs, *size = kernel.shape
    layer = (
        nn.Conv2d(inputs, filters, size, **options)
        if size
        else nn.Linear(inputs, filters)
    )
    layer.weight.data, layer.bias.data = kernel, torch.tensor(bias)
    if right is None:
        return layer
    layer = spectral_norm(layer)
    right = torch.tensor(right)
    norms = layer.parametrizations.weight[0]
    norms._u.copy_(right)
    norms._v.copy_(F.normalize(right @ kernel.flatten(1), dim=0))
    return layer


class _Residual(nn.Module):
    def __init__(self, conv1, conv2, skip):
        super().__init__()
        self.conv1, self.conv2 = _layer(conv1, padding=1), _layer(conv2, padding=1)
        self.skip = _layer(skip)

    def forward(self, x):
        main = _swish(self.conv1(x))
        main = _swish(F.avg_pool2d(self.conv2(main), 2))
        return (main + F.avg_pool2d(self.skip(x), 2)) / math.sqrt(2.0)


class _Energy(nn.Module):
    """In training mode, where `spectral_norm` makes one power iteration at each call,
    so at each Langevin step.
    """

    def __init__(self, layers):
        super().__init__()
        from_image, *others = layers.values()
        *residual, conv, to_vector, linear = others
        self.from_image = _layer(from_image)
        blocks = [residual[i : i + 3] for i in range(0, len(residual), 3)]
        self.blocks = nn.Sequential(*(_Residual(*block) for block in blocks))
        self.conv, self.to_vector = _layer(conv, padding=1), _layer(to_vector)
        self.linear = _layer(linear)

    def bind(self, update=False):
        return self

    def forward(self, images):
        x = self.blocks(self.from_image(images))
        x = _swish(self.to_vector(_swish(self.conv(x))))
        return self.linear(x.flatten(1))[:, 0]


def _swish(x):
    return x * torch.sigmoid(x) / 1.1
