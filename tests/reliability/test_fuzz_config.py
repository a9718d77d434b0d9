"""Malformed configurations, flags and arguments by the thousand.

Each ends in a documented error, or in a value that round-trips.
"""

import json

import numpy as np
from absl import flags
from fuzzing import FEW, JUNK, NUMBERS, fuzz, no_hang, outcome
from hypothesis import assume, example, given
from hypothesis import strategies as st

from keras_cfebm import EnergyNetwork, Langevin, Stage, configs
from keras_cfebm.cli.commands import COMMANDS
from keras_cfebm.cli.config import config_from_flags
from keras_cfebm.cli.config_flags import CONFIG_FLAGS
from keras_cfebm.configs.run_config import RunConfig
from keras_cfebm.configs.stages import default_stages

__all__ = ["no_hang"]  # a fixture of every test here


# --- Configurations -----------------------------------------------------------------


def places(value, place=()):
    """The paths of all values in nested data."""
    yield place
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in items:
            yield from places(inner, (*place, name))


def plain_config(preset="tiny"):
    plain = json.loads(configs.config(preset).to_json())
    plain["langevin"]["steps"] = [3, 2]
    plain["stages"][1]["langevin"] = dict(plain["langevin"])
    plain["data"]["classes"] = [1, "Bag"]
    plain["data"]["options"] = {"channels": 1}
    return plain


PLACES = [place for place in places(plain_config()) if place]


def changed(plain, place, change):
    """Replaces, removes or adds a value; places that have gone are passed over."""
    *parents, last = place
    for name in parents:
        if isinstance(plain, dict):
            plain = plain.get(name)
        elif isinstance(plain, list) and name in range(len(plain)):
            plain = plain[name]
        else:
            return
    kind, value = change
    if isinstance(plain, dict):
        if kind == "add":
            plain[str(value)] = value
        elif kind == "remove":
            plain.pop(last, None)
        else:
            plain[last] = value
    elif isinstance(plain, list) and isinstance(last, int) and last < len(plain):
        plain[last : last + (kind != "add")] = [] if kind == "remove" else [value]


def assert_round_trip(config):
    again = RunConfig.from_json(config.to_json())
    assert again.to_json() == config.to_json()
    assert again.langevin == config.langevin and again.stages == config.stages
    assert again.network == config.network


@fuzz(2000)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(PLACES),
            st.tuples(st.sampled_from(["replace", "remove", "add"]), JUNK),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_changed_configurations(changes):
    plain = plain_config()
    for place, change in changes:
        changed(plain, place, change)
    config = outcome(RunConfig.from_json, json.dumps(plain))
    if config is not None:
        assert_round_trip(config)


@fuzz(500)
@given(st.one_of(st.text(), JUNK.map(json.dumps), st.just("[" * 100_000)))
def test_any_text_as_configuration(text):
    assert outcome(RunConfig.from_json, text) is None


@fuzz(300)
@given(st.integers(0, 2000), st.text(max_size=3))
def test_damaged_configuration_files(place, text):
    whole = configs.config("tiny").to_json()
    damaged = whole[:place] + text + whole[place + len(text) :]
    config = outcome(RunConfig.from_json, damaged)
    if config is not None:
        assert_round_trip(config)


# --- Command lines ------------------------------------------------------------------

NAMES = sorted(
    {row.name for rows in CONFIG_FLAGS.values() for row in rows} - {"config"}
)
VALUES = st.one_of(
    NUMBERS.map(str),
    st.sampled_from(["", "8", "16", "8:1", "8:1,16:2", "8:1:2", ":", ",", "1e999"]),
    st.lists(st.integers(-1, 64), max_size=3).map(lambda v: ",".join(map(str, v))),
    st.text(max_size=8),
    st.sampled_from([*configs.PRESETS, "pad", "swish", "true", "false"]),
)


@fuzz(1500)
@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=4))
def test_command_lines(given_flags):
    values = COMMANDS["train"].flag_values()
    line = [f"--{name}={value}" for name, value in given_flags]
    if outcome(values, ["cfebm", *line], errors=(flags.Error,)) is None:
        return
    config = outcome(config_from_flags, values, "tiny")
    if config is not None:
        assert_round_trip(config)
        for name in ("seed", "data_noise", "energy_l2", "ema_decay", "report_steps"):
            wanted = getattr(values, name)
            assert wanted is None or wanted == getattr(config, name)


@fuzz(100)
@given(st.binary(max_size=40))
def test_configuration_files_of_any_bytes(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.json"
    path.write_bytes(content)
    values = COMMANDS["train"].flag_values()
    values(["cfebm", f"--config={path}"])
    assert outcome(config_from_flags, values, "tiny") is None


# --- Small public classes -----------------------------------------------------------

TUPLES = st.one_of(FEW, st.lists(FEW, max_size=3), st.lists(FEW, max_size=3).map(tuple))


@fuzz(1000)
@given(st.tuples(TUPLES, FEW, FEW, FEW, TUPLES))
@example((0, 10**400, 0, 0, None))
def test_langevin(arguments):
    names = ("steps", "step_size", "noise_scale", "final_noise_scale", "clip")
    made = outcome(Langevin, **dict(zip(names, arguments, strict=True)))
    if made is not None:
        assert made.replace() == made
        assert 0 <= made.total_steps(3) < 2**33
        assert made.clip is None or np.isfinite(made.clip).all()


@fuzz(1000)
@given(st.tuples(FEW, FEW, FEW, FEW, FEW, FEW), st.integers(1, 1000))
def test_stage(arguments, report_steps):
    made = outcome(Stage, *arguments)
    if made is not None:
        epochs, steps = made.epochs(report_steps)
        assert epochs * steps >= made.steps >= 1
        assert made.steps * made.batch_size >= made.fade_images + made.stabilise_images


@fuzz(500)
@given(FEW, FEW)
def test_default_stages(resolution, base):
    stages = outcome(default_stages, resolution, base)
    if stages is not None:
        assert stages[0].resolution == base and stages[-1].resolution == resolution


@fuzz(60)
@given(
    st.dictionaries(
        st.sampled_from(["channels", "base_width", "num_classes", "activation"]),
        st.one_of(st.integers(-2, 3), st.none(), st.floats(), st.text(max_size=3)),
        min_size=1,
    ),
    st.dictionaries(FEW, st.one_of(st.integers(-1, 4), FEW), max_size=1),
)
def test_energy_network(arguments, widths):
    assume(not any(isinstance(w, int) and w > 100 for w in widths.values()))
    made = outcome(EnergyNetwork, 4, base_resolution=4, widths=widths, **arguments)
    if made is not None:
        again = EnergyNetwork.from_config(made.get_config())
        assert again.image_shape == made.image_shape
