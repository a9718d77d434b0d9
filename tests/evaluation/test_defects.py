"""Defects that are made, and maps that have to find them."""

import numpy as np
import pytest

from keras_cfebm import evaluation


@pytest.mark.parametrize("kind", evaluation.DEFECTS)
def test_a_defect_is_where_the_mask_is(kind, noise_images):
    images = noise_images(5, 16)
    found, masks = evaluation.damaged(kind, images, seed=1)
    assert found.shape == images.shape and masks.shape == (5, 16, 16)
    changed = np.abs(found - images)[..., 0]
    assert (changed[masks] > 0.1).all() and (changed[~masks] <= 0.1).all()
    for mask in masks:
        rows, columns = np.nonzero(mask)
        assert np.ptp(rows) < 4 and np.ptp(columns) < 4 and len(rows) > 8
    if kind == "hole":
        assert (found[masks] == -1).all()
    again, _ = evaluation.damaged(kind, images, seed=1)
    np.testing.assert_array_equal(again, found)
    with pytest.raises(ValueError, match="defect of"):
        evaluation.damaged("scratch", images)


def test_maps_are_judged_by_damaged_pixels(make_network, noise_images, monkeypatch):
    from keras_cfebm.evaluation import defect_protocol

    def known(energies, images, normal_images, batch_size):
        _, masks = evaluation.damaged(kinds.pop(0), noise_images(4, 8), seed=0)
        return masks.astype("float32")

    kinds = list(evaluation.DEFECTS)
    monkeypatch.setattr(defect_protocol, "neighbour_map", known)
    images = noise_images(4, 8)
    figures = evaluation.evaluate_defects([make_network(8)], images, images)
    for row in figures.values():
        assert row["neighbours"] == 1
        assert set(row) == {"neighbours", "input_gradient", "smooth_grad", "edges"}
        assert 0 < row["input_gradient"] < 1
