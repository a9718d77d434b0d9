# %% [markdown]
# # Energy-based models from scratch
#
# An energy-based model gives every point one number: low energy, likely point. In two
# dimensions everything about such a model can be computed exactly and drawn. So here
# we build one by hand and check each step against the truth.
#
# **Learning goals.** After this notebook you can
#
# - turn an energy into a density, and read its landscape and its gradient field;
# - write Langevin sampling, and say what step size, temperature and length do;
# - derive the maximum-likelihood gradient, and use it to train a network;
# - tell a good *sampler* from a good *density*: they are not the same;
# - explain why training diverges, and name cures.
#
# **Prerequisites.** Gradients, expectations, one small network trained before.
#
# **Sign convention, in all notebooks.** An energy $E(x)$ is one number per point or
# image, **low = likely**: $p(x) = \exp(-E(x)) / Z$. No sign is flipped anywhere. (Some
# texts train a network that outputs $-E$. Ours outputs $E$.)
#
# ## Touch one first
#
# Before any equation: watch an energy of garments at work in your browser. In a
# terminal on your own machine,
#
# ```bash
# cfebm export --format=web --model=fashion_mnist
# python -m http.server --directory=web     # then open http://localhost:8000
# ```
#
# or open the address where your teacher has put that folder. A chain goes from noise to
# garments, and its energy falls. Then
#
# 1. make the noise ten times larger, then the steps twice as many: which of the two do
#    the garments survive?
# 2. paint a dress, or your name, and read its energies and its score: does the energy
#    call unlikely what you would?
# 3. cut a hole into a shirt and fill it with several seeds: what is the same each time?
#
# This notebook explains what you have seen, where all of it can be drawn.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import ops

from keras_cfebm import visualization
from keras_cfebm.backend import compiled, value_and_input_gradient

visualization.use_style()


def show(axes, title, values=None, points=None):
    """Draws values on the grid, and points over them."""
    if values is not None:
        axes.imshow(values.reshape(side, side), extent=extent, origin="lower")
    if points is not None:
        axes.plot(points[:, 0], points[:, 1], ".", color="C1", markersize=1.5)
    axes.set(title=title, xlim=extent[:2], ylim=extent[2:], aspect="equal")
    axes.set(xlabel="x₁", ylabel="x₂")
    axes.label_outer()


# %% tags=["parameters"]
training_steps = 600  # @param {type:"integer"}
chain_steps = 40  # @param {type:"integer"}
step_size = 0.02  # @param {type:"number"}
long_run = 1000  # @param {type:"integer"}
sample_count = 1000  # @param {type:"integer"}
seed = 0  # @param {type:"integer"}

# %% [markdown]
# ## An energy, its density and its gradient field
#
# Our truth is a mixture of six Gaussians on a circle, some more likely than others:
#
# $$E(x) = -\log \sum_i w_i \exp\!\Big(-\frac{\lVert x - c_i\rVert^2}{2 s^2}\Big),
#   \qquad p(x) = \frac{\exp(-E(x))}{Z}, \qquad Z = \int \exp(-E(x))\,dx .$$
#
# $Z$ is a sum over a grid here. For images of 32×32 pixels no such sum is possible, and
# nearly everything that follows is about living without $Z$. The gradient helps:
# $\partial \log p / \partial x = -\,\partial E / \partial x$ does not contain $Z$.

# %%
angles = 2 * np.pi * np.arange(6) / 6
centres = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1).astype("float32")
weights = np.array([0.3, 0.25, 0.2, 0.12, 0.08, 0.05], "float32")
width = 0.3  # s


def true_energy(x):
    squares = ops.sum(ops.square(x[:, None] - centres), axis=-1)
    return -ops.logsumexp(np.log(weights) - squares / (2 * width**2), axis=1)


side = 121
line = np.linspace(-3.5, 3.5, side, dtype="float32")
spacing = line[1] - line[0]
extent = (-3.5, 3.5, -3.5, 3.5)
grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def log_density(energies):
    """log p = −E − log Z, where log Z is a sum over the grid."""
    negative = -np.asarray(energies, "float64")
    log_z = negative.max() + np.log(np.exp(negative - negative.max()).sum())
    return negative - log_z - 2 * np.log(spacing)


