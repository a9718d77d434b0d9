"""Checks of counts and seeds, shared by the whole package."""

import numpy as np


def check_count(name, value, minimum):
    """Raises ValueError unless `value` is an int of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"Expected an integer {name}, received {value!r}.")
    if value < minimum:
        raise ValueError(f"Expected {name} of at least {minimum}, received {value}.")


def check_seed(seed):
    """Raises ValueError unless `seed` is an int in 0 … 2^64 - 1."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"Expected an integer seed, received {seed!r}.")
    if not 0 <= seed < 2**64:
        raise ValueError(f"Expected a seed in 0 … 2^64 - 1, received {seed}.")
