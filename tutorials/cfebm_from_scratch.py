# %% [markdown]
# # Image generation with coarse-to-fine energy-based models
#
# **Author:** the authors of keras_cfebm<br>
# **Date created:** 2026/11/27<br>
# **Last modified:** 2026/11/28<br>
# **Description:** Growing an energy-based model of images from 8×8 to 32×32 pixels.<br>
# **Accelerator:** GPU
#
# ## Introduction
#
# An [energy-based model](https://arxiv.org/abs/2101.03288) is a network $E_\theta$ that
# gives an image one number. Low numbers mean likely images:
#
# $$p_\theta(x) = \frac{\exp(-E_\theta(x))}{Z_\theta} .$$
#
# There is no generator, no encoder and no noise schedule to choose. One network scores
# images, and the gradient of its score with respect to the *pixels* draws them:
# [Langevin dynamics](https://arxiv.org/abs/1903.12370) starts at noise and walks
# downhill,
#
# $$x_{k+1} = x_k - \eta \, \nabla_x E_\theta(x_k) + \sigma_k \, \varepsilon_k ,
#   \qquad \varepsilon_k \sim \mathcal N(0, I) .$$
#
# At 32×32 pixels such a walk is long and expensive. [Zhao, Xie and Li
# (2021)](https://openreview.net/forum?id=aD1_5zowqV) learn at 8×8 first, where images
# are simple, and let the network grow: each stage doubles the resolution, and its chain
# starts where the coarser one ends. This example writes the whole method with Keras
# layers:
#
# 1. a residual network with spectral normalisation,
# 2. the *Expand* block, with which it grows without a jump,
# 3. Langevin dynamics from coarse to fine, and
# 4. a `keras.Model` whose `train_step` learns from samples that it draws itself.

# %% [markdown]
# ## Setup

# %%
import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers, ops

# %% [markdown]
# ## Hyperparameters
#
# Each stage has its number of training steps and its batch size. The numbers are for
# ten minutes on two CPU cores; with a GPU, or an hour of patience, train ten times as
# long.

# %% tags=["parameters"]
steps_at_8 = 500  # @param {type:"integer"}
steps_at_16 = 600  # @param {type:"integer"}
steps_at_32 = 150  # @param {type:"integer"}
batch_size = 32  # @param {type:"integer"}
width = 32  # @param {type:"integer"}
langevin_steps = 15  # @param {type:"integer"}

# %%
step_size = 1.0  # η of the equation above
noise_scale = 0.01  # σ of the first step; it falls to 0 over a chain
learning_rate = 1e-3
ema = 0.99

# %% [markdown]
# ## Data
#
# Fashion-MNIST in [-1, 1], padded to 32×32 pixels. A coarser image is the mean of 2×2
# pixels of the finer one: an `AveragePooling2D`.

# %%
(images, _), _ = keras.datasets.fashion_mnist.load_data()
images = np.pad(images, ((0, 0), (2, 2), (2, 2)))[..., None] / 127.5 - 1.0
images = images.astype("float32")
halve = layers.AveragePooling2D(2)


def dataset(resolution):
    data = images
    while data.shape[1] > resolution:
        data = ops.convert_to_numpy(halve(data))
    data = tf.data.Dataset.from_tensor_slices(data).shuffle(len(data), seed=0)
    return data.repeat().batch(batch_size).prefetch(2)


def show(*rows):
    """Draws rows of images, one below the other."""
    count = max(len(row) for row in rows)
    size = (count, len(rows))
    figure, axes = plt.subplots(len(rows), count, figsize=size, dpi=128)
    for row, places in zip(rows, np.reshape(axes, (len(rows), count)), strict=True):
        for image, place in zip(row, places, strict=True):
            place.imshow(
                image[..., 0], "gray", vmin=-1, vmax=1, interpolation="nearest"
            )
            place.axis("off")
    figure.tight_layout(pad=0.2)
    plt.show()


show(*(next(iter(dataset(side)))[:10] for side in (8, 16, 32)))

# %% [markdown]
# ## The network
#
# ### Spectral normalisation
#
# Langevin steps follow the energy's gradient, so the gradient must not grow without
# bound. [Spectral normalisation](https://arxiv.org/abs/1802.05957) divides a kernel by
# its largest singular value σ. The power method keeps track of it: one vector per
# kernel, moved once per training step by `update`, never in a sampler's loop.


