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

# %% tags=["parameters"]
count = 48  # @param {type:"integer"}
sigma = 0.2  # @param {type:"number"}
mask = "left_half"  # @param ["left_half", "center", "random_25"]
seeds = 4  # @param {type:"integer"}
shown = 8  # @param {type:"integer"}

# %% [markdown]
# ## Two energies and some images that they have not seen
#
# `generator` learned from chains that start at noise, at 8×8 pixels. `denoiser` learned
# from chains that start at *noisy images*: a training image plus white noise whose
# standard deviation was drawn between 0 and 0.4. Both use the same data and network.
# The `ladder` holds one energy per resolution; the `network` is the finest of them.

# %%
generator = cf.CFEBM.from_preset("fashion_mnist")
denoiser = cf.CFEBM.from_preset("fashion_mnist_denoise")
test_data = cf.datasets.load("fashion_mnist_embedded", "test", resolution=32, fit="pad")
images = test_data.images(count)
tuning_images = test_data.images(2 * count)[count:]
for name, model in (("generator", generator), ("denoiser", denoiser)):
    resolutions = [energy.resolution for energy in model.sampling_ladder]
    print(f"{name}: energies at {resolutions} pixels, chains from {model.chain_start}")

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
restored_images = tasks.denoise(denoiser.sampling_network, noisy_images, seed=0)
noisy_shown = np.clip(noisy_images, -1, 1)
for name, version in (("noisy", noisy_shown), ("restored", restored_images)):
    print(f"{name:9s} PSNR {evaluation.psnr(version, images).mean():.2f} dB")
visualization.comparison_grid(
    {
        "original": images[:shown],
        "noisy": noisy_shown[:shown],
        "restored": restored_images[:shown],
    }
)

# %% [markdown]
# The black background is nearly clean again, and outlines are kept. Look at prints and
# textures: fine detail that the noise has drowned does not come back, and some grain
# stays on the fabric.
#
# ## Beside classical filters
#
# A figure alone says little. `evaluate_denoising` puts filters beside the model. Each
# method is told $\sigma$, and may choose its strength on other images (the model: its
# number of steps). SSIM, the structural similarity, compares local means, contrasts and
# patterns; 1 is best.

# %%
report = evaluation.evaluate_denoising(
    denoiser.sampling_network, images, (sigma,), tuning_images=tuning_images
)
for name, figures in report.figures[f"{sigma:g}"].items():
    strength = figures.get("strength", "–")
    print(
        f"{name:16s} PSNR {figures['psnr']:5.2f} dB   SSIM {figures['ssim']:.3f}"
        f"   strength {strength}"
    )

# %% [markdown]
# Compare the row `model` with the others. The energy should be well ahead of the
# Gaussian and the median filter. Non-local means is a strong rival, and who is ahead
# may depend on the figure, PSNR or SSIM: it averages similar patches of the *same*
# image, and it is told $\sigma$. The network has to handle every noise level and is
# never told which one it is; only its number of steps is chosen. The last row combines
# both: `tasks.restore` starts at the images of non-local means and holds the chain near
# the noisy ones. It should be the best.
#
# ## How many steps, and which energy?
#
# We record both energies along a chain of 40 steps from the same noisy images. Watch
# two curves: the quality, which needs the clean image, and the energy, which does not.

