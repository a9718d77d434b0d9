"""What happens to samples when the chain runs far longer than in training.

A short-run energy is trained so that chains of K steps end at images; nothing in
training says that they stay there. This benchmark draws samples with a trained ladder
exactly as in training, lets the finest level's chain go on to 3, 10, 30 and 100 times
K, and reports on the way: the mean energy and its change, the share of saturated pixels
(|x| > 0.99), and, for Fashion-MNIST, the classifier FID. If the figures stay, the
energy has its low values at images, and more steps do no harm; if energies fall and
pixels saturate, K is part of the model and must be kept.

After the K steps of training, whose noise decreases, the noise has the constant scale
`--noise_scale`; by default the mean of training's over the finest level.

Run from the repository's root:

    python -m benchmarks.long_chain --model=runs/demo --picture=long_chain.png
"""

import numpy as np
from absl import flags
from keras import ops

from benchmarks import _common
from benchmarks._fashion import classifier_fid
from keras_cfebm import backend, datasets, load_ladder
from keras_cfebm.backend import random
from keras_cfebm.sampling import coarse_to_fine, langevin, uniform_start, upsample
from keras_cfebm.visualization import chain_strip


def define_flags():
    flags.DEFINE_string("model", None, "Run folder or .keras file.", required=True)
    flags.DEFINE_list("factors", ["1", "3", "10", "30", "100"], "Multiples of K.")
    flags.DEFINE_integer("samples", 256, "Chains.", lower_bound=65)
    flags.DEFINE_integer("batch", 64, "Chains at a time.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Stream of images.", lower_bound=0)
    flags.DEFINE_float("noise_scale", None, "σ after the first K steps.")
    flags.DEFINE_string("picture", None, "PNG file for a strip of eight chains.")
    flags.DEFINE_string("json", None, "File for all the numbers.")


class LongChain:
    """The chain of training, and its continuation at the finest level.

    Args:
        model: `CFEBM` whose chains start at noise.
        noise_scale: float, σ of the continuation; None for training's mean.
    """

    def __init__(self, model, noise_scale=None):
        if model.chain_start != "noise":
            raise ValueError("Expected a model whose chains start at noise.")
        self.model = model
        self.settings = model.langevin
        levels = len(model.ladder)
        self.steps = self.settings.steps_at(levels - 1)
        self.total = self.settings.total_steps(levels)
        self.before = self.total - self.steps
        # Here, outside compiled functions, where they are numbers.
        self._last_coarse = self._scale(max(self.before - 1, 0))
        if noise_scale is None:
            noise_scale = (self._scale(self.before) + self._scale(self.total - 1)) / 2
        self.noise_scale = float(noise_scale)
        self._begin = backend.compiled(self._begin)
        self._go_on = backend.compiled(self._go_on)
        self._energies = backend.compiled(self._energies)

    def _scale(self, step):
        return float(self.settings.noise_scale_at(step, self.total))

    def _finest(self, labels):
        return self.model.sampling_network.bind(labels)

    def _begin(self, keys, labels):
        ladder = self.model.sampling_ladder
        x = uniform_start(keys, ladder[0].image_shape, self.settings.clip)
        if len(ladder) > 1:
            coarse = self.settings.replace(final_noise_scale=self._last_coarse)
            energies = [network.bind(labels) for network in ladder[:-1]]
            x = upsample(coarse_to_fine(energies, x, keys, coarse))
        return langevin(
            self._finest(labels),
            x,
            keys,
            self.model.finest_settings,
            steps=self.steps,
            first_step=self.before,
            total_steps=self.total,
        )

    def _go_on(self, x, keys, labels, first_step, steps):
        constant = self.model.finest_settings.replace(
            noise_scale=self.noise_scale, final_noise_scale=self.noise_scale
        )
        return langevin(
            self._finest(labels),
            x,
            keys,
            constant,
            steps=steps,
            first_step=first_step,
            total_steps=2,
        )

    def _energies(self, x, labels):
        return self._finest(labels)(x)

    def states(self, factors, seed, start, count):
        """Images and energies of some chains at each multiple of K.

        Yields:
            Pairs of NumPy arrays: images `(count, r, r, c)`, not clipped; energies.
        """
        keys = random.image_keys(seed, count, start)
        labels = None
        if self.model.num_classes is not None:
            labels = ops.arange(start, start + count) % self.model.num_classes
        x, done = self._begin(keys, labels), 1
        for factor in factors:
            first = self.before + self.steps * done
            x = self._go_on(x, keys, labels, first, self.steps * (factor - done))
            done = factor
            energies = self._energies(x, labels)
            yield ops.convert_to_numpy(x), ops.convert_to_numpy(energies)


