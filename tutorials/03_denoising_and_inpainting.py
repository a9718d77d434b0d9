# %% [markdown]
# # Denoising and inpainting
#
# A model of images knows what an image should look like. So it can repair a damaged
# one: start a chain at the damaged image and let it walk towards likely images.
#
# **Learning goals.** After this notebook you can
#
# - write denoising and inpainting as *a start plus a constraint* on one Langevin chain;
# - judge a restoration with PSNR and SSIM, beside classical filters;
# - say why an energy that generates well may denoise badly, and what to train instead;
# - explain why a restoration is a sample, and what follows from that.
#
# **Prerequisites.** Notebook 01 (the chain from coarse to fine).
#
# **Convention.** An energy $E(x)$ is one number per image, low = likely:
# $p(x) = \exp(-E(x)) / Z$.

# %%
import matplotlib.pyplot as plt
import numpy as np
from keras import ops

import keras_cfebm as cf
from keras_cfebm import evaluation, tasks, visualization

visualization.use_style()

# %% tags=["parameters"]
count = 48  # @param {type:"integer"}
sigma = 0.2  # @param {type:"number"}
mask = "left_half"  # @param ["left_half", "center", "random_25"]
seeds = 8  # @param {type:"integer"}
shown = 8  # @param {type:"integer"}

# %% [markdown]
# ## Two energies and some images that they have not seen
#
# `generator` learned from chains that start at noise, at 8×8 pixels. `denoiser` learned
# from chains that start at *noisy images*: a training image plus white noise whose
# standard deviation was drawn between 0 and 0.5. Both use the same data and network. A
# model holds one energy per resolution, and the settings of its chains: number and size
# of the steps at each level, coarsest first. A task that is given the *model* takes
# steps of the size that training took; one that is given an energy alone cannot know
# it.

# %%
generator = cf.CFEBM.from_preset("fashion_mnist")
denoiser = cf.CFEBM.from_preset("fashion_mnist_denoise")
test_data = cf.datasets.load("fashion_mnist_embedded", "test", resolution=32, fit="pad")
images = test_data.images(count)
tuning_images = test_data.images(2 * count)[count:]
for name, model in (("generator", generator), ("denoiser", denoiser)):
    resolutions = [energy.resolution for energy in model.sampling_ladder]
    print(f"{name}: energies at {resolutions} pixels, chains from {model.chain_start}")
    print(f"    steps {model.langevin.steps}, step sizes {model.langevin.step_size}")

# %% [markdown]
# ## Denoising: start the chain at the noisy image
#
# The damage is $y = x + \sigma \varepsilon$ with $\varepsilon \sim N(0, I)$. The chain
# starts there and makes a few Langevin steps (Eq. 3) at the finest level:
#
# $$x_0 = y, \qquad
#   x_{k+1} = x_k - \eta \, \frac{\partial E}{\partial x}(x_k)
#     + \sigma_k \varepsilon_k .$$
#
# There is no constraint: nothing ties $x_k$ to $y$ except the small number of steps.
#
# How good is the result? The peak signal-to-noise ratio compares it with the clean
# image, in decibels. The values of an image span 2, from −1 to 1:
#
# $$\mathrm{PSNR} = 10 \log_{10} \frac{2^2}{\mathrm{mean}\,(x_K - x)^2} .$$

# %%
noisy_images = tasks.add_noise(images, sigma)  # y = x + σ ε
versions = {
    "noisy": np.clip(noisy_images, -1, 1),
    "denoise": tasks.denoise(denoiser, noisy_images, seed=0),
    "restore": tasks.restore(
        denoiser,
        noisy_images,
        tasks.Identity(),
        noise=sigma,
        samples=seeds,
        seed=0,
        initial=noisy_images,
    ).mean,
}
for name, version in versions.items():
    quality = evaluation.psnr(version, images).mean()
    print(f"{name:9s} PSNR {quality:.2f} dB")
rows = {"original": images, **versions}
visualization.comparison_grid({name: row[:shown] for name, row in rows.items()})

# %% [markdown]
# The black background is nearly clean again, and outlines are kept. Look at prints and
# textures: fine detail that the noise has drowned does not come back.
#
# The row `restore` is told $\sigma$, and asks for images that are likely *and* agree
# with what was measured: after each step of the chain comes the step towards $y$ of the
# density $\exp(-E(x) / \tau - \lVert x - y \rVert^2 / 2\sigma^2)$, which has a closed
# form. It takes a few steps only, and the mean of several chains. The two figures say
# whether knowing $\sigma$ helps this energy, whose training has never tied a chain to
# its start.
#
# ## Beside classical filters
#
# A figure alone says little. `evaluate_denoising` puts filters beside the model. Each
# method is told $\sigma$, and may choose its strength on other images (the model: its
# number of steps). SSIM, the structural similarity, compares local means, contrasts and
# patterns; 1 is best.

