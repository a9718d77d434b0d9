"""R-hat and the effective sample size, against processes whose figures are known."""

import numpy as np
import pytest

from keras_cfebm.evaluation import effective_sample_size, split_r_hat
from keras_cfebm.evaluation.mixing import mixing_figures


def autoregression(correlation, chains=40, length=2000, seed=0):
    """Stationary draws x ← ρ x + √(1 − ρ²) ε, with time to forget the start."""
    rng = np.random.default_rng(seed)
    draws = [rng.standard_normal(chains)]
    for _ in range(length - 1):
        noise = np.sqrt(1 - correlation**2) * rng.standard_normal(chains)
        draws.append(correlation * draws[-1] + noise)
    return np.stack(draws, axis=1)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_an_autoregression_has_the_number_that_theory_gives(correlation):
    draws = autoregression(correlation)
    wanted = draws.size * (1 - correlation) / (1 + correlation)
    assert effective_sample_size(draws) == pytest.approx(wanted, rel=0.1)
    assert split_r_hat(draws) == pytest.approx(1, abs=0.02)


def test_chains_that_are_apart_count_as_one_draw_each():
    draws = autoregression(0.0, chains=20, length=100) + 100 * np.arange(20)[:, None]
    assert split_r_hat(draws) > 100
    assert effective_sample_size(draws) < 40


def test_r_hat_is_the_ratio_of_gelman_and_rubin():
    # Halves (0, 2), (0, 2), (4, 6), (4, 6): variance 2 inside, means 1, 1, 5, 5.
    draws = np.float64([[0, 2, 0, 2], [4, 6, 4, 6]])
    assert split_r_hat(draws) == pytest.approx(np.sqrt(1 / 2 + (16 / 3) / 2))


def test_a_drift_is_seen_inside_a_chain():
    draws = autoregression(0.0, length=200) + np.linspace(0, 10, 200)
    assert split_r_hat(draws) > 1.5


def test_what_cannot_be_told():
    with pytest.raises(ValueError, match="n >= 4"):
        split_r_hat(np.zeros((3, 3)))
    assert np.isnan(effective_sample_size(np.ones((3, 8))))
    for traces in (np.zeros((3, 6)), np.full((3, 20), np.nan)):
        found = mixing_figures(traces)
        assert np.isnan(found["r_hat"]) and np.isnan(found["effective_draws"])


def test_figures_are_of_the_later_half():
    traces = autoregression(0.0, chains=8, length=40)
    found = mixing_figures(np.concatenate([traces + 1000, traces], axis=1))
    assert found["chains"] == 8 and found["draws"] == 40
    assert found["r_hat"] == split_r_hat(traces)