# %%
record_settings = cf.Langevin(steps=40, noise_scale=0.005)
figure, (quality_axes, energy_axes) = plt.subplots(
    1, 2, figsize=(7, 2.8), dpi=75, layout="constrained"
)
for name, model in (("denoiser", denoiser), ("generator", generator)):
    states = list(
        tasks.chain_states(
            model.sampling_network,
            images=noisy_images,
            seed=0,
            settings=record_settings,
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
    print(f"{name}: highest PSNR {max(quality):.2f} at step {np.argmax(quality) * 4}")
quality_axes.set(xlabel="step", ylabel="PSNR (dB)")
energy_axes.set(xlabel="step", ylabel="energy − energy at the start")
quality_axes.legend()
plt.show()

# %% [markdown]
# Two lessons.
#
# 1. **The energy keeps falling when the quality no longer rises.** The denoiser is best
#    after somewhat more steps than its training chains had, and slowly gets worse from
#    there. Energy is no stopping rule: these models are trained with short chains, and
#    how long a chain runs is a part of the model.
# 2. **The generator makes it worse, from the first step on, and its energy falls
#    faster.** In its training, chains reached the finest level as upsampled 16×16
#    images. White noise at 32×32 pixels never occurred in them, so nothing has taught
#    this energy to dislike it. An energy is only trustworthy where its negative samples
#    have been.
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
finest_fill = tasks.inpaint(generator.sampling_network, images, holes, seed=0)
ladder_chain = tasks.Chain(
    generator.sampling_ladder, cf.Langevin(steps=(15, 10, 5), noise_scale=0.005)
)
ladder_fill = tasks.inpaint(ladder_chain, images, holes, seed=0)
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
# The finest energy alone leaves black-and-white texture in the hole: again it starts
# where it has never been trained. The ladder first fills the hole with a plausible blob
# at 8×8, where 16 missing pixels are one, and refines it. Its fillings continue the
# outline. They are softer than the known part, since only few steps are made at the
# finest level, and the seam can be seen.
#
# ## Against classical methods, for three masks

# %%
for mask_name in ("center", "left_half", "random_25"):
    figures = evaluation.evaluate_inpainting(ladder_chain, images, mask_name).figures
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
# exactly. Take two images, and compare them from row to row.

# %%
fillings = [tasks.inpaint(ladder_chain, images, holes, seed=s) for s in range(seeds)]
average = np.mean(fillings, axis=0)
single = np.mean([evaluation.psnr(f, images, holes).mean() for f in fillings])
print(f"one filling, on average: {single:.2f} dB")
averaged = evaluation.psnr(average, images, holes).mean()
print(f"average of {seeds} fillings: {averaged:.2f} dB")
rows = {f"seed {s}": filling[:shown] for s, filling in enumerate(fillings)}
visualization.comparison_grid({**rows, "average": average[:shown]})

# %% [markdown]
# The seeds agree on the kind of garment and differ in width, brightness and detail.
# Their average has a higher PSNR than a single one, although it is blurrier: squared
# error is smallest for the mean of all plausible answers, which is itself not a
# plausible image. PSNR therefore favours blur. Say which one you want before you
# compare methods. (`tasks.restore` returns a sample, the mean and the standard
# deviation of several, which says how much to trust a pixel.)
#
# ## Exercises
#
# 1. *(easy)* The denoiser was trained with noise up to 0.4. What does it gain at
#    $\sigma = 0.1$, 0.4 and 0.6? Does it fail outside of its range?
# 2. *(easy)* Make a mask of your own: scratches, one pixel wide. Who wins, the model or
#    `biharmonic`?
# 3. *(medium)* Garments are nearly symmetric, shoes are not. Start the hole of
#    `left_half` from the mirrored right half (`fill="image"`), let the *denoiser* work
#    on it, and compare.
# 4. *(hard)* Bayes' rule says what a denoiser should sample: $p(x \mid y) \propto
#    \exp(-E(x) - \lVert x - y \rVert^2 / 2\sigma^2)$. Add such a term, with a factor
#    $c$ in place of $1/\sigma^2$, to both energies: an energy is any function of
#    images. The term alone makes a step $x - y \leftarrow (1 - \eta c)(x - y)$, which
#    grows without bound for $c > 2 / \eta$. With the $\eta = 1$ of these chains $c$ has
#    to stay below 2, and $1/\sigma^2$, 25 for $\sigma = 0.2$, would blow up. Does it
#    help the denoiser? Does it rescue the generator?

# %%
# @title Solution 1 {display-mode: "form"}
denoising_chains = {
    steps: tasks.Chain(
        denoiser.sampling_network, cf.Langevin(steps=steps, noise_scale=0.005)
    )
    for steps in (20, 40)
}
for level in (0.1, 0.4, 0.6):
    noisy = tasks.add_noise(images, level)
    quality = evaluation.psnr(np.clip(noisy, -1, 1), images).mean()
    line = f"σ = {level}: {quality:.2f} dB before"
    for steps, chain in denoising_chains.items():
        quality = evaluation.psnr(tasks.denoise(chain, noisy, 0), images).mean()
        line += f", {quality:.2f} after {steps} steps"
    print(line)
# It gains at every level, also beyond its range. Strong noise needs more steps, weak
# noise fewer: what the chain does to the image does not depend on a known σ.

# %%
# @title Solution 2 {display-mode: "form"}
scratches = np.zeros((32, 32), bool)
np.fill_diagonal(scratches, True)
scratches[:, ::8] = True
report = evaluation.evaluate_inpainting(ladder_chain, images, scratches)
for name in ("model", "mean", "biharmonic"):
    print(f"{name:11s} PSNR in the scratches {report.figures[name]['psnr']:.2f} dB")
# Smooth continuation wins: the neighbours of a thin scratch say nearly all.

# %%
# @title Solution 3 {display-mode: "form"}
left_half = tasks.hole_masks("left_half", images.shape)
mirrored = np.where(left_half, images[:, :, ::-1], images)
polished = tasks.inpaint(denoising_chains[20], mirrored, left_half, 0, fill="image")
from_noise = tasks.inpaint(ladder_chain, images, left_half, seed=0)
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
    for strength in (0.02, 0.3):
        energy = posterior(model.sampling_network, strength)
        restored = tasks.denoise(energy, noisy_images, seed=0, batch_size=count)
        quality = evaluation.psnr(restored, images).mean()
        print(f"{name}, c = {strength}: PSNR {quality:.2f} dB")
# Compare with the first table. The term does not help the denoiser: its short chain
# already stays near y, as it was trained to. It limits the damage of the generator,
# but does not turn it into a denoiser: a wrong prior stays wrong in Bayes' rule.

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
