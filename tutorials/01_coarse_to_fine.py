# %% [markdown]
# # Coarse-to-fine training
#
# A chain of Langevin steps at 32×32 pixels is expensive, and starts far from any image.
# At 8×8 it is cheap, and images are simple. So one learns there first, then lets the
# network grow: 8 → 16 → 32. This notebook trains such a model on Fashion-MNIST, small
# enough for minutes on a CPU, and asks whether the detour pays.
#
# **Learning goals.** After this notebook you can
#
# - say what each stage sees, and what a coarse stage can never learn;
# - write the Expand block, and verify that growth changes nothing at $\beta = 0$;
# - write the training step of an energy of images;
# - train a ladder of energies with `fit_progressively`, and read its curves;
# - compare two ways of training fairly: equal time, one figure of merit, controls.
#
# **Prerequisites.** Notebook 00 (Langevin, the maximum-likelihood gradient).
#
# **Convention.** An energy $E(x)$ is one number per image, low = likely:
# $p(x) = \exp(-E(x)) / Z$.

# %%
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers, ops

import keras_cfebm as cf
from keras_cfebm import callbacks, evaluation, tasks, visualization

visualization.use_style()

# %% tags=["parameters"]
images_at_8 = 25600  # @param {type:"integer"}
images_at_16 = 9600  # @param {type:"integer"}
images_at_32 = 2560  # @param {type:"integer"}
langevin_steps = 8  # @param {type:"integer"}
steps_by_hand = 150  # @param {type:"integer"}
width = 32  # @param {type:"integer"}
count = 256  # @param {type:"integer"}
seed = 0  # @param {type:"integer"}

# %% [markdown]
# ## What each stage sees
#
# The training image is $x^{(S)}$. Coarser ones are means of 2×2 pixels, $x^{(s-1)} =
# \mathrm{pool}(x^{(s)})$. The data set gives batches of any resolution that halving
# reaches.
#
# How much is lost? We judge images by the Fréchet distance in the features of a small
# classifier that is part of the package, to real training images, 0 is best:
#
# $$d^2 = \lVert \mu_1 - \mu_2 \rVert^2
#   + \mathrm{tr}\big(C_1 + C_2 - 2\,(C_1 C_2)^{1/2}\big) .$$
#
# With the Inception network $d^2$ is called FID. With our classifier we say *classifier
# FID*, and never compare its values with published FIDs.

# %%
data = cf.datasets.load("fashion_mnist_embedded", "train", resolution=32, fit="pad")
test_data = cf.datasets.load("fashion_mnist_embedded", "test", resolution=32, fit="pad")
test_images = test_data.images(count)
encoder = evaluation.fashion_classifier().encoder
reference = evaluation.FeatureStatistics.from_images(
    [data.images(8 * count)], encoder, "training images"
)


def classifier_fid(images):
    statistics = evaluation.FeatureStatistics.from_images([images], encoder, "images")
    return evaluation.frechet_distance(statistics, reference)


controls = {"test images": test_images}
for resolution in (16, 8):
    controls[f"seen at {resolution}×{resolution}"] = evaluation.pixelate(
        test_images, resolution
    )
noise = np.random.default_rng(seed).uniform(-1, 1, test_images.shape)
controls["uniform noise"] = noise.astype("float32")
for name, images in controls.items():
    print(f"{name:14s} classifier FID {classifier_fid(images):5.1f}")
visualization.comparison_grid({k: v[:10] for k, v in controls.items()})

