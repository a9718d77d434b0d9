"""Stages: images to steps and epochs, and the stages of the paper."""

import dataclasses

import pytest

from keras_cfebm.configs.stages import (
    Stage,
    capped_stages,
    default_stages,
    prolonged,
)


def test_images_become_steps_rounded_up():
    stage = Stage(16, fade_images=100, stabilise_images=130, batch_size=64)
    assert (stage.fade_steps, stage.steps) == (2, 5)


@pytest.mark.parametrize(
    ("images", "report_steps", "expected"),
    [(1000, 100, (10, 100)), (1050, 100, (10, 105)), (5, 100, (1, 5)), (7, 2, (4, 2))],
)
def test_epochs_cover_all_steps(images, report_steps, expected):
    stage = Stage(8, 0, images, batch_size=1)
    epochs, steps = stage.epochs(report_steps)
    assert (epochs, steps) == expected and stage.steps <= epochs * steps


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resolution": 0}, "resolution of at least 1, received 0"),
        ({"batch_size": 0}, "batch_size of at least 1, received 0"),
        ({"fade_images": -1}, "fade_images of at least 0, received -1"),
        ({"stabilise_images": -1}, "stabilise_images of at least 0, received -1"),
        (
            {"fade_images": 0, "stabilise_images": 0},
            "to train on, received none",
        ),
        ({"learning_rate": 0.0}, r"learning_rate in \(0, inf\), received 0"),
        ({"learning_rate": float("nan")}, "received nan"),
        ({"decay_images": 3}, "decay_images from 0 to 2, received 3"),
        ({"langevin": 3}, "Expected a Langevin or None, received 3"),
        ({"accumulation": 3}, "accumulation=3 divides, received 64"),
        ({"data_chains": 0.7}, r"data_chains in \[0, 0.5\], received 0.7"),
        ({"data_chain_steps": 0}, "data_chain_steps"),
        ({"data_chain_noise": -1}, "data_chain_noise"),
    ],
)
def test_bad_stages_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Stage(**{"resolution": 8, "fade_images": 1, "stabilise_images": 1, **changes})


def test_default_stages_are_those_of_the_paper():
    stages = default_stages(512)
    assert [s.resolution for s in stages] == [8, 16, 32, 64, 128, 256, 512]
    assert [s.batch_size for s in stages] == [256, 128, 64, 64, 32, 16, 16]
    rates = [s.learning_rate for s in stages]
    assert rates == [1e-3, 1e-3, 1e-3, 1.2e-3, 1.5e-3, 2e-3, 2e-3]
    assert stages[0].fade_images == 0 and stages[1].fade_images > 0


def test_no_batch_is_larger_than_the_set():
    stages = [
        Stage(8, 0, 100, batch_size=64),
        Stage(16, 0, 100, batch_size=48, accumulation=3),
        Stage(32, 0, 100, batch_size=12),
    ]
    capped = capped_stages(stages, 40, replicas=2)
    # Multiples of 2 replicas, and from the second stage on of 3 parts of each.
    assert [stage.batch_size for stage in capped] == [40, 36, 12]
    assert capped[2] is stages[2]
    assert capped_stages(stages, 64) == [
        dataclasses.replace(stage, batch_size=size)
        for stage, size in zip(stages, (64, 48, 12), strict=True)
    ]
    assert capped_stages(stages[1:2], 2) == stages[1:2]  # its own error says more


def test_the_last_stage_is_prolonged_and_no_other():
    stages = default_stages(32, images_per_phase=1000)
    found = prolonged(stages, 500)
    assert found[:2] == stages[:2] and sum(stage.steps for stage in found) == 500
    assert found[2].fade_images == stages[2].fade_images
    own = sum(stage.steps for stage in stages)
    assert [s.steps for s in prolonged(stages, own)] == [s.steps for s in stages]
    with pytest.raises(ValueError, match=f"at least {own} steps, .*received {own - 1}"):
        prolonged(stages, own - 1)
