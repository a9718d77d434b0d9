"""Images that do not belong: out-of-distribution sets that need no download."""

import numpy as np
from PIL import Image

from keras_cfebm.evaluation.filters import filtered
from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.validation import check_count, check_images, check_seed

#: Images in scikit-learn's set of digits.
DIGITS = 1797
#: What detection is judged by where nothing else is asked for.
ANOMALIES = ("digits", "uniform", "constant", "interpolation")
#: Made of normal images, which they resemble (the split of OpenOOD, Yang et al. 2022).
NEAR_ANOMALIES = ("interpolation", "noisy", "blurred", "rotated", "shuffled")
#: Of another kind.
FAR_ANOMALIES = ("digits", "uniform", "constant", "grey", "black", "inverted")
#: What `anomaly_images` can make.
KNOWN_ANOMALIES = (*NEAR_ANOMALIES, *FAR_ANOMALIES)
#: What damages a normal image: white noise, the radius of a Gaussian, parts of a side.
_SIGMA, _BLUR, _PARTS = 0.3, 1.5, 4


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
            the authors' code calls constant;
            `"black"`: the one image that is -1 everywhere;
            or normal images, drawn at random,
            `"inverted"`: with dark and bright exchanged;
            `"noisy"`: with white noise of σ = 0.3;
            `"blurred"`: by a Gaussian of 1.5 pixels;
            `"rotated"`: by a quarter turn;
            `"shuffled"`: cut into 4 × 4 parts, put together in another order.
        normal_images: float array `(n, h, w, c)` in [-1, 1], h = w; of `"shuffled"`, a
            multiple of 4.
        count: int, number of images; of digits, at most 1,797.
        seed: int, of all that is drawn.

    Returns:
        float32 array `(count, h, w, c)` in [-1, 1].

    Raises:
        ValueError: if the name is unknown, or a number is out of range.
        ImportError: of `"digits"` and `"blurred"`, without the extra `eval`.
    """
    if name not in KNOWN_ANOMALIES:
        raise ValueError(
            f"Expected an anomaly of {KNOWN_ANOMALIES}, received {name!r}."
        )
    normal_images = check_images(normal_images, minimum=2)
    count = check_count(count, "count")
    shape = (count, *normal_images.shape[1:])
    rng = np.random.default_rng(check_seed(seed))
    if name in _OF_NOTHING:
        return _OF_NOTHING[name](shape, rng).astype("float32")
    first = rng.integers(len(normal_images), size=count)
    if name == "interpolation":
        # Another image than the first, never the same twice.
        second = first + rng.integers(1, len(normal_images), size=count)
        return (normal_images[first] + normal_images[second % len(normal_images)]) / 2
    return _OF_AN_IMAGE[name](normal_images[first], rng).astype("float32")


def _constant(shape, rng):
    return np.broadcast_to(rng.uniform(-1, 1, (shape[0], 1, 1, shape[-1])), shape)


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


def _noisy(images, rng):
    return np.clip(images + _SIGMA * rng.standard_normal(images.shape), -1, 1)


def _shuffled(images, rng):
    """Images of parts in another order; no part stays where it is."""
    count, side, _, channels = images.shape
    if side % _PARTS:
        raise ValueError(
            f"Expected images of a side divisible by {_PARTS}, received {side}."
        )
    part = side // _PARTS
    grid = images.reshape(count, _PARTS, part, _PARTS, part, channels).swapaxes(2, 3)
    parts = grid.reshape(count, _PARTS**2, part, part, channels)
    order = np.arange(_PARTS**2)
    for image in parts:
        # A cycle through all of them, which moves every part.
        cycle = rng.permutation(order)
        image[cycle] = image[np.roll(cycle, 1)]
    return parts.reshape(grid.shape).swapaxes(2, 3).reshape(images.shape)


#: What is made from a shape, and what of normal images; with a generator.
_OF_NOTHING = {
    "digits": _digits,
    "uniform": lambda shape, rng: rng.uniform(-1, 1, shape),
    "constant": _constant,
    "grey": lambda shape, rng: np.zeros(shape),
    "black": lambda shape, rng: np.full(shape, -1.0),
}
_OF_AN_IMAGE = {
    "inverted": lambda images, rng: -images,
    "noisy": _noisy,
    "blurred": lambda images, rng: filtered("gaussian", images, _BLUR, sigma=1.0),
    "rotated": lambda images, rng: np.rot90(images, axes=(1, 2)),
    "shuffled": _shuffled,
}
