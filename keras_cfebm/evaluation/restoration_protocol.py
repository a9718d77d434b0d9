"""Denoising and inpainting, judged by PSNR and SSIM beside classical methods."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_cfebm import tasks
from keras_cfebm.evaluation.filters import FILTERS, best_strength, filtered
from keras_cfebm.evaluation.image_quality import mean_figures, psnr
from keras_cfebm.evaluation.inverse_protocol import evaluate_restoration
from keras_cfebm.evaluation.result import Evaluation
from keras_cfebm.sampling import Langevin
from keras_cfebm.tasks.chain import chain_of
from keras_cfebm.tasks.inverse_problems import REFINEMENT
from keras_cfebm.tasks.restoration import DENOISING
from keras_cfebm.tasks.translation import single_chain_of
from keras_cfebm.utils.progress import progress_bar
from keras_cfebm.utils.validation import check_images, check_number

#: The noise that `evaluate_denoising` adds by default, standard deviations.
SIGMAS = (0.1, 0.2, 0.3)
#: What starts at the images of non-local means and goes on with the energy.
REFINED = "filter_then_model"
#: Of several samples of a hole, so many are shown.
_COMPLETIONS = 3
#: The longest denoising chain tried.
MOST_STEPS = 40


def evaluate_denoising(
    energy: Any,
    images: np.ndarray,
    sigmas: Sequence[float] = SIGMAS,
    *,
    tuning_images: np.ndarray | None = None,
    settings: Langevin | None = None,
    steps: int | None = None,
    samples: int = 1,
    labels: Any = None,
    tuning_labels: Any = None,
    seed: int = 0,
    batch_size: int = 64,
    progress: bool | None = None,
) -> Evaluation:
    """Denoises images by an energy and by filters, all told the noise level σ.

    Filter strengths, and the number of Langevin steps, are those with the highest mean
    PSNR on `tuning_images` with noise of the same σ.

    An energy whose negatives started at coarse images has seen no white noise at its
    finest level and may well prefer it; one that has learned with chains from noisy
    images (`RunConfig.source_noise`) removes it.

    Args:
        energy: a model, or the finest energy, see `keras_cfebm.tasks.denoise`.
        images: float array of clean images `(n, h, w, c)` in [-1, 1] that the energy
            was not trained on.
        sigmas: standard deviations of the white noise, each above 0.
        tuning_images: float array of other clean images; None judges with the first
            strength of each filter and the default number of steps.
        settings: `Langevin`, but for the steps; None for those of `tasks.denoise`.
        steps: int, in place of the best number.
        samples: int, chains of each image that start at the filtered one.
        labels: of a conditional energy, an int or an integer array `(n,)`.
        tuning_labels: the same of `tuning_images`.
        seed: int, the stream of noise and chains.
        batch_size: int, images per chain.
        progress: bool, show a progress bar; None shows one after two seconds.

    Returns:
        `Evaluation`; its figures are σ (as str) → method (`noisy`, `model`, the names
        in `FILTERS`, and `filter_then_model`: `tasks.restore` from the images of
        non-local means on) → `psnr`, `ssim`, and of the model and the filters the
        `strength` that was used, which is the number of steps of the model's. SSIM is
        None below 11 pixels.

    Raises:
        ValueError: if a σ is not above 0, or images or labels do not fit the energy.
        ImportError: without the extra `eval` (scikit-image).
    """
    images = check_images(images, getattr(energy, "image_shape", None), strict=True)
    for sigma in sigmas:
        check_number(sigma, "sigma", "(0, inf)")
    figures: dict[str, Any] = {}
    shown = {"original": images}
    refinement = chain_of(energy, None, REFINEMENT)
    usual = single_chain_of(energy, settings, DENOISING).settings
    for sigma in sigmas:
        noisy = tasks.add_noise(images, sigma, seed)
        used = usual if steps is None else usual.replace(steps=steps)
        strengths = {name: choices[0] for name, (_, choices) in FILTERS.items()}
        if tuning_images is not None:
            tuning = tasks.add_noise(tuning_images, sigma, seed, len(images))
            for name in FILTERS:
                strengths[name] = best_strength(name, tuning, tuning_images, sigma)
            if steps is None:
                best = best_steps(energy, tuning, tuning_images, used, tuning_labels)
                used = used.replace(steps=best)
        model = tasks.denoise(
            energy, noisy, seed, used, labels, batch_size, progress=progress
        )
        versions = {"noisy": np.clip(noisy, -1, 1), "model": model}
        for name, strength in strengths.items():
            versions[name] = filtered(name, noisy, strength, sigma)
        versions[REFINED] = tasks.restore(
            refinement,
            noisy,
            tasks.Identity(),
            sigma,
            samples,
            seed,
            labels=labels,
            batch_size=batch_size,
            initial=versions["non_local_means"],
            progress=progress,
        ).mean
        found = {name: mean_figures(v, images) for name, v in versions.items()}
        for name, strength in {"model": used.steps_at(0), **strengths}.items():
            found[name]["strength"] = strength
        figures[f"{sigma:g}"] = found
        shown |= {f"{name} · σ = {sigma:g}": v for name, v in versions.items()}
    return Evaluation(figures, shown)


def best_steps(
    energy: Any,
    noisy: np.ndarray,
    clean: np.ndarray,
    settings: Langevin = DENOISING,
    labels: Any = None,
) -> int:
    """The number of denoising steps with the highest mean PSNR on known images.

    All numbers, from 1 to `MOST_STEPS`, are read off one chain of that many, whose
    noise falls to 0 at its end: that of a shorter chain would be a little less. The
    images are one batch.
    """
    states = tasks.chain_states(
        single_chain_of(energy, settings.replace(steps=MOST_STEPS), DENOISING),
        images=noisy,
        seed=0,
        labels=labels,
        every=1,
    )
    quality = {}
    with progress_bar(MOST_STEPS, "step") as done:
        for state in states:
            quality[state.step] = psnr(np.clip(state.images, -1, 1), clean).mean()
            done(min(state.step, 1))
    del quality[0]
    return max(quality, key=lambda step: quality[step])


def evaluate_inpainting(
    energies: Any,
    images: np.ndarray,
    mask: Any,
    *,
    samples: int = 1,
    settings: Langevin | None = None,
    labels: Any = None,
    seed: int = 0,
    batch_size: int = 64,
    progress: bool | None = None,
) -> Evaluation:
    """Fills holes by energies and by classical methods.

    Args:
        energies: a model, the finest energy, a ladder or a `Chain`; see
            `keras_cfebm.tasks.inpaint`.
        images: float array `(n, h, w, c)` in [-1, 1] that the energies were not trained
            on.
        mask: an array, a name or a path, see `keras_cfebm.tasks.hole_masks`; True where
            a pixel is missing.
        samples: int, chains of each image.
        settings: `Langevin`; None for the default of `tasks.restore`.
        labels: of conditional energies, an int or an integer array `(n,)`.
        seed: int, the stream of masks and chains.
        batch_size: int, images per chain.
        progress: bool, show a progress bar; None shows one after two seconds.

    Returns:
        `Evaluation`; its figures are method (`model`, `model_mean`, `mean`,
        `biharmonic`) → `psnr` and `ssim` inside the hole (None below 11 pixels),
        `missing`, the share of pixels that are, and `deviation_correlation`; see
        `evaluate_restoration`.

    Raises:
        ValueError: if images, mask or labels do not fit.
        ImportError: without the extra `eval` (scikit-image).
    """
    images = check_images(images, strict=True)
    holes = tasks.hole_masks(mask, images.shape, seed)
    found = evaluate_restoration(
        energies,
        images,
        tasks.Mask(holes),
        samples=samples,
        settings=settings,
        labels=labels,
        seed=seed,
        batch_size=batch_size,
        progress=progress,
    )
    figures = {**found.figures["methods"], "missing": float(holes.mean())}
    figures["deviation_correlation"] = found.figures["deviation_correlation"]
    shown = found.images
    masked = np.where(holes, np.float32(0), images)
    rows = {"original": shown.pop("original"), "masked": masked}
    rows["model"] = shown.pop("model")
    for number in range(1, min(samples, _COMPLETIONS)):
        other = tasks.restore(
            energies,
            images,
            tasks.Mask(holes),
            samples=1,
            seed=seed + number,
            settings=settings,
            labels=labels,
            batch_size=batch_size,
        )
        rows[f"model, seed {seed + number}"] = np.clip(other.sample, -1, 1)
    return Evaluation(figures, rows | shown)
