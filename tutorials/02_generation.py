# %% [markdown]
# # Generation
#
# A trained energy is turned into a generator by sampling: start at noise, walk downhill
# with a little noise, from coarse to fine. This notebook samples in several ways, and
# then asks whether the samples are any good.
#
# **Learning goals.** After this notebook you can
#
# - follow a chain from noise to an image, level by level;
# - interpolate between samples, and draw samples of a wanted class;
# - compose two energies into a new one, and say what their sum means;
# - check that a model has not memorised its training images;
# - compute a Fréchet and a kernel distance, put them on a scale, and name their limits.
#
# **Prerequisites.** Notebooks 00 and 01.
#
# **Convention.** An energy $E(x)$ is one number per image, low = likely:
# $p(x) = \exp(-E(x)) / Z$.

# %%
import pathlib
import tempfile

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image
from keras import ops

import keras_cfebm as cf
from keras_cfebm import evaluation, tasks, visualization

visualization.use_style()

# %% tags=["parameters"]
count = 512  # @param {type:"integer"}
real_count = 10000  # @param {type:"integer"}
shown = 8  # @param {type:"integer"}
rows = 4  # @param {type:"integer"}
class_a = "T-shirt/top"  # @param {type:"string"}
class_b = "Trouser"  # @param {type:"string"}
seed = 0  # @param {type:"integer"}

# %% [markdown]
# ## From noise to an image
#
# At each level of the ladder, the chain makes a number of Langevin steps (Eq. 3) with
# the energy of that resolution. Between two levels the image is enlarged.
#
# $$x_0 \sim U[-1, 1]^{8 \times 8}, \qquad
#   x_{k+1} = x_k - \eta \, \frac{\partial E^{(s)}}{\partial x}(x_k)
#     + \sigma_k \varepsilon_k, \qquad
#   x \leftarrow \mathrm{upsample}(x) \text{ from level } s \text{ to } s + 1 .$$
#
# The next cell prints the number of steps and the step size $\eta$ of each level,
# coarsest first. $\eta$ is larger at finer levels: there the mean of 2×2 pixels is one
# coarse pixel, so that each of them has about a quarter of its gradient. $\sigma_k$
# falls to 0 along the whole chain. A true sampler of $p$ would have
# $\eta = \sigma^2 / 2$. This one is much colder and much shorter: it does not sample
# $p$, it is the process that training has shaped.

# %%
model = cf.CFEBM.from_preset("fashion_mnist")
print(model.langevin)
chain = tasks.Chain(model.sampling_ladder, model.langevin)
film = list(tasks.chain_states(chain, rows, seed=seed, every=5))
images = [np.clip(state.images, -1, 1) for state in film]
visualization.chain_strip(images)

# %% [markdown]
# Each row is one chain. Within the first few columns, at 8×8, it is decided what kind
# of garment this will be. The later levels add outline and texture and change the kind
# no more. That is cheap: an 8×8 step costs a small part of a 32×32 step.
#
# The same as a film, and then the ends of other chains, of a model in colour:

# %%
path = pathlib.Path(tempfile.mkdtemp(), "chains.gif")
visualization.chain_film(images, path, frames_per_second=5, columns=rows)
Image(data=path.read_bytes(), format="gif")

# %%
colour = cf.CFEBM.from_preset("emoji_portraits")
people = colour.generate(rows * shown, seed=seed)
visualization.image_grid(people, columns=shown)

# %% [markdown]
# Nothing in the method knows of garments or of grey: the second picture is of
# `emoji_portraits`, whose energies have three channels in place of one and learned from
# 786 pictures of people. Interpolation, next, works with it too.
#
# ## Interpolation
#
# Where a chain starts decides much of where it ends. So walk between two starts. Both
# are noise of the same variance, and this path keeps the variance:
#
# $$x_0(t) = \sqrt{1 - t^2} \; x_0^{\mathrm{left}} + t \, x_0^{\mathrm{right}},
#   \qquad t \in [0, 1] .$$

# %%
interpolations = tasks.interpolate(chain, rows, shown, seed=seed)
print(evaluation.evaluate_interpolations(interpolations))
visualization.image_grid(interpolations.reshape(-1, *model.image_shape), columns=shown)

