"""Flags that make a RunConfig: a preset or a file, and overrides of single values."""

import dataclasses
import pathlib

from absl import flags

from keras_cfebm import configs
from keras_cfebm.configs.run_config import DataConfig, NetworkConfig, RunConfig
from keras_cfebm.configs.stages import default_stages
from keras_cfebm.sampling import Langevin

_NETWORK = (
    "base_resolution",
    "base_width",
    "activation",
    "spectral_norm",
    "conditional",
    "dtype",
)
_LANGEVIN = ("step_size", "noise_scale", "final_noise_scale")
_TRAINING = (
    "source_noise",
    "data_noise",
    "energy_l2",
    "ema_decay",
    "seed",
    "report_steps",
)
_STAGE = (
    "fade_images",
    "stabilise_images",
    "batch_size",
    "learning_rate",
    "accumulation",
)


def define_config_flags(values):
    """Adds the flags; every default is None, which changes nothing."""

    def string(name, text):
        flags.DEFINE_string(name, None, text, flag_values=values)

    def integer(name, text):
        flags.DEFINE_integer(name, None, text, flag_values=values)

    def number(name, text):
        flags.DEFINE_float(name, None, text, flag_values=values)

    def boolean(name, text):
        flags.DEFINE_boolean(name, None, text, flag_values=values)

    string("preset", f"Configuration to start from: {', '.join(configs.PRESETS)}.")
    string("config", "JSON file to start from, such as a run's config.json.")
    # Data.
    string("data", "Embedded set, folder, .npy/.npz file or TFDS name.")
    string("split", "Split of the data.")
    integer("resolution", "Side of the finest images.")
    string("fit", "How images are brought to it: exact, pad, resize or crop.")
    boolean("flip", "Mirror half of the images left to right.")
    flags.DEFINE_list("classes", None, "Classes to keep.", flag_values=values)
    integer("channels", "1 for grey, 3 for colour; for folders and TFDS.")
    integer("crop_size", "Side of the square of --fit=crop before it is resized.")
    string("data_dir", "Where TFDS keeps its data.")
    # Translation: any of the first three, or a preset's source, starts chains there.
    string("source", "Set to translate from; by default that of --data.")
    string("source_split", "Split of the source.")
    flags.DEFINE_list("source_classes", None, "Its classes.", flag_values=values)
    number("source_noise", "Largest σ of white noise on source images.")
    # Network.
    integer("base_resolution", "Side of the coarsest level.")
    integer("base_width", "Sets the channels of every level.")
    string("activation", "swish, silu, gelu, elu, celu, relu or leaky_relu.")
    boolean("spectral_norm", "Normalise the convolutions.")
    boolean("conditional", "Learn an energy of image and class label.")
    string("dtype", "float32, or mixed_bfloat16 for faster convolutions on a GPU.")
    # Sampler.
    flags.DEFINE_list("steps", None, "Langevin steps per level.", flag_values=values)
    number("step_size", "Langevin step size η.")
    number("noise_scale", "Langevin noise σ at the first step.")
    number("final_noise_scale", "Langevin noise σ at the last step.")
    # Training; values by resolution are written 8:256,16:128.
    string("fade_images", "Images per fade-in: a number, or by resolution.")
    string("stabilise_images", "Images at β = 1: a number, or by resolution.")
    string("batch_size", "Images per step: a number, or by resolution.")
    string("learning_rate", "Of Adam: a number, or by resolution.")
    string("accumulation", "Parts of a batch, to save memory: a number, or as above.")
    number("data_noise", "Standard deviation of the noise on data images.")
    number("energy_l2", "Weight of the L2 penalty on energies.")
    number("ema_decay", "Decay of the average of weights.")
    integer("seed", "Seed of weights, noise and the order of the images.")
    integer("report_steps", "Training steps per epoch, about.")


def config_from_flags(values, default_preset):
    """The configuration that the flags describe.

    Args:
        values: parsed `absl.flags.FlagValues`.
        default_preset: str, where neither a preset, a file nor data are given. Data
            without a preset get the paper's network, sampler and stages.

    Returns:
        `RunConfig`.

    Raises:
        ValueError: if a preset, file or value is not acceptable.
    """
    config = _start(values, default_preset)
    plain = config.to_dict()
    plain["data"] = data = _data(values, config)
    plain["source"] = _source(values, config, data)
    if values.base_width is not None:
        plain["network"]["widths"] = {}
    _override(plain["network"], values, _NETWORK)
    _override(plain, values, _TRAINING)
    plain["stages"] = _stages(values, plain)
    samplers = [plain["langevin"], *(stage["langevin"] for stage in plain["stages"])]
    for sampler in filter(None, samplers):
        _override(sampler, values, _LANGEVIN)
        if values.steps is not None:
            sampler["steps"] = [_number(int, "steps", s) for s in values.steps]
    return RunConfig.from_dict(plain)