# %%
report = evaluation.evaluate_denoising(
    denoiser, images, (sigma,), tuning_images=tuning_images
)
for name, figures in report.figures[f"{sigma:g}"].items():
    strength = figures.get("strength", "–")
    print(
        f"{name:16s} PSNR {figures['psnr']:5.2f} dB   SSIM {figures['ssim']:.3f}"
        f"   strength {strength}"
    )

# %% [markdown]
# Compare the row `model` with the others, first with the Gaussian and the median
# filter. Non-local means is the strong rival: it averages similar patches of the *same*
# image, and it is told $\sigma$. The network has to handle every noise level and is
# never told which one it is; only its number of steps is chosen. The last row combines
# both: `tasks.restore` starts at the images of non-local means and holds the chain near
# the noisy ones. A start from a filter has lost what the filter took away. Does it help
# here? And at $\sigma = 0.1$?
#
# ## How many steps, and which energy?
#
# We record both energies along a chain of 40 steps from the same noisy images, with the
# step size of each one's training. Watch two curves: the quality, which needs the clean
# image, and the energy, which does not.

# %%
figure, (quality_axes, energy_axes) = plt.subplots(1, 2, figsize=(7, 2.8))
for name, model in (("denoiser", denoiser), ("generator", generator)):
    states = list(
        tasks.chain_states(
            model.sampling_network,
            images=noisy_images,
            seed=0,
            settings=model.finest_settings.replace(steps=40),
            every=4,
        )
    )
    steps = [state.step for state in states]
    quality = [
        evaluation.psnr(np.clip(state.images, -1, 1), images).mean() for state in states
    ]
    # The last state is clipped to [-1, 1], the ones before are not: leave it out.
    energies = [state.energies.mean() for state in states[:-1]]
    quality_axes.plot(steps, quality, label=name)
    energy_axes.plot(steps[:-1], energies - energies[0], label=name)
    trained = model.finest_settings.steps_at(0)
    print(f"{name}: highest PSNR {max(quality):.2f} at step {np.argmax(quality) * 4},")
    print(f"    at the end {quality[-1]:.2f}; trained with chains of {trained} steps")
quality_axes.set(xlabel="step", ylabel="PSNR (dB)")
energy_axes.set(xlabel="step", ylabel="energy − energy at the start")
quality_axes.legend()
plt.show()

# %% [markdown]
# Two lessons.
#
# 1. **The energy keeps falling when the quality no longer rises.** Compare the step
#    where the denoiser is best with the length of its training chains. Energy is no
#    stopping rule: these models are trained with short chains, and how long a chain
#    runs is a part of the model.
# 2. **The generator is no denoiser,** although its energy falls as well. In its
#    training, chains reached the finest level as upsampled 16×16 images. White noise at
#    32×32 pixels never occurred in them, so nothing has taught this energy to dislike
#    it. An energy is only trustworthy where its negative samples have been.
#
# ## Inpainting: put the known pixels back after every step
#
# Now some pixels are missing. With a mask $m$ that is 1 where a pixel is missing, each
# Langevin step is followed by a constraint:
#
# $$\tilde x_{k+1} = x_k - \eta \, \frac{\partial E}{\partial x}(x_k)
#     + \sigma_k \varepsilon_k, \qquad
#   x_{k+1} = m \odot \tilde x_{k+1} + (1 - m) \odot x_{\mathrm{known}} .$$
#
# Missing pixels start as noise. We let the generator fill them in two ways: with the
# finest energy alone, and from coarse to fine. In the second case the known pixels are
# mean-pooled to 8×8 and 16×16 for the coarser levels.

# %%
holes = tasks.hole_masks(mask, images.shape)  # True where a pixel is missing
finest_settings = generator.finest_settings.replace(steps=50)
finest_chain = tasks.Chain(generator.sampling_network, finest_settings)
finest_fill = tasks.inpaint(finest_chain, images, holes, seed=0)
ladder_fill = tasks.inpaint(generator, images, holes, seed=0)
for name, version in (("finest only", finest_fill), ("ladder", ladder_fill)):
    quality = evaluation.psnr(version, images, holes).mean()
    print(f"{name:12s} PSNR in the hole {quality:.2f} dB")