# %% [markdown]
# Every image is the end of a chain of its own; nothing is blended in pixels. The images
# of a row are even steps of an angle $\theta$ apart, $t = \sin\theta$: at $t = 0.5$ the
# left start still has the weight $\sqrt{0.75} \approx 0.87$, so that even steps of $t$
# would leave most of the change to the end of the row. If the figure `step` (the
# difference of neighbours) is well below `ends` (that of both ends), the change is
# gradual. `largest_step` shows how far a row *jumps*, where the start crosses from the
# valley of one garment to that of another.
#
# ## A wanted class
#
# A conditional energy gets a label $y$ as well. Here it is one network with an extra
# term, a scalar product of a learned vector $e_y$ and the last features $f(x)$:
#
# $$E(x \mid y) = E_0(x) + \langle e_y, f(x) \rangle , \qquad
#   p(x \mid y) \propto \exp(-E(x \mid y)) .$$
#
# To sample a class, run the usual chain with its label. A classifier that was trained
# on real images tells us whether it worked.

# %%
conditional = cf.CFEBM.from_preset("fashion_mnist_conditional")
classifier = evaluation.fashion_classifier()
class_names = classifier.class_names
labels = np.repeat(np.arange(len(class_names)), shown)
of_classes = conditional.generate(len(labels), seed=seed, labels=labels)
agreement = classifier.predict_classes(of_classes) == labels
print(f"samples that the classifier puts into their class: {agreement.mean():.0%}")
for name, share in zip(
    class_names, agreement.reshape(-1, shown).mean(axis=1), strict=True
):
    print(f"    {name:12s} {share:.0%}")
for guidance in (1.0, 2.0):
    guided = conditional.generate(
        len(labels), seed=seed, labels=labels, guidance=guidance
    )
    agreement = classifier.predict_classes(guided) == labels
    print(f"with guidance {guidance:g}: {agreement.mean():.0%}")
visualization.image_grid(of_classes, columns=shown, row_captions=class_names)

# %% [markdown]
# Read the rows of the list, not only the first line. Pullovers, coats and shirts differ
# in collars and buttons, so that a classifier takes one for the other most often, of
# real images too. Nor do eight images make a percentage: of 2,000 samples the model's
# card counts 87 %, and 59 % of its worst class.
#
# *Guidance* $w$ moves the vector of a class away from the mean of all classes,
# $e_y + w (e_y - \bar e)$, when the chain runs; nothing is trained for it. The
# classifier then finds the wanted class more often. That is not the whole truth: by the
# card, the classifier FID of all samples goes from 2.5 to 2.1 at $w = 0.5$, but to 9.3
# at $w = 2$, as the images of a class become more alike.
#
# ## Composing energies
#
# Energies can be added. A sum of energies is a product of densities, which is high only
# where *both* are high, a logical "and":
#
# $$E_{\mathrm{both}}(x) = E(x \mid a) + E(x \mid b) \quad \Longleftrightarrow \quad
#   p_{\mathrm{both}}(x) \propto p(x \mid a) \, p(x \mid b) .$$
#
# The library takes any function from images to energies, so the sum is a plain
# function. A sum of two has a gradient twice as large, so we halve the step size: the
# chain is then the usual one for the *mean* of both energies.


# %%
def energy_of(network, label):
    """E(x | label) of a network, as a function of images alone."""

    def energy(images):
        labels = ops.full(ops.shape(images)[:1], label, dtype="int32")
        return network.bind(labels)(images)

    return energy


def sum_of(network, labels):
    """E(x | a) + E(x | b) + … of a network."""
    energies = [energy_of(network, label) for label in labels]
    return lambda images: sum(energy(images) for energy in energies)


pair = [class_names.index(name) for name in (class_a, class_b)]
half_steps = conditional.langevin.replace(
    step_size=tuple(np.divide(conditional.langevin.step_size, len(pair)))
)
coarsest = conditional.sampling_ladder[0].image_shape
both = tasks.generate(
    [sum_of(network, pair) for network in conditional.sampling_ladder],
    4 * shown,
    seed=seed,
    settings=half_steps,
    image_shape=coarsest,
)
versions = {
    name: conditional.generate(4 * shown, seed=seed, labels=label)
    for name, label in zip((class_a, class_b), pair, strict=True)
} | {"both": both}
for name, images in versions.items():
    called = classifier.predict_classes(images)
    shares = [(called == label).mean() for label in pair]
    most_often = np.bincount(called).argmax()
    print(
        f"{name:12s} called {class_a}: {shares[0]:.0%}, {class_b}: {shares[1]:.0%}, "
        f"other: {1 - sum(shares):.0%}; most often {class_names[most_often]}"
    )
