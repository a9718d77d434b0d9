"""Verdicts on made-up figures: of models that are known to be wrong, and of a good one.

The figures of a fault are those of the shipped models when the checks were written.
"""

import copy
import math

import pytest

from keras_cfebm.evaluation import chain_verdicts, verdicts

GOOD = {
    "scale": {
        "samples": 4.3,
        "held_out": 1.2,
        "half_resolution": 5.1,
        "quarter_resolution": 20.8,
    },
    "chains": {
        "noise": {
            1: {"distance": 4.3, "saturated": 0.62},
            3: {"distance": 4.5, "saturated": 0.63},
            10: {"distance": 9.7, "saturated": 0.66},
        },
        "data": {
            0: {"distance": 1.2, "saturated": 0.63},
            1: {"distance": 1.9, "saturated": 0.63},
            3: {"distance": 2.4, "saturated": 0.63},
            10: {"distance": 5.0, "saturated": 0.64},
        },
    },
    "durations": {
        "as_trained": {"distance": 4.3},
        "fewer_steps": {"distance": 5.2},
        "more_steps": {"distance": 4.2},
        "half_the_duration": {"distance": 24.8},
        "twice_the_duration": {"distance": 25.0},
    },
    "energies": {
        "training": {"mean": -20.5, "deviation": 8.0},
        "held_out": {"mean": -20.0, "deviation": 8.0},
        "samples": {"mean": -22.0, "deviation": 8.0},
    },
    "nonsense": {"uniform": 0.99, "constant": 0.97},
    "detail": {"samples": 0.19, "held_out": 0.2},
    "mixing": {"r_hat": 1.7, "effective_draws": 300.0, "draws": 16, "chains": 256},
}


def judged(*changes):
    """Name → verdict of the good figures with changes: pairs of a path and a value."""
    figures = copy.deepcopy(GOOD)
    for path, value in changes:
        *parents, last = path
        inner = figures
        for name in parents:
            inner = inner[name]
        inner[last] = value
    found = verdicts.checks(figures)
    return {name: check.verdict for name, check in found.items()}, found


def test_a_sound_model_passes_and_nobody_claims_an_equilibrium():
    found, checks = judged()
    assert found.pop("mixing") == "note"
    assert set(found.values()) == {"sound"}
    assert verdicts.overall(checks).verdict == "sound"
    assert "no proof" in verdicts.overall(checks).meaning


@pytest.mark.parametrize(
    ("name", "verdict", "path", "value"),
    [
        ("samples", "weak", ("scale", "samples"), 12.2),
        ("samples", "fault", ("scale", "samples"), 30.0),
        ("chains_from_noise", "weak", ("chains", "noise", 10, "distance"), 18.0),
        ("chains_from_noise", "fault", ("chains", "noise", 3, "distance"), 9.0),
        ("chains_from_noise", "fault", ("chains", "noise", 3, "saturated"), 0.75),
        ("chains_from_noise", "weak", ("chains", "noise", 10, "distance"), math.inf),
        ("chains_from_data", "fault", ("chains", "data", 1, "distance"), 8.7),
        ("chains_from_data", "weak", ("chains", "data", 10, "saturated"), 0.95),
        ("duration", "weak", ("durations", "more_steps", "distance"), 7.0),
        ("energy_gap", "weak", ("energies", "samples", "mean"), -39.0),
        ("energy_gap", "fault", ("energies", "samples", "mean"), -50.0),
        ("energy_gap", "fault", ("energies", "samples", "mean"), 10.0),
        ("energy_gap", "weak", ("energies", "training", "mean"), -25.0),
        ("detail", "weak", ("detail", "samples"), 0.12),
        ("detail", "fault", ("detail", "samples"), 0.05),
        ("detail", "fault", ("detail", "samples"), 0.5),
        ("nonsense", "fault", ("nonsense", "uniform"), 0.002),
        ("nonsense", "weak", ("nonsense", "constant"), 0.7),
    ],
)
def test_one_figure_makes_one_verdict(name, verdict, path, value):
    good, _ = judged()
    found, checks = judged((path, value))
    assert found == {**good, name: verdict}
    assert verdicts.overall(checks).verdict == verdict
    assert name.replace("_", " ") in verdicts.overall(checks).meaning


def test_a_meaning_has_the_figures_and_what_to_do():
    _, checks = judged(
        (("chains", "noise", 3), {"distance": 23.0, "saturated": 0.75}),
        (("nonsense", "uniform"), 0.002),
    )
    meaning = checks["chains_from_noise"].meaning
    for words in ("after 3×", "23.0", "4.3", "75%", "63%", "data_chains=0.25"):
        assert words in meaning
    for words in ("uniform", "0.002", "LadderDetector"):
        assert words in checks["nonsense"].meaning
    assert verdicts.overall(checks).meaning == "See chains from noise, nonsense."


def test_whether_the_duration_is_part_of_the_model_is_said():
    decides = chain_verdicts.judge_duration(4.3, 5.2, 4.2, 24.8, 25.0)
    assert "half and twice the duration do not" in decides.meaning
    either = chain_verdicts.judge_duration(4.3, 5.2, 4.2, 4.5, 25.0)
    assert either.verdict == "sound" and "do not" not in either.meaning


@pytest.mark.parametrize(
    ("r_hat", "words"),
    [
        (1.7, "not a draw from exp(−E)"),
        (1.001, "does not show an equilibrium"),
        (math.inf, "unknown"),
        (math.nan, "unknown"),
    ],
)
def test_r_hat_is_never_a_verdict(r_hat, words):
    check = chain_verdicts.judge_mixing(r_hat, 300.0, 16, 256)
    assert check.verdict == "note" and words in check.meaning