def draw_exactly(energies, count, rng):
    """Independent points of exp(−E)/Z: choose a grid cell, then a place in it."""
    probabilities = np.exp(log_density(energies)) * spacing**2
    cells = rng.choice(len(grid), count, p=probabilities / probabilities.sum())
    inside = rng.uniform(-0.5, 0.5, (count, 2)) * spacing
    return (grid[cells] + inside).astype("float32")


true_energies = ops.convert_to_numpy(true_energy(ops.convert_to_tensor(grid)))
data = draw_exactly(true_energies, 20_000, np.random.default_rng(seed))
test_data = draw_exactly(true_energies, sample_count, np.random.default_rng(seed + 1))
arrows = np.stack(np.meshgrid(line[::8], line[::8]), axis=-1).reshape(-1, 2)
_, gradient = value_and_input_gradient(true_energy, ops.convert_to_tensor(arrows))
force = -ops.convert_to_numpy(gradient)
force /= np.linalg.norm(force, axis=1, keepdims=True)

figure, axes = plt.subplots(1, 3, figsize=(7.5, 2.7))
show(axes[0], "energy E", np.minimum(true_energies, 20))
axes[0].quiver(*arrows.T, *force.T, color="white", scale=25)
show(axes[1], "density exp(−E)/Z", np.exp(log_density(true_energies)))
show(axes[2], "points of the data", points=data[:1500])

# %% [markdown]
# Left, dark is low. The arrows show the direction of $-\partial E/\partial x$,
# downhill: each leads to the nearest valley and says nothing of how much weight that
# valley has. The density in the middle shows the weights.
#
# ## Langevin sampling by hand
#
# Go downhill a little, and add noise of just the right size (Eq. 3 of the paper, with
# $\eta = \delta^2/2$ and $\sigma = \delta$):
#
# $$x_{k+1} = x_k - \eta \,\frac{\partial E}{\partial x}(x_k) + \sqrt{2 \eta T}\;
#   \varepsilon_k, \qquad \varepsilon_k \sim N(0, I) .$$
#
# For small $\eta$ and many steps the points are samples of $\exp(-E/T)/Z_T$, at
# temperature $T = 1$ those of $p$. To judge samples we use the *energy distance*
#
# $$D(X, Y) = 2\,\mathbb{E}\lVert x - y\rVert - \mathbb{E}\lVert x - x'\rVert
#   - \mathbb{E}\lVert y - y'\rVert ,$$
#
# zero only for equal distributions. (Its name is older than our use of the word energy
# and has nothing to do with it.) The scale: two sets of true samples, and uniform
# noise.


# %%
def make_chain(energy, step_size):
    """Compiles a chain: one step per row of `noises`, (steps, count, 2)."""

    @compiled
    def chain(x, noises):
        def step(k, x):
            _, gradient = value_and_input_gradient(energy, x)
            return x - step_size * gradient + noises[k]

        return ops.fori_loop(0, ops.shape(noises)[0], step, x)

    return chain


def draw_noises(rng, steps, count, step_size, temperature=1.0):
    scale = np.sqrt(2 * step_size * temperature)
    return (scale * rng.normal(size=(steps, count, 2))).astype("float32")


def uniform_points(rng, count):
    return rng.uniform(-3, 3, (count, 2)).astype("float32")


def run(chain, x, noises):
    x = chain(ops.convert_to_tensor(x), ops.convert_to_tensor(noises))
    return ops.convert_to_numpy(x)


def energy_distance(x, y):
    def mean_distance(a, b):
        return np.sqrt(np.square(a[:, None] - b).sum(axis=-1)).mean()

    return 2 * mean_distance(x, y) - mean_distance(x, x) - mean_distance(y, y)


rng = np.random.default_rng(seed)
start = uniform_points(rng, sample_count)
print(f"true samples  D = {energy_distance(data[:sample_count], test_data):.3f}")
print(f"uniform noise D = {energy_distance(start, test_data):.3f}")
chain = make_chain(true_energy, step_size)
figure, axes = plt.subplots(1, 4, figsize=(8, 2.2), sharey=True)
x, done = start, 0
for panel, steps in zip(axes, (0, 3, chain_steps, long_run), strict=True):
    x = run(chain, x, draw_noises(rng, steps - done, sample_count, step_size))
    done = steps
    show(panel, f"{steps} steps, D={energy_distance(x, test_data):.3f}", points=x)

