# %% [markdown]
# # Saliency: which pixels matter, and what a chain changes
#
# Two questions are often mixed up. *On which pixels does the energy of this image
# depend?* That is answered by gradient maps, here with the library tf-keras-vis. *Where
# does a chain change the image?* That is answered by **generative saliency**, which
# only a model with a sampler has.
#
# **Learning goals.** After this notebook you can
#
# - compute the input gradient, SmoothGrad and Grad-CAM of an energy, and say what each
#   one measures,
# - compute generative saliency by hand from the states of a chain,
# - test a map before you believe it: against an untrained network, by erasing pixels,
#   and on a case where the answer is known, where one of the maps will fail.
#
# You need notebooks 01, 03 and 05. Energies are **low = likely**, $p(x) = \exp(-E(x)) /
# Z$: where the gradient of $E$ is positive, a brighter pixel makes the image less
# likely.

# %% tags=["parameters"]
shown = 6  # @param {type:"integer"}
count = 200  # @param {type:"integer"}
smooth_samples = 20  # @param {type:"integer"}
patch_noise = 0.4  # @param {type:"number"}
path_steps = 50  # @param {type:"integer"}
seed = 0  # @param {type:"integer"}

# %%
import logging

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from keras import ops
from skimage import filters
from tf_keras_vis.saliency import Saliency

import keras_cfebm as cf
from keras_cfebm import backend
from keras_cfebm.tasks import saliency as saliency_maps

# tf-keras-vis does not compile the network; TensorFlow remarks on it at each call.
logging.getLogger("tensorflow").setLevel(logging.ERROR)
cf.visualization.use_style()

energy = cf.CFEBM.from_preset("fashion_mnist").sampling_network
boots = cf.CFEBM.from_preset("fashion_mnist_sneaker_to_boot")
denoiser = cf.CFEBM.from_preset("fashion_mnist_denoise")
test = cf.datasets.load("fashion_mnist_embedded", "test", resolution=32, fit="pad")
images = test.subset(limit=count, seed=seed).images()
print(f"{len(images)} test images, energy of {energy.image_shape}")

# %% [markdown]
# ## 1. The input gradient
#
# The simplest map asks how fast the energy changes with each pixel (Simonyan et al.,
# 2014); of several channels it takes the largest:
#
# $$ M_{ij} = \max_c \left| \frac{\partial E(x)}{\partial x_{ijc}} \right| $$
#
# tf-keras-vis computes it for any Keras model. It wants a *score* of the model's output
# to differentiate; ours is the energy itself. `input_gradient` of this library calls
# the same class, in batches.

# %%
saliency = Saliency(energy, clone=False)
by_hand = saliency(lambda energies: energies, images[:shown], normalize_map=False)
gradient_maps = saliency_maps.input_gradient(energy, images)
difference = np.abs(by_hand - gradient_maps[:shown]).max()
print(f"largest difference {difference:.1e}, largest value {gradient_maps.max():.3f}")
display(cf.visualization.saliency_overlay(images[:shown], gradient_maps[:shown]))

# %% [markdown]
# Most of the map lies on outlines, and it is grainy: the derivative at one point sees
# the finest structure only. Inside of a garment it is nearly dark. That does not mean
# that the inside is unimportant, only that a *small* change there changes little.
#
# ## 2. SmoothGrad and Grad-CAM
#
# SmoothGrad (Smilkov et al., 2017) averages the map over noisy copies of the image:
#
# $$ M^{\text{smooth}} = \frac{1}{n} \sum_{k=1}^{n}
#    \left| \frac{\partial E}{\partial x}(x + \epsilon_k) \right|,
#    \qquad \epsilon_k \sim N(0, \sigma^2 I). $$
#
# Grad-CAM (Selvaraju et al., 2017) goes to the features $A_k$ of a layer, weighs them
# with their mean gradient, and keeps the sign it is asked for. Here it marks what
# *lowers* the energy, what makes the image likely:
#
# $$ M^{\text{cam}} = \mathrm{ReLU}\Big(\sum_k \alpha_k A_k\Big), \qquad
#    \alpha_k = \operatorname{mean}_{ij} \frac{\partial (-E)}{\partial A_{k,ij}}. $$

# %%
maps = {
    "input gradient": gradient_maps,
    "SmoothGrad": saliency_maps.smooth_grad(
        energy, images, samples=smooth_samples, seed=seed
    ),
    "Grad-CAM": saliency_maps.grad_cam(energy, images, toward="likely"),
}
for name in ("SmoothGrad", "Grad-CAM"):
    print(name)
    display(cf.visualization.saliency_overlay(images[:shown], maps[name][:shown]))

