# %% [markdown]
# # Image translation without cycle consistency
#
# Turn a sneaker into an ankle boot, without ever having seen a pair of the same shoe as
# both. The usual answer, CycleGAN, trains two generators and two critics, and demands
# that going there and back returns the first image. An energy-based model needs one
# network and one chain.
#
# **Learning goals.** After this notebook you can
#
# - say what is changed in training to obtain a translator: only where chains start;
# - compute the learning signal of a translation by hand;
# - measure both halves of the task, arriving in the target domain and keeping the
#   source, beside the two trivial answers;
# - explain what replaces cycle consistency, and what it does not guarantee.
#
# **Prerequisites.** Notebook 01 (training, the Langevin chain).
#
# **Convention.** An energy $E(x)$ is one number per image, low = likely:
# $p(x) = \exp(-E(x)) / Z$.

# %%
import matplotlib.pyplot as plt
import numpy as np

import keras_cfebm as cf
from keras_cfebm import evaluation, tasks, visualization

visualization.use_style()

# %% tags=["parameters"]
count = 100  # @param {type:"integer"}
shown = 9  # @param {type:"integer"}
longest_chain = 60  # @param {type:"integer"}
training_images = 6400  # @param {type:"integer"}

# %% [markdown]
# ## Two domains, unpaired
#
# The source domain is the class Sneaker, the target domain Ankle boot. The energy has
# been trained on 6,000 images of each. The images below are test images. What stands in
# one column has nothing to do with each other.

# %%
model = cf.CFEBM.from_preset("fashion_mnist_sneaker_to_boot")
train_data, test_data = (
    cf.datasets.load("fashion_mnist_embedded", split, resolution=32, fit="pad")
    for split in ("train", "test")
)
sources = test_data.subset(classes=["Sneaker"]).images(count)
targets = test_data.subset(classes=["Ankle boot"]).images(count)
print(model.langevin)
visualization.comparison_grid(
    {"source domain": sources[:shown], "target domain": targets[:shown]}
)

# %% [markdown]
# ## Translate: start the chain at the source image
#
# The energy $E$ is one of the *target* domain. A translation is its usual Langevin
# chain (Eq. 3), started at a source image $s$ instead of noise:
#
# $$x_0 = s, \qquad
#   x_{k+1} = x_k - \eta \, \frac{\partial E}{\partial x}(x_k)
#     + \sigma_k \varepsilon_k, \qquad k = 0 \dots K - 1 .$$

# %%
translations = model.translate(sources, seed=0)
other_seed = model.translate(sources[:shown], seed=1)
visualization.comparison_grid(
    {
        "source": sources[:shown],
        "translation": translations[:shown],
        "other seed": other_seed,
    }
)

# %% [markdown]
# A shaft grows upwards, often a heel downwards. The toe, the direction and the
# brightness of the shoe stay, and so do parts of its lines. The two seeds look nearly
# alike: with the small noise of this chain, a translation is almost a function of its
# source. If you want several different boots for one sneaker, this model does not offer
# them.
#
# ## Watch it happen

# %%
film = list(
    tasks.chain_states(
        model.sampling_network,
        images=sources[:4],
        seed=0,
        settings=model.finest_settings,
        every=2,
    )
)
visualization.chain_strip(
    [np.clip(state.images, -1, 1) for state in film],
    captions=[f"step {state.step}" for state in film],
)

# %% [markdown]
# The change begins at the outline, around the opening of the shoe, and grows upwards.
# No image in the strip is a jump from the one before: each step moves by the gradient
# of a smooth function.
#
# ## How such an energy is trained
#
# The gradient of the negative log-likelihood is the one of every energy-based model.
# The negative samples are what the chain makes of source images:
#
# $$\mathcal L(\theta) = \underbrace{\mathbb E_{x^+ \sim \text{targets}}
#     E_\theta(x^+)}_{\text{real boots down}}
#   - \underbrace{\mathbb E_{s \sim \text{sources}}
#     E_\theta\big(x_K(s)\big)}_{\text{translated sneakers up}} ,
#   \qquad x_K \text{ held constant.}$$
#
# If translations look unlike boots, the network learns to tell them apart, and the next
# chains go further. Training balances where both terms are equal.

# %%
domains = {"targets": targets, "translations": translations, "sources": sources}
energies = {
    name: tasks.anomaly_scores(model.sampling_network, images)  # E(x)
    for name, images in domains.items()
}
loss = energies["targets"].mean() - energies["translations"].mean()
at_start = energies["targets"].mean() - energies["sources"].mean()
print(f"loss with translations as negatives: {loss:.2f}")
print(f"with untranslated sources instead:   {at_start:.2f}")
figure = visualization.energy_histogram(energies)
figure.set_size_inches(7, 2.8)
figure