# %% [markdown]
# All six valleys are found within a few dozen steps. Their *weights* are still wrong
# then: a valley has as many points as start points that lead to it. Weights change only
# when points cross the hills between valleys, which is rare. Look at the distance $D$
# after the longest run: far better, and slow. Sampling from an energy is easy locally
# and hard globally.
#
# ## Temperature and length
#
# Low temperature means less noise, and points nearer to the bottoms of valleys.
# Exactly: at temperature $T$ a Gaussian valley of width $s$ looks $s\sqrt{T}$ wide. We
# measure the width of what the chain gives, from each point to its nearest centre.

# %%
figure, axes = plt.subplots(1, 4, figsize=(8, 2.2), sharey=True)
for panel, temperature in zip(axes, (0.0, 0.1, 1.0, 3.0), strict=True):
    noises = draw_noises(rng, 5 * chain_steps, sample_count, step_size, temperature)
    cold = run(chain, start, noises)
    squares = np.square(cold[:, None] - centres).sum(axis=-1).min(axis=1)
    print(
        f"T = {temperature:3.1f}: width {np.sqrt(squares.mean() / 2):.3f}, "
        f"theory {width * np.sqrt(temperature):.3f}, "
        f"D = {energy_distance(cold, test_data):.3f}"
    )
    show(panel, f"T = {temperature}", points=cold)

# %% [markdown]
# At $T = 0$ there is only descent: every point ends in a bottom, and the diversity
# within a valley is lost. Cold chains give typical points, hot ones blurred points. But
# look at $D$ too: it falls as $T$ rises, down to the hottest chain, whose valleys are
# far too wide. Hot points cross the hills sooner, so the weights of the valleys come
# out better. Cold chains buy local quality and give up the weights.
#
# At $T = 1$ the width is a little above the theory. That is the step size: steps of
# finite size widen a Gaussian valley by the factor $1/\sqrt{1 - \eta / 2 s^2}$, here 6
# %. (At $T = 3$ the valleys overlap, and a point's nearest centre may be that of
# another valley: the measured width is then too small.)
#
# The image models of the next notebooks use few, cold steps on purpose: good-looking
# samples, with no claim to be exact ones.
#
# ## The maximum-likelihood gradient
#
# Now $E_\theta$ has parameters. The negative log-likelihood and its gradient are
#
# $$L(\theta) = \mathbb{E}_{x^+ \sim \mathrm{data}}\,E_\theta(x^+) + \log Z_\theta,
#   \qquad
#   \frac{\partial L}{\partial\theta} =
#   \mathbb{E}_{x^+}\frac{\partial E_\theta(x^+)}{\partial\theta}
#   - \mathbb{E}_{x^- \sim p_\theta}\frac{\partial E_\theta(x^-)}{\partial\theta} ,$$
#
# since $\partial \log Z / \partial\theta$ is minus the mean of $\partial E /
# \partial\theta$ over the model. No $Z$ is left: lower the energy of data, raise the
# energy of the model's own samples.
#
# We check it on a model with one parameter, $E_a(x) = a\,E(x)$, whose $L(a)$ the grid
# gives exactly. Its slope is the mean of $E$ over data minus the mean of $E$ over
# samples of $\exp(-E_a)/Z_a$. We draw these samples twice: exactly, from the grid, and
# by Langevin.

# %%
data_energy = float(np.mean(true_energy(ops.convert_to_tensor(data))))
scales = np.linspace(0.2, 2.5, 47)
losses = [
    a * data_energy - log_density(a * true_energies)[0] - a * true_energies[0]
    for a in scales
]
slopes = np.gradient(losses, scales)
tried = np.array([0.25, 0.5, 1.0, 2.0], "float32")
factors = np.repeat(tried, sample_count)  # four models in one batch
scaled = make_chain(lambda x: factors * true_energy(x), step_size)
noises = draw_noises(rng, 5 * chain_steps, len(factors), step_size)
by_langevin = run(scaled, np.tile(start, (4, 1)), noises).reshape(4, -1, 2)
figure, axes = plt.subplots(1, 2, figsize=(7, 2.5))
axes[0].plot(scales, losses)
axes[0].set(xlabel="a", ylabel="L(a), nats a point")
axes[1].plot(scales, slopes, label="slope of L")
axes[1].axhline(0, color="0.5", linewidth=0.8)
for label, marker in (("exact samples", "o"), ("Langevin", "s")):
    estimates = []
    for a, chain_end in zip(tried, by_langevin, strict=True):
        exact = draw_exactly(a * true_energies, sample_count, rng)
        negatives = exact if label == "exact samples" else chain_end
        energies = true_energy(ops.convert_to_tensor(negatives))
        estimates.append(data_energy - float(ops.mean(energies)))
    print(f"{label:14s}", " ".join(f"{value:6.2f}" for value in estimates))
    axes[1].plot(tried, estimates, marker, label=label)