# %% [markdown]
# SmoothGrad gives more weight to areas: it asks about larger changes. Grad-CAM marks
# patches at half the resolution of the image, because it works on features: here along
# the outline, more than inside of the garment. The maps do not agree, and none of them
# is "the" explanation. Can we test them?
#
# ## 3. First test: does the map depend on what was learned?
#
# If a map looks the same for a network with random weights, it shows the image and not
# the model (Adebayo et al., *Sanity checks for saliency maps*, 2018). We also compare
# with a plain edge detector, Sobel's, which knows no network. The figure is the mean
# correlation of two maps over the images.

# %%
keras.utils.set_random_seed(seed)
untrained = cf.EnergyNetwork.from_config(energy.get_config())
untrained_maps = {
    "input gradient": saliency_maps.input_gradient(untrained, images),
    "SmoothGrad": saliency_maps.smooth_grad(
        untrained, images, samples=smooth_samples, seed=seed
    ),
    "Grad-CAM": saliency_maps.grad_cam(untrained, images, toward="likely"),
}
edges = np.stack([filters.sobel(image[..., 0]) for image in images])


def mean_correlation(first, second):
    """Mean over images of the correlation of their maps, whatever their scale."""
    scaled = [
        (m / np.maximum(m.max(axis=(1, 2), keepdims=True), 1e-12))[..., None]
        for m in (first, second)
    ]
    return cf.evaluation.pixel_correlation(*scaled).mean()


print(f"{'correlation with':16}{'untrained network':>20}{'edges':>8}")
for name, heat in maps.items():
    same = mean_correlation(heat, untrained_maps[name])
    print(f"{name:16}{same:20.2f}{mean_correlation(heat, edges):8.2f}")

# %% [markdown]
# A high number in the first column is bad news: then much of the map comes from the
# image and from the architecture. A high number in the second says that the map is
# close to an edge detector. Here the maps depend on what was learned: those of the
# untrained network are hardly alike. But each map has something of plain edges, and the
# input gradient most. Keep both in mind when a map looks convincing.
#
# ## 4. Second test: erase what the map calls important
#
# Sort the pixels by the map, replace the first ones by a blurred version of the image,
# and watch the energy:
#
# $$ \Delta(f) = \operatorname{mean}_x \big| E(x_{\text{erased } f}) - E(x) \big|. $$
#
# A good map changes the energy faster than pixels in random order do.

# %%
blurred = np.stack([filters.gaussian(image[..., 0], 3) for image in images])[..., None]
rng = np.random.default_rng(seed)
orders = {**maps, "edges": edges, "random": rng.random(edges.shape)}
detector = cf.tasks.AnomalyDetector(energy)  # compiled once
intact = detector.scores(images)
fractions = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5])

figure, axes = plt.subplots(figsize=(6.5, 3))
for name, heat in orders.items():
    flat = heat.reshape(len(images), -1)
    rank = flat.argsort(axis=1)[:, ::-1].argsort(axis=1).reshape(edges.shape)
    changes = []
    for fraction in fractions:
        erased = (rank < fraction * flat.shape[1])[..., None]
        changed = np.where(erased, blurred, images).astype("float32")
        changes.append(np.abs(detector.scores(changed) - intact).mean())
    axes.plot(fractions, changes, marker=".", label=name)
axes.set(xlabel="share of pixels erased", ylabel="mean change of energy", xscale="log")
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# Compare each curve with *random*, and with *edges*: a map that does not beat the edge
# detector tells nothing about this energy that a glance at the image does not. All
# three beat it here while few pixels are erased. The test has a weakness of its own: an
# image with blurred holes is not natural, and nobody taught the energy what to say
# about it.
#
# ## 5. Generative saliency
#
# A chain that starts at an image $x_0$ moves it step by step towards likely images. The
# map adds up how far each pixel moves (channels are averaged):
#
# $$ G(x_0) = \sum_{k=0}^{K-1} | x_{k+1} - x_k |. $$
#
# The paper shows it for translation: where does a sneaker have to change to be an ankle
# boot? Images are clipped to $[-1, 1]$ at the *end* of the chain only, so on their way
# pixels can leave the range: black ground gets "blacker than black". That is movement,
# but nobody will ever see it. The tasks return, with `saliency=True`, what one can see
# of it, the **visible** movement
#
# $$ V(x_0) = \sum_{k=0}^{K-1} \big| \mathrm{clip}(x_{k+1})
#    - \mathrm{clip}(x_k) \big|. $$

# %%
sneakers = test.subset(classes=["Sneaker"], limit=shown, seed=seed).images()
settings = boots.finest_settings
translated, visible = cf.tasks.translate(
    boots.sampling_network, sneakers, seed, settings, saliency=True
)
display(cf.visualization.comparison_grid({"source": sneakers}))
display(cf.visualization.saliency_overlay(translated, visible))