def run(options):
    """Runs the chains and prints the table."""
    machine = _common.machine()
    factors = [int(factor) for factor in options.factors]
    if factors != sorted(set(factors)) or factors[0] < 1:
        raise ValueError(f"Expected factors of at least 1 that grow, got {factors}.")
    model = load_ladder(options.model)
    chain = LongChain(model, options.noise_scale)
    batches = []
    for start in range(0, options.samples, options.batch):
        count = min(options.batch, options.samples - start)
        batches.append(list(chain.states(factors, options.seed, start, count)))
    rows, figures, strip = [], [], []
    low, high = model.langevin.clip or (-1.0, 1.0)
    judged = model.image_shape[2] == 1 and model.resolution in (8, 16, 32)
    for factor, parts in zip(factors, zip(*batches, strict=True), strict=True):
        images = np.concatenate([x for x, _ in parts])
        energies = np.concatenate([e for _, e in parts]).astype("float64")
        clipped = np.clip(images, low, high)
        figure = {
            "factor": factor,
            "steps": factor * chain.steps,
            "energy": energies.mean(),
            "energy_std": energies.std(),
            "saturated": float((np.abs(clipped) > 0.99).mean()),
            "outside": float((np.abs(images) > 1).mean()),
            "classifier_fid": None,
        }
        if judged and np.isfinite(images).all():
            figure["classifier_fid"] = classifier_fid(clipped)
        figures.append(figure)
        strip.append(np.nan_to_num(clipped[:8]))
        fid = figure["classifier_fid"]
        rows.append(
            [
                f"{factor}× ({figure['steps']} steps)",
                f"{figure['energy']:.2f}",
                f"{figure['energy'] - figures[0]['energy']:+.2f}",
                f"{100 * figure['saturated']:.1f} %",
                "–" if fid is None else f"{fid:.1f}",
            ]
        )
    if judged:
        rows.append(_data_row(model, options))
    header = ["chain", "mean energy", "drift", "|x| > 0.99", "classifier FID"]
    print(_common.markdown_table(header, rows))
    spread = figures[0]["energy_std"]
    print(
        f"\n{options.samples} samples of {model.image_shape}; energies of samples have "
        f"a standard deviation of {spread:.2f}; σ = {chain.noise_scale:.4f} after the "
        f"first {chain.steps} steps.\n{_common.machine_line(machine)}"
    )
    if options.picture:
        captions = [f"{factor}×" for factor in factors]
        chain_strip(strip, captions, path=options.picture)
    return {"machine": machine, "noise_scale": chain.noise_scale, "chains": figures}


def _data_row(model, options):
    """The same figures of as many held-out images: what to compare with."""
    data = datasets.load(datasets.EMBEDDED, split="test", resolution=32, fit="pad")
    data = data.subset(limit=options.samples, seed=options.seed)
    images = data.images(resolution=model.resolution)
    saturated = 100 * (np.abs(images) > 0.99).mean()
    fid = classifier_fid(images)
    energy = "–"
    if model.num_classes is None:
        energy = f"{model.predict(images, verbose=0).mean():.2f}"
    return ["held-out images", energy, "", f"{saturated:.1f} %", f"{fid:.1f}"]


if __name__ == "__main__":
    _common.main(run, define_flags)