visualization.comparison_grid(
    {
        "original": images[:shown],
        "masked": np.where(holes, np.float32(0), images)[:shown],
        "finest only": finest_fill[:shown],
        "ladder": ladder_fill[:shown],
    }
)

# %% [markdown]
# The finest energy alone leaves texture in the hole: again it starts where it has never
# been trained. The ladder first fills the hole with a plausible blob at 8×8, where 16
# missing pixels are one, and refines it. Its fillings continue the outline. Look for
# the seam: is the filling softer than the known part?
#
# ## Against classical methods, for three masks

# %%
for mask_name in ("center", "left_half", "random_25"):
    figures = evaluation.evaluate_inpainting(generator, images, mask_name).figures
    print(f"{mask_name} ({figures['missing']:.0%} missing)")
    for name in ("model", "mean", "biharmonic"):
        psnr, ssim = figures[name]["psnr"], figures[name]["ssim"]
        print(f"    {name:11s} PSNR {psnr:5.2f} dB   SSIM {ssim:.3f}")

# %% [markdown]
# `biharmonic` continues the surroundings as smoothly as possible. Where every missing
# pixel has known neighbours (`random_25`) that is hard to beat. Half an image cannot be
# continued smoothly: there, knowing what garments look like pays. The central square
# lies between the two.
#
# ## A restoration is a sample
#
# Other random numbers, another filling. All of them agree with the known pixels
# exactly. `tasks.restore` draws several $x^{(1)}, \dots, x^{(n)}$ and returns one,
# their mean $\bar x$, and their standard deviation at each pixel,
#
# $$s_{ij} = \sqrt{\tfrac{1}{n} \sum_k \big(x^{(k)}_{ij} - \bar x_{ij}\big)^2} .$$
#
# Where the fillings differ, what was measured does not tell. Does $s$ say how wrong the
# mean is, without the original? Its correlation with the true error $|\bar x - x|$,
# over the pixels of the hole, says so: 1 would be a perfect warning, 0 none.

# %%
operator = tasks.Mask(holes)
fillings = [
    tasks.restore(generator, images, operator, samples=1, seed=s).sample
    for s in range(1, 3)
]
found = tasks.restore(generator, images, operator, samples=seeds, seed=0)
fillings.insert(0, found.sample)
single = np.mean([evaluation.psnr(f, images, holes).mean() for f in fillings])
print(f"one filling, on average: {single:.2f} dB")
averaged = evaluation.psnr(found.mean, images, holes).mean()
print(f"mean of {seeds} fillings: {averaged:.2f} dB")
error = np.abs(found.mean - images)[..., 0]
hole = holes[..., 0]
trust = np.corrcoef(found.std[hole], error[hole])[0, 1]
print(f"correlation of deviation and true error in the hole: {trust:.2f}")
brightest = max(found.std[:shown].max(), error[:shown].max())
rows = {"original": images, **{f"filling {k}": f for k, f in enumerate(fillings, 1)}}
rows |= {
    "mean": found.mean,
    "deviation": 2 * found.std[..., None] / brightest - 1,
    "true error": 2 * error[..., None] / brightest - 1,
}
visualization.comparison_grid({name: row[:shown] for name, row in rows.items()})

# %% [markdown]
# Compare the fillings of one image, from row to row: in what do they agree, and in what
# do they differ? Their mean is blurrier than each of them, and its PSNR is the higher
# one all the same: squared error is smallest for the mean of all plausible answers,
# which is itself not a plausible image. PSNR therefore favours blur. Say which one you
# want before you compare methods.
#
# The last two rows have one scale, black is 0. The deviation is bright where the
# fillings disagree, often along outlines that could lie elsewhere, and the printed
# correlation says how far that is where the mean is wrong. It cannot warn of what all
# fillings have in common: where the chains agree on the wrong garment, it is dark.
#
# ## Exercises
#
# 1. *(easy)* The denoiser was trained with noise up to 0.5. What does it gain at
#    $\sigma = 0.1$, 0.5 and 0.8? Does it fail outside of its range?
# 2. *(easy)* Make a mask of your own: scratches, one pixel wide. Who wins, the model or
#    `biharmonic`?
# 3. *(medium)* Garments are nearly symmetric, shoes are not. Start the hole of
#    `left_half` from the mirrored right half (`fill="image"`), let the *denoiser* work
#    on it, and compare.
# 4. *(hard)* Bayes' rule says what a denoiser should sample: $p(x \mid y) \propto
#    \exp(-E(x) - \lVert x - y \rVert^2 / 2\sigma^2)$. Add such a term, with a factor
#    $c$ in place of $1/\sigma^2$, to both energies: an energy is any function of
#    images. The term alone makes a step $x - y \leftarrow (1 - \eta c)(x - y)$, which
#    grows without bound for $c > 2 / \eta$. So choose $\eta c$, well below 2: the $c =
#    1/\sigma^2 = 25$ of $\sigma = 0.2$ would blow up with any $\eta$ above 0.08. Does
#    it help the denoiser? Does it rescue the generator? (`tasks.restore` has no such
#    bound: its step towards $y$ has a closed form.)