visualization.comparison_grid({k: images[:shown] for k, images in versions.items()})

# %% [markdown]
# The first two rows are the usual conditional samples, the third one is the sum. Two
# classes that exclude each other have no image in common. So the sum does not show a
# garment that is both at once. It shows what the chain reaches where it has to please
# both: images near one of the two, or between them, that the classifier may call a
# third class. Read that share beside those of the rows above: T-shirts by themselves
# are called something else now and then, too. What the sum changes is who wins. The
# class that pulls harder stays, the other nearly disappears. Change `class_a` and
# `class_b`: classes that resemble each other compose better.
#
# Two remarks. The normalisers $Z$ are unknown, so nothing says how the two should be
# weighted. And with the projection above, the mean of two energies is
# $E_0(x) + \langle \frac{1}{2}(e_a + e_b), f(x) \rangle$: this network composes by
# averaging label vectors. Energies of two *separate* networks add in the same way.
#
# ## Has it memorised?
#
# A model that copies its training images would pass every test of quality. So look for
# the training images that are nearest to each sample, by distance of pixels and by
# distance in the features of the classifier. The yardstick are real test images, which
# nobody has memorised: how near are *they* to the training images?

# %%
train_data, test_data = (
    cf.datasets.load("fashion_mnist_embedded", split, resolution=32, fit="pad")
    for split in ("train", "test")
)
training_images = train_data.subset(limit=real_count, seed=0).images()
test_images = test_data.subset(limit=count, seed=0).images()
samples = tasks.generate(chain, count, seed=seed)
neighbours = evaluation.evaluate_neighbours(
    samples[:shown], training_images, test_images, classifier.encoder, k=2
)
for space, figures in neighbours.figures.items():
    print(
        f"{space:9s} median distance to the nearest training image: samples "
        f"{figures['samples']:.2f}, test images {figures['test']:.2f}"
    )
visualization.comparison_grid(neighbours.images)

# %% [markdown]
# The neighbours resemble the samples in outline and differ in shape and print: the
# samples are not copies. Samples that are *farther* from the training images than test
# images are show no memorising either; they show that the samples are not perfect. And
# where they are a little *nearer*, copies would show in the pictures; a model that
# seldom draws unusual garments, which are far from all others, is nearer too.
#
# ## How good are the samples?
#
# Encode real images and samples as features, and compare the two clouds of points. The
# Fréchet distance $d^2$ (FID) fits a Gaussian to each; the kernel distance (KID)
# averages a kernel $k(u, v) = (u^\top v / d + 1)^3$ over pairs of points:
#
# $$d^2 = \lVert \mu_1 - \mu_2 \rVert^2
#     + \mathrm{tr}\big(C_1 + C_2 - 2 (C_1 C_2)^{1/2}\big), \qquad
#   \mathrm{KID} = \overline{k(u, u')} + \overline{k(v, v')}
#     - 2\, \overline{k(u, v)} .$$
#
# The published FID uses the features of an Inception network. For small grey images we
# take the classifier's, and say so: *classifier FID*. It compares with nothing
# published. To give it a scale, we measure images of known quality in the same way.

# %%
encoder = classifier.encoder
reference = evaluation.FeatureStatistics.from_images(
    [training_images], encoder, "training images"
)
figures = evaluation.evaluate_samples([samples], reference, encoder)
print(f"classifier FID of {count} samples: {figures['frechet_distance']:.2f}")
print(f"KID of the same features: {figures['kernel_distance']['mean']:.3f}")
for name, value in evaluation.controls(test_images, encoder, reference).items():
    print(f"    control: {name:16s} classifier FID {value:6.2f}")
print("samples per class, as the classifier calls them:")
called = np.bincount(classifier.predict_classes(samples), minlength=len(class_names))
print({name: int(n) for name, n in zip(class_names, called, strict=True)})

# %% [markdown]
# Read the figure against its controls. `test` is what real images get, the best
# possible value at this number of images; the `pixelated` rows say how much blocks
# hurt; `uniform_noise` is the worst. The last line is a question that FID answers only
# indirectly: are all kinds of garments there, in equal shares? Real images are, a tenth
# each.
#
# ## Exercises
#
# 1. *(easy)* FID depends on the number of images, KID hardly does. Show it with *real*
#    test images: 50, 100, 200, …. What follows for comparisons between papers?
# 2. *(easy)* Change the chain: three times the steps, or ten times the noise. Is a
#    longer chain a better sampler?
# 3. *(medium)* Compose with weights: $(1 - t)\, E(x \mid a) + t\, E(x \mid b)$ for $t$
#    from 0 to 1. Where does the classifier change its mind?
# 4. *(hard)* If low energy means likely, then the half of the samples with the lowest
#    energies should be the better one. Is it?

