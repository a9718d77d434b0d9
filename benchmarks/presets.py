"""Every preset, grown to its top and trained there for two steps on random images.

The table tells parameters, FLOPs of a Langevin step per image (of the convolutions, as
they are computed), peak memory, and the time of a training step. Each preset has a
process of its own, so that its peak is not that of another. Batches are smaller than
the preset's where that would take long on a CPU; the chains have the preset's steps.

Run from the repository's root:

    python -m benchmarks.presets
"""

import dataclasses
import json
import resource
import subprocess
import sys
import time

import numpy as np
from absl import app, flags

from benchmarks import _common
from keras_cfebm import CFEBM, configs
from keras_cfebm.configs import costs
from keras_cfebm.growing import adam, grown_to

#: Pixels of a batch, where the preset's own is larger: two images of 512 × 512.
_PIXELS = 2 * 512**2
_HEADER = [
    "preset",
    "pixels",
    "parameters",
    "whole ladder",
    "GFLOPs per step and image",
    "Langevin steps",
    "images",
    "peak memory",
    "of which the step",
    "s per training step",
]


def define_flags():
    flags.DEFINE_list("presets", list(configs.PRESETS), "Names of presets.")
    flags.DEFINE_integer("accumulation", 1, "Parts of a batch.", lower_bound=1)
    flags.DEFINE_string("dtype", None, "float32 or mixed_bfloat16.")
    flags.DEFINE_integer("images", None, "Images per batch; default as above.")
    flags.DEFINE_string("json", None, "File for all the numbers.")
    flags.DEFINE_string("measure", None, "Measure one preset in this process.")


def grown_to_the_top(preset):
    """The untrained model of a preset's last stage, compiled.

    Args:
        preset: `keras_cfebm.configs.Preset`.

    Returns:
        `CFEBM`.
    """
    config = preset.config
    model = CFEBM.from_run_config(config, preset.channels, preset.num_classes)
    for index, stage in enumerate(config.stages):
        if index:
            if model.network.fading:  # as if the stage had been trained to its end
                model.network.beta = model.ema_network.beta = 1.0
            model = grown_to(model.finished(), stage)
    model.compile(adam(config.stages[-1]))
    return model


def peak_memory():
    """The largest resident size of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def measure(name, images=None, accumulation=1, dtype=None):
    """Trains one preset's finest network for two steps.

    Args:
        name: str, the preset.
        images: int, images per batch; default the preset's or what `_PIXELS` allow.
        accumulation: int, see `CFEBM`.
        dtype: str, or None for the preset's.

    Returns:
        Dict of JSON values.
    """
    preset = configs.find(name)
    config = preset.config
    if dtype is not None:
        network = dataclasses.replace(config.network, dtype=dtype)
        config = config.replace(network=network)
    size, stage = config.data.resolution, config.stages[-1]
    images = images or min(stage.batch_size, max(1, _PIXELS // size**2))
    # Chains start at a pool as large as a batch: a larger one costs no step more.
    config = config.replace(coarse_pool=min(config.coarse_pool, images))
    model = grown_to_the_top(dataclasses.replace(preset, config=config))
    model.accumulation = accumulation
    rng = np.random.default_rng(0)
    shape = (images, *model.image_shape)
    data = rng.uniform(-1, 1, shape).astype("float32")
    paired = None
    if config.source:
        paired = rng.uniform(-1, 1, shape).astype("float32")
    elif model.num_classes is not None:
        paired = rng.integers(0, model.num_classes, images).astype("int32")
    before = peak_memory()
    for _ in range(2):  # the first one compiles
        began = time.perf_counter()
        logs = model.train_on_batch(data, paired, return_dict=True)
        seconds = time.perf_counter() - began
    assert all(np.isfinite(value) for value in logs.values()), logs
    assert model.step == 2
    levels = 1 if config.source else len(model.ladder)
    first = len(model.ladder) - levels
    sizes = (size, preset.channels, config.network)
    return {
        "preset": name,
        "resolution": size,
        "parameters": costs.network_parameters(*sizes),
        "ladder_parameters": costs.ladder_parameters(*sizes),
        "langevin_flops": costs.langevin_step_flops(*sizes),
        "langevin_steps": sum(
            model.langevin.steps_at(level) for level in range(first, len(model.ladder))
        ),
        "images": images,
        "peak_bytes": peak_memory(),
        "step_bytes": peak_memory() - before,
        "seconds": seconds,
    }


def run(options):
    """Measures the presets one after another and prints the table."""
    machine = _common.machine()
    results = []
    for name in options.presets:
        command = [sys.executable, "-m", "benchmarks.presets", f"--measure={name}"]
        command += [f"--accumulation={options.accumulation}"]
        command += [f"--dtype={options.dtype}"] if options.dtype else []
        command += [f"--images={options.images}"] if options.images else []
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
        print(f"{name}: {results[-1]['seconds']:.1f} s per step", file=sys.stderr)
    print(_common.markdown_table(_HEADER, [_row(result) for result in results]))
    print(f"\n{_common.machine_line(machine)}")
    return {"machine": machine, "presets": results}


def _row(result):
    return [
        result["preset"],
        str(result["resolution"]),
        f"{result['parameters']:,}",
        f"{result['ladder_parameters']:,}",
        f"{result['langevin_flops'] / 1e9:.3f}",
        str(result["langevin_steps"]),
        str(result["images"]),
        f"{result['peak_bytes'] / 2**30:.2f} GiB",
        f"{result['step_bytes'] / 2**30:.2f} GiB",
        f"{result['seconds']:.1f}",
    ]


def main(argv):
    options = flags.FLAGS
    if options.measure is None:
        _common.run_and_save(run, argv)
        return
    result = measure(
        options.measure, options.images, options.accumulation, options.dtype
    )
    print(json.dumps(result))


if __name__ == "__main__":
    define_flags()
    app.run(main)