# %% [markdown]
# The loss is small beside the gap to the sources: to the trained energy a translated
# sneaker is much closer to a boot than a sneaker is. (A judge that is also the maker is
# no proof. The next section asks others.)
#
# In code, the whole change is `CFEBM(..., chain_start="source")` and a data set of
# pairs that are shuffled independently,
# `cf.datasets.pairs(source_data, target_data, ...)`.
#
# ## Two questions, two trivial answers
#
# A translation should *arrive*: look like the target domain. And it should *keep*: have
# something in common with its source. Doing nothing keeps all and never arrives. A
# random boot arrives and keeps nothing. A method is worth something if it arrives like
# the second and keeps more than the second does.
#
# - `called_target`: share that an independent classifier calls Ankle boot;
# - `frechet_distance`: between its features of these images and of real boots, 0 is
#   best;
# - `ssim` and `correlation`: similarity with the source, pixel by pixel.

# %%
classifier = evaluation.fashion_classifier()
boot = classifier.class_names.index("Ankle boot")
reference = train_data.subset(classes=["Ankle boot"]).images()
report = evaluation.evaluate_translation(
    translations,
    sources,
    targets,
    reference,
    encoder=classifier.encoder,
    classifier=classifier,
    target_class=boot,
)
measures = ("called_target", "frechet_distance", "ssim", "correlation")
print(f"{'':14s}" + "".join(f"{name:>18s}" for name in measures))
for name, figures in report.figures.items():
    print(f"{name:14s}" + "".join(f"{figures[m]:18.3f}" for m in measures))

# %% [markdown]
# The classifier is convinced. The Fréchet distance says that boots and translations
# still differ: it is far smaller than for sources and larger than for real boots. On
# the side of keeping, translations are above the random boots. Note how high a random
# boot scores: all shoes here point the same way on the same black ground. Without that
# row, the correlation of the translations would look better than it is.
#
# ## What replaces cycle consistency?
#
# Nothing in the loss asks to keep the source. What keeps it is that the chain is
# *short*: $K$ steps along a gradient can only go so far. So let us make it longer than
# in training and watch both questions at once.

# %%
long_settings = model.finest_settings.replace(steps=longest_chain)
rows = []
for state in tasks.chain_states(
    model.sampling_network, images=sources, seed=0, settings=long_settings, every=4
):
    images = np.clip(state.images, -1, 1)
    arrived = (classifier.predict_classes(images) == boot).mean()
    kept = evaluation.pixel_correlation(images, sources).mean()
    rows.append((state.step, arrived, kept))
steps, arrived, kept = np.transpose(rows)
figure, axes = plt.subplots(figsize=(6, 2.8))
axes.plot(steps, arrived, label="arrived: called boot")
axes.plot(steps, kept, label="kept: correlation with source")
random_boots = report.figures["random_target"]["correlation"]
axes.axhline(random_boots, color="0.6", linestyle=":", label="correlation, random boot")
axes.axvline(model.finest_settings.steps_at(0), color="k", linewidth=0.8)
axes.set(
    xlabel="step (line: end of the chains in training)", ylabel="share, correlation"
)
axes.set(ylim=(0, 1.05))
axes.legend()
plt.show()

# %% [markdown]
# The chain arrives by the end of its training length. Then it does not stop: it goes on
# down its energy, and loses the source on the way, until a random boot would resemble
# it more. Fewer steps keep more and arrive less. CycleGAN writes that balance into its
# loss as a weight; here it is the number and size of the steps.
#
# ## Where the chain starts is part of the model
#
# The same energy, chains from elsewhere; and another energy, chains from the sources.

# %%
generator = cf.CFEBM.from_preset("fashion_mnist")
noise = np.random.default_rng(0).uniform(-1, 1, sources[:shown].shape)
visualization.comparison_grid(
    {
        "translation": translations[:shown],
        "boot energy, from noise": model.translate(noise.astype("float32"), seed=0),
        "energy of all classes": tasks.translate(generator, sources[:shown], seed=0),
    }
)

