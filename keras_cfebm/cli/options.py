"""Flags that make a RunConfig: a preset or a file, and overrides of single values."""

import dataclasses
import pathlib

from absl import flags

from keras_cfebm import presets
from keras_cfebm.config import NetworkConfig, RunConfig
from keras_cfebm.growing import default_stages

_DATA = ("name", "split", "resolution", "fit", "flip", "classes")
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
    "settle_images",
    "batch_size",
    "learning_rate",
    "accumulation",
)


def define_config_flags(values):
    """Adds the flags; every default is None, which keeps the preset's value."""

    def string(name, text):
        flags.DEFINE_string(name, None, text, flag_values=values)

    def integer(name, text):
        flags.DEFINE_integer(name, None, text, flag_values=values)

    def number(name, text):
        flags.DEFINE_float(name, None, text, flag_values=values)

    def boolean(name, text):
        flags.DEFINE_boolean(name, None, text, flag_values=values)

    string("preset", f"Configuration to start from: {', '.join(presets.PRESETS)}.")
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
    # Translation: any of these, or a preset's source, makes chains start at images.
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
    string("settle_images", "Images at β = 1: a number, or by resolution.")
    string("batch_size", "Images per step: a number, or by resolution.")
    string("learning_rate", "Of Adam: a number, or by resolution.")
    string("accumulation", "Parts of a batch, to save memory: a number, or by them.")
    number("data_noise", "Standard deviation of the noise on data images.")
    number("energy_l2", "Weight of the L2 penalty on energies.")
    number("ema_decay", "Decay of the average of weights.")
    integer("seed", "Seed of weights, noise and the order of the images.")
    integer("report_steps", "Training steps per epoch, about.")


def config_from_flags(values, default_preset):
    """The configuration that the flags describe.

    Args:
        values: parsed `absl.flags.FlagValues`.
        default_preset: str, where neither a preset nor a file is given. With other
            data than its own, network and stages are the paper's defaults.

    Returns:
        `RunConfig`.

    Raises:
        ValueError: if a preset, file or value is not acceptable.
    """
    if values.preset and values.config:
        raise ValueError("Expected --preset or --config. Received both.")
    if values.config:
        text = pathlib.Path(values.config).read_text(encoding="utf-8")
        config = RunConfig.from_json(text)
    else:
        config = presets.config(values.preset or default_preset)
    plain = config.to_dict()
    other_data = values.data is not None and values.data != config.data.name
    if other_data and not (values.preset or values.config):
        # Nobody asked for the sizes of the default preset.
        plain |= {"network": dataclasses.asdict(NetworkConfig()), "stages": []}
    if values.base_width is not None:
        plain["network"]["widths"] = {}

    def override(target, names, renamed=()):
        for name in names:
            value = getattr(values, dict(renamed).get(name, name))
            if value is not None:
                target[name] = value

    override(plain["data"], _DATA, renamed=[("name", "data")])
    if other_data:
        plain["data"]["options"] = {}
        if values.split is None:
            plain["data"]["split"] = None
    override(plain["data"]["options"], ("channels", "crop_size", "data_dir"))
    plain["source"] = _source(values, plain, config)
    override(plain["network"], _NETWORK)
    override(plain["langevin"], _LANGEVIN)
    if values.steps is not None:
        plain["langevin"]["steps"] = [_number(int, "steps", s) for s in values.steps]
    override(plain, _TRAINING)
    plain["stages"] = _stages(values, plain)
    return RunConfig.from_dict(plain)


def _source(values, plain, config):
    """What to translate from, as plain data, or None; like the data unless told."""
    given = (values.source, values.source_split, values.source_classes)
    if plain["source"] is None and all(value is None for value in given):
        return None
    data = plain["data"]
    before = plain["source"] or {**data, "classes": None}
    same_set = config.source is None or config.source.name == config.data.name
    name = values.source or (data["name"] if same_set else before["name"])
    split = values.source_split or before["split"]
    if values.source_split is None and name != before["name"]:
        split = data["split"] if name == data["name"] else None
    shared = {key: data[key] for key in ("resolution", "fit", "flip", "options")}
    classes = values.source_classes or before["classes"]
    return {**shared, "name": name, "split": split, "classes": classes}


def _stages(values, plain):
    """The preset's stages, extended or cut to end at the data's resolution."""
    given = {stage["resolution"]: stage for stage in plain["stages"]}
    base = plain["network"]["base_resolution"]
    stages = []
    for stage in default_stages(plain["data"]["resolution"], base):
        default = dataclasses.asdict(stage)
        stages.append(given.get(stage.resolution, default))
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