def _start(values, default_preset):
    """The configuration that the flags change."""
    if values.preset and values.config:
        raise ValueError("Expected --preset or --config. Received both.")
    if values.config:
        text = pathlib.Path(values.config).read_text(encoding="utf-8")
        return RunConfig.from_json(text)
    default = configs.config(values.preset or default_preset)
    if values.preset or values.data in (None, default.data.name):
        return default
    data = DataConfig(values.data)
    stages = tuple(default_stages(data.resolution))
    return RunConfig(data, NetworkConfig(), Langevin(), stages)


def _override(target, values, names):
    for name in names:
        if getattr(values, name) is not None:
            target[name] = getattr(values, name)


def _data(values, config):
    """The image set, as plain data."""
    data = dataclasses.asdict(config.data)
    if values.data not in (None, data["name"]):
        data |= {"name": values.data, "split": None, "classes": None, "options": {}}
    _override(data, values, ("split", "resolution"))
    _override_reading(data, values)
    if values.classes is not None:
        data["classes"] = values.classes or None
    return data


def _override_reading(data, values):
    """What holds for the data and for source images alike."""
    _override(data, values, ("fit", "flip"))
    if data["fit"] != "crop":
        data["options"].pop("crop_size", None)
    _override(data["options"], values, ("channels", "crop_size", "data_dir"))


def _source(values, config, data):
    """What to translate from, as plain data, or None; like the data unless told."""
    own = config.source
    given = (values.source, values.source_split, values.source_classes)
    if own is None and all(value is None for value in given):
        return None
    other_set = own and own.name == config.data.name and data["name"] != own.name
    if own is None:
        source = {**data, "classes": None}
    elif own == config.data or other_set:
        source = dict(data)
    else:
        source = dataclasses.asdict(own)
    source["options"] = dict(source["options"])
    if values.source not in (None, source["name"]):
        source |= {"name": values.source, "split": None, "classes": None}
        source |= {"fit": data["fit"], "flip": data["flip"], "options": {}}
    source["resolution"] = data["resolution"]
    _override_reading(source, values)
    if values.source_split is not None:
        source["split"] = values.source_split
    if values.source_classes is not None:
        source["classes"] = values.source_classes or None
    return source


def _stages(values, plain):
    """The stages, extended or cut where the first or last resolution is another."""
    stages = plain["stages"]
    if (values.resolution, values.base_resolution) != (None, None):
        stages = _stages_between(
            plain["network"]["base_resolution"], plain["data"]["resolution"], stages
        )
    levels = [stage["resolution"] for stage in stages]
    for name in _STAGE:
        text = getattr(values, name)
        if text is not None:
            kind = float if name == "learning_rate" else int
            table = _by_resolution(name, text, levels)
            for stage in stages:
                if stage["resolution"] in table:
                    value = table[stage["resolution"]]
                    stage[name] = _number(kind, name, value)
    return stages


def _stages_between(base, resolution, stages):
    """Stages of all levels: the given ones, below them like the first, else default."""
    first, given = stages[0], {stage["resolution"]: stage for stage in stages}
    found = []
    for default in default_stages(resolution, base):
        level = default.resolution
        stage = given.get(level, dataclasses.asdict(default))
        if level < first["resolution"]:
            stage = {**first, "resolution": level}
        elif stage is first and level > base and not first["fade_images"]:
            half = first["stabilise_images"] // 2
            stage = {**first, "fade_images": half}
            stage["stabilise_images"] -= half
        found.append(stage)
    return found


def _by_resolution(name, text, levels):
    """What a flag gives for each resolution that it speaks of, still as text."""
    if ":" not in text:
        return dict.fromkeys(levels, text)
    pairs = [pair.split(":") for pair in text.split(",")]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(
            f"--{name}: expected a number or pairs such as 8:256,16:128. "
            f"Received: {text!r}"
        )
    table = {_number(int, name, level): value for level, value in pairs}
    if len(table) < len(pairs) or not set(table) <= set(levels):
        raise ValueError(
            f"--{name}: expected some of the resolutions {levels}, each once. "
            f"Received: {text!r}"
        )
    return table


def _number(kind, name, text):
    try:
        return kind(text)
    except ValueError as error:
        raise ValueError(
            f"--{name}: expected {kind.__name__}. Received: {text!r}"
        ) from error