# %%
# @title Solution 1 {display-mode: "form"}
usual = denoiser.finest_settings
denoising_chains = {
    steps: tasks.Chain(denoiser.sampling_network, usual.replace(steps=steps))
    for steps in (usual.steps_at(0), 2 * usual.steps_at(0))
}
for level in (0.1, 0.5, 0.8):
    noisy = tasks.add_noise(images, level)
    quality = evaluation.psnr(np.clip(noisy, -1, 1), images).mean()
    line = f"σ = {level}: {quality:.2f} dB before"
    for steps, chain in denoising_chains.items():
        quality = evaluation.psnr(tasks.denoise(chain, noisy, 0), images).mean()
        line += f", {quality:.2f} after {steps} steps"
    print(line)
# Look at the last line for what happens beyond its range. Strong noise needs more
# steps, weak noise fewer: what the chain does to the image does not depend on a known
# σ.

# %%
# @title Solution 2 {display-mode: "form"}
scratches = np.zeros((32, 32), bool)
np.fill_diagonal(scratches, True)
scratches[:, ::8] = True
report = evaluation.evaluate_inpainting(generator, images, scratches)
for name in ("model", "mean", "biharmonic"):
    print(f"{name:11s} PSNR in the scratches {report.figures[name]['psnr']:.2f} dB")
# Smooth continuation wins: the neighbours of a thin scratch say nearly all.

# %%
# @title Solution 3 {display-mode: "form"}
left_half = tasks.hole_masks("left_half", images.shape)
mirrored = np.where(left_half, images[:, :, ::-1], images)
shorter_chain = next(iter(denoising_chains.values()))
polished = tasks.inpaint(shorter_chain, mirrored, left_half, 0, fill="image")
from_noise = tasks.inpaint(generator, images, left_half, seed=0)
versions = {"ladder": from_noise, "mirrored": mirrored, "polished": polished}
for name, version in versions.items():
    quality = evaluation.psnr(version, images, left_half).mean()
    print(f"{name:9s} PSNR {quality:.2f} dB")
# The mirror image is a strong guess in pixels, and the chain changes little of it.
# Look at shoes all the same: a shoe with two toes is no shoe, and neither PSNR nor a
# few steps at the finest level notice. A start brings its own prior knowledge along.
visualization.comparison_grid({k: v[:shown] for k, v in versions.items()})

# %%
# @title Solution 4 {display-mode: "form"}
observed = ops.convert_to_tensor(noisy_images)


def posterior(energy, strength):
    def function(x):  # E(x) + c/2 ‖x − y‖²
        distance = ops.sum(ops.square(x - observed), axis=(1, 2, 3))
        return energy(x) + 0.5 * strength * distance

    return function


for name, model in (("denoiser", denoiser), ("generator", generator)):
    settings = model.finest_settings
    for product in (0.0, 0.02, 0.3):
        energy = posterior(model.sampling_network, product / settings.step_size)
        restored = tasks.denoise(energy, noisy_images, 0, settings, batch_size=count)
        quality = evaluation.psnr(restored, images).mean()
        print(f"{name}, η c = {product}: PSNR {quality:.2f} dB")
# The first line of each is the chain without the term. A denoiser's short chain stays
# near y by itself, as it was trained to, so there is little to gain. The term limits
# the damage of the generator, but does not turn it into a denoiser: a wrong prior stays
# wrong in Bayes' rule.

# %% [markdown]
# ## What to remember
#
# - One chain, two tasks: denoising starts at the noisy image; inpainting starts in the
#   hole and puts the known pixels back after every step.
# - An energy repairs only the damage that its training chains have met. Train for
#   denoising with chains that start at noisy images, inpaint from coarse to fine.
# - Lower energy is not better quality. The number of steps belongs to the model.
# - Restorations are samples. Averaging raises PSNR and blurs.
# - Always show the classical method beside the model, also where it wins.
