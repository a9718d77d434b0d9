# %% [markdown]
# # The landscape: how energies are learned
#
# The likelihood of an energy $p_\theta(x) = \exp(-E_\theta(x)) / Z_\theta$ has a term
# that nobody can compute for images, $\log Z_\theta$. Every way to learn an energy is a
# way around it. In two dimensions a sum over a grid *is* $Z_\theta$, so here all ways
# can be compared with the truth, and with each other.
#
# **Learning goals.** After this notebook you can
#
# - say what contrastive divergence, persistent chains, score matching and
#   noise-contrastive estimation put in the place of $\log Z$;
# - say where JEM, diffusion models and coarse-to-fine energies stand among them;
# - judge learned densities by one exact figure, and see which errors each way makes;
# - bracket $\log Z$ by annealed importance sampling from below and from above.
#
# **Prerequisites.** Notebook 00 (Langevin, the maximum-likelihood gradient).
#
# **Convention.** An energy $E(x)$ is one number per point or image, low = likely: $p(x)
# = \exp(-E(x)) / Z$.

# %%
import itertools

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import ops

from keras_cfebm import visualization

visualization.use_style()

# %% tags=["parameters"]
training_steps = 2000  # @param {type:"integer"}
chain_steps = 20  # @param {type:"integer"}
temperatures = 1000  # @param {type:"integer"}
ais_chains = 300  # @param {type:"integer"}
moves_each = 10  # @param {type:"integer"}
seed = 0  # @param {type:"integer"}

# %% [markdown]
# ## Who puts what in the place of log Z
#
# - **Maximum likelihood**: $\nabla_\theta \log Z$ itself, by a sum over all $x$.
#   Possible in two dimensions.
# - **Contrastive divergence**, CD ([Hinton 2002][cd]): chains of a few steps that start
#   at the data.
# - **Persistent chains**, PCD ([Tieleman 2008][pcd]), with a *replay buffer* for images
#   ([Du and Mordatch 2019][buffer]): chains that go on from one training step to the
#   next. *JEM* ([Grathwohl et al. 2020][jem]) learns so a classifier whose logits are
#   energies.
# - **Short runs from noise** ([Nijkamp et al. 2019][short]), anew at each step. Coarse
#   to fine, as in this package, they stay short at high resolution.
# - **Denoising score matching**, DSM ([Vincent 2011][dsm]): no chain. The slope of the
#   energy is to point from noisy data to clean data. [Score-based][ncsn] and
#   [diffusion][ddpm] models do it for many noise levels at once.
# - **Noise-contrastive estimation**, NCE ([Gutmann and Hyvärinen 2010][nce]): no chain.
#   The energy learns to tell data from a known noise, and $\log Z$ is one more weight.
# - *Energy matching* ([Balcerak et al. 2025][matching]) joins flow matching far from
#   the data with an energy near them.
#
# [cd]: https://www.cs.toronto.edu/~hinton/absps/cdmiss.pdf
# [pcd]: https://www.cs.toronto.edu/~tijmen/pcd/pcd.pdf
# [buffer]: https://arxiv.org/abs/1903.08689
# [jem]: https://arxiv.org/abs/1912.03263
# [short]: https://arxiv.org/abs/1904.09770
# [dsm]: https://doi.org/10.1162/NECO_a_00142
# [ncsn]: https://arxiv.org/abs/1907.05600
# [ddpm]: https://arxiv.org/abs/2006.11239
# [nce]: https://proceedings.mlr.press/v9/gutmann10a.html
# [matching]: https://arxiv.org/abs/2504.10612
#
# What a diffusion model learns is the gradient of an energy for each noise level; what
# it lacks is the energy: a number that compares two images. What short runs from noise
# lack is the guarantee that the number is a density. Both can be seen below.
#
# ## A density with known Z
#
# Six Gaussians on a ring, of unequal weight, as in notebook 00.

# %%
angles = 2 * np.pi * np.arange(6) / 6
centres = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
shares = np.array([0.3, 0.25, 0.2, 0.12, 0.08, 0.05])
width = 0.3

side, reach = 121, 4.0
line = np.linspace(-reach, reach, side, dtype="float32")
cell = float(line[1] - line[0]) ** 2
grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
squares = np.square(grid[:, None] - centres).sum(axis=-1)
truth = (shares * np.exp(-squares / (2 * width**2))).sum(axis=1)
truth = np.log(truth / (2 * np.pi * width**2) + 1e-300)


def draw_data(rng, count):
    chosen = centres[rng.choice(6, count, p=shares)]
    return (chosen + width * rng.normal(size=(count, 2))).astype("float32")


