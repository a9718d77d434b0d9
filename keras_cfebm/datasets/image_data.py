"""ImageData: images at one resolution, read as batches of any coarser resolution."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_cfebm.datasets.crops import random_crops
from keras_cfebm.datasets.pipeline import as_dataset
from keras_cfebm.datasets.pixels import downsample, to_float
from keras_cfebm.datasets.shuffle import batch_order, epoch_order
from keras_cfebm.utils.labels import class_index
from keras_cfebm.utils.validation import check_count, check_number, check_seed

#: Crops are drawn apart from the order of the images.
_CROPS = 0x43524F50


class ImageData:
    """A set of square images of one size, with or without labels.

    Made by `load`, `from_arrays` and `from_folder`. Immutable: `subset` returns a new
    one that shares the pixels.

    Args:
        name: str, for titles and messages.
        source: where the pixels are: anything with `shape`
            `(n, resolution, resolution, channels)` that returns, for an int64 index
            array, those images as uint8, or as float32 in [-1, 1].
        labels: optional int array `(n,)`.
        class_names: optional sequence of str, one per label value.
        indices: optional int64 array: which examples of `source`, in which order.

    Raises:
        ValueError: if there are no images.

    Example:
        ```python
        data = load("fashion_mnist_embedded", resolution=32, fit="pad")
        for images in data.batches(resolution=8, batch_size=64, repeat=False):
            ...  # float32 (64, 8, 8, 1) in [-1, 1]
        ```
    """

    def __init__(
        self,
        name: str,
        source: Any,
        labels: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
        indices: np.ndarray | None = None,
    ) -> None:
        self.name = name
        self.class_names = None if class_names is None else tuple(class_names)
        self._source = source
        self._labels: Any = labels
        self._indices = np.arange(source.shape[0]) if indices is None else indices
        if not len(self._indices):
            raise ValueError(f"Expected at least one image in {name!r}, received none.")

    @property
    def num_examples(self) -> int:
        """int: how many images."""
        return len(self._indices)

    @property
    def resolution(self) -> int:
        """int: height and width of the stored images."""
        return self._source.shape[1]

    @property
    def channels(self) -> int:
        """int: 1 or 3."""
        return self._source.shape[3]

    @property
    def has_labels(self) -> bool:
        """bool: whether `labels` and `batches(labels=True)` can be used."""
        return self._labels is not None

    def __len__(self) -> int:
        return self.num_examples

    def __repr__(self) -> str:
        size = f"{self.resolution} x {self.resolution} x {self.channels}"
        return f"ImageData({self.name!r}, {self.num_examples} images of {size})"

    def images(
        self, limit: int | None = None, resolution: int | None = None
    ) -> np.ndarray:
        """Returns images as one array, in stored order.

        Args:
            limit: at most this many; None for all.
            resolution: as for `batches`.

        Returns:
            float32 `(n, resolution, resolution, channels)` in [-1, 1].

        Raises:
            ValueError: for a limit below 1 or an unreachable resolution.
        """
        halvings = self._halvings(resolution)
        return self._read(self._indices[: self._limit(limit)], halvings)

    def labels(self, limit: int | None = None) -> np.ndarray:
        """Returns labels as one array, in the order of `images`.

        Args:
            limit: at most this many; None for all.

        Returns:
            int32 `(n,)`.

        Raises:
            ValueError: if the set has no labels, or for a limit below 1.
        """
        self._require_labels()
        return self._labels[self._indices[: self._limit(limit)]].astype(np.int32)

    def subset(
        self,
        classes: Iterable[int | str] | None = None,
        exclude_classes: Iterable[int | str] | None = None,
        limit: int | None = None,
        seed: int | None = None,
    ) -> "ImageData":
        """Selects examples; pixels are shared, labels keep their numbers.

        Args:
            classes: classes to keep, each an int label (also as a str of digits) or a
                class name.
            exclude_classes: classes to leave out, as above. Not with `classes`.
            limit: at most this many of what is left, the first ones.
            seed: optional int: shuffle once before `limit` is applied. Of use where
                the stored order is by class, as in image folders.

        Returns:
            A new `ImageData`.

        Raises:
            ValueError: for an unknown class, no labels, or if nothing is left.
        """
        if classes is not None and exclude_classes is not None:
            raise ValueError("Expected classes or exclude_classes, received both.")
        indices = self._indices
        if classes is not None:
            indices = indices[np.isin(self.labels(), self._class_numbers(classes))]
        if exclude_classes is not None:
            excluded = self._class_numbers(exclude_classes)
            indices = indices[~np.isin(self.labels(), excluded)]
        if seed is not None and len(indices):
            check_seed(seed)
            indices = indices[epoch_order(len(indices), seed, epoch=0)[0]]
        return self._with(indices[: self._limit(limit)])

    def relabelled(self, class_names: Sequence[str]) -> "ImageData":
        """The same images, labels numbered as in `class_names`: matched by name.

        Which number a class has depends on the other classes of a set: on the
        sub-folders that are there now. A model knows its own, `model.class_names`.

        Args:
            class_names: sequence of str, names in the order of the numbers wanted.

        Returns:
            A new `ImageData` that shares the pixels; this one if it has no class names
            to compare.

        Raises:
            ValueError: if there are images of a class that is not among the names.
        """
        wanted = tuple(class_names)
        if self.class_names is None or self.class_names == wanted:
            return self
        present = [self.class_names[number] for number in np.unique(self.labels())]
        unknown = [name for name in present if name not in wanted]
        if unknown:
            raise ValueError(
                f"Expected images of the classes {list(wanted)} in {self.name!r}, "
                f"received some of {unknown} too."
            )
        # Of classes without images here, the number is of no matter.
        numbers = {name: number for number, name in enumerate(wanted)}
        new = np.array([numbers.get(name, -1) for name in self.class_names], np.int32)
        return ImageData(
            self.name, self._source, new[self._labels], wanted, self._indices
        )

    def part(self, start: int, stop: int) -> "ImageData":
        """The examples from number `start` up to `stop`, which is not one of them.

        Args:
            start: int, at least 0.
            stop: int, above `start`.

        Returns:
            A new `ImageData` that shares the pixels.

        Raises:
            ValueError: if nothing is left.
        """
        return self._with(self._indices[start:stop])

    def batches(
        self,
        resolution: int | None = None,
        batch_size: int = 64,
        seed: int = 0,
        flip: bool = False,
        labels: bool = False,
        repeat: bool = True,
        start: int = 0,
        shuffle: bool = True,
        as_numpy: bool = False,
        random_crop: float = 1.0,
    ) -> Any:
        """Reads shuffled batches; the same arguments always give the same batches.

        Every example comes once per epoch, epochs are shuffled differently, and
        `start=k` gives what is left of the same sequence after k batches at the cost
        of one permutation.

        Args:
            resolution: height and width of the batches: that of the set, or any that
                2×2 mean pooling reaches from it. None for that of the set.
            batch_size: int, at most `num_examples`.
            seed: int in 0 … 2**63 - 1; decides order and flips.
            flip: mirror each image left to right with probability 1/2.
            labels: also return labels.
            repeat: True goes on for ever, and batches straddle epochs; False is one
                epoch, whose last batch may be smaller.
            start: number of batches to skip.
            shuffle: False keeps the stored order.
            as_numpy: True returns a plain iterator of NumPy arrays, which needs no
                TensorFlow; the batches are the same.
            random_crop: share of the area in (0, 1] that a random crop of each image
                has at least, see `crops.random_crops`; 1 for none.

        Returns:
            A `tf.data.Dataset`, on other backends than TensorFlow `Batches`, of
            float32 images `(batch_size, resolution, resolution, channels)` in [-1, 1];
            with `labels=True` of pairs of those and int32 `(batch_size,)`.

        Raises:
            ValueError: for a resolution that is not reached by halving, a batch larger
                than the set, labels that do not exist, or counts out of range.
        """
        halvings = self._halvings(resolution)
        check_count(batch_size, "batch_size")
        check_count(start, "start", minimum=0)
        check_seed(seed)
        check_number(random_crop, "random_crop", "(0, 1]")
        if labels:
            self._require_labels()
        if batch_size > self.num_examples:
            raise ValueError(
                f"Expected a batch_size of at most {self.num_examples}, the number of "
                f"images in {self.name!r}, received {batch_size}."
            )

        def generate(first=0):
            orders = batch_order(
                self.num_examples, batch_size, seed, start + first, repeat, shuffle
            )
            for place, (order, flips) in enumerate(orders, start + first):
                indices = self._indices[order]
                images = self._read(indices, halvings)
                if flip:
                    images[flips] = images[flips, :, ::-1]
                if random_crop < 1:
                    rng = np.random.default_rng([seed, _CROPS, place])
                    images = random_crops(images, random_crop, rng)
                if labels:
                    yield images, self._labels[indices].astype(np.int32)
                else:
                    yield images

        if as_numpy:
            return generate()
        side, rows = self.resolution // 2**halvings, batch_size if repeat else None
        specs = [((rows, side, side, self.channels), "float32"), ((rows,), "int32")]
        count = None if repeat else -(-self.num_examples // batch_size) - start
        return as_dataset(generate, specs if labels else specs[:1], count)

    def _with(self, indices):
        return ImageData(
            self.name, self._source, self._labels, self.class_names, indices
        )

    def _read(self, indices, halvings):
        # Indexing by an array copies, so callers may write into what they get.
        images = np.asarray(self._source[indices])
        images = to_float(images) if images.dtype == np.uint8 else images
        return downsample(images, halvings)

    def _halvings(self, resolution):
        wanted = self.resolution if resolution is None else resolution
        reachable = [self.resolution]
        while reachable[-1] % 2 == 0:
            reachable.append(reachable[-1] // 2)
        if wanted not in reachable:
            raise ValueError(
                f"Expected a resolution that halving {self.resolution} reaches, one of "
                f"{reachable}, received {resolution}."
            )
        return reachable.index(wanted)

    def _limit(self, limit):
        if limit is not None:
            check_count(limit, "limit")
        return limit

    def _require_labels(self):
        if not self.has_labels:
            raise ValueError(f"Expected labels, received {self.name!r} without any.")

    def _class_numbers(self, classes):
        if isinstance(classes, (str, int, np.integer)):
            raise ValueError(f"Expected a list of classes, received {classes!r}.")
        self._require_labels()
        if self.class_names is not None:
            return [class_index(name, self.class_names) for name in classes]
        known = np.unique(self._labels).tolist()
        # Digits are those of a command line.
        numbers = [int(c) if str(c).isdecimal() else c for c in classes]
        if not set(numbers) <= set(known):
            raise ValueError(
                f"Expected classes of {self.name!r}, some of {known}, received "
                f"{list(classes)}."
            )
        return numbers
