"""RunConfig: what JSON can hold, and what it refuses."""

import dataclasses
import json

import pytest

from keras_cfebm import configs
from keras_cfebm.configs.run_config import RunConfig
from keras_cfebm.sampling import Langevin


@pytest.mark.parametrize("name", sorted(configs.PRESETS))
def test_json_round_trip(name):
    config = configs.config(name)
    assert RunConfig.from_json(config.to_json()) == config


def test_per_level_steps_and_widths_survive_json():
    config = configs.config("tiny")
    config = config.replace(
        langevin=Langevin(steps=(4, 2), clip=None),
        network=dataclasses.replace(config.network, widths={8: 6, 16: 4}),
    )
    again = RunConfig.from_json(config.to_json())
    assert again == config
    assert again.langevin.steps == (4, 2)
    assert again.network.widths == {8: 6, 16: 4}


def changed(**changes):
    plain = json.loads(configs.config("tiny").to_json())
    for place, value in changes.items():
        *parents, last = place.split("__")
        target = plain
        for parent in parents:
            target = target[int(parent) if parent.isdigit() else parent]
        target[last] = value
    return plain


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sead": 1}, r"keys of config among .*, received \['sead'\]"),
        ({"seed": "1"}, "Expected int at config.seed, received '1'"),
        ({"seed": True}, "Expected int at config.seed"),
        ({"stages": []}, "at least one stage"),
        ({"stages": 3}, "Expected a list at config.stages, received 3"),
        ({"stages__0__batch_size": 0}, "batch_size of at least 1"),
        ({"stages__0__resolution": 4}, "base_resolution"),
        ({"stages__1__resolution": 32}, r"levels \[8, 16\] one after the other"),
        (
            {"data__resolution": 32},
            r"levels \[8, 16, 32\] .* that of the data, received \[8, 16\]",
        ),
        ({"data": {}}, r"Expected config.data with \['name'\], received \[\]"),
        ({"langevin__steps": -1}, "Expected steps from 0"),
        ({"langevin__steps": "many"}, "Expected int at config.langevin.steps"),
        ({"langevin__step_size": float("nan")}, r"step_size in \[0, inf\)"),
        ({"network__activation": "sine"}, "Expected an activation"),
        ({"network__widths": {"eight": 4}}, "config.network"),
        (
            {"source": {"name": "x", "resolution": 8}},
            "resolution of the data, 16, received 8",
        ),
        (
            {"source": {"name": "x", "resolution": 16, "flip": True}},
            "flip of the data, False, received True",
        ),
        (
            {
                "source": {"name": "x", "resolution": 16},
                "stages__1__data_chains": 0.5,
            },
            "data_chains in a model whose chains start at noise, received 0.5",
        ),
        ({"source_noise": 0.1}, "Expected a source"),
        ({"chain_start_noise": 0.1}, "where there is chain_start_noise"),
        ({"langevin__faithfulness": 0.1}, "where there is faithfulness to it"),
        ({"source": "x"}, "Expected an object at config.source"),
        ({"network": None}, "Expected an object at config.network"),
    ],
)
def test_bad_values_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        RunConfig.from_dict(changed(**changes))


def test_coarser_levels_may_be_trained_again():
    stages = [dict(changed()["stages"][i]) for i in (0, 1, 0, 1)]
    assert RunConfig.from_dict(changed(stages=stages)).levels == 2
    with pytest.raises(ValueError, match=r"end at .* received \[8, 16, 8\]"):
        RunConfig.from_dict(changed(stages=stages[:3]))


def test_the_final_sampler_is_that_of_the_last_stage_with_its_own():
    plain = changed()
    config = RunConfig.from_dict(plain)
    assert config.final_langevin == config.langevin
    stages = [dict(plain["stages"][i]) for i in (0, 1, 0, 1)]
    own = config.langevin.replace(steps=3)
    stages[2]["langevin"] = dataclasses.asdict(own)
    assert RunConfig.from_dict({**plain, "stages": stages}).final_langevin == own


def test_text_that_is_not_json_is_refused():
    with pytest.raises(ValueError, match="Expected a configuration in JSON"):
        RunConfig.from_json("{")


def test_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="Expected a preset"):
        configs.config("imagenet_1k")