# %% [markdown]
# Test images are not at 0: a few hundred images never match their reference exactly.
# That value is the best that a model can hope for here. The rows below it say what a
# coarse stage can reach at most: a perfect model of 8×8 images, enlarged to 32×32,
# would score as the row "seen at 8×8". All that is finer is left to later stages. Look
# at the pictures of that row: whether it is a shoe or a shirt is decided at 8×8.
#
# ## Growth: the Expand block
#
# A grown network is the old one with one block in front, at the image side (Sec. 3.2):
#
# $$\mathrm{Expand}(x) = \beta\,\mathrm{Primal}(x) + (1-\beta)\,\mathrm{Fade}(x) .$$
#
# Primal is new: 1×1 convolution, two 3×3 convolutions and a pooling, with a skip path.
# Fade pools the image and uses the 1×1 convolution that the old network has already
# learned. So at $\beta = 0$ nothing has changed:
#
# $$E^{(s)}(x)\big|_{\beta=0} = E^{(s-1)}(\mathrm{pool}(x)) .$$
#
# Here it is, written out. (`SpectralConv2D` is a convolution whose kernel is divided by
# its largest singular value, so that the energy's slope stays bounded. All else is
# plain Keras.) The package has the same block, `cf.ExpandBlock`, which computes it in
# fewer operations; `EnergyNetwork.grown` puts it in front of a network. We give our
# block the weights of such a grown network, compare the two, and look at how the energy
# moves away as $\beta$ rises.


# %%
class Expand(layers.Layer):
    """β · Primal(x) + (1 − β) · Fade(x); halves the resolution."""

    def __init__(self, width, filters):
        super().__init__()
        self.from_image = layers.Conv2D(width, 1)  # new, at the finer resolution
        self.conv1 = cf.SpectralConv2D(width)
        self.conv2 = cf.SpectralConv2D(filters)
        self.skip = layers.Conv2D(filters, 1)
        self.old_from_image = layers.Conv2D(filters, 1)  # learned at the coarser one
        self.beta = 0.0

    def activate(self, x):
        return ops.silu(x) / 1.1

    def call(self, x):
        features = self.from_image(x)
        main = self.activate(self.conv1(features))
        main = self.activate(ops.average_pool(self.conv2(main), 2))
        short = self.skip(ops.average_pool(features, 2))
        primal = (main + short) / np.sqrt(2)
        fade = self.old_from_image(ops.average_pool(x, 2))
        return self.beta * primal + (1 - self.beta) * fade