# %%
def unit(vector):
    return vector / ops.norm(vector)


class SpectralConv2D(layers.Conv2D):
    """A convolution whose kernel has the largest singular value 1, as a matrix."""

    def build(self, input_shape):
        super().build(input_shape)
        self.vector = self.add_weight(
            shape=(self.filters,), initializer="random_normal", trainable=False
        )
        for _ in range(50):
            self.update()

    def update(self):
        matrix = ops.reshape(self.kernel, (-1, self.filters))
        left = unit(ops.matmul(matrix, self.vector))
        self.vector.assign(unit(ops.matmul(left, matrix)))

    def call(self, x):
        matrix = ops.reshape(self.kernel, (-1, self.filters))
        constant = ops.stop_gradient(matrix)
        left = unit(ops.matmul(constant, ops.convert_to_tensor(self.vector)))
        right = unit(ops.matmul(left, constant))
        sigma = ops.sum(ops.matmul(left, matrix) * right)
        x = ops.conv(x, self.kernel / sigma, padding=self.padding)
        return x + self.bias


# %% [markdown]
# ### Blocks
#
# A `Residual` block halves the resolution: two 3×3 convolutions beside a 1×1
# convolution, both with mean pooling. Before the first one, a 1×1 convolution,
# `from_image`, turns pixels into features. The head is a convolution, a second one that
# covers the whole map, and a linear layer.
#
# ### Growing: the Expand block
#
# The network of the next resolution has a `from_image` and a `Residual` block of its
# own in front: the *Primal* path. They are new and know nothing, so the old way in, the
# *Fade* path, stays beside them for a while:
#
# $$\mathrm{Expand}(x) = \beta \cdot \mathrm{Primal}(x)
#   + (1 - \beta) \cdot \mathrm{FromImage}_{\text{old}}(\mathrm{pool}(x)) .$$
#
# At β = 0 the grown network computes what the old one computes of the halved image, to
# the last digit. While β rises to 1, the new block learns to take over.


# %%
def swish(x):
    """Swish over 1.1, so that its slope is at most 1."""
    return ops.silu(x) / 1.1


def conv1x1(name):
    return layers.Conv2D(width, 1, kernel_initializer="he_normal", name=name)


class Residual(layers.Layer):
    def __init__(self, resolution):
        super().__init__(name=f"residual_{resolution}")
        options = {"padding": "same", "kernel_initializer": "he_normal"}
        self.conv1 = SpectralConv2D(width, 3, **options)
        self.conv2 = SpectralConv2D(width, 3, **options)
        self.skip = conv1x1("skip")
        self.spectral = [self.conv1, self.conv2]

    def build(self, input_shape):
        for layer in (*self.spectral, self.skip):
            layer.build(input_shape)

    def call(self, x):
        new = swish(halve(self.conv2(swish(self.conv1(x)))))
        return (new + halve(self.skip(x))) / np.sqrt(2.0)


class Mix(layers.Layer):
    """β · primal + (1 − β) · fade."""

    def build(self, *shapes):
        self.beta = self.add_weight(initializer="zeros", trainable=False)

    def call(self, primal, fade):
        return self.beta * primal + (1.0 - self.beta) * fade


class Head(layers.Layer):
    def build(self, input_shape):
        options = {"kernel_initializer": "he_normal"}
        self.conv = SpectralConv2D(width, 3, padding="same", **options)
        self.linear = layers.Dense(1, **options)
        self.to_vector = SpectralConv2D(width, input_shape[1], **options)
        self.spectral = [self.conv, self.to_vector]
        self.conv.build(input_shape)
        self.to_vector.build(input_shape)
        self.linear.build((None, width))

    def call(self, x):
        x = swish(self.to_vector(swish(self.conv(x))))
        return self.linear(x[:, 0, 0])[:, 0]


def energy_network(resolution, fading=False):
    """A functional model from images to energies `(batch,)`."""
    inputs = keras.Input((resolution, resolution, 1))
    x = Residual(resolution)(conv1x1(f"from_image_{resolution}")(inputs))
    if fading:
        fade = conv1x1(f"from_image_{resolution // 2}")(halve(inputs))
        x = Mix(name="mix")(x, fade)
    while x.shape[1] > 4:
        x = Residual(x.shape[1])(x)
    return keras.Model(inputs, Head(name="head")(x))


