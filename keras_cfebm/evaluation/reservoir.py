"""A uniform random sample of a stream, kept in bounded memory."""

import numpy as np

from keras_cfebm.utils.typing import Tensor
from keras_cfebm.utils.validation import check_count, check_features, check_seed


class Reservoir:
    """Keeps at most `capacity` rows, drawn uniformly without replacement from a stream.

    Each arriving row draws a uniform key; the rows with the smallest keys stay. What is
    kept depends on the seed and on the order of the rows, not on how they are batched.

    Args:
        capacity: Largest number of rows kept.
        seed: Seed of the keys.

    Attributes:
        rows: Float32 array (n, d) of what is kept, in random order (empty: (0, 0)).

    Reference:
        Vitter, Random sampling with a reservoir, ACM TOMS 1985.
    """

    def __init__(self, capacity: int, seed: int = 0) -> None:
        self.capacity = check_count(capacity, "capacity", minimum=0)
        self.rows = np.empty((0, 0), "float32")
        self._keys = np.empty(0)
        self._random = np.random.default_rng(check_seed(seed))

    def update(self, rows: Tensor) -> None:
        """Offers rows.

        Args:
            rows: Array (n, d) of finite numbers; d must be the same in every call.

        Raises:
            ValueError: On other input.
        """
        dimensions = self.rows.shape[1] or None
        rows = check_features(rows, "rows", dimensions).astype("float32")
        keys = np.concatenate([self._keys, self._random.random(len(rows))])
        kept = np.argsort(keys)[: self.capacity]
        self._keys = keys[kept]
        previous = self.rows if dimensions else rows[:0]
        self.rows = np.concatenate([previous, rows])[kept]