print(
    f"{'slope of L':14s}",
    " ".join(f"{v:6.2f}" for v in np.interp(tried, scales, slopes)),
)
axes[1].set(xlabel="a", ylabel="∂L/∂a")
axes[1].legend()
plt.show()

# %% [markdown]
# The minimum is at $a = 1$, the truth. Exact samples give the slope. Samples of a chain
# that is too short give a slope that is too low: too many points sit in the valleys of
# low weight, where $E$ is higher. At their zero, $a$ is too large. Keep this in mind:
# training with short chains does not find the maximum of the likelihood.
#
# ## Training a network
#
# The energy is now a small network with smooth activations (Swish), because the sampler
# follows its gradient. The loss of one step, with negatives $x^-$ held constant, is
#
# $$\ell = \frac1n\sum E_\theta(x^+) - \frac1n\sum E_\theta(x^-)
#   + \alpha\,\Big(\frac1n\sum E_\theta(x^+)^2 + \frac1n\sum E_\theta(x^-)^2\Big) ,$$
#
# where the last term is an optional regulariser. In Keras: label data $+1$, negatives
# $-1$, and the loss is the mean of label times energy. This is all of `train` below.
# Negatives are either *short runs* from noise, anew in each step, or *persistent*: the
# chains of the step before go on, and 5 % of them start again from noise.


# %%
def make_network(normalise=False, activation="swish"):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(64, activation) for _ in range(3)]
    if normalise:
        layers = [keras.layers.SpectralNormalization(layer) for layer in layers]
    return keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(1)])


def train(
    network, step_size, learning_rate=5e-3, l2=0.0, persistent=False, exact=False
):
    """Returns the chain, and per step (loss, largest coordinate of a negative)."""

    def loss(sign, energies):
        contrast = 2 * ops.mean(sign * energies)
        return contrast + 2 * l2 * ops.mean(ops.square(energies))

    network.compile(keras.optimizers.Adam(learning_rate, beta_1=0.5), loss=loss)
    chain = make_chain(lambda x: network(x)[:, 0], step_size)
    rng = np.random.default_rng(seed)
    batch = 256
    signs = np.repeat([[1.0], [-1.0]], batch, axis=0).astype("float32")
    negatives = uniform_points(rng, batch)
    log = []
    for _ in range(training_steps):
        restart = rng.random((batch, 1)) < (0.05 if persistent else 1.0)
        begin = np.where(restart, uniform_points(rng, batch), negatives)
        if exact:
            negatives = draw_exactly(energies_of(network), batch, rng)
        else:
            noises = draw_noises(rng, chain_steps, batch, step_size)
            negatives = run(chain, begin, noises)
        positives = data[rng.integers(len(data), size=batch)]
        value = network.train_on_batch(np.concatenate([positives, negatives]), signs)
        log.append((float(value), np.abs(negatives).max()))
    return chain, np.array(log)


def energies_of(network):
    return ops.convert_to_numpy(network(ops.convert_to_tensor(grid)))[:, 0]


def divergence(network):
    """KL(p ‖ p_θ) on the grid, in nats: how wrong the learned density is."""
    truth = log_density(true_energies)
    learned = log_density(energies_of(network))
    return np.sum(np.exp(truth) * (truth - learned)) * spacing**2


# %% [markdown]
# ## A good sampler or a good density
#
# We train twice, and ask two questions. Do chains as long as in training give good
# samples ($D$, 0 is best)? Is $\exp(-E_\theta)/Z$ near the truth? The grid answers the
# second exactly, by the divergence of Kullback and Leibler (0 is best):
#
# $$\mathrm{KL}(p \,\Vert\, p_\theta) = \int p(x) \log\frac{p(x)}{p_\theta(x)}\,dx .$$

