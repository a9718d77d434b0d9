"""This package as a contender, on any backend, or an older version of it.

A contender is made of a `Problem`. NumPy arrays come out, so that a call returns only
when its work is done:

- `energies_and_gradients()`, of `problem.images` at each level, gives a list of pairs
  of energies `(batch,)` and ∂E/∂x;
- `steps_at(level)` gives a function that runs all Langevin steps of one level;
- `chain()` gives a function that runs the whole chain, coarse to fine, from noise;
- `training_step()` gives a function that makes one training step of the finest level.
"""

import keras
from keras import ops

from benchmarks._problem import CONVOLUTIONS
from keras_cfebm import CFEBM, EnergyNetwork, Langevin, backend


def make_ladder(problem):
    """The networks of a `Problem`, coarsest first."""
    ladder = []
    for level, layers in zip(problem.levels, problem.layers, strict=True):
        network = EnergyNetwork(
            level,
            channels=problem.channels,
            base_resolution=problem.levels[0],
            base_width=problem.base_width,
            widths=problem.widths,
            inner=problem.inner,
            dtype=problem.dtype,
        )
        assign(network, layers)
        ladder.append(network)
    return ladder


def assign(network, layers):
    """Gives an `EnergyNetwork` the weights of its entry of `Problem.layers`.

    The old `from_image` of a fading network is a layer like the others.
    """
    outermost, *others = network.blocks
    first, points = outermost, []
    if network.fading:
        first, points = outermost.primal, [outermost.fade.from_image]
    found = {layer.name: layer for layer in (first.from_image, *points)}
    for block in (first.residual, *others):
        for name in ("conv1", "conv2", "skip"):
            found[f"{block.name}/{name}"] = getattr(block, name)
    for name in ("conv", "to_vector", "linear"):
        found[f"head/{name}"] = getattr(network.head, name)
    for name, (kernel, bias, right) in layers.items():
        found[name].kernel.assign(kernel)
        found[name].bias.assign(bias)
        if right is not None:
            found[name].right_vector.assign(right)


def settings_of(problem):
    """The `Langevin` of a `Problem`."""
    names = ("steps", "step_size", "noise_scale", "final_noise_scale", "clip")
    return Langevin(**{name: getattr(problem, name) for name in names})


class Package:
    """The package as its users call it; see this module's top."""

    def __init__(self, problem):
        self.problem = problem
        self.settings = settings_of(problem)
        self.ladder = make_ladder(problem)

    def energies_and_gradients(self):
        pairs = []
        for level, network in enumerate(self.ladder):

            @backend.compiled
            def run(x, network=network):
                return backend.value_and_input_gradient(network.bind(), x)

            images = ops.convert_to_tensor(self.problem.images(level))
            pairs.append(tuple(map(ops.convert_to_numpy, run(images))))
        return pairs

    def steps_at(self, level):
        model = CFEBM([self.ladder[level]], self.settings, chain_start="source")
        images = self.problem.images(level)
        return lambda: model.translate(images, batch_size=len(images))

    def chain(self):
        model = CFEBM(self.ladder, self.settings, ema_decay=None)
        batch = self.problem.batch
        return lambda: model.generate(batch, batch_size=batch)

    def training_step(self):
        model = CFEBM(self.ladder, self.settings)
        model.compile(keras.optimizers.Adam(1e-3, beta_1=0.5, beta_2=0.999))
        images = self.problem.images(-1)
        return lambda: model.train_on_batch(images)

    def convolutions(self, level):
        """The peak: some plain 3×3 convolutions of a level, one after the other."""
        width = self.problem.width(level)
        dtype = keras.DTypePolicy(self.problem.dtype).compute_dtype
        kernel = ops.ones((3, 3, width, width), dtype)

        def convolve(_, x):
            return backend.conv(x, kernel, padding="same")

        @backend.compiled
        @backend.in_parallel
        def run(x):
            return ops.fori_loop(0, CONVOLUTIONS, convolve, x)[..., 0]

        x = ops.zeros((*self.problem.images(level).shape[:3], width), dtype)
        return lambda: ops.convert_to_numpy(run(x))
