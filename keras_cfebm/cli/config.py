"""The `RunConfig` that flags describe: a preset or a file, and what they change in it.

What is given wins; what belonged to other data goes.
"""

import dataclasses
import pathlib
from collections.abc import Iterable
from typing import Any

from absl import flags

from keras_cfebm import configs
from keras_cfebm.cli.config_flags import CONFIG_FLAGS
from keras_cfebm.cli.text import as_number
from keras_cfebm.configs.run_config import DataConfig, NetworkConfig, RunConfig
from keras_cfebm.configs.stages import default_stages
from keras_cfebm.sampling import Langevin
from keras_cfebm.utils.paths import is_image_folder

#: Flags of stages that are no whole numbers.
_FRACTIONS = ("learning_rate", "data_chains", "data_chain_noise")

#: Where neither a preset, a file nor data are given.
DEFAULT_PRESET = "fashion_mnist_quick"


def config_from_flags(
    values: flags.FlagValues, default_preset: str = DEFAULT_PRESET
) -> RunConfig:
    """The configuration that the flags describe.

    Args:
        values: parsed flags, among them `CONFIG_FLAGS`.
        default_preset: str, where neither a preset, a file nor data are given. Data
            without a preset get the paper's network, sampler and stages; a folder is
            cropped to squares.

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
    plain["network"] |= _given_of(values, "network")
    plain |= _given_of(values, "training") | _given(values, ["source_noise"])
    plain["stages"] = _stages(values, plain)
    langevin = _given_of(values, "langevin")
    if "steps" in langevin:
        langevin["steps"] = [as_number(int, "steps", n) for n in langevin["steps"]]
    for target in (plain, *plain["stages"]):
        if target["langevin"] is not None:
            target["langevin"] |= langevin
    return RunConfig.from_dict(plain)


def _given(values: flags.FlagValues, names: Iterable[str]) -> dict[str, Any]:
    """Those of some flags that were given."""
    return {n: values[n].value for n in names if values[n].value is not None}


def _given_of(values: flags.FlagValues, section: str) -> dict[str, Any]:
    """Those of a section's flags that were given."""
    return _given(values, [flag.name for flag in CONFIG_FLAGS[section]])


def _start(values: flags.FlagValues, default_preset: str) -> RunConfig:
    """The configuration that the flags change."""
    if values.preset and values.config:
        raise ValueError("Expected --preset or --config, received both.")
    if values.config:
        text = pathlib.Path(values.config).read_text(encoding="utf-8")
        return RunConfig.from_json(text)
    default = configs.config(values.preset or default_preset)
    if values.preset or values.data in (None, default.data.name):
        return default
    # Files in a folder are of any size; of their own size they are as with "exact".
    data = DataConfig(
        values.data, fit="crop" if is_image_folder(values.data) else "exact"
    )
    stages = tuple(default_stages(data.resolution))
    return RunConfig(data, NetworkConfig(), Langevin(), stages)


def _data(values: flags.FlagValues, config: RunConfig) -> dict[str, Any]:
    """The image set, as plain data."""
    data = dataclasses.asdict(config.data)
    if values.data not in (None, data["name"]):
        data |= {"name": values.data, "split": None, "classes": None, "options": {}}
    data |= _given(values, ["split", "resolution"])
    _change_reading(data, values)
    if values.classes is not None:
        data["classes"] = values.classes or None
    return data


def _change_reading(data: dict[str, Any], values: flags.FlagValues) -> None:
    """Changes what holds for the data and for source images alike."""
    data |= _given(values, ["fit", "flip", "random_crop"])
    if data["fit"] != "crop":
        data["options"].pop("crop_size", None)
    data["options"] |= _given(values, ["channels", "crop_size", "data_dir"])


def _source(
    values: flags.FlagValues, config: RunConfig, data: dict[str, Any]
) -> dict[str, Any] | None:
    """What to translate from, as plain data, or None; like the data unless told."""
    own = config.source
    if own is None and not _given(values, ["source", "source_split", "source_classes"]):
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
        source |= {name: data[name] for name in ("fit", "flip", "random_crop")}
        source["options"] = {}
    source["resolution"] = data["resolution"]
    _change_reading(source, values)
    if values.source_split is not None:
        source["split"] = values.source_split
    if values.source_classes is not None:
        source["classes"] = values.source_classes or None
    return source


def _stages(values: flags.FlagValues, plain: dict[str, Any]) -> list[dict[str, Any]]:
    """The stages, extended or cut where the first or last resolution is another."""
    stages = plain["stages"]
    if (values.resolution, values.base_resolution) != (None, None):
        stages = _stages_between(
            plain["network"]["base_resolution"], plain["data"]["resolution"], stages
        )
    levels = [stage["resolution"] for stage in stages]
    for name, text in _given_of(values, "stages").items():
        kind = float if name in _FRACTIONS else int
        table = _by_resolution(name, text, levels)
        for stage in stages:
            if stage["resolution"] in table:
                stage[name] = as_number(kind, name, table[stage["resolution"]])
    return stages


def _stages_between(
    base: int, resolution: int, stages: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Stages of all levels: the given ones, below them like the first, else default."""
    first = stages[0]
    given: dict[int, list] = {}
    for stage in stages:
        given.setdefault(stage["resolution"], []).append(stage)
    found = []
    for default in default_stages(resolution, base):
        level = default.resolution
        of_level = given.get(level, [dataclasses.asdict(default)])
        if level < first["resolution"]:
            of_level = [{**first, "resolution": level}]
        elif of_level[0] is first and level > base and not first["fade_images"]:
            half = first["stabilise_images"] // 2
            stage = {**first, "fade_images": half}
            stage["stabilise_images"] -= half
            of_level = [stage, *of_level[1:]]
        found += of_level
    return found


def _by_resolution(name: str, text: str, levels: list[int]) -> dict[int, str]:
    """What a flag gives for each resolution that it speaks of, still as text."""
    if ":" not in text:
        return dict.fromkeys(levels, text)
    pairs = [pair.split(":") for pair in text.split(",")]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(
            f"Expected --{name} as a number or as pairs such as 8:256,16:128, "
            f"received {text!r}."
        )
    table = {as_number(int, name, level): value for level, value in pairs}
    if len(table) < len(pairs) or not set(table) <= set(levels):
        raise ValueError(
            f"Expected --{name} of some of the resolutions {levels}, each once, "
            f"received {text!r}."
        )
    return table