# %% [markdown]
# Row 2: from noise the boot energy makes texture, and at best the ghost of a boot,
# since its training never started there. Row 3: an energy of all ten classes, which
# learned from chains through the coarser levels, does not turn sneakers into boots. To
# it a sneaker is as good as a boot, and its finest level, which has only ever finished
# upsampled images, draws lines. Only the pair of energy and start is a translator.
#
# ## Exercises
#
# 1. *(easy)* Hand the model something else: bags, sandals, trousers. What does it make
#    of them? What does the classifier say?
# 2. *(easy)* Keep $K\eta$ fixed: 10 steps of size 2, 20 of size 1, 40 of size ½. Does
#    the result depend on more than the product?
# 3. *(medium)* Can you recognise the source in its translation? For each translation,
#    find the source with the highest correlation. How often is it the right one? First
#    take from both sets what all their members have in common.
# 4. *(hard)* Train the reverse direction, boots to sneakers, at 8 and 16 pixels. Does
#    the shaft disappear?

# %%
# @title Solution 1 {display-mode: "form"}
rows = {}
for name in ("Bag", "Sandal", "Trouser"):
    images = test_data.subset(classes=[name]).images(shown)
    translated = model.translate(images, seed=0)
    share = (classifier.predict_classes(translated) == boot).mean()
    print(f"{name:8s} called Ankle boot after translation: {share:.0%}")
    rows |= {name: images, f"{name} → boot": translated}
# It has no notion of a source that is not a shoe: whatever it gets is pulled towards a
# boot, trouser legs become shafts. That so many are called boots is a warning about the
# classifier, too, which has to choose one of ten classes.
visualization.comparison_grid(rows)

# %%
# @title Solutions 2 and 3 {display-mode: "form"}
for steps, step_size in ((10, 2.0), (20, 1.0), (40, 0.5)):
    settings = model.finest_settings.replace(steps=steps, step_size=step_size)
    images = tasks.translate(model.sampling_network, sources, 0, settings)
    arrived = (classifier.predict_classes(images) == boot).mean()
    kept = evaluation.pixel_correlation(images, sources).mean()
    print(f"{steps} steps of {step_size}: called boot {arrived:.0%}, kept {kept:.3f}")
# The product says nearly all: the chain follows one smooth path, the flow of the
# gradient, and the steps are small enough to stay close to it.

own_part = [
    (images - images.mean(axis=0)).reshape(count, -1)
    for images in (translations, sources)
]
unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in own_part]
best = (unit[0] @ unit[1].T).argmax(axis=1)
found = (best == np.arange(count)).mean()
print(f"translations that find their source: {found:.0%}, by chance {1 / count:.0%}")
# Far above chance: much of what is particular about a sneaker survives, although
# nothing in the loss asks for it.

# %%
# @title Solution 4 {display-mode: "form"}
boots, sneakers = (
    train_data.subset(classes=[name]) for name in ("Ankle boot", "Sneaker")
)


def make_dataset(stage, start):
    return cf.datasets.pairs(
        boots, sneakers, stage.resolution, stage.batch_size, start=start
    )


reverse = cf.fit_progressively(
    cf.CFEBM(
        cf.EnergyNetwork(8, channels=1, base_width=8),
        langevin=cf.Langevin(steps=20),
        chain_start="source",
    ),
    make_dataset,
    stages=[
        cf.Stage(8, fade_images=0, stabilise_images=training_images),
        cf.Stage(16, training_images // 2, training_images // 2),
    ],
    verbose=0,
)
boots_16, sneakers_16 = (
    test_data.subset(classes=[name]).images(count, resolution=16)
    for name in ("Ankle boot", "Sneaker")
)
translated = reverse.translate(boots_16, seed=0)
for name, images in (("boots", boots_16), ("translations", translated)):
    difference = images.mean(axis=0) - sneakers_16.mean(axis=0)
    distance = np.sqrt(np.square(difference).mean())
    print(f"mean image of {name}, distance to the mean sneaker: {distance:.3f}")
# Most shafts shrink, and the average shoe comes close to the average sneaker. Averages
# hide the boots that stay boots: look for them.
visualization.comparison_grid(
    {"boot": boots_16[:shown], "→ sneaker": translated[:shown]}
)

# %% [markdown]
# ## What to remember
#
# - One network, one direction: an energy of the target domain, trained with chains that
#   start at source images. No generator, no second direction, no cycle.
# - The source survives because the chain is short and follows a smooth path. Nothing
#   guarantees it; longer chains forget it.
# - Judge arriving *and* keeping, beside the source itself and a random target.
# - The translation of an image is nearly deterministic here.
# - Outside of the two domains the model still answers. The answer means nothing.