widths = {4: width, 8: width, 16: width, 32: width // 2}
keras.utils.set_random_seed(seed)
coarse = cf.EnergyNetwork(resolution=8, channels=1, widths=widths)
fine = coarse.grown()  # 16 × 16, a new network; `coarse` is left as it is
images = data.images(64, resolution=16)
pooled = data.images(64, resolution=8)

theirs = fine.blocks[0]
ours = Expand(widths[16], widths[8])
ours(images)  # builds it
ours.from_image.set_weights(theirs.primal.from_image.get_weights())
ours.old_from_image.set_weights(theirs.fade.from_image.get_weights())
for name in ("conv1", "conv2", "skip"):
    layer = getattr(theirs.primal.residual, name)
    getattr(ours, name).set_weights(layer.get_weights())
for beta in (0.0, 0.5, 1.0):
    ours.beta = fine.beta = beta
    gap = np.abs(ops.convert_to_numpy(ours(images) - theirs(images))).max()
    print(f"β = {beta}: largest difference of the two blocks {gap:.1e}")

betas = np.linspace(0, 1, 11)
difference = []
for beta in betas:
    fine.beta = beta
    energies = ops.convert_to_numpy(fine(images))
    difference.append(np.abs(energies - ops.convert_to_numpy(coarse(pooled))).mean())
print(f"β = 0: mean difference of the energies {difference[0]:.1e}")
print(f"β = 1: mean difference of the energies {difference[-1]:.1e}")
figure, axes = plt.subplots(figsize=(4, 2.2))
axes.plot(betas, difference, "o-")
axes.set(xlabel="β", ylabel="|E(x) − E(pool x)|", ylim=(0, None))
plt.show()

# %% [markdown]
# At $\beta = 0$ what is left is rounding. A grown network therefore starts from all
# that the old one knows, and the fade-in moves it gently.
#
# ## The training step, by hand
#
# The loss of a step is $\frac1n\sum E(x^+) - \frac1n\sum E(x^-)$, as in notebook 00:
# the energy of data falls, that of the model's own samples rises. Its gradient is that
# of the negative log-likelihood if the samples come from the model. They come from a
# short chain, $x \leftarrow x - \eta\,\partial E/\partial x + \sigma\,\varepsilon$. It
# starts at noise in every step, and no gradient goes through it. This is all:


# %%
class ByHand(keras.Model):
    """Learns an energy of images of one resolution."""

    def __init__(self, energy):
        super().__init__()
        self.energy = energy
        self.noise = keras.random.SeedGenerator(seed)

    def sample(self, shape):
        x = keras.random.uniform(shape, -1, 1, seed=self.noise)
        for _ in range(langevin_steps):
            with tf.GradientTape() as tape:
                tape.watch(x)
                total = ops.sum(self.energy(x))  # images do not see each other
            noise = keras.random.normal(shape, seed=self.noise)
            x = x - 2.0 * tape.gradient(total, x) + 0.005 * noise
        return ops.clip(x, -1, 1)

    def train_step(self, positives):
        self.energy.power_iteration()  # keeps track of the largest singular values
        negatives = self.sample(ops.shape(positives))
        weights = self.energy.trainable_weights
        with tf.GradientTape() as tape:
            gap = ops.mean(self.energy(positives)) - ops.mean(self.energy(negatives))
        self.optimizer.apply(tape.gradient(gap, weights), weights)
        return {"gap": gap}


by_hand = ByHand(cf.EnergyNetwork(resolution=8, channels=1, widths=widths))
by_hand.compile(keras.optimizers.Adam(1e-3, beta_1=0.5))
history = by_hand.fit(
    data.batches(8, 128, seed=seed), steps_per_epoch=steps_by_hand, verbose=0
)
print(f"gap E(x⁺) − E(x⁻) over these steps: {history.history['gap'][-1]:.3f}")
drawn = {
    "data": data.images(10, resolution=8),
    "by hand": ops.convert_to_numpy(by_hand.sample((10, 8, 8, 1))),
}
visualization.comparison_grid(drawn)

# %% [markdown]
# Blots of the right shape, after seconds. `CFEBM.train_step` is the same step, with
# what a real training needs beside it: chains that come up a ladder of energies, random
# numbers that belong to the image and the step (so that a run can be resumed to the
# bit), the fade-in, and an average of the weights to sample from. From here on we use
# it.
#
# ## Training, stage by stage
#
# The negatives $x^-$ come from one chain through the whole ladder: uniform noise at
# 8×8, Langevin steps with the frozen $E^{(0)}$, doubling of the pixels, steps with
# $E^{(1)}$, and so on up to the energy in training.
#
# A `Stage` says how many images are seen while $\beta$ rises and after it.
# `fit_progressively` is the loop *grow → compile → fit*. We call it once per stage, to
# keep the model of each. `EnergyLog` collects a row per epoch.

# %%
stages = [
    cf.Stage(8, fade_images=0, stabilise_images=images_at_8, batch_size=128),
    cf.Stage(16, fade_images=images_at_16 // 4, stabilise_images=images_at_16),
    cf.Stage(32, fade_images=images_at_32 // 2, stabilise_images=images_at_32),
]
log = callbacks.EnergyLog()


def batches(stage, start):
    return data.batches(stage.resolution, stage.batch_size, seed=seed, start=start)


def fit(model, stages, callback):
    return cf.fit_progressively(
        model, batches, stages, callbacks=[callback], report_steps=10, verbose=0
    )


keras.utils.set_random_seed(seed)
first = cf.EnergyNetwork(resolution=8, channels=1, widths=widths)
settings = cf.Langevin(steps=langevin_steps, step_size=2.0, noise_scale=0.005)
model = cf.CFEBM([first], langevin=settings, ema_decay=0.98, seed=seed)
trained = {}
began = time.process_time()
for stage in stages:
    model = fit(model, [stage], log)
    trained[stage.resolution] = model
core_seconds = time.process_time() - began
print(f"{core_seconds:.0f} core-seconds of training")
figure = visualization.energy_curves(log.rows)
figure.set_size_inches(7, 5)
figure

# %% [markdown]
# Read the three panels together. *Energy*: data and samples stay close. Only their
# difference means anything; a constant added to all energies changes no probability.
# *Gap*: here samples minus data, the loss with its sign turned. It is near zero as long
# as the sampler keeps up with the network, and jumps when the network has grown. In a
# short stage at 32×32 it may rise at the end: there the network begins to win, and a
# longer run would calm down or need care. *Gradient norm*: right after a growth it
# falls, since the new block hardly counts while $\beta$ (shaded) is small, and it rises
# with $\beta$.
#
# Now the chain of the trained model, from noise on the left: where it stands at the end
# of each resolution.

# %%
states = list(
    tasks.chain_states(
        model.sampling_ladder, 6, 1, model.langevin, every=langevin_steps
    )
)
pictures = [np.clip(state.images, -1, 1) for state in states]
visualization.chain_strip(pictures)

# %% [markdown]
# The 8×8 steps decide what it will be and where. The finer levels add edges, holes and
# texture to that sketch; they hardly ever change the kind of garment. Some samples are
# fragments and not garments: this model has seen little.
#
# ## One resolution for the same time
#
# The control: the same network, at 32×32 from the beginning, for the same processor
# time and with as many Langevin steps per sample (those of three levels). Only the
# detour is missing. A callback ends the training when the time is over.


# %%
class Budget(keras.callbacks.Callback):
    """Stops training after some seconds of processor time."""

    def __init__(self, core_seconds):
        super().__init__()
        self.end = time.process_time() + core_seconds
        self.steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        self.model.stop_training = time.process_time() > self.end


keras.utils.set_random_seed(seed)
network = cf.EnergyNetwork(resolution=32, channels=1, widths=widths)
settings = settings.replace(steps=3 * langevin_steps)
single = cf.CFEBM([network], langevin=settings, ema_decay=0.98, seed=seed)
budget = Budget(core_seconds)
endless = cf.Stage(32, fade_images=0, stabilise_images=10**9)
single = fit(single, [endless], budget)
print(f"coarse to fine {sum(stage.steps for stage in stages)} training steps")
print(f"one resolution {budget.steps} training steps")

# %% [markdown]
# Beside both stands a pretrained model of this package: the same method with wider
# layers and far more time.

# %%
pretrained = cf.CFEBM.from_preset("fashion_mnist")
samples = {
    "coarse to fine": model.generate(count, seed=1),
    "one resolution": single.generate(count, seed=1),
    "pretrained": pretrained.generate(count, seed=1),
}
for name, images in samples.items():
    print(f"{name:14s} classifier FID {classifier_fid(images):5.1f}")
visualization.comparison_grid({k: v[:10] for k, v in samples.items()})

# %% [markdown]
# With equal time the detour pays. The control has made far fewer training steps, each
# of which is dearer, and its chains have to find shape and texture at once. Compare its
# value with the row "seen at 8×8" at the top. The pretrained model shows where more
# time leads; look at how far it still is from the test images.
#
# What this does not show: it is one seed, one budget and a small network, and two runs
# of the same settings differ by a few points. It is a fair experiment, and a small one.
#
# ## Exercises
#
# 1. *(easy)* *Where does the time go?* A chain makes `langevin_steps` steps per level.
#    Take the cost of a step as proportional to the number of pixels. Which share of the
#    chain 8 → 16 → 32 is spent at 32×32? How much dearer is a chain of as many steps
#    that are all made at 32×32?
# 2. *(easy)* *Other sizes.* 28 = 4 · 7. Build a network of 7×7 (`base_resolution=7`),
#    grow it twice, and verify the identity at $\beta = 0$ for 28×28.
# 3. *(medium)* *More steps, better samples?* Sample the model trained here with half
#    and with three times as many Langevin steps per level. Judge the samples, and
#    explain.
# 4. *(hard)* *Without fade-in.* Grow the 8×8 model to 16×16 with `fade_images=0`, for
#    as many images in all. Compare the largest gradient norm of the two logs, and the
#    samples. If you see no difference: at which sizes, or for which learning rates,
#    would you expect one, and how would you find out?

# %%
# @title Solutions 1 and 2 {display-mode: "form"}
cost = {resolution: resolution**2 * langevin_steps for resolution in (8, 16, 32)}
total = sum(cost.values())
print(f"share of 32×32: {cost[32] / total:.0%}")
print(f"all steps at 32×32: {3 * cost[32] / total:.2f} times the cost")
# Pixels go 1 : 4 : 16, so the finest level takes 16 of 21 parts, and a chain that stays
# there 48 of 21. The coarser levels are nearly free.

base = cf.EnergyNetwork(7, channels=1, base_resolution=7, base_width=4)
at_14 = base.grown()
at_14.beta = 1.0
at_14 = at_14.without_fade()
at_28 = at_14.grown()
images_28 = np.random.default_rng(seed).uniform(-1, 1, (8, 28, 28, 1))
images_28 = images_28.astype("float32")
pooled = ops.average_pool(images_28, 2)
change = np.abs(np.subtract(at_28(images_28), at_14(pooled)))
print(f"28×28 at β = 0: largest difference {change.max():.1e}")
# Only rounding is left: the identity needs sizes that halve, and no powers of two.

# %%
# @title Solution 3 {display-mode: "form"}
rows = {f"{langevin_steps} steps": samples["coarse to fine"][:10]}
for steps in (langevin_steps // 2, 3 * langevin_steps):
    settings = model.langevin.replace(steps=steps)
    images = tasks.generate(model.sampling_ladder, count, 1, settings)
    print(f"{steps} steps per level: classifier FID {classifier_fid(images):5.1f}")
    rows[f"{steps} steps"] = images[:10]
# Both are worse. Chains go downhill for a time K · η. With half of it they have not
# arrived; with three times as much they pass the images, where training has never been,
# and go on to black and white. More steps are better only if one trains with them.
visualization.comparison_grid(rows)

# %%
# @title Solution 4 {display-mode: "form"}
other_log = callbacks.EnergyLog()
at_16 = stages[1]
without = cf.Stage(16, fade_images=0, stabilise_images=at_16.steps * at_16.batch_size)
trained["16, no fade-in"] = fit(trained[8], [without], other_log)
for name, key, rows in (
    ("with fade-in", 16, [r for r in log.rows if r["resolution"] == 16]),
    ("without", "16, no fade-in", other_log.rows),
):
    largest = max(row["gradient_norm"] for row in rows)
    images = trained[key].generate(count, seed=1).repeat(2, axis=1).repeat(2, axis=2)
    print(f"{name:12s} largest gradient norm {largest:4.1f}, ", end="")
    print(f"classifier FID {classifier_fid(images):5.1f}")
# Without fade-in a random block takes over at once, hence the larger gradient. Adam
# divides by its size, so at 16×16 the samples hardly differ: by less than two seeds do.
# Look for a difference at higher resolutions and learning rates: a table of both, over
# several seeds, that counts the runs which diverge.

# %% [markdown]
# ## What to remember
#
# - A ladder has one energy per resolution; samples go up it, from 8×8 noise to images.
# - Growth is exact: at $\beta = 0$ the grown network is the old one on pooled images.
# - $\beta$ rises over a stage; each stage has a new optimizer and a frozen sampler
#   below.
# - Most decisions fall at coarse levels, where a step costs a fraction of a fine one.
# - Compare at equal time, with one figure of merit and with controls that give it a
#   scale.
# - A chain is part of the model: as many steps as in training, neither fewer nor more.