# %% [markdown]
# The heat is where the picture changes: on shaft, heel and sole. Does clipping matter
# so much? We compute both maps by hand; `chain_states` records every state of the same
# chain. And even a chain with zero gradient would have a map, because each step adds
# noise:
#
# $$ \mathbb{E}\, |\sigma_k \epsilon| = \sigma_k \sqrt{2/\pi}, \qquad
#    \text{noise floor} = \sqrt{2/\pi} \sum_k \sigma_k . $$


# %%
def recorded_chain(network, images, settings):
    """All states of a chain that starts at images, `(steps + 1, n, h, w, c)`."""
    unclipped = settings.replace(clip=None)  # so that the last state is a plain step
    states = cf.tasks.chain_states(
        network, images=images, seed=seed, settings=unclipped, every=1
    )
    return np.stack([state.images for state in states])


def movement(path):
    """Sum over the steps of |x_{k+1} - x_k|, mean over channels."""
    return np.abs(np.diff(path, axis=0)).sum(axis=0).mean(axis=-1)


path = recorded_chain(boots.sampling_network, sneakers, settings)
visible_path = np.clip(path, -1, 1)
generative = movement(path)
difference = np.abs(movement(visible_path) - visible).max()
print(f"largest difference to the library's map: {difference:.1e}")

noise_scales = np.linspace(
    settings.noise_scale, settings.final_noise_scale, settings.steps_at(0)
)
noise_floor = np.sqrt(2 / np.pi) * noise_scales.sum()
print(f"mean movement {generative.mean():.3f}, of it visible {visible.mean():.3f}")
print(f"noise floor {noise_floor:.3f}")
display(cf.visualization.saliency_overlay(translated, generative))

# %% [markdown]
# This is the map of *all* movement. Look at its hottest areas, and then at the same
# places in the result: often it is black ground that was black before. The two maps
# answer different questions: *where does the chain work* and *where does one see a
# change*. With images in a closed range and much black or white in them, the difference
# is large.
#
# ## 6. A case where the answer is known
#
# Put noise into one square of each image, and let the model that was trained to remove
# noise run its chain. We know where the damage is, so a map can be judged: the AUROC of
# its pixels inside against outside is the probability that a damaged pixel is brighter
# in the map than an intact one. 0.5 is chance. The square lies mostly on the garment,
# so a map that only tells garment from ground would already do well. The second column
# is fairer: it judges pixels of the garment only.