# %%
figure, axes = plt.subplots(2, 3, figsize=(7.5, 5))
networks = {}
for row, persistent in zip(axes, (False, True), strict=True):
    name = "persistent" if persistent else "short-run"
    networks[name] = make_network()
    chain, _ = train(networks[name], step_size, persistent=persistent)
    print(f"{name}: KL = {divergence(networks[name]):.2f}")
    energies = energies_of(networks[name])
    show(row[0], f"{name}: density", np.exp(log_density(energies)))
    for panel, factor in zip(row[1:], (1, 25), strict=True):
        steps = factor * chain_steps
        x = run(chain, start, draw_noises(rng, steps, sample_count, step_size))
        title = f"{steps} steps, D={energy_distance(x, test_data):.3f}"
        show(panel, title, points=x)

# %% [markdown]
# Upper row, short-run: chains as long as in training give samples that are hard to tell
# from the data, and the density is badly wrong. A chain 25 times as long loses most of
# the valleys, and ends farther from the data than uniform noise is. What was learned is
# a *sampler of so many steps from noise*: the network shapes the path, not the end of
# it. Lower row, persistent: the negatives have walked for long. The density has all six
# valleys, and a chain stays near the data however long it is. Its weights are still
# off: they are learned as slowly as points cross hills, and the learning rate never
# falls. From noise, a short chain finds the valleys with wrong weights, as with the
# true energy above.
#
# Neither is the better model. It depends on what you want: samples, or energies that
# mean something. Keep this for notebook 04, where energies are asked what is likely.
#
# ## Why training diverges
#
# Close to the bottom of a valley of width $s$ the energy is $\lVert x-c\rVert^2/2s^2$,
# and a step without noise is $x - c \leftarrow (1 - \eta/s^2)\,(x - c)$. For
# $\eta > 2 s^2$ this factor is below $-1$: the chain jumps from one wall of the valley
# to the other, higher each time. Here $2s^2 = 0.18$. A network starts flat, so a larger
# step works at first. As it learns, its valleys get as sharp as the data demand, until
# the chain no longer fits in. We train with $\eta = 0.2$, then with two cures: the
# regulariser $\alpha = 0.1$, which forbids large energies and so sharp valleys, and a
# smaller step. The last run has a sound step and a learning rate 20 times too large.

# %%
runs = {
    "η = 0.2": {"step_size": 0.2},
    "η = 0.2, regularised": {"step_size": 0.2, "l2": 0.1},
    "η = 0.02": {"step_size": 0.02},
    "η = 0.1, learning rate × 20": {"step_size": 0.1, "learning_rate": 0.1},
}
figure, axes = plt.subplots(1, 2, figsize=(8, 3))
for name, settings in runs.items():
    network = make_network()
    _, log = train(network, **settings)
    axes[0].plot(log[:, 0], label=name)
    axes[1].plot(log[:, 1])
    print(f"{name:30s} last loss {log[-1, 0]:10.3g}, KL = {divergence(network):.3g}")
axes[0].set(yscale="symlog", ylim=(-1e5, 1e3), ylabel="loss (cut at −100,000)")
axes[1].set(yscale="log", ylabel="largest coordinate of a negative")
for panel in axes:
    panel.set_xlabel("training step")
axes[0].legend(fontsize=7)
plt.show()

# %% [markdown]
# Without a cure the run is calm at first; then the largest coordinate grows by orders
# of magnitude and the loss falls without end. A very negative loss is no success: the
# network lowers the energy of data and raises that of negatives that have flown far
# away, where this costs nothing. Both cures bound the negatives: the small step keeps
# them among the data, the regulariser within a few times that distance. The regulariser
# gives a usable density although the step stays too large; the small step gives good
# samples. The last run ends without a number (`nan`) for another reason: the network
# moves faster than chains can follow.
#
# What to watch in a training, then: the gap of the energies should stay small and the
# gradient norm bounded. The library does this for you (`DivergenceGuard`), normalises
# its convolutions (*spectral normalisation*, which bounds slopes) and clips images.
#
# ## Exercises
#
# 1. *(easy)* *Temperature and density.* For $T = 0.5, 1, 2$, compute
#    $\mathrm{KL}(p\Vert p_T)$ of $p_T = \exp(-E/T)/Z_T$ on the grid. Is a model that is
#    too cold as wrong as one that is too hot by the same factor?
# 2. *(medium)* *An exact sampler.* The step size biases Langevin. Accept a proposal $y$
#    only with probability $\min\{1, p(y)\,q(x|y)\,/\,p(x)\,q(y|x)\}$
#    (Metropolis-adjusted Langevin), where $q(y|x)$ is the density of a Langevin step.
#    Print the share of accepted steps for $\eta = 0.02, 0.1, 0.3$.
# 3. *(medium)* *Another cure.* Train with $\eta = 0.2$ and spectral normalisation of
#    the dense layers instead of the regulariser. Does it diverge? Is the density
#    better?
# 4. *(hard)* *What does the sampler cost?* Train with negatives drawn exactly from
#    $p_\theta$ (`exact=True` uses the grid). Which part of the KL above is the
#    sampler's fault, and which is left?

