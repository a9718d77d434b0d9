"""Makes an entry of `saved_models/` from a finished run: both forms, and its card.

    cfebm train --preset=fashion_mnist --run_dir=runs/fashion_mnist
    python -m keras_cfebm.assets.make_saved_model --run_dir=runs/fashion_mnist

writes `saved_models/fashion_mnist/` anew, with `model.keras`, `serving/1/`,
`samples.png` and `README.md`, whose figures are measured now, of weights that are
rounded to half precision; see `keras_cfebm.assets.yardsticks` for what judges it. The
figures of the single tasks are from `keras_cfebm.assets.model_figures`. After a change
of the signatures

    python -m keras_cfebm.assets.make_saved_model --only_serving --name=fashion_mnist

exports the model that is there once more, with a detector if it has none.
"""

import datetime
import os
import pathlib
import platform
import shutil

import keras
import numpy as np
from absl import app, flags

from keras_cfebm import configs, evaluation, tasks, visualization
from keras_cfebm.assets import half_precision, model_figures
from keras_cfebm.assets.yardsticks import Yardstick
from keras_cfebm.runs.run_folder import RunFolder, load_ladder, read_metrics
from keras_cfebm.runs.train import held_out_split, load_data
from keras_cfebm.serving.compact_graph import compact
from keras_cfebm.serving.export import export_saved_model
from keras_cfebm.tasks.ladder_detector import MOST

_FOLDER = pathlib.Path("saved_models")
_SHOWN = 64
#: Images that a distance needs at least, as features have 64 dimensions.
_LEAST = 65


def samples_of(model, config, count):
    """What the model makes: samples of all classes, or translations of test images."""
    if model.chain_start == "source":
        source = load_data(config.source, held_out_split(config.source))
        images = source.images(min(count, len(source)))
        if config.source_noise:
            images = tasks.add_noise(images, _judged_noise(config))
        # A chain may be one that does not clip.
        return np.clip(model.translate(np.clip(images, -1, 1), seed=0), -1, 1)
    labels = None
    if model.num_classes is not None:
        labels = np.arange(count) % model.num_classes
    return model.generate(count, seed=0, labels=labels, batch_size=100)


def _judged_noise(config):
    return config.source_noise / 2


def real_images(config, count):
    """Images that samples are compared with, and in a word which ones they are.

    They are held out, unless the test images show other things than the training
    images do, as other emoji are; then no sample can be near to them.
    """
    if not Yardstick(config.data).of_garments:
        return load_data(config.data).subset(limit=count, seed=0).images(), "training"
    data = load_data(config.data, held_out_split(config.data))
    return data.subset(limit=count, seed=0).images(), "held-out"


def distances_of(images, real, config):
    """Fréchet distance to all training images of the run: of images, and of a control.

    The control are real images, pixelated to 16×16. None of fewer images than a
    distance needs.
    """
    if len(images) < _LEAST:
        return None
    encoder = Yardstick(config.data).encoder
    reference = evaluation.FeatureStatistics.from_images(
        [load_data(config.data).images()], encoder, "training images"
    )
    found = evaluation.FeatureStatistics.from_images([images], encoder, "samples")
    control = evaluation.controls(real, encoder, reference)["pixelated_to_16"]
    return evaluation.frechet_distance(found, reference), control


def card(name, run, model, config, distances, details, count, kind):
    """The text of the model card; distances and details of the model and of images.

    `kind` says which real images were compared, see `real_images`.
    """
    detail, real_detail = details
    rows = read_metrics(run)
    minutes, cpu_minutes = (
        sum(row[column] for row in rows) / 60 for column in ("seconds", "cpu_seconds")
    )
    stages = "; ".join(
        f"{stage.resolution}: {stage.fade_images + stage.stabilise_images:,} images at "
        f"learning rate {stage.learning_rate:g}"
        + f", which falls in the last {stage.decay_images:,}" * (stage.decay_images > 0)
        + f", {stage.data_chains or 0:.0%} of the chains from images"
        * bool(stage.data_chains)
        + f" with noise of σ ≤ {stage.data_chain_noise or 0:g}"
        * bool(stage.data_chains and stage.data_chain_noise)
        + (f", from here on {_steps(stage.langevin)}" if stage.langevin else "")
        for stage in config.stages
    )
    if any(stage.langevin for stage in config.stages):
        stages = f"at first {_steps(config.langevin)}; {stages}"
    preset = configs.PRESETS[name]
    what, start, measured = _words(config, preset)
    noise, noise_flag = _noise_words(config)
    classes = "" if model.num_classes is None else f", {model.num_classes} classes"
    train_flags = " ".join([f"--preset={name}", *flags.FLAGS.train_flag])
    parameters = sum(model.parameters().values())
    colour = "grey" if preset.channels == 1 else "colour"
    judged = ""
    if distances is not None:
        metric = Yardstick(config.data).encoder.frechet_name
        judged = (
            f"\n| {metric} of {count:,} {measured} to the images of training "
            f"| **{distances[0]:.1f}** |\n"
            f"| the same of {kind} images, pixelated to 16×16 | {distances[1]:.1f} |"
        )
    return f"""# {name}

{what}, {model.resolution}×{model.resolution} pixels, {colour}{classes}.

![Samples, not selected](samples.png)

| | |
|---|---|
| made by | `cfebm train {train_flags} --run_dir=runs/{name}` |
| data | {config.data.name}, {_classes(config.data)}; {preset.origin} |
| chain | {_chain(model.langevin)}, from {start}{noise} |
| stages | {stages} |
| seed | {config.seed} |
| training | {minutes:.0f} minutes, {cpu_minutes:.0f} of processor time, \
{rows[-1]["rollbacks"]:.0f} rollbacks of the divergence guard |
| machine | {flags.FLAGS.machine} |{judged}
| finest detail, and that of {kind} images | {detail:.3f}, {real_detail:.3f} |
| parameters | {parameters:,} in all levels, rounded to half precision |
| licence | Apache 2.0; data: {_licence(preset)} |

```python
model = keras_cfebm.CFEBM.from_preset("{name}")
```

`serving/1` is the same model for TensorFlow Serving, see "Serve it" in the README of
the repository.
`python -m keras_cfebm.assets.make_saved_model --run_dir=runs/{name}{noise_flag}`
made this folder. {datetime.date.today().isoformat()}.
"""