# %%
# @title Solutions 1 and 2 {display-mode: "form"}
for number in (50, 100, 200, 400):
    if number <= len(test_images):
        figures = evaluation.evaluate_samples(
            [test_images[:number]], reference, encoder
        )
        print(
            f"{number} real images: FID {figures['frechet_distance']:.2f}, "
            f"KID {figures['kernel_distance']['mean']:.3f}"
        )
# The fewer the images, the larger the FID, of real images even. Compare only figures of
# the same number of samples.

few = min(count, 128)
steps = [model.langevin.steps_at(level) for level in range(len(model.ladder))]
chains = {
    "as trained": chain,
    "three times the steps": tasks.Chain(
        model.sampling_ladder, model.langevin.replace(steps=[3 * n for n in steps])
    ),
    "ten times the noise": tasks.Chain(
        model.sampling_ladder,
        model.langevin.replace(noise_scale=10 * model.langevin.noise_scale),
    ),
}
for name, other_chain in chains.items():
    drawn = tasks.generate(other_chain, few, seed)
    figures = evaluation.evaluate_samples([drawn], reference, encoder)
    print(f"{name:22s} FID of {few} samples {figures['frechet_distance']:6.2f}")
# The chain of the training is usually the best one, and a longer one is not a better
# sampler: training has shaped this many steps, and nothing beyond.

# %%
# @title Solution 3 {display-mode: "form"}
steps_of_t, per_t = 9, max(shown, 4)
t = ops.repeat(ops.linspace(0.0, 1.0, steps_of_t), per_t)


def mixture_of(network, first, second):
    """(1 − t) E(x | first) + t E(x | second), image i with its own t."""
    a, b = energy_of(network, first), energy_of(network, second)
    return lambda images: (1.0 - t) * a(images) + t * b(images)


mixed = tasks.generate(
    [mixture_of(network, *pair) for network in conditional.sampling_ladder],
    steps_of_t * per_t,
    seed=seed,
    settings=conditional.langevin,
    batch_size=steps_of_t * per_t,  # one batch, because t is one tensor
    image_shape=coarsest,
)
called = classifier.predict_classes(mixed).reshape(steps_of_t, per_t)
figure, axes = plt.subplots(figsize=(6, 2.4))
for name, label in zip((class_a, class_b), pair, strict=True):
    axes.plot(np.linspace(0, 1, steps_of_t), (called == label).mean(axis=1), label=name)
axes.set(xlabel="t", ylabel="share of samples", ylim=(-0.05, 1.05))
axes.legend()
plt.show()
# Weights sum to 1, so the step size stays. On the way, many samples are neither of the
# two, about half of them at one place: a mixture of two energies is no mixture of two
# densities.

# %%
# @title Solution 4 {display-mode: "form"}
energies = tasks.anomaly_scores(model.sampling_network, samples)  # E(x)
order = np.argsort(energies)
halves = {
    "lowest energies": order[: count // 2],
    "highest energies": order[count // 2 :],
    "a random half": np.random.default_rng(0).permutation(count)[: count // 2],
}
for name, chosen in halves.items():
    figures = evaluation.evaluate_samples([samples[chosen]], reference, encoder)
    print(f"{name:17s} FID {figures['frechet_distance']:.2f}")
visualization.comparison_grid(
    {"lowest": samples[order[:shown]], "highest": samples[order[-shown:][::-1]]}
)
# Compare with the random half, which has the same number of images. Choosing by energy
# makes the set one-sided, and low energies go to certain kinds of images rather than to
# good ones. The energy compares with what chains reached during training; it is no
# measure of quality.

# %% [markdown]
# ## What to remember
#
# - A sample is what a short, cold chain reaches; the chain is a part of the model.
# - The coarse levels decide what it will be, the fine ones how it looks.
# - Energies can be added: any function of images is an energy. A sum is an "and", and
#   classes that exclude each other have no "and".
# - Look at nearest neighbours before you believe in good samples.
# - A Fréchet distance needs its encoder, its number of samples and its controls beside
#   it. Without them it means nothing.
