# %% [markdown]
# # Your own images: from a folder to a judged model
#
# So far the models were trained for you. This notebook goes the whole way with files on
# disk: look at the folder, write a configuration, train, get interrupted, go on, and
# judge the result. The files are garments, so that the notebook needs no download and
# finishes in minutes. **Replace two lines, and they are yours.**
#
# **Learning goals.** After this notebook you can
#
# - arrange a folder of images, and find out what is wrong with it before training,
# - start from a preset, change what has to be changed, and estimate what it costs,
# - stop a training at any moment and resume it without a trace in the result,
# - read the curves of a run, and judge samples by numbers that have a scale.
#
# You need notebook 01. Energies are **low = likely**, $p(x) = \exp(-E(x)) / Z$.

# %% tags=["parameters"]
classes = "Trouser,Sneaker"  # @param {type:"string"}
files_per_class = 500  # @param {type:"integer"}
coarse_images = 25_600  # @param {type:"integer"}
middle_images = 14_400  # @param {type:"integer"}
fine_images = 4_096  # @param {type:"integer"}
langevin_steps = 15  # @param {type:"integer"}
report_steps = 20  # @param {type:"integer"}
interrupt_after_epochs = 3  # @param {type:"integer"}
count = 400  # @param {type:"integer"}
seed = 0  # @param {type:"integer"}

# %%
import csv
import dataclasses
import os
import pathlib
import shutil
import signal
import tempfile
import threading
import time
import warnings

import numpy as np
from IPython.display import display
from PIL import Image

import keras_cfebm as cf
from keras_cfebm import configs
from keras_cfebm.callbacks import (
    Checkpoints,
    DivergenceGuard,
    EnergyLog,
    Interrupted,
)
from keras_cfebm.runs.run_folder import RunFolder

cf.visualization.use_style()
temporary = tempfile.TemporaryDirectory(prefix="cfebm_")  # gone with the kernel
work = pathlib.Path(temporary.name)
own_photos = None  # the path of your own folder goes here
reading = {"fit": "pad", "channels": 1}  # photographs: {"fit": "crop", "channels": 3}
photos = pathlib.Path(own_photos) if own_photos else work / "photos"
# What is trained on your images stays, in the folder where this notebook runs.
run_path = pathlib.Path("cfebm_run").resolve() if own_photos else work / "run"

# %% [markdown]
# ## 1. The folder
#
# Files may be JPEG, PNG, WebP, BMP or GIF, and may lie at any depth. With sub-folders,
# those of the first level are the classes. A `train` and a `test` folder above them
# keep images for judging apart:
#
# ```
# photos/train/sneaker/0001.png
# photos/test/sneaker/0001.png
# ```
#
# Real folders are never clean. So this one gets a file that is cut off in the middle.
#
# Of a folder of your own without `train` and `test`, every fifth file is kept for
# judging: the next cell copies the files into such folders. (Nothing is written into a
# folder of your own.)

# %%
for split in () if own_photos else ("train", "test"):
    data = cf.datasets.load("fashion_mnist_embedded", split)
    for name in classes.split(","):
        chosen = data.subset(classes=[name], limit=files_per_class, seed=seed)
        folder = photos / split / name.lower().replace("/", "_")
        folder.mkdir(parents=True)
        for number, pixels in enumerate(cf.datasets.to_uint8(chosen.images())):
            Image.fromarray(pixels[..., 0]).save(folder / f"{number:04d}.png")

if not own_photos:
    whole = next((photos / "train").rglob("*.png"))
    (whole.parent / "broken.png").write_bytes(whole.read_bytes()[:150])
elif cf.datasets.default_split(photos) is None:
    own, photos = photos, work / "photos"
    for number, file in enumerate(sorted(f for f in own.rglob("*") if f.is_file())):
        target = photos / ("train" if number % 5 else "test") / file.relative_to(own)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
split = cf.datasets.default_split(photos)
held_out = cf.datasets.test_split(str(photos), split)
for folder in sorted({file.parent for file in photos.rglob("*.*")}):
    print(f"{folder.relative_to(photos.parent)}: {len(list(folder.iterdir()))} files")

# %% [markdown]
# ## 2. Look before you train
#
# `load` decodes every file once, and names what it cannot read. `fit` says how images
# come to the size of the network: `"pad"` puts a border around smaller ones, `"crop"`
# takes the centred square and resizes it (the usual choice for photographs), `"resize"`
# distorts, and `"exact"` accepts nothing but the right size. Our files have 28 pixels
# and the network will have 32.
#
# The coarser levels of training see the same images, mean-pooled: $x^{(s-1)} =
# \mathrm{pool}_{2 \times 2}(x^{(s)})$.