# %%
clean = images[: max(count // 4, shown)]
inside = np.zeros((32, 32), bool)
inside[10:22, 10:22] = True
noise = cf.tasks.add_noise(np.zeros_like(clean), patch_noise, seed)
damaged = np.clip(clean + noise * inside[..., None], -1, 1)
repair = recorded_chain(denoiser.sampling_network, damaged, denoiser.finest_settings)
restored = np.clip(repair[-1], -1, 1)
candidates = {
    "generative": movement(repair),
    "generative, visible": movement(np.clip(repair, -1, 1)),
    "input gradient": saliency_maps.input_gradient(denoiser.sampling_network, damaged),
    "SmoothGrad": saliency_maps.smooth_grad(
        denoiser.sampling_network, damaged, samples=smooth_samples, seed=seed
    ),
    "Grad-CAM": saliency_maps.grad_cam(denoiser.sampling_network, damaged),
    "edges": np.stack([filters.sobel(image[..., 0]) for image in damaged]),
}


def found_damage(heat, judged):
    """Mean over images of the AUROC of damaged pixels against intact ones."""
    return np.mean(
        [
            cf.evaluation.detection_figures(one[here & ~inside], one[here & inside])[
                "auroc"
            ]
            for one, here in zip(heat, judged, strict=True)
            if (here & inside).any()
        ]
    )


everywhere = np.ones(clean.shape[:3], bool)
garment = clean[..., 0] > -0.9
print(f"{'AUROC of damage':20}{'all pixels':>12}{'on the garment':>16}")
for name, heat in candidates.items():
    areas = found_damage(heat, everywhere), found_damage(heat, garment)
    print(f"{name:20}{areas[0]:12.3f}{areas[1]:16.3f}")
display(
    cf.visualization.comparison_grid(
        {"clean": clean[:shown], "restored": restored[:shown]}
    )
)
for name in ("generative", "generative, visible"):
    print(name)
    display(
        cf.visualization.saliency_overlay(damaged[:shown], candidates[name][:shown])
    )

# %% [markdown]
# Read the columns one after the other. Over all pixels, the generative map of all
# movement is **worse than chance**: the ground, which drifts below $-1$, outshines the
# damage. Its visible form is far above chance. So is Grad-CAM, at a coarse resolution,
# and even the edge detector, which needs no model at all. On the garment alone the
# picture is another one. Both generative maps do about equally well now: the ground was
# the difference. The edge detector is at chance, and the plain input gradient, far
# below chance before, is above it. Compare the best maps in both columns: who is ahead
# depends on what you compare with.
#
# (The restoration itself is only partial: the model has learned to remove noise from
# whole images, not from squares.)
#
# This is what known answers are for. On the translation we could have told a story
# about either map.
#
# ## Exercises
#
# 1. *(easy)* `grad_cam` takes the name of a layer, see `energy.blocks`. Draw the maps
#    of the coarsest block, for `toward="likely"` and `"unlikely"`. What is lost?
# 2. *(easy)* Which share of the visible map of section 5 could be there without any
#    gradient? Subtract the noise floor, clip at 0, and draw the map again.
# 3. *(medium)* The displacement $|x_K - x_0|$ forgets detours. Its ratio to the visible
#    movement is 1 where a pixel goes straight and near 0 where it goes back and forth.
#    Compute it for the translation, overall and for the pixels that move most.
# 4. *(hard)* Integrated gradients (Sundararajan et al., 2017) share the difference of
#    two energies among the pixels, along a straight line from a baseline $x'$:
#    $\mathrm{IG} = (x - x') \odot \int_0^1 \frac{\partial E}{\partial x}(x' + t (x -
#    x')) \, dt$. Implement it with `keras_cfebm.backend.value_and_input_gradient` and a
#    black baseline. Check completeness: the sum over pixels has to be $E(x) - E(x')$.

# %%
# @title Solution 1 {display-mode: "form"}
layers = [block.name for block in energy.blocks]
print("blocks, finest first:", layers)
for toward in ("likely", "unlikely"):
    heat = saliency_maps.grad_cam(
        energy, images[:shown], layer=layers[-1], toward=toward
    )
    print(layers[-1], toward)
    display(cf.visualization.saliency_overlay(images[:shown], heat))
# A map may be empty in places, or as a whole: where the weighted sum of features has
# the other sign, ReLU leaves nothing of it, and "unlikely" shows it.
# The features are 4 x 4: a map says which part of the image, but not which edge.

# %%
# @title Solutions 2 and 3 {display-mode: "form"}
print(f"the noise floor is {noise_floor / visible.mean():.0%} of the mean visible map")
without_noise = np.maximum(visible - noise_floor, 0)
display(cf.visualization.saliency_overlay(translated, without_noise))
# An upper bound: where a pixel is at the end of the range, half of the noise is unseen.

displacement = np.abs(visible_path[-1] - visible_path[0]).mean(axis=-1)
most = visible > np.quantile(visible, 0.9)
print(f"straightness overall {displacement.sum() / visible.sum():.2f}, ", end="")
print(
    f"of the pixels that move most {displacement[most].sum() / visible[most].sum():.2f}"
)
# Near 1: a pixel that changes much goes straight, as the gradient keeps its direction.
# What goes back and forth is the noise, which counts where a pixel moves little.

# %%
# @title Solution 4 {display-mode: "form"}

gradient_of = backend.compiled(
    lambda x: backend.value_and_input_gradient(energy.bind(), x)[1]
)


def integrated_gradients(images, steps):
    """Integrated gradients from black images, by the midpoint rule."""
    baseline = np.full_like(images, -1.0)
    total = np.zeros_like(images)
    for t in (np.arange(steps) + 0.5) / steps:
        point = ops.convert_to_tensor(baseline + np.float32(t) * (images - baseline))
        total += ops.convert_to_numpy(gradient_of(point))
    return (images - baseline) * total / steps


attributions = integrated_gradients(images[:shown], path_steps)
black = detector.scores(np.full_like(images[:1], -1.0))
for share, whole in zip(
    attributions.sum(axis=(1, 2, 3)), intact[:shown] - black, strict=True
):
    print(f"sum of attributions {share:8.4f}, E(x) - E(black) {whole:8.4f}")
# The integral of a slope along a path is the difference of its ends, so the sums agree,
# but for the finite number of steps.
display(
    cf.visualization.saliency_overlay(
        images[:shown], np.abs(attributions).mean(axis=-1)
    )
)

# %% [markdown]
# ## What to remember
#
# - Gradient maps ask on which pixels the energy of *one image* depends. Generative
#   saliency asks where *a chain* moves.
# - A chain moves pixels beyond the range that a picture can show. Add up the visible
#   movement.
# - Every chain has a noise floor, $\sqrt{2/\pi} \sum_k \sigma_k$. Values near it mean
#   nothing.
# - A map that looks good is not yet an explanation. Compare it with an untrained
#   network, with an edge detector, with random pixels, and with cases whose answer you
#   know.
