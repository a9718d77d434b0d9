"""Images that do not belong: the out-of-distribution sets of the paper and digits."""

import numpy as np
from PIL import Image

from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.validation import check_count, check_images, check_seed

#: Images in scikit-learn's set of digits.
DIGITS = 1797
#: What detection is judged by where nothing else is asked for.
ANOMALIES = ("digits", "uniform", "constant", "interpolation")
#: What `anomaly_images` can make: `"grey"` is to compare with the authors' figures.
KNOWN_ANOMALIES = (*ANOMALIES, "grey")


def anomaly_images(
    name: str, normal_images: np.ndarray, count: int, seed: int = 0
) -> np.ndarray:
    """Makes anomalies of the shape of normal images.

    Args:
        name: one of
            `"digits"`: the 1,797 handwritten digits of scikit-learn, 8x8, enlarged to
            three quarters of the side and put on black (other figures on the same
            ground as Fashion-MNIST has);
            `"uniform"`: uniform noise;
            `"constant"`: one grey level or colour per image;
            `"interpolation"`: the mean of two normal images, drawn at random;
            `"grey"`: the one image that is 0 everywhere, again and again, which is what
            the authors' code calls constant.
        normal_images: float array `(n, h, w, c)` in [-1, 1], h = w.
        count: int, number of images; of digits, at most 1,797.
        seed: int, of all that is drawn.

    Returns:
        float32 array `(count, h, w, c)` in [-1, 1].

    Raises:
        ValueError: if the name is unknown, or a number is out of range.
        ImportError: of `"digits"`, without the extra `eval` (scikit-learn).
    """
    if name not in KNOWN_ANOMALIES:
        raise ValueError(
            f"Expected an anomaly of {KNOWN_ANOMALIES}, received {name!r}."
        )
    normal_images = check_images(normal_images, minimum=2)
    count = check_count(count, "count")
    shape = (count, *normal_images.shape[1:])
    rng = np.random.default_rng(check_seed(seed))
    if name == "digits":
        return _digits(shape, rng)
    if name == "uniform":
        return rng.uniform(-1, 1, shape).astype("float32")
    if name == "grey":
        return np.zeros(shape, "float32")
    if name == "constant":
        level = rng.uniform(-1, 1, (count, 1, 1, shape[-1])).astype("float32")
        return np.broadcast_to(level, shape).copy()
    first = rng.integers(len(normal_images), size=count)
    # Another image than the first, never the same twice.
    second = first + rng.integers(1, len(normal_images), size=count)
    return (normal_images[first] + normal_images[second % len(normal_images)]) / 2


def _digits(shape, rng):
    count, side, _, channels = shape
    digits = optional_import("sklearn.datasets", "eval").load_digits().images
    if count > DIGITS:
        raise ValueError(f"Expected at most {DIGITS} digits, received {count}.")
    chosen = rng.permutation(DIGITS)[:count]
    inner = side * 3 // 4
    before = (side - inner) // 2
    result = np.full((count, side, side, channels), -1.0, "float32")
    for image, digit in zip(result, digits[chosen], strict=True):
        picture = Image.fromarray((digit / 8 - 1).astype("float32"))
        enlarged = np.asarray(picture.resize((inner, inner), Image.Resampling.BICUBIC))
        inside = image[before : before + inner, before : before + inner]
        inside[...] = np.clip(enlarged, -1, 1)[..., None]
    return result