# %%
shape = {"resolution": 32, **reading}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    train_data = cf.datasets.load(photos, split=split, **shape)
    test_data = cf.datasets.load(photos, split=held_out, **shape)
for warning in caught:
    print(str(warning.message).replace(str(work), ""))
print(train_data)
if train_data.class_names:
    for name, files in zip(
        train_data.class_names, np.bincount(train_data.labels()), strict=True
    ):
        print(f"{name}: {files}")

pyramid = {
    f"{side} pixels": train_data.subset(limit=10, seed=seed).images(resolution=side)
    for side in (32, 16, 8)
}
cf.visualization.comparison_grid(pyramid)

# %% [markdown]
# One file was skipped, and the warning names it. Look at the row of 8 pixels: if *you*
# cannot tell what it shows, the coarsest energy learns little more than brightness.
#
# ## 3. The configuration
#
# A preset is a complete configuration. Take the one that is nearest, and change what
# your data need. Everything that decides the run is in it, so it fits in one JSON file.
# Stages are counted in images, $\text{steps} = \lceil \text{fade} / B \rceil + \lceil
# \text{stabilise} / B \rceil$ with batch size $B$. While a stage fades in, β goes from
# 0 to 1.

# %%
preset = configs.config("fashion_mnist_quick")
run = RunFolder(run_path)
config = preset.replace(
    data=cf.DataConfig(
        str(photos),
        split=split,
        resolution=32,
        fit=reading["fit"],
        options={"channels": reading["channels"]},
    ),
    # Narrower than the preset at the fine levels: less to learn, and less to wait for.
    network=dataclasses.replace(preset.network, widths={4: 64, 8: 64, 16: 32, 32: 16}),
    langevin=preset.langevin.replace(steps=langevin_steps),
    stages=(
        cf.Stage(8, fade_images=0, stabilise_images=coarse_images, batch_size=128),
        cf.Stage(16, middle_images // 4, middle_images - middle_images // 4),
        # Few steps to fade in: a lower learning rate keeps them calm.
        cf.Stage(
            32,
            fine_images // 2,
            fine_images - fine_images // 2,
            learning_rate=2.5e-4,
        ),
    ),
    report_steps=report_steps,
    seed=seed,
)
for stage in config.stages:
    evaluations = stage.steps * stage.batch_size * config.langevin.steps_at(0)
    print(
        f"{stage.resolution:2} pixels: {stage.steps:4} steps, {stage.fade_steps:3} of "
        f"them fading; at this level {evaluations:,} gradient evaluations of images"
    )

# %% [markdown]
# Each step at 32 pixels runs a chain through all three levels, so it is by far the most
# expensive one. That is why the coarse stage gets most of the images.
#
# ## 4. Train, and get interrupted
#
# Machines are shut down, notebooks are closed, somebody presses Ctrl-C. To see what
# happens then, the next cell starts a thread that presses Ctrl-C as soon as a few
# epochs are done. The same happens when you press the *stop* button of the notebook
# yourself. In a terminal, this command does the same but for the widths (those, and all
# else, can come from a file: `--config=config.json`):
#
# ```
# cfebm train --preset=fashion_mnist_quick --run_dir=run --report_steps=20 \
#   --data=photos --split=train --fit=pad --channels=1 \
#   --stabilise_images=8:25600,16:10800,32:2048 --fade_images=16:3600,32:2048 \
#   --learning_rate=32:2.5e-4
# ```


# %%
def press_stop(epochs, run_folder):
    """Presses Ctrl-C once a run has finished some epochs, from another thread."""

    def wait():
        metrics = run_folder.metrics
        # The first line of the file is its header.
        while not metrics.exists() or len(metrics.read_text().split()) <= epochs:
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


press_stop(interrupt_after_epochs, run)
try:
    cf.train(config, run.path, verbose=0)
except Interrupted as stop:
    print(stop)
print("checkpoints:", [path.name for path in Checkpoints(run.checkpoints).paths()])

# %% [markdown]
# The step that was running was finished and saved, with the optimizer, the average of
# the weights, β, and the state of the noise. To go on, **start the same thing again**.
# It finds the last intact checkpoint by itself.

# %%
model = cf.train(config, run.path, verbose=0)
print(f"trained to {model.resolution} pixels: {run.ladder.name} in the run folder")
if own_photos:
    print(f'Later: cf.CFEBM.from_preset(r"{run.path}")')

with open(run.metrics, newline="") as file:
    rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
for resolution in (8, 16, 32):
    of_stage = [row for row in rows if row["resolution"] == resolution]
    seconds = sum(row["cpu_seconds"] for row in of_stage)
    steps = of_stage[-1]["stage_step"]
    print(f"{resolution:2} pixels: {seconds / steps:.2f} core seconds per step", end="")
    print(f", {seconds:.0f} together")

# %% [markdown]
# Did the interruption leave a trace? All random numbers are functions of the seed, the
# step and the place in the batch, and so is the order of the images. So the answer can
# be checked to the last bit. The interrupted stage was the one of 8 pixels. Train it
# once more from the beginning, without a run folder and without a stop, and compare all
# weights $\theta$ of this energy:
#
# $$ \theta^{\text{interrupted}}_i = \theta^{\text{uninterrupted}}_i \quad
#    \text{for all } i, \text{ not just } \approx . $$

# %%
# Batches are never larger than the image set; the folder has the sizes that were used.
used = run.read_config()
uninterrupted = cf.fit_progressively(
    cf.CFEBM.from_run_config(used, channels=reading["channels"]),
    lambda stage, start: train_data.batches(
        stage.resolution, stage.batch_size, seed=used.seed, start=start
    ),
    used.stages[:1],
    report_steps=used.report_steps,
    verbose=0,
)
same = [
    np.array_equal(first, second)
    for first, second in zip(
        uninterrupted.ladder[0].get_weights(),
        model.ladder[0].get_weights(),
        strict=True,
    )
]
print(f"{sum(same)} of {len(same)} arrays of weights are bitwise equal")

# %% [markdown]
# ## 5. Read the run
#
# The folder of the run holds the curves. The loss is the **gap** with its sign turned,
#
# $$ \mathcal{L} = \operatorname{mean} E(x^+) - \operatorname{mean} E(x^-), $$
#
# with data $x^+$ and samples $x^-$. It is not a measure of quality: it is near 0 when
# samples and data have the same energy, however good or bad both are. Look for calm: a
# gap that stays small, and a gradient norm that does not climb. A gap that explodes is
# what the divergence guard watches for. The samples themselves say more: `load_ladder`
# reads the model of a run folder.

# %%
print("files of the run:", ", ".join(sorted(path.name for path in run.path.iterdir())))
curves = cf.visualization.energy_curves(rows)
curves.set_size_inches(7, 5)
display(curves)

model = cf.load_ladder(run.path)
samples = model.generate(count, seed=seed)
display(cf.visualization.image_grid(samples[:32], columns=8))

# %% [markdown]
# Look for fragments, and for mixtures of the classes: the training was short. How good
# are the samples, as a number?
#
# ## 6. Judge by numbers that have a scale
#
# The Fréchet distance compares means $\mu$ and covariances $C$ of features of two
# sets of images,
#
# $$ d^2 = \lVert \mu_1 - \mu_2 \rVert^2 + \mathrm{tr}\big(C_1 + C_2
#    - 2\,(C_1 C_2)^{1/2}\big). $$
#
# For garments the library has a small classifier whose features serve. For all other
# images the next cell takes averages over random filters, `random_encoder`: they tell
# colours and textures apart, not what is shown. `cf.evaluation.inception_encoder(path)`
# takes the weights of the literature. A bare number says nothing. The scale comes from
# **controls**: held-out real images, pixelated ones, noisy ones.
#
# And a model that had copied its training images would have an excellent distance. So
# compare each sample with the nearest training image. The ratio tells how far samples
# are from them, in units of how far other real images are: far below 1 it says that the
# model copies.

# %%
if own_photos:
    encoder = cf.evaluation.random_encoder(reading["channels"])
else:
    encoder = cf.evaluation.fashion_classifier().encoder
reference = cf.evaluation.FeatureStatistics.from_images(
    [train_data.images()], encoder, "training images"
)
judged = cf.evaluation.evaluate_samples([samples], reference, encoder, seed=seed)
controls = cf.evaluation.controls(test_data.images(), encoder, reference, seed=seed)
print(f"{judged['metric']}, lower is better")
print(f"{'samples':18}{judged['frechet_distance']:8.2f}")
for name, distance in controls.items():
    print(f"{name:18}{distance:8.2f}")

neighbours = cf.evaluation.evaluate_neighbours(
    samples, train_data.images(), test_data.images(), k=2
)
figures = neighbours.figures["pixels"]
print(
    f"\ndistance to the nearest training image: samples {figures['samples']:.2f}, ",
    end="",
)
print(f"test images {figures['test']:.2f}, ratio {figures['ratio']:.2f}")
display(
    cf.visualization.comparison_grid(
        {label: images[:10] for label, images in neighbours.images.items()}
    )
)

found = cf.evaluation.diagnose(
    model, test_data, train_data, encoder, count=32, factors=(1, 3)
)
print(f"\nthe worst verdict is: {found.figures['verdict']}")
for name, check in found.figures["checks"].items():
    if check["verdict"] != "sound":
        print(f"{name} ({check['verdict']}): {check['meaning']}")

# %% [markdown]
# ## Exercises
#
# 1. *(easy)* Make an image of 60 × 40 pixels and bring it to 32 × 32 with each `fit`
#    (`cf.datasets.resize_images`). Which ones work, and what does each lose?
# 2. *(easy)* The paper takes 500,000 images and more per phase. From the core seconds
#    per step above, how long would this machine need for 500,000 images in each fade-in
#    and in each stabilising phase? Which stage dominates?
# 3. *(medium)* A disk went bad: overwrite some bytes of the newest checkpoint's
#    `model.keras`. What does `Checkpoints(folder, companions=...).restore()` do? The
#    companions are what `train` saves with a model, an `EnergyLog` and a
#    `DivergenceGuard`. And what would happen if nobody checked?
# 4. *(hard)* What did each level bring? `cf.tasks.chain_states` records chains on their
#    way. Take the images at the end of each level, enlarge them to 32 pixels by
#    repeating pixels, and compare their Fréchet distances. Which control sets the limit
#    for each level?

# %%
# @title Solutions 1 and 2 {display-mode: "form"}
ramp = np.linspace(-1, 1, 60, dtype="float32")[:, None] * np.ones((1, 40), "float32")
wide = (ramp * np.where(np.arange(40) // 8 % 2, 1, -1))[None, ..., None]
fitted = {}
for fit in ("exact", "pad", "resize", "crop"):
    try:
        fitted[fit] = cf.datasets.resize_images(wide, 32, fit)
    except ValueError as error:
        print(f"{fit}: {error}")
# `resize` changes the shape of things; `crop` loses the upper and lower end; `pad` only
# ever adds, so larger images are refused.
display(cf.visualization.comparison_grid(fitted))

total = 0.0
for stage, before in zip(config.stages, (None, *config.stages), strict=False):
    of_stage = [row for row in rows if row["resolution"] == stage.resolution]
    per_step = sum(row["cpu_seconds"] for row in of_stage) / of_stage[-1]["stage_step"]
    phases = 1 if before is None else 2  # nothing fades in at the first stage
    hours = phases * 500_000 / stage.batch_size * per_step / 3600
    total += hours
    print(f"{stage.resolution:2} pixels: {hours:6.1f} core hours")
print(f"together {total:.0f} core hours on a processor like this one")
# The finest stage dominates: its batches are no larger than those before, and a chain
# goes through all levels, of which the last has four times the pixels of the one below.

# %%
# @title Solutions 3 and 4 {display-mode: "form"}
checkpoints = Checkpoints(run.checkpoints)
newest = checkpoints.paths()[-1] / "model.keras"
content = bytearray(newest.read_bytes())
for place in range(len(content) // 2, len(content) // 2 + 16):
    content[place] ^= 0xFF
newest.write_bytes(content)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    # The companions are what `train` saves with a model: its log and its guard.
    guard = DivergenceGuard()
    companions = (EnergyLog(guard=guard), guard)
    restored = Checkpoints(checkpoints.folder, companions=companions).restore()
print("passed over:", any("is damaged" in str(w.message) for w in caught))
print(f"went back to step {restored.model.step} of stage {restored.stage + 1}")
# The checksum tells. Without it, training might go on with wrong weights, or end in an
# error of the file format that says nothing about the disk.

# The state at the end of each level is a sample of the energies so far.
last = {
    state.resolution: state.images
    for state in cf.tasks.chain_states(
        model.sampling_ladder,
        count,
        seed,
        model.langevin,
        every=model.langevin.steps_at(0),
    )
}
for side, drawn in last.items():
    enlarged = np.clip(drawn, -1, 1).repeat(32 // side, axis=1)
    enlarged = enlarged.repeat(32 // side, axis=2)
    found = cf.evaluation.evaluate_samples([enlarged], reference, encoder, seed=seed)
    print(f"{side:2} pixels: distance {found['frechet_distance']:.2f}")
# Samples of 8 pixels cannot beat test images pixelated to 8, and those of 16 pixels not
# those pixelated to 16. How close each level comes to its control says which one needs
# more training: here the coarsest is nearly there, and the finest, whose control is the
# row of test images, has gained the least.

# %% [markdown]
# ## What to remember
#
# - Look at your images at every resolution before you train, and read the warnings.
# - Start from a preset and change what the data need; the configuration is one file.
# - Train in a run folder. Stop it whenever you like; the same call goes on, and the
#   result is bitwise the one without a stop.
# - Curves tell whether a training is healthy, not whether it is good.
# - A distance needs controls beside it, and a check that the model has not copied.
#   `cfebm diagnose` asks whether the energy is sound beyond the chains of training.