def _licence(preset):
    if preset.channels == 1:
        return "Fashion-MNIST, MIT, Copyright 2017 Zalando SE"
    return "Noto Color Emoji, SIL Open Font License 1.1, Copyright 2013 Google Inc."


def _words(config, preset):
    """What the model does, where its chains start, and what is judged."""
    shown = "garments" if preset.channels == 1 else "people of an emoji font"
    if config.source is None:
        return f"Generates {shown}", "noise", "samples"
    if config.source_noise:
        start = f"images with noise of σ ≤ {config.source_noise:g}"
        judged = f"test images, denoised from σ = {_judged_noise(config):g},"
        return "Removes white noise from garments", start, judged
    source = config.source
    kind = source.name if source.classes is None else _classes(source)
    return f"Translates {shown}", f"images of {kind}", "translations of test images"


def _chain(settings):
    sizes = ", ".join(f"{size:g}" for size in np.ravel(settings.step_size))
    return f"{_steps(settings)}, of η = {sizes}"


def _steps(settings):
    return " + ".join(map(str, np.ravel(settings.steps))) + " steps per level"


def _noise_words(config):
    """What is said of σ where it is not that of training, and the flag that set it."""
    own = flags.FLAGS.noise_scale
    if own is None:
        return "", ""
    trained = config.final_langevin.noise_scale
    return f"; σ from {own:g} ({trained:g} in training)", f" --noise_scale={own:g}"


def _classes(data):
    return "all classes" if data.classes is None else ", ".join(map(str, data.classes))


def write(name, model, config):
    """Rounds weights and writes both forms anew, with a detector if it has none.

    Where test images are too few to judge one, there is none.
    """
    for network in (*model.ladder, *model.sampling_ladder):
        half_precision.round_weights(network)
    yardstick = Yardstick(config.data)
    if model.detector is None and yardstick.judges_detection:
        known, held_out = (
            yardstick.images(split, limit)
            for split, limit in (("train", 2 * MOST), ("test", MOST))
        )
        detector = tasks.LadderDetector(model.sampling_ladder, model.langevin)
        model.detector = detector.fit(known, held_out=held_out)
    if model.detector is not None:
        half_precision.round_weights(model.detector.normality)
    shutil.rmtree(_FOLDER / name / "serving", ignore_errors=True)
    fit = "pad" if config.data.fit == "pad" else "exact"
    served = export_saved_model(model, _FOLDER / name / "serving", fit=fit)
    compact(served)
    half_precision.save(model, _FOLDER / name / "model.keras")


def main(argv):
    """Writes the entry, or a part of it."""
    if len(argv) > 1:
        raise app.UsageError(f"Expected flags only, received {argv[1:]}.")
    if flags.FLAGS.only_serving:
        name = flags.FLAGS.name
        write(name, load_ladder(_FOLDER / name / "model.keras"), configs.config(name))
        return
    run = RunFolder(flags.FLAGS.run_dir)
    name = flags.FLAGS.name or run.path.resolve().name
    config, model = run.read_config(), run.load()
    for network in (*model.ladder, *model.sampling_ladder):
        half_precision.round_weights(network)
    if flags.FLAGS.noise_scale is not None:
        model.langevin = model.langevin.replace(noise_scale=flags.FLAGS.noise_scale)
    images = samples_of(model, config, flags.FLAGS.samples)
    real, kind = real_images(config, len(images))
    distances = distances_of(images, real, config)
    details = [evaluation.finest_detail(some) for some in (images, real)]
    text = card(name, run, model, config, distances, details, len(images), kind)
    write(name, model, config)
    folder = _FOLDER / name
    grid = visualization.image_grid(images[:_SHOWN])
    # A third of the bytes in colour; grey has no more than 256 levels.
    grid.quantize(256).save(folder / "samples.png", optimize=True)
    (folder / "README.md").write_text(text, encoding="utf-8")
    if distances is not None:
        print(f"{folder}: Fréchet distance %.2f, control %.2f" % distances)
    shipped = load_ladder(folder / "model.keras")
    model_figures.write(folder, model_figures.measured(name, shipped))
    if blind := evaluation.blind_to_detail(images, real):
        print(blind)


if __name__ == "__main__":
    keras.utils.disable_interactive_logging()
    flags.DEFINE_string("run_dir", None, "Finished run.")
    flags.DEFINE_string("name", None, "Preset; by default the run folder's name.")
    flags.DEFINE_boolean(
        "only_serving", False, "Export the saved model of --name again."
    )
    flags.DEFINE_multi_string("train_flag", [], "Further flags of the training.")
    flags.DEFINE_string(
        "machine",
        f"{os.cpu_count()} cores, {platform.machine()}, no GPU, shared",
        "What the run was trained on, if it was not this machine.",
    )
    flags.DEFINE_float("noise_scale", None, "σ of the saved model's chains.")
    flags.DEFINE_integer("samples", 2000, "For the distance.", lower_bound=_LEAST)
    flags.register_multi_flags_validator(
        ["run_dir", "name", "only_serving"],
        lambda v: v["name"] if v["only_serving"] else v["run_dir"],
        "Expected --run_dir, or --only_serving and --name.",
    )
    app.run(main)