# %%
# @title Solution 1 {display-mode: "form"}
truth = log_density(true_energies)
for temperature in (0.5, 1.0, 2.0):
    other = log_density(true_energies / temperature)
    kl = np.sum(np.exp(truth) * (truth - other)) * spacing**2
    print(f"T = {temperature}: KL(p ‖ p_T) = {kl:.3f}")
# Too cold is worse. KL(p ‖ p_T) asks how little p_T gives to what p has: a cold density
# has thin slopes, and the weights w^(1/T) of its rare valleys all but vanish. Of one
# Gaussian in the plane it is 1/T − 1 + log T: 0.31 at T = 0.5, and 0.19 at T = 2.

# %%
# @title Solution 2 {display-mode: "form"}


def proposal_log_density(y, x, gradient, step_size):
    """log q(y | x) up to a constant: a Gaussian of variance 2η around x − η ∂E/∂x."""
    return -np.square(y - x + step_size * gradient).sum(axis=-1) / (4 * step_size)


def energy_and_gradient(x):
    pair = value_and_input_gradient(true_energy, ops.convert_to_tensor(x))
    return [ops.convert_to_numpy(part) for part in pair]


for eta in (0.02, 0.1, 0.3):
    x, accepted = start, []
    energy, gradient = energy_and_gradient(x)
    for noise in draw_noises(rng, chain_steps, sample_count, eta):
        y = x - eta * gradient + noise
        new_energy, new_gradient = energy_and_gradient(y)
        log_ratio = energy - new_energy
        log_ratio += proposal_log_density(x, y, new_gradient, eta)
        log_ratio -= proposal_log_density(y, x, gradient, eta)
        accept = np.log(rng.random(sample_count)) < log_ratio
        x = np.where(accept[:, None], y, x)
        energy = np.where(accept, new_energy, energy)
        gradient = np.where(accept[:, None], new_gradient, gradient)
        accepted.append(accept.mean())
    print(f"η = {eta}: {np.mean(accepted):.0%} accepted, ", end="")
    print(f"D = {energy_distance(x, test_data):.3f}")
# The larger the step, the worse its straight line fits the energy, and the more
# proposals are refused. What is accepted is exact, but local: D stays large as long as
# no step is long enough to cross the hills between valleys. A few at η = 0.3 are.

# %%
# @title Solutions 3 and 4 {display-mode: "form"}
normalised = make_network(normalise=True)
_, log = train(normalised, step_size=0.2)
print(f"spectral normalisation: largest coordinate {log[-1, 1]:.3g}, ", end="")
print(f"KL = {divergence(normalised):.2f}")
exactly_trained = make_network()
train(exactly_trained, step_size, exact=True)
print(f"exact negatives: KL = {divergence(exactly_trained):.2f}")
# Bounded slopes stop the divergence, but allow no valleys as sharp as the data's. With
# exact negatives nearly all of the KL is gone: it was the sampler's fault. What is left
# is due to the network, its noisy gradients and the number of steps.

# %% [markdown]
# ## What to remember
#
# - Energy: low = likely, $p = \exp(-E)/Z$. The gradient of $\log p$ needs no $Z$.
# - Langevin = downhill + noise. It finds valleys fast, and their weights slowly.
# - Low temperature: less noise, typical points, less diversity.
# - Learning lowers the energy of data and raises that of the model's own samples.
# - Short-run training learns a good sampler and need not learn the right density. Judge
#   both, with different figures.
# - A step fits valleys wider than $\sqrt{\eta/2}$. Training makes valleys sharper;
#   beyond that it diverges. Smaller steps, regularised energies, bounded slopes and
#   lower learning rates cure it.