def copy_weights(old, new):
    """Layers of the same name are the same layers: that is all there is to growing."""
    names = {layer.name for layer in new.layers}
    for layer in old.layers:
        if layer.weights and layer.name in names:
            new.get_layer(layer.name).set_weights(layer.get_weights())
    return new


# %% [markdown]
# The claim about β = 0 is worth a test.

# %%
keras.utils.set_random_seed(0)
coarse = energy_network(8)
fine = copy_weights(coarse, energy_network(16, fading=True))
batch = next(iter(dataset(16)))
print("energies of the halved images:", np.round(coarse(halve(batch))[:4], 4))
print("energies after growing:       ", np.round(fine(batch)[:4], 4))

# %% [markdown]
# ## Langevin dynamics, from coarse to fine
#
# The gradient is that of the sum of the energies: no image's energy depends on another
# image, so each image gets its own gradient. A chain begins as uniform noise at 8×8
# pixels and takes `langevin_steps` at each level. Between two levels, each pixel is
# repeated.


# %%
def langevin(energy, x, seed, first, last, keep):
    """Steps at one level; their noise falls from `first` to `last`."""

    def step(k, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = ops.sum(energy(x))
        progress = ops.cast(k, "float32") / langevin_steps
        noise = keras.random.normal(ops.shape(x), seed=seed)
        sigma = first + (last - first) * progress
        return keep(x - step_size * tape.gradient(total, x) + sigma * noise)

    return keep(ops.clip(ops.fori_loop(0, langevin_steps, step, x), -1.0, 1.0))


def coarse_to_fine(energies, count, seed, keep=lambda x: x):
    """Samples of the finest energy; `keep` is applied after each step."""
    x = keras.random.uniform((count, 8, 8, 1), -1.0, 1.0, seed=seed)
    scales = np.linspace(noise_scale, 0.0, len(energies) + 1)
    for level, energy in enumerate(energies):
        if level:
            x = ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2)
        x = langevin(energy, x, seed, scales[level], scales[level + 1], keep)
    return x


# %% [markdown]
# ## The model
#
# The gradient of the log-likelihood compares two energies ([Hinton
# 2002](https://www.cs.toronto.edu/~hinton/absps/cdmiss.pdf)): that of data, the
# *positives*, is to fall, and that of the model's own samples, the *negatives*, to
# rise,
#
# $$-\nabla_\theta \log p_\theta = \nabla_\theta \mathbb E_{\text{data}}[E_\theta(x^+)]
#   - \nabla_\theta \mathbb E_{p_\theta}[E_\theta(x^-)] .$$
#
# `train_step` draws the negatives inside the compiled step and treats them as
# constants. The coarser networks are frozen: they only sample. As with diffusion
# models, a running average of the weights gives better samples than the weights
# themselves.


# %%
class CFEBM(keras.Model):
    """Learns the finest energy of a ladder.

    Args:
        resolution: int, side of the images.
        coarser: list of trained energy networks, coarsest first; they stay as they are.
        fade_steps: int, training steps until β is 1.
    """

    def __init__(self, resolution, coarser, fade_steps):
        super().__init__()
        self.coarser = coarser
        self.energy = energy_network(resolution, fading=bool(coarser))
        self.average = energy_network(resolution, fading=bool(coarser))
        if coarser:
            copy_weights(coarser[-1], self.energy)
        copy_weights(self.energy, self.average)
        self.fade_steps = fade_steps
        self.seed = keras.random.SeedGenerator(0)

    def train_step(self, positives):
        for layer in self.energy.layers:
            for convolution in getattr(layer, "spectral", ()):
                convolution.update()
        energies = [*self.coarser, self.energy]
        negatives = coarse_to_fine(energies, batch_size, self.seed)

        with tf.GradientTape() as tape:
            gap = ops.mean(self.energy(positives)) - ops.mean(self.energy(negatives))
        weights = self.energy.trainable_weights
        self.optimizer.apply(tape.gradient(gap, weights), weights)

        step = ops.cast(self.optimizer.iterations, "float32")
        if self.coarser:
            beta = ops.minimum(step / self.fade_steps, 1.0)
            self.energy.get_layer("mix").beta.assign(beta)
        decay = ops.minimum(ema, (1.0 + step) / (10.0 + step))
        pairs = zip(self.average.weights, self.energy.weights, strict=True)
        for average, weight in pairs:
            average.assign(decay * average + (1.0 - decay) * weight)
        return {"gap": gap}

    def generate(self, count, seed=0):
        seed = keras.random.SeedGenerator(seed)
        energies = [*self.coarser, self.average]
        chain = tf.function(coarse_to_fine, autograph=False)
        return chain(energies, count, seed).numpy()