def log_density(energies):
    """log p on the grid, and log Z, of energies on the grid."""
    negative = -np.asarray(energies, "float64")
    top = negative.max()
    log_z = top + np.log(np.exp(negative - top).sum() * cell)
    return negative - log_z, log_z


def divergence(energies):
    """KL(truth ‖ model) in nats: the likelihood that the model gives away."""
    learned, _ = log_density(energies)
    return np.sum(np.exp(truth) * (truth - learned)) * cell


# %% [markdown]
# ## Six ways to learn
#
# The exact way and five others. One network, one optimizer, one number of steps and one
# batch size for all. Each way is a function from a batch of data to a loss; what
# differs is its second set of points.

# %%
batch = 256
eta = 0.02  # Langevin: x − η ∂E/∂x + √(2η) ε
sigma = 0.15  # of the noise of score matching
noise_width = 2.0  # of the noise of NCE, a Gaussian


def make_network():
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(64, "swish") for _ in range(3)]
    return keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(1)])


def input_gradient(energy, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = ops.sum(energy(x))
    return tape.gradient(total, x)


def langevin(energy, x):
    def step(_, x):
        noise = tf.random.normal(tf.shape(x))
        x = x - eta * input_gradient(energy, x) + np.sqrt(2 * eta) * noise
        return ops.clip(x, -reach, reach)

    return ops.stop_gradient(ops.fori_loop(0, chain_steps, step, x))


def uniform(count):
    return tf.random.uniform((count, 2), -reach, reach)


class Learner:
    """One energy, and the points that its way of learning needs."""

    def __init__(self):
        self.network = make_network()
        self.log_z = tf.Variable(0.0)  # NCE only
        self.chains = tf.Variable(uniform(batch))  # PCD only
        self.optimizer = keras.optimizers.Adam(2e-3)

    def energy(self, x):
        return self.network(x)[:, 0]

    def contrast(self, data, negatives):
        both = self.energy(ops.concatenate([data, negatives]))
        # A little weight on squares keeps the energies' level where it is.
        regular = 1e-3 * ops.mean(ops.square(both))
        return ops.mean(both[:batch]) - ops.mean(both[batch:]) + regular

    def maximum_likelihood(self, data):
        log_z = ops.logsumexp(-self.energy(ops.convert_to_tensor(grid)))
        return ops.mean(self.energy(data)) + log_z

    def contrastive_divergence(self, data):
        return self.contrast(data, langevin(self.energy, data))

    def persistent_chains(self, data):
        restarted = tf.random.uniform((batch, 1)) < 0.05
        start = ops.where(restarted, uniform(batch), self.chains)
        negatives = langevin(self.energy, start)
        self.chains.assign(negatives)
        return self.contrast(data, negatives)

    def short_runs(self, data):
        return self.contrast(data, langevin(self.energy, uniform(batch)))

    def score_matching(self, data):
        noise = tf.random.normal(tf.shape(data))
        slope = input_gradient(self.energy, data + sigma * noise)
        return ops.mean(ops.square(sigma * slope - noise))

    def noise_contrast(self, data):
        noise = noise_width * tf.random.normal(tf.shape(data))
        x = ops.concatenate([data, noise])
        log_noise = -ops.sum(ops.square(x), axis=1) / (2 * noise_width**2)
        log_noise = log_noise - np.log(2 * np.pi * noise_width**2)
        logits = -self.energy(x) - self.log_z - log_noise
        labels = ops.cast(ops.arange(2 * batch) < batch, "float32")
        return ops.mean(ops.binary_crossentropy(labels, logits, from_logits=True))


def train(way):
    learner = Learner()
    weights = [*learner.network.trainable_weights]
    loss_of = getattr(learner, way)

    @tf.function(autograph=False)
    def step(data):
        with tf.GradientTape() as tape:
            loss = loss_of(data)
        values = [w.value for w in weights]
        *slopes, of_log_z = tape.gradient(loss, [*values, learner.log_z])
        # Score matching has no use for the last bias, which moves all energies alike.
        pairs = zip(slopes, weights, strict=True)
        learner.optimizer.apply_gradients([p for p in pairs if p[0] is not None])
        if of_log_z is not None:
            learner.log_z.assign_sub(0.1 * of_log_z)

    keras.utils.set_random_seed(seed)
    learner.optimizer.build(weights)
    rng = np.random.default_rng(seed)
    for _ in range(training_steps):
        step(ops.convert_to_tensor(draw_data(rng, batch)))
    return learner


ways = {
    "maximum likelihood": "maximum_likelihood",
    "CD": "contrastive_divergence",
    "PCD": "persistent_chains",
    "short runs from noise": "short_runs",
    "score matching": "score_matching",
    "NCE": "noise_contrast",
}
learners = {name: train(way) for name, way in ways.items()}

# %% [markdown]
# ## One judge for all
#
# The density is judged by $\mathrm{KL}(p \Vert p_\theta)$, computed on the grid with
# the exact $Z$, and by how much of the probability lies near each of the six centres.
# The sampler is judged by the energy distance $D$ between data and the ends of chains
# of `chain_steps` steps from uniform noise.


# %%
def energies_on_grid(learner):
    return ops.convert_to_numpy(learner.energy(ops.convert_to_tensor(grid)))


def energy_distance(x, y):
    def mean_distance(a, b):
        return np.sqrt(np.square(a[:, None] - b).sum(axis=-1)).mean()

    return 2 * mean_distance(x, y) - mean_distance(x, x) - mean_distance(y, y)


test_data = draw_data(np.random.default_rng(seed + 1), 1000)
nearest = np.square(grid[:, None] - centres).sum(axis=-1)
regions = np.where(nearest.min(axis=1) < (3 * width) ** 2, nearest.argmin(axis=1), 6)
figure, axes = plt.subplots(1, 7, figsize=(13, 2.3))
maps = {"truth": truth}
print(f"{'':22s} KL       D     share of each centre{'':21s}elsewhere")
for name, learner in learners.items():
    energies = energies_on_grid(learner)
    maps[name] = log_density(energies)[0]
    found = np.bincount(regions, np.exp(maps[name]) * cell, minlength=7)
    ends = ops.convert_to_numpy(langevin(learner.energy, uniform(1000)))
    distance = energy_distance(ends, test_data)
    kl = divergence(energies)
    print(f"{name:22s} {kl:6.3f}  {distance:5.3f} ", np.round(found, 2))
found = np.bincount(regions, np.exp(truth) * cell, minlength=7)
others = draw_data(np.random.default_rng(seed + 2), 1000)
distance = energy_distance(others, test_data)
print(f"{'truth':22s} {0:6.3f}  {distance:5.3f} ", np.round(found, 2))
for panel, (name, values) in zip(axes, maps.items(), strict=True):
    panel.imshow(np.exp(values).reshape(side, side), origin="lower", vmax=0.6)
    panel.set(title=name, xticks=[], yticks=[], xlabel="x₁", ylabel="x₂")
    panel.label_outer()
plt.show()

# %% [markdown]
# What to see, and why:
#
# - *Maximum likelihood* is the best that this network and this number of steps allow.
#   As a sampler it is the worst: no chain of 20 steps finds the weights of valleys.
# - *CD* compares data with points near the data. What is far from them is never asked
#   for; here its chains are long enough for most of it.
# - *PCD* asks everywhere that its chains have got to, but its chains lag behind the
#   energy, and the weights of the valleys swing: here some are nearly lost.
# - *Short runs from noise* learn an energy whose chains of exactly this length end near
#   the data: by far the best sampler, and a density that puts everything in one valley.
# - *Score matching* knows slopes only. Between two valleys there are few data and hence
#   hardly a slope, so it hardly knows how much probability each valley has.
# - *NCE* knows even $\log Z$, roughly (exercise 1). It needs a noise that covers the
#   data and is not too far from them, which for images nobody has.
#
# ## A bracket around log Z
#
# Without a grid, $\log Z$ can still be caught between two numbers. *Annealed importance
# sampling* ([Neal 1998](https://arxiv.org/abs/physics/9803008)) walks from a density
# with known $Z_0$ to the energy through $E_t = (1 - t)\,E_0 + t\,E$, and collects $\log
# w = \sum_t (t_{i+1} - t_i)\,(E_0 - E)(x_i)$. Then $\mathbb E[w] = Z / Z_0$, so
# $\mathbb E[\log w]$ is too low on average. The walk [in
# reverse](https://arxiv.org/abs/1412.8566), from exact samples of the energy back to
# the start, is too high on average. The steps between are Langevin steps that a
# Metropolis test accepts or rejects, so that each leaves $E_t$ as it is.


# %%
def base_energy(x):
    return ops.sum(ops.square(x), axis=1) / (2 * noise_width**2)


base_log_z = np.log(2 * np.pi * noise_width**2)


def ais(energy, x, reverse):
    """log w of each chain; `x` are samples of the density where the walk starts."""

    def move(x, t):
        def between(x):
            return (1 - t) * base_energy(x) + t * energy(x)

        def log_proposal(x, slope, y):
            return -ops.sum(ops.square(y - x + eta * slope), axis=1) / (4 * eta)

        noise = np.sqrt(2 * eta) * tf.random.normal(tf.shape(x))
        slope = input_gradient(between, x)
        y = x - eta * slope + noise
        back = log_proposal(y, input_gradient(between, y), x)
        ratio = between(x) - between(y) + back - log_proposal(x, slope, y)
        accepted = ops.log(tf.random.uniform(tf.shape(ratio))) < ratio
        return ops.where(accepted[:, None], y, x)

    @tf.function(autograph=False)
    def moves(x, t):
        x = ops.fori_loop(0, moves_each, lambda _, x: move(x, t), x)
        return x, base_energy(x) - energy(x)

    times = np.linspace(0, 1, temperatures + 1, dtype="float32")
    times = times[::-1] if reverse else times
    x = ops.convert_to_tensor(x)
    gap = base_energy(x) - energy(x)
    log_w = 0.0
    for before, after in itertools.pairwise(times):
        log_w = log_w + (after - before) * gap
        x, gap = moves(x, ops.convert_to_tensor(after))
    return ops.convert_to_numpy(log_w)


keras.utils.set_random_seed(seed)
rng = np.random.default_rng(seed)
learner = learners["maximum likelihood"]
density, log_z = log_density(energies_on_grid(learner))
start = noise_width * rng.normal(size=(ais_chains, 2)).astype("float32")
cells = rng.choice(len(grid), ais_chains, p=np.exp(density) * cell)
exact = grid[cells] + rng.uniform(-0.5, 0.5, (ais_chains, 2)) * np.sqrt(cell)
low = base_log_z + ais(learner.energy, start, reverse=False).mean()
high = base_log_z - ais(learner.energy, exact.astype("float32"), reverse=True).mean()
print(f"AIS {low:.3f} ≤ log Z {log_z:.3f} ≤ reverse AIS {high:.3f}")

# %% [markdown]
# For images nobody has exact samples of the model, so only the lower end is left there,
# and with it a likelihood that flatters the model. That is why this package reports
# Fréchet distances and not likelihoods.
#
# ## Exercises
#
# 1. *(easy)* Print $\log Z$ of the NCE learner as its weight `log_z` has it, and as the
#    grid has it. Why may a chain-based learner not be asked that?
# 2. *(medium)* Make the valleys of score matching know of each other: double and
#    quadruple `sigma`. What happens to the shares of the centres, and to the KL? Which
#    idea of diffusion models is that?
# 3. *(medium)* Halve the number of temperatures three times. How does the bracket grow?

# %%
# @title Solution 1 {display-mode: "form"}
learner = learners["NCE"]
_, log_z = log_density(energies_on_grid(learner))
print(f"weight {float(learner.log_z):.3f}, grid {log_z:.3f}")
print("Adding a constant to an energy changes log Z and nothing that chains see.")
# The weight of NCE is one more thing to learn, from a noisy gradient: it is near.

# %%
# @title Solution 2 {display-mode: "form"}
small_sigma = sigma
for sigma in (2 * small_sigma, 4 * small_sigma):
    energies = energies_on_grid(train("score_matching"))
    found = np.exp(log_density(energies)[0]) * cell
    shares_found = np.bincount(regions, found, minlength=7)
    print(f"σ = {sigma}: KL {divergence(energies):.3f}", np.round(shares_found, 2))
sigma = small_sigma
print("Noise fills the gaps between valleys, but blurs them: hence many noise levels.")

# %%
# @title Solution 3 {display-mode: "form"}
learner, most = learners["maximum likelihood"], temperatures
for temperatures in (most // 2, most // 4, most // 8):
    low = base_log_z + ais(learner.energy, start, reverse=False).mean()
    back = ais(learner.energy, exact.astype("float32"), reverse=True)
    print(f"{temperatures:4d} steps: {low:.3f} … {base_log_z - back.mean():.3f}")
temperatures = most
print("Fewer temperatures are larger jumps: the weights spread, and both ends move.")

# %% [markdown]
# ## What to remember
#
# - All ways to learn an energy differ in what they put in the place of $\log Z$.
# - Chains that start at data see too little, chains that go on lag behind, short chains
#   from noise learn a sampler. Score matching does not know the weights of valleys.
# - A learned sampler can be good while the density is wrong: judge what you need.
# - AIS brackets $\log Z$ only where the model can be sampled exactly.