# %% [markdown]
# ## Training: grow, compile, fit
#
# Three stages. After each, the averaged network joins the frozen samplers, without its
# fade path, and the next network starts from its weights.

# %%
coarser, samples = [], {}
for resolution, steps in ((8, steps_at_8), (16, steps_at_16), (32, steps_at_32)):
    model = CFEBM(resolution, coarser, fade_steps=max(steps // 4, 1))
    model.compile(keras.optimizers.Adam(learning_rate, beta_1=0.5, beta_2=0.999))
    model.fit(dataset(resolution), steps_per_epoch=steps, verbose=2)
    samples[resolution] = model.generate(10)
    coarser = [*coarser, copy_weights(model.average, energy_network(resolution))]

# %% [markdown]
# The gap, here that of the last step of each stage, stays small beside the energies,
# which are printed at the end. It measures who is ahead, data (below zero) or samples,
# and not how good the samples are; look at them instead. All stages draw with the same
# seed, so a column shows one start of the chain, as each stage carries it on.

# %%
show(*samples.values())

# %% [markdown]
# ## What one energy is good for
#
# No other network is needed to fill a hole. The same chain runs, and after each step
# the known pixels are put back: at the coarser levels, those of the halved image that
# no hole touches. Two seeds give two completions.

# %%
whole = images[:10]
hole = np.zeros(whole.shape, "float32")
hole[:, 8:24, 8:24] = 1.0
known = {32: (whole, hole > 0)}
for side in (16, 8):
    image, mask = (np.array(halve(np.float32(x))) for x in known[2 * side])
    known[side] = image, mask > 0


def keep(x):
    image, mask = known[x.shape[1]]
    return ops.where(mask, x, image)


@tf.function(autograph=False)
def inpaint(seed):
    return coarse_to_fine(coarser, len(whole), seed, keep)


filled = [inpaint(keras.random.SeedGenerator(seed)) for seed in range(2)]
show(np.where(hole > 0, -1.0, whole), *filled, whole)

# %% [markdown]
# ## The same as a library
#
# [keras_cfebm](https://github.com/keras-cfebm/keras_cfebm) has this method with
# everything that a real training needs: faster kernels, noise that does not depend on
# the batch, runs that resume bitwise, a guard against divergence, denoising,
# translation and detection with figures, and export to TensorFlow Serving. Given the
# weights of this notebook, its energy is the same function.

# %%
import keras_cfebm as cf

theirs = cf.EnergyNetwork(32, channels=1, widths=dict.fromkeys((4, 8, 16, 32), width))
theirs.set_weights(coarser[-1].get_weights())
ours, same = coarser[-1](images[:4]).numpy(), theirs(images[:4]).numpy()
print("this notebook:", ours, "\nkeras_cfebm:  ", same)
assert np.allclose(ours, same, rtol=1e-4, atol=1e-4)

ladder = cf.CFEBM(cf.EnergyNetwork(8, channels=1, base_width=width // 4))
ladder.compile(keras.optimizers.Adam(learning_rate, beta_1=0.5, beta_2=0.999))
ladder.fit(dataset(8), steps_per_epoch=min(steps_at_8, 20), verbose=2)
ladder = ladder.finished().grown(fade_steps=100)  # 16 × 16; compile, fit, and so on

# %% [markdown]
# ## What to remember
#
# - An energy-based model learns from two sets of images, data and its own samples, and
#   draws the samples with its own gradient.
# - A coarse-to-fine ladder makes chains short, because each level starts near its goal.
# - Growing is copying weights; β makes it smooth.
# - The chain is part of the model: 15 steps of size 1 at each level were trained, so 15
#   steps of size 1 draw.
